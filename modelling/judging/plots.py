"""The pictures of an evaluation."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
    confusion_matrix,
)

from common.words import MINUS, show_brief, with_brief_numbers
from modelling.judging.answers import Values
from modelling.judging.fonts import OTHER_FONTS

mpl.use("agg")

# The palette by Okabe and Ito, which the colour-blind can tell apart.
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_COLOUR = _PALETTE[0]
_INK, _SOFT = "#1d1b1a", "#5f5a57"
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": _SOFT,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.labelsize": 10.5,
    "axes.prop_cycle": cycler(color=_PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.titlesize": 12.5,
    "figure.titleweight": "bold",
    "font.family": [
        "DejaVu Sans",
        *(name for name in OTHER_FONTS if name in font_manager.get_font_names()),
    ],
    "font.size": 10.5,
    "grid.alpha": 0.3,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "savefig.dpi": 120,
    "text.color": _INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.color": _SOFT,
    "ytick.labelcolor": _INK,
}
mpl.rcParams.update(STYLE)
_MOST_GROUPS = 12
_ROWS_OF_GROUP = 10
_LONGEST_LABEL = 32
_LONGEST_TITLE = 40
_NO_LETTER = "(no letter)"  # in place of a name of underscores
_MOST_COUNTS = 30
_FEW_CLASSES = 5
_LONGEST_INSIDE = 48
_MOST_INSIDE = 5
_LETTERS = 8.5  # of a title or a label, an inch
_MOST_BARS = 30
_LARGE = 10_000
_MOST_DOTS = 1000
_DOT = 18  # points, squared

Labels = npt.NDArray[Any]
Scores = Mapping[str, tuple[Values, Values]]
"""By class: for n rows, whether it is of the class (1 or 0), and the class's probability."""


def _figure(title: str, width: float = 6.4, height: float = 4.8) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.subplots()
    figure.suptitle(fill(title, int(_LETTERS * width)))
    return figure


def _label(figure: Figure, x: str, y: str = "") -> None:
    """Names both axes, in as many lines as each needs."""
    width, height = figure.get_size_inches()
    axes = figure.axes[0]
    axes.set(xlabel=fill(x, int(_LETTERS * width)), ylabel=fill(y, int(_LETTERS * height)))


def _legend(figure: Figure, place: Any, title: str | None = None) -> None:
    """Explains the lines: in the picture where they are few, and below it where they are not."""
    axes = figure.axes[0]
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) <= _MOST_INSIDE and max(map(len, labels), default=0) <= _LONGEST_INSIDE:
        axes.legend(loc=place, title=title)
        return
    if inside := axes.get_legend():
        inside.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.24 * (len(labels) + 1))
    figure.legend(handles, labels, loc="outside lower center", title=title)


def _slant(axes: Axes) -> None:
    """Turns long labels below an axis, each ending at its place."""
    axes.tick_params(axis="x", rotation=60)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")


def plot_predictions(
    targets: Values, predictions: Values, target: str, weights: Values | None = None
) -> Figure:
    """Draws (n,) predictions against (n,) targets, with the diagonal of perfect prediction.

    Args:
        targets: the actual values.
        predictions: of the same rows.
        target: its name.
        weights: (n,) how much each row counts, if not the same: the area of its dot.
    """
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"Predicted against actual {target}", 6.0, 6.0)
    rows, size = _dots(len(targets), weights)
    PredictionErrorDisplay.from_predictions(
        targets[rows],
        predictions[rows],
        kind="actual_vs_predicted",
        subsample=None,
        ax=figure.axes[0],
        scatter_kwargs={"color": _COLOUR, "alpha": 0.4, "s": size},
    )
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        axis.set_major_locator(AutoLocator())  # in place of four even parts of the range
    _separate_thousands(figure.axes[0])
    _label(figure, f"predicted {target}", f"actual {target}")
    return figure


