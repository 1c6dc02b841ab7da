"""The pictures of an evaluation."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import PredictionErrorDisplay

from modelling.metrics import Values, get_metric

mpl.use("agg")

_STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    "grid.alpha": 0.3,
    "savefig.dpi": 120,
}
_COLOUR = "#0072b2"  # of the palette by Okabe and Ito, which the colour-blind can tell apart
_MOST_GROUPS = 12


def _figure(title: str, width: float = 6.4, height: float = 4.8) -> Figure:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.subplots()
    figure.suptitle(title)
    return figure


def plot_predictions(targets: Values, predictions: Values, target: str) -> Figure:
    """Draws (n,) predictions against (n,) targets, with the diagonal of perfect prediction."""
    figure = _figure(f"Predicted against actual {target}", 6.0, 6.0)
    PredictionErrorDisplay.from_predictions(
        targets,
        predictions,
        kind="actual_vs_predicted",
        ax=figure.axes[0],
        scatter_kwargs={"color": _COLOUR, "alpha": 0.4, "s": 18},
        random_state=0,
    )
    figure.axes[0].set(xlabel=f"predicted {target}", ylabel=f"actual {target}")
    return figure


def plot_residuals(targets: Values, predictions: Values, target: str) -> Figure:
    """Draws residuals (actual - predicted) against (n,) predictions."""
    figure = _figure(f"Residuals of {target}")
    PredictionErrorDisplay.from_predictions(
        targets,
        predictions,
        kind="residual_vs_predicted",
        ax=figure.axes[0],
        scatter_kwargs={"color": _COLOUR, "alpha": 0.4, "s": 18},
        random_state=0,
    )
    figure.axes[0].set(xlabel=f"predicted {target}", ylabel="actual - predicted")
    return figure


def plot_error_by_target(targets: Values, predictions: Values, target: str) -> Figure:
    """Draws the spread of the absolute error for each value, or range of values, of the target."""
    errors = pd.Series(np.abs(predictions - targets))
    values = pd.Series(targets)
    many = values.nunique() > _MOST_GROUPS
    groups = pd.qcut(values, _MOST_GROUPS, duplicates="drop") if many else values
    parts = {f"{key}\nn={len(part)}": part for key, part in errors.groupby(groups, observed=True)}
    if not many:
        parts = {label.replace(".0\n", "\n"): part for label, part in parts.items()}
    figure = _figure(f"Error by {target}", width=max(6.4, 0.9 * len(parts)))
    axes = figure.axes[0]
    axes.boxplot(list(parts.values()), tick_labels=list(parts), showfliers=False)
    axes.set(xlabel=f"actual {target}", ylabel=f"absolute error of predicted {target}")
    if many:
        axes.tick_params(axis="x", labelrotation=60)
    return figure


class _Fitted(RegressorMixin, BaseEstimator):
    """A predict function with the face of an estimator, for scikit-learn's inspection."""

    def __init__(self, predict: Callable[[pd.DataFrame], Values]) -> None:
        self.predict = predict

    def fit(self, X: pd.DataFrame, y: Values) -> "_Fitted":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


def compute_importance(
    predict: Callable[[pd.DataFrame], Values],
    features: pd.DataFrame,
    targets: Values,
    metric: str,
    seed: int,
) -> pd.DataFrame:
    """Measures by how much a metric gets worse when a raw column is shuffled.

    Permutation importance (Breiman: Random forests, 2001), five shuffles a column, on at most
    2,000 of the rows.

    Returns:
        column, importance (mean) and deviation, in the metric's units, most important first.
    """
    score = get_metric(metric)
    sign = 1 if score.greater_is_better else -1
    result = permutation_importance(
        _Fitted(predict),
        features,
        targets,
        scoring=lambda fitted, X, y: sign * score(fitted.predict(X), np.asarray(y)),
        n_repeats=5,
        random_state=seed,
        max_samples=min(len(features), 2000),
    )
    table = pd.DataFrame(
        {
            "column": features.columns,
            "importance": result.importances_mean,
            "deviation": result.importances_std,
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)


def plot_importance(importance: pd.DataFrame, metric: str) -> Figure:
    """Draws the table of `compute_importance`, at most its first 30 rows."""
    top = importance.head(30).iloc[::-1]
    figure = _figure("Permutation importance", height=max(3.0, 1.2 + 0.3 * len(top)))
    axes = figure.axes[0]
    axes.barh(top["column"], top["importance"], xerr=top["deviation"], color=_COLOUR)
    axes.set(xlabel=f"how much worse {metric} gets when the column is shuffled")
    return figure


def worst_predictions(test: pd.DataFrame, predictions: Values, target: str) -> pd.DataFrame:
    """Returns the 20 test rows with the largest absolute error, worst first.

    Args:
        test: (n, columns) with row_key and the target.
        predictions: (n,) for these rows.
        target: the target's name.
    """
    table = test.assign(prediction=predictions, error=predictions - test[target])
    order = table["error"].abs().sort_values(ascending=False, kind="stable").index
    table["row_key"] = [f"{key:016x}" for key in table["row_key"]]
    front = ["row_key", target, "prediction", "error"]
    return table.loc[order[:20], front + [name for name in test if name not in front]]
