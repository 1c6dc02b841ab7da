"""The gate: is a model good enough to be registered, and is it better than the champion?

Every comparison is a row that is written down, whether it passed or not.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap
from sklearn import config_context

from modelling.answers import Answers, Values
from modelling.metrics import BASELINE_PREFIX, Metric
from modelling.recipe import Promotion, Threshold

_RESAMPLED_VALUES_AT_ONCE = 10_000_000


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
        return (
            f"{self.metric} {self.candidate:.4f} is {'' if self.passed else 'not '}{self.required}"
        )


def check_finite(names: Iterable[str], metrics: Mapping[str, float]) -> list[Comparison]:
    """Compares each expected metric with nothing but finiteness: a missing one fails too."""
    values = {name: metrics.get(name, math.nan) for name in names}
    return [
        Comparison(name, "finite", value, math.nan, "a finite number", math.isfinite(value))
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
        gain = candidate - baseline if greater else baseline - candidate
        if threshold.threshold is not None:
            limit = threshold.threshold
            passed = candidate >= limit if greater else candidate <= limit
            required = f"{'at least' if greater else 'at most'} {limit:g}"
            rows.append(_row(name, "threshold", candidate, math.nan, required, passed))
        if threshold.min_absolute_change is not None:
            least = threshold.min_absolute_change
            required = f"better than the baseline's {baseline:.4f} by {least:g}"
            rows.append(_row(name, "baseline", candidate, baseline, required, gain >= least))
        if threshold.min_relative_change is not None:
            share = threshold.min_relative_change
            required = f"better than the baseline's {baseline:.4f} by {100 * share:g}%"
            passed = gain > 0 and gain >= share * abs(baseline)
            rows.append(_row(name, "baseline", candidate, baseline, required, passed))
    return rows


def _row(
    metric: str, check: str, candidate: float, reference: float, required: str, passed: bool
) -> Comparison:
    references = [] if check == "threshold" else [reference]
    finite = all(math.isfinite(value) for value in [candidate, *references])
    return Comparison(metric, check, candidate, reference, required, passed and finite)


def compare_with_champion(
    name: str,
    score: Metric,
    targets: Values,
    candidate: Answers,
    champion: Answers,
    promotion: Promotion,
    seed: int,
) -> Comparison:
    """Compares the candidate with the champion on the same test rows.

    The interval of the difference is that of a paired bootstrap over the rows.

    Args:
        name: of the primary metric.
        score: the primary metric.
        targets: (n,) true values.
        candidate: the candidate's answers for these rows.
        champion: the champion's for the same rows.
        promotion: rule, confidence and number of resamples.
        seed: of the resampling.

    Returns:
        A row that passed if the candidate is better in the sense of the rule.
    """

    def difference(rows: npt.NDArray[np.intp]) -> float:
        theirs = score(champion.of_rows(rows), targets[rows])
        return score(candidate.of_rows(rows), targets[rows]) - theirs

    figures = score(candidate, targets), score(champion, targets)
    sign = 1 if score.greater_is_better else -1
    low = high = figures[0] - figures[1]
    if not candidate.equals(champion):
        low, high, _ = resample(difference, len(targets), promotion, seed)
    if promotion.rule == "better":
        passed, required = sign * (figures[0] - figures[1]) > 0, "better"
    else:
        passed = min(sign * low, sign * high) > 0
        required = f"better with {100 * promotion.confidence:g}% confidence"
    return Comparison(name, "champion", *figures, required, bool(passed), low=low, high=high)


def resample(
    statistic: Callable[[npt.NDArray[np.intp]], float], rows: int, promotion: Promotion, seed: int
) -> tuple[float, float, Values]:
    """Computes a statistic of rows again and again, on as many rows drawn with replacement.

    Args:
        statistic: of the rows with these numbers.
        rows: how many there are.
        promotion: the confidence and the number of resamples.
        seed: of the resampling.

    Returns:
        The ends of the percentile interval (Efron, Tibshirani: An Introduction to the Bootstrap,
        1993, chapter 13), and the (resamples,) figures.
    """
    with warnings.catch_warnings(), config_context(assume_finite=True):
        # A resample without a row of some class has no figure for some metrics.
        warnings.simplefilter("ignore")
        result = bootstrap(
            (np.arange(rows),),
            statistic,
            n_resamples=promotion.resamples,
            batch=max(1, _RESAMPLED_VALUES_AT_ONCE // rows),
            vectorized=False,
            confidence_level=promotion.confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    interval = result.confidence_interval
    return float(interval.low), float(interval.high), result.bootstrap_distribution