def plot_residuals(
    targets: Values, predictions: Values, target: str, weights: Values | None = None
) -> Figure:
    """Draws the errors (predicted - actual, as everywhere), as `plot_predictions` does."""
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"Errors of {target}")
    axes = figure.axes[0]
    rows, size = _dots(len(targets), weights)
    errors = predictions[rows] - targets[rows]
    axes.scatter(predictions[rows], errors, size, color=_COLOUR, alpha=0.4)
    axes.axhline(0, color=_INK, linestyle="--", linewidth=1)
    _separate_thousands(axes)
    _label(figure, f"predicted {target}", "error: predicted - actual")
    return figure


def _separate_thousands(axes: Axes) -> None:
    """Writes large numbers of an axis as a person does: 500,000."""
    for axis in (axes.xaxis, axes.yaxis):
        if max(map(abs, axis.get_view_interval())) >= _LARGE:
            axis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", MINUS))


def _dots(number: int, weights: Values | None) -> tuple[npt.NDArray[np.intp], Any]:
    """The places of at most 1,000 rows that count, and how large the dot of each is."""
    counted = np.arange(number) if weights is None else np.flatnonzero(weights > 0)
    rows = counted
    if weights is not None or number > _MOST_DOTS:
        rows = np.random.default_rng(0).permutation(counted)[:_MOST_DOTS]
    return rows, _DOT if weights is None else _DOT * weights[rows] / weights[rows].mean()


def _name_group(group: Any, lowest: float) -> str:
    """A value, or a range of values; in ten digits, which hide what binary fractions lack."""
    if isinstance(group, pd.Interval):
        # The first begins a little below the lowest value.
        return f"{max(group.left, lowest):.10g} to {group.right:.10g}"
    return f"{group:.10g}"


