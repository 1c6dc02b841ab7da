"""How sure the metrics of a test are: the interval of each, and whether there are rows enough."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from common.words import counted
from modelling.judging.answers import Answers, Classes, Values
from modelling.judging.metrics import HIGH, LOW, Metric
from modelling.judging.resampling import (
    adds_up,
    figure_if_any,
    no_warnings,
    percentile_interval,
    rows_to_draw,
)
from modelling.recipe import Promotion

CONFIDENCE = 0.95
FEW_ROWS = 30
"""With fewer, of all or of a class, a figure says little (the usual rule of thumb)."""

_RESAMPLES = Promotion().resamples
_FEWEST_RESAMPLES = 200
_MOST_CALLS = 500  # of a metric that takes one resample at a time
_MOST_WEIGHTS = 1_000_000  # of all resamples together
_WEIGHTS_AT_ONCE = 500_000


def compute_intervals(
    metrics: Mapping[str, Metric],
    answers: Answers,
    targets: Values,
    seed: int,
    groups: npt.NDArray[np.intp] | None = None,
) -> dict[str, float]:
    """Computes the 95 % interval of each metric of n rows: `<metric>_low` and `<metric>_high`.

    The method is that of `resample`, with the same rows drawn for every metric. Of very many
    rows, those that a resample has are drawn once, and resampled: a bag of little bootstraps
    (Kleiner et al.: A scalable bootstrap for massive data, 2014) with one bag.

    Args:
        metrics: by name.
        answers: what the model says of the rows.
        targets: (n,) what is true.
        seed: of the resampling.
        groups: (n,) whose rows are drawn together.

    Returns:
        Both ends of each metric of which anything is known.
    """
    rng = np.random.default_rng(seed)
    rows = len(targets)
    unit_of_row = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(unit_of_row.max()) + 1
    if units < 2:  # of which each resample is the same
        return {}
    share = rows_to_draw(targets, is_classes=answers.probabilities is not None) / rows
    of_all: dict[str, float] = dict.fromkeys(metrics, math.nan)
    with no_warnings():
        sums = {name for name, metric in metrics.items() if _adds_up(metric, answers, targets)}
        if share < 1:
            of_all = {
                name: figure_if_any(metric, answers, targets) for name, metric in metrics.items()
            }
            chosen = rng.choice(units, math.ceil(share * units), replace=False)
            bag = np.flatnonzero(np.isin(unit_of_row, chosen))
            answers, targets = answers.of_rows(bag), targets[bag]
            unit_of_row = np.unique(unit_of_row[bag], return_inverse=True)[1]
            units = len(chosen)
        figures: dict[str, list[Values]] = {name: [] for name in metrics}
        done = 0
        for weights in _weights(unit_of_row, units, rng, _resamples(answers, len(targets))):
            scale = rows / weights.sum(axis=1)
            for name, metric in metrics.items():
                taken = weights if metric.of_weights else weights[: max(0, _MOST_CALLS - done)]
                values = _figures(metric, answers, targets, taken)
                figures[name].append(values * scale[: len(taken)] if name in sums else values)
            done += len(weights)
    found: dict[str, float] = {}
    for name, parts in figures.items():
        low, high, _ = percentile_interval(np.concatenate(parts), CONFIDENCE, share, of_all[name])
        if math.isfinite(low):
            found |= {name + LOW: low, name + HIGH: high}
    return found


def _adds_up(metric: Metric, answers: Answers, targets: Values) -> bool:
    if metric.of_weights is None:
        return adds_up(metric, answers, targets)
    weights = np.repeat([[1.0], [2.0]], len(targets), axis=1)
    once, twice = metric.of_weights(metric.given(answers), targets, weights)
    return bool(abs(twice) > 1.5 * abs(once))


def _resamples(answers: Answers, rows: int) -> int:
    """Fewer of many rows: 200 give the ends of an interval as well as a person reads them."""
    of_row = 1 if answers.probabilities is None else max(1, answers.probabilities.size // rows)
    return min(_RESAMPLES, max(_FEWEST_RESAMPLES, _MOST_WEIGHTS // (rows * of_row)))


def _weights(
    unit_of_row: npt.NDArray[np.intp], units: int, rng: np.random.Generator, resamples: int
) -> Iterator[Values]:
    """Gives the (b, n) weights of some resamples after the other: how often each row is drawn."""
    at_once = max(1, _WEIGHTS_AT_ONCE // len(unit_of_row))
    for first in range(0, resamples, at_once):
        counts = np.array(
            [
                np.bincount(rng.integers(units, size=units), minlength=units)
                for _ in range(min(at_once, resamples - first))
            ],
            dtype=float,
        )
        yield counts[:, unit_of_row]


def _figures(metric: Metric, answers: Answers, targets: Values, weights: Values) -> Values:
    if metric.of_weights:
        return metric.of_counts(answers, targets, weights)
    draws = (np.repeat(np.arange(len(targets)), row.astype(int)) for row in weights)
    figures = [figure_if_any(metric, answers.of_rows(drawn), targets[drawn]) for drawn in draws]
    return np.array(figures, dtype=float)


def few_rows(targets: Values, classes: Classes | None) -> str:
    """Says that there are too few of these (n,) test rows to trust a figure; else nothing.

    Args:
        targets: as `encode_targets` gives them.
        classes: of the target; None for a regression.
    """
    rows = len(targets)
    if rows < FEW_ROWS:
        return f"only {counted(rows, 'test row')}: the figures may well be chance"
    if classes is None:
        return ""
    codes = zip(classes.labels, classes.encode(classes.labels), strict=True)
    of_label = {label: int((targets == code).sum()) for label, code in codes}
    rare = {label: count for label, count in of_label.items() if count < FEW_ROWS}
    if not rare:
        return ""
    label, count = min(rare.items(), key=lambda item: item[1])
    others = f" (and few of {counted(len(rare) - 1, 'other class', 'other classes')})"
    return (
        f"only {count:,} of the {rows:,} test rows are of the class {label}"
        f"{others if len(rare) > 1 else ''}: figures of so few may well be chance"
    )
