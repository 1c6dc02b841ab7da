"""The gate: is a model good enough to be registered, and is it better than the champion?

Every comparison is a row that is written down, whether it passed or not.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import InputError
from common.words import is_finite, show_figure
from modelling.judging.answers import Answers, Values
from modelling.judging.intervals import FEW_ROWS
from modelling.judging.metrics import BASELINE_PREFIX, Metric
from modelling.judging.resampling import difference_interval
from modelling.recipe import Promotion, Threshold

_LAST_DIGITS = 1e-12


@dataclass(frozen=True)
class Comparison:
    """One row of the gate: a metric of the candidate, what it was held against, the outcome.

    reference is the other figure, where there is one; low and high are the interval of the
    difference candidate - champion, where it was computed.
    """

    metric: str
    check: str
    candidate: float
    reference: float
    required: str
    passed: bool
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        candidate = show_figure(self.candidate, metric=self.metric)
        return f"{self.metric} {candidate} is {'' if self.passed else 'not '}{self.required}"


def check_finite(names: Iterable[str], metrics: Mapping[str, float]) -> list[Comparison]:
    """Compares each expected metric with nothing but finiteness: a missing one fails too."""
    values = {name: metrics.get(name, math.nan) for name in names}
    return [
        Comparison(name, "finite", value, math.nan, "a finite number", is_finite(value))
        for name, value in values.items()
    ]


def check_thresholds(
    gate: Mapping[str, Threshold], figures: Mapping[str, float], metrics: Mapping[str, Metric]
) -> list[Comparison]:
    """Compares metrics with the recipe's thresholds and with the naive baseline's.

    Args:
        gate: what each metric must reach.
        figures: the candidate's, and the baseline's with BASELINE_PREFIX.
        metrics: by name; they say which way is better.

    Returns:
        One row a threshold, in the sense of `mlflow.models.MetricThreshold`; a figure that is
        missing or not finite fails it.
    """
    rows = []
    for name, threshold in gate.items():
        greater = metrics[name].greater_is_better
        candidate = figures.get(name, math.nan)
        baseline = figures.get(BASELINE_PREFIX + name, math.nan)
        naive = show_figure(baseline, metric=name)
        gain = candidate - baseline if greater else baseline - candidate
        if threshold.threshold is not None:
            limit = threshold.threshold
            passed = candidate >= limit if greater else candidate <= limit
            required = f"{'at least' if greater else 'at most'} {limit:g}"
            rows.append(_row(name, "threshold", candidate, math.nan, required, passed))
        if threshold.min_absolute_change is not None:
            least = threshold.min_absolute_change
            required = f"better than the baseline's {naive} by {least:g}"
            rows.append(_row(name, "baseline", candidate, baseline, required, gain >= least))
        if threshold.min_relative_change is not None:
            share = threshold.min_relative_change
            required = f"better than the baseline's {naive} by {100 * share:g}%"
            passed = gain > 0 and gain >= share * abs(baseline)
            rows.append(_row(name, "baseline", candidate, baseline, required, passed))
    return rows


def check_slices(
    gate: Mapping[str, Threshold],
    slices: pd.DataFrame,
    figures: Mapping[str, float],
    metrics: Mapping[str, Metric],
) -> list[Comparison]:
    """Compares the worst of the recipe's slices with all test rows, where the gate asks for it.

    Args:
        gate: what each metric must reach.
        slices: as `measure_slices` gives them, maybe with those that were found.
        figures: the candidate's, of all rows.
        metrics: by name.

    Raises:
        InputError: the slices are measured by another metric, or none has rows enough, or a figure.
    """
    rows = []
    for name, threshold in gate.items():
        if threshold.slices is None:
            continue
        if name not in slices.columns:
            raise InputError(
                f"gate.{name}.slices: {name} of a part of the rows cannot be held against that of "
                "all; make another metric the primary one"
            )
        large = slices[(slices["how"] == "named") & (slices["rows"] >= FEW_ROWS)]
        told = large[large[name].notna()]
        if told.empty:
            lacking = f"{FEW_ROWS} test rows" if large.empty else f"a figure of {name}"
            raise InputError(f"gate.{name}.slices: none of the recipe's slices has {lacking}")
        sign = 1 if metrics[name].greater_is_better else -1
        worst = told.iloc[int(np.argmin(sign * told[name].to_numpy()))]
        gap = sign * (figures[name] - worst[name])
        allowed = threshold.slices.max_relative_gap
        required = f"at most {100 * allowed:g}% worse than of all rows, for {worst['slice']}"
        passed = bool(gap <= allowed * abs(figures[name]))
        rows.append(_row(name, "slice", float(worst[name]), figures[name], required, passed))
    return rows


def _row(
    metric: str, check: str, candidate: float, reference: float, required: str, passed: bool
) -> Comparison:
    references = [] if check == "threshold" else [reference]
    finite = all(is_finite(value) for value in [candidate, *references])
    return Comparison(metric, check, candidate, reference, required, passed and finite)


def compare_with_champion(
    name: str,
    score: Metric,
    targets: Values,
    candidate: Answers,
    champion: Answers,
    promotion: Promotion,
    seed: int,
    groups: npt.NDArray[Any] | None = None,
) -> Comparison:
    """Compares the candidate with the champion on the same test rows.

    The interval of the difference is that of a paired bootstrap over the rows, or over groups.

    Args:
        name: of the primary metric.
        score: the primary metric.
        targets: (n,) true values.
        candidate: the candidate's answers for these rows.
        champion: the champion's for the same rows.
        promotion: rule, confidence and number of resamples.
        seed: of the resampling.
        groups: (n,) whose rows are drawn together.

    Returns:
        A row that passed if the candidate is better in the sense of the rule.
    """
    figures = score(candidate, targets), score(champion, targets)
    sign = 1 if score.greater_is_better else -1
    gap = low = high = figures[0] - figures[1]
    if not candidate.equals(champion):
        low, high = difference_interval(
            score, targets, candidate, champion, promotion, seed, groups
        )
    # Sums in another order differ in their last digits, and nobody is better by those.
    digits = _LAST_DIGITS * max(map(abs, figures))
    gap, low, high = (0.0 if abs(end) <= digits else end for end in (gap, low, high))
    if promotion.rule == "better":
        passed, required = sign * gap > 0, "better"
    else:
        passed = min(sign * low, sign * high) > 0
        required = f"better with {100 * promotion.confidence:g}% confidence"
    return Comparison(name, "champion", *figures, required, bool(passed), low=low, high=high)