def plot_error_by_target(
    targets: Values, predictions: Values, target: str, weights: Values | None = None
) -> Figure:
    """Draws the spread of the absolute error for each value, or range of values, of the target.

    Args:
        targets: (n,) the actual values.
        predictions: (n,) of the same rows.
        target: its name.
        weights: (n,) how much each row counts, if not the same.
    """
    counted = np.ones(len(targets)) if weights is None else weights
    errors = pd.Series(np.abs(predictions - targets))[counted > 0]
    values = pd.Series(targets)[counted > 0]
    many = values.nunique() > _MOST_GROUPS
    number = max(3, min(_MOST_GROUPS, len(values) // _ROWS_OF_GROUP))
    groups = pd.qcut(values, number, duplicates="drop") if many else values
    parts = {
        f"{_name_group(key, values.min())}\nn={len(part)}": part
        for key, part in errors.groupby(groups, observed=True)
    }
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"Error by {target}", width=max(6.4, 0.9 * len(parts)))
    axes = figure.axes[0]
    axes.bxp(
        [_box(part, counted[part.index]) | {"label": name} for name, part in parts.items()],
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": _PALETTE[5], "alpha": 0.6},
        medianprops={"color": _INK, "linewidth": 2},
    )
    axes.grid(visible=False, axis="x")
    _label(figure, f"actual {target}", f"absolute error of predicted {target}")
    if many:
        _slant(axes)
    return figure


def _box(errors: pd.Series, weights: Values) -> dict[str, float]:
    """The quartiles of some rows, and the last of them within 1.5 times their range beyond."""
    low, middle, high = np.quantile(
        errors, (0.25, 0.5, 0.75), weights=weights, method="inverted_cdf"
    )
    near = errors[errors.between(low - 1.5 * (high - low), high + 1.5 * (high - low))]
    ends = {"whislo": float(near.min()), "whishi": float(near.max())}
    return {"q1": float(low), "med": float(middle), "q3": float(high), **ends}


def plot_importance(importance: pd.DataFrame, metric: str) -> Figure:
    """Draws the table of `compute_importance`, at most its first 30 rows."""
    top = importance.head(_MOST_BARS).iloc[::-1]
    figure = _figure("Permutation importance", height=max(3.0, 1.2 + 0.3 * len(top)))
    axes = figure.axes[0]
    _bars(axes, top["column"], top["importance"], xerr=top["deviation"], color=_COLOUR)
    _label(figure, f"how much worse {metric} gets when the column is shuffled")
    return figure


def _bars(axes: Axes, names: Iterable[object], values: Any, **look: Any) -> None:
    """Draws level bars by their place: names that are cut may be equal."""
    labels = [_short(name) for name in names]
    places = range(len(labels))
    axes.barh(places, values, **look)
    axes.set_yticks(places, labels)
    axes.grid(visible=False, axis="y")


def worst_predictions(
    test: pd.DataFrame,
    answers: pd.DataFrame,
    error: Values,
    target: str,
    weights: Values | None = None,
) -> pd.DataFrame:
    """Returns the 20 test rows with the largest error, worst first, of those that count at all.

    Args:
        test: (n, columns) with row_key and the target.
        answers: (n, …) the columns that the model gave for these rows, `prediction` first.
        error: (n,) its sign does not count.
        target: the target's name.
        weights: (n,) how much each row counts, if not the same.
    """
    worst = np.argsort(-np.abs(error), kind="stable")
    worst = (worst if weights is None else worst[weights[worst] > 0])[:20]
    chosen = test.iloc[worst]
    front = pd.DataFrame(
        {
            "row_key": [f"{key:016x}" for key in chosen["row_key"]],
            target: chosen[target].to_numpy(),
            **{name: answers[name].to_numpy()[worst] for name in answers},
            "error": error[worst],
        }
    )
    rest = chosen.drop(columns=["row_key", target]).reset_index(drop=True)
    return pd.concat([front, rest], axis=1)


def plot_confusion(
    targets: Labels,
    predictions: Labels,
    target: str,
    weights: Values | None = None,
    names: Mapping[str, str] | None = None,
) -> Figure:
    """Draws how many rows of each class were said to be of which, coloured by share.

    Args:
        targets: (n,) labels.
        predictions: (n,) labels.
        target: its name.
        weights: (n,) how much each row counts, if not the same.
        names: by class, as text, what it is called, if not so.
    """
    classes = np.unique(np.concatenate([targets, predictions]))
    size = min(max(4.8, 1.5 + 0.5 * len(classes)), 16)
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"Confusion matrix of {target}", 1.15 * size, size)
    axes = figure.axes[0]
    axes.grid(visible=False)
    counts = confusion_matrix(targets, predictions, labels=classes, sample_weight=weights)
    of_class = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(of_class > 0, of_class, 1)
    shown = [_short((names or {}).get(str(name), name)) for name in classes]
    display = ConfusionMatrixDisplay(shares, display_labels=shown)
    display.plot(ax=axes, cmap="Blues", include_values=False, im_kw={"vmin": 0, "vmax": 1})
    display.figure_.axes[-1].set_ylabel("share of the actual class")
    for (row, column), count in np.ndenumerate(counts if len(classes) <= _MOST_COUNTS else []):
        colour = "white" if shares[row, column] > 0.7 else "black"
        words = show_brief(count.item())
        words += f"\n{shares[row, column]:.0%}" if len(classes) <= _FEW_CLASSES else ""
        size = 14 if len(classes) <= _FEW_CLASSES else 10.5
        axes.text(column, row, words, ha="center", va="center", color=colour, fontsize=size)
    _label(figure, f"predicted {target}", f"actual {target}")
    axes.tick_params(labelsize=max(5, min(10.5, 600 / len(classes) / 3)))
    if len(classes) > 2:
        _slant(axes)
    return figure


def plot_roc(scores: Scores, target: str, weights: Values | None = None) -> Figure:
    """Draws the receiver operating characteristic of each class: found against false alarms."""
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"ROC curve of {target}", 6.0, 6.0)
    axes = figure.axes[0]
    for name, is_class, score, colour in _curves(scores):
        RocCurveDisplay.from_predictions(
            is_class,
            score,
            name=name,
            ax=axes,
            curve_kwargs={"color": colour},
            sample_weight=weights,
        )
    axes.plot([0, 1], [0, 1], color=_SOFT, linestyle="--", label="chance")
    _legend(figure, "lower right")
    _label(figure, "share of the others taken for it", "share of the class found (recall)")
    return figure


def plot_precision_recall(scores: Scores, target: str, weights: Values | None = None) -> Figure:
    """Draws the precision of each class against its recall."""
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"Precision and recall of {target}", 6.0, 6.0)
    axes = figure.axes[0]
    for name, is_class, score, colour in _curves(scores):
        PrecisionRecallDisplay.from_predictions(
            is_class,
            score,
            name=name,
            ax=axes,
            drop_intermediate=True,
            curve_kwargs={"color": colour},
            sample_weight=weights,
        )
        share = float(np.average(is_class, weights=weights))
        axes.axhline(share, color=colour, linestyle=":", linewidth=1)
    _legend(figure, "lower left", "dotted: the class's share of the rows")
    _label(figure, "share of the class found (recall)", "share that is right (precision)")
    return figure


def plot_calibration(scores: Scores, target: str, weights: Values | None = None) -> Figure:
    """Draws how often a class was there against how probable the model said it was.

    Each dot stands for a tenth of the rows, or of what they weigh.
    """
    target = _short(target, _LONGEST_TITLE)
    figure = _figure(f"Calibration of {target}", 6.0, 6.0)
    axes = figure.axes[0]
    for name, is_class, score, colour in _curves(scores):
        shares, means = _reliability(is_class, score, weights)
        display = CalibrationDisplay(shares, means, score, estimator_name=name)
        display.plot(ax=axes, color=colour)
    _legend(figure, "upper left")
    _label(figure, "mean predicted probability", "share of rows that are of the class")
    return figure


def _reliability(is_class: Values, score: Values, weights: Values | None) -> tuple[Values, Values]:
    """The share of the class, and its mean probability, in each tenth of the rows' weight."""
    if weights is None:
        return calibration_curve(is_class, score, n_bins=10, strategy="quantile")
    edges = np.quantile(score, np.linspace(0, 1, 11), weights=weights, method="inverted_cdf")
    tenths = np.searchsorted(edges[1:-1], score)
    weight, true, said = (
        np.bincount(tenths, weights * part, minlength=10) for part in (1, is_class, score)
    )
    filled = weight > 0
    return true[filled] / weight[filled], said[filled] / weight[filled]


def plot_lift(is_class: Values, score: Values, name: str, weights: Values | None = None) -> Figure:
    """Draws how much denser the class is among the rows with the highest scores than in all."""
    order = np.argsort(-score, kind="stable")
    counted = np.ones(len(order)) if weights is None else weights[order]
    found, passed = np.cumsum(is_class[order] * counted), np.cumsum(counted)
    share = passed / passed[-1]
    shown = np.unique(np.linspace(0, len(order) - 1, 200).astype(int))
    shown = shown[share[shown] >= 0.01]
    lift = found / np.where(passed > 0, passed, 1) / (found[-1] / passed[-1])
    name = _short(name, _LONGEST_TITLE)
    figure = _figure(f"Lift of {name}")
    axes = figure.axes[0]
    axes.plot(100 * share[shown], lift[shown], color=_COLOUR)
    axes.axhline(1, color=_SOFT, linestyle="--")
    _label(
        figure,
        "rows with the highest probability, in % of all",
        "lift: how much denser than in all rows",
    )
    axes.set_ylim(0, None)
    return figure


def plot_scores(
    is_class: Values,
    score: Values,
    name: str,
    threshold: float | None = None,
    weights: Values | None = None,
) -> Figure:
    """Draws the distribution of a class's probability, for its rows and for the others."""
    name = _short(name, _LONGEST_TITLE)
    figure = _figure(f"Probability of {name}, by class")
    axes = figure.axes[0]
    bins = np.linspace(0, 1, 31).tolist()
    for wanted, label, colour in ((0, f"not {name}", "#999999"), (1, name, _PALETTE[1])):
        part = score[is_class == wanted]
        label = f"{label}, n={len(part)}"
        counted = np.ones(len(part)) if weights is None else weights[is_class == wanted]
        shares = 100 * counted / max(counted.sum(), 1e-300)
        axes.hist(part, bins=bins, weights=shares, alpha=0.6, color=colour, label=label)
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    _legend(figure, "best")
    _label(figure, f"predicted probability of {name}", "% of the rows of the class")
    return figure


def plot_drift(table: pd.DataFrame, limit: float) -> Figure:
    """Draws the population stability index of each column, of the 30 with the largest.

    Args:
        table: a row a column, the largest index first: column, psi, limit (that was applied),
            drifted.
        limit: of the recipe.
    """
    shown = table.head(_MOST_BARS)[::-1]
    figure = _figure("Drift against the training rows", height=max(3.0, 1.4 + 0.3 * len(shown)))
    axes = figure.axes[0]
    colours = [_PALETTE[1] if drifted else _COLOUR for drifted in shown["drifted"]]
    _bars(axes, shown["column"], shown["psi"], color=colours)
    axes.axvline(limit, color=_INK, linestyle="--", label=f"limit {limit:g}")
    higher = np.flatnonzero(shown["limit"] > limit)
    if len(higher):
        ends = shown["limit"].iloc[higher]
        label = "higher limit: the rows are few"
        axes.scatter(ends, higher, 200, _INK, marker="|", label=label)
    axes.legend(loc="lower right")
    axes.set(xlabel="population stability index", xlim=(0, None))
    return figure


def plot_shares(
    bins: Iterable[str], before: Iterable[float], now: Iterable[float], name: str
) -> Figure:
    """Draws how a model's answers are distributed over bins, and how those of its test were.

    Args:
        bins: (k,) their names.
        before: (k,) the shares of the test rows.
        now: (k,) the shares of the new rows.
        name: of what is distributed.
    """
    labels = [_short(with_brief_numbers(each)) for each in bins]
    places = np.arange(len(labels))
    figure = _figure(f"Distribution of the {name}", height=max(3.2, 1.6 + 0.3 * len(labels)))
    axes = figure.axes[0]
    for shift, shares, label, colour in (
        (0.2, before, "on its test", "#9db7d3"),
        (-0.2, now, "now", _PALETTE[1]),
    ):
        axes.barh(places + shift, [100 * share for share in shares], 0.4, color=colour, label=label)
    axes.set_yticks(places, labels)
    axes.grid(visible=False, axis="y")
    axes.legend(loc="best")
    axes.set(xlabel="% of the rows")
    return figure


def plot_resampled(resampled: Values, marks: Mapping[str, float], metric: str) -> Figure:
    """Draws how a metric spreads over resamples of the rows, and where some figures lie.

    Args:
        resampled: (resamples,) figures.
        marks: figures by name, each a line.
        metric: its name.
    """
    figure = _figure(f"{metric} on the new rows")
    axes = figure.axes[0]
    axes.hist(resampled, bins=40, color=_PALETTE[5])
    for (name, value), colour in zip(marks.items(), ("black", *_PALETTE[2:0:-1]), strict=False):
        axes.axvline(value, color=colour, label=f"{name} {value:,.4g}")
    axes.legend()
    axes.set(xlabel=metric, ylabel="resamples")
    return figure


def _curves(scores: Scores) -> Iterator[tuple[str, Values, Values, str]]:
    """Each class with its rows, its probabilities and a colour of its own."""
    for (name, (is_class, score)), colour in zip(scores.items(), cycle(_PALETTE), strict=False):
        yield _short(name), is_class, score, colour


def _short(name: object, longest: int = _LONGEST_LABEL) -> str:
    """Cuts a long name in its middle, since both ends tell names apart."""
    # An underscore in front would hide it from a legend.
    text = " ".join(str(name).split()).lstrip("_ ") or _NO_LETTER
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"
