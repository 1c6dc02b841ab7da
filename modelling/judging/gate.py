"""The gate: is a model good enough to be registered, and is it better than the champion?

Every comparison is a row that is written down, whether it passed or not.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import config_context

from common.words import show_figure
from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import BASELINE_PREFIX, Metric
from modelling.recipe import Promotion, Threshold

_LAST_DIGITS = 1e-12
_MOST_RESAMPLED = 10_000
_FEWEST_OF_A_CLASS = 1_000  # in a resample, of a table that has as many

Rows = npt.NDArray[np.intp]


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
        Comparison(name, "finite", value, math.nan, "a finite number", _is_finite(value))
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


def _row(
    metric: str, check: str, candidate: float, reference: float, required: str, passed: bool
) -> Comparison:
    references = [] if check == "threshold" else [reference]
    finite = all(_is_finite(value) for value in [candidate, *references])
    return Comparison(metric, check, candidate, reference, required, passed and finite)


def _is_finite(value: float) -> bool:
    """Whether a figure is a finite one; the largest of all is how MLflow's store keeps infinity."""
    return abs(value) < sys.float_info.max


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

    def difference(rows: Rows) -> float:
        theirs = score(champion.of_rows(rows), targets[rows])
        ours = score(candidate.of_rows(rows), targets[rows])
        return (ours - theirs) * (len(targets) / len(rows) if is_sum else 1)

    figures = score(candidate, targets), score(champion, targets)
    sign = 1 if score.greater_is_better else -1
    gap = low = high = figures[0] - figures[1]
    if not candidate.equals(champion):
        is_sum = any(adds_up(score, given, targets) for given in (candidate, champion))
        if groups is not None:
            low, high, _ = resample_groups(difference, groups, promotion, seed)
        else:
            drawn = rows_to_draw(targets, is_classes=candidate.probabilities is not None)
            low, high, _ = resample(difference, len(targets), promotion, seed, drawn)
    # Sums in another order differ in their last digits, and nobody is better by those.
    digits = _LAST_DIGITS * max(map(abs, figures))
    gap, low, high = (0.0 if abs(end) <= digits else end for end in (gap, low, high))
    if promotion.rule == "better":
        passed, required = sign * gap > 0, "better"
    else:
        passed = min(sign * low, sign * high) > 0
        required = f"better with {100 * promotion.confidence:g}% confidence"
    return Comparison(name, "champion", *figures, required, bool(passed), low=low, high=high)


def rows_to_draw(targets: Values, is_classes: bool) -> int:
    """Returns how many of the rows with these (n,) targets a resample has.

    All, or of many as many as show every class often enough.
    """
    share = _MOST_RESAMPLED / len(targets)
    if is_classes:
        rarest = int(np.unique(targets, return_counts=True)[1].min())
        share = max(share, _FEWEST_OF_A_CLASS / rarest)
    return math.ceil(len(targets) * min(share, 1))


def adds_up(score: Metric, answers: Answers, targets: Values) -> bool:
    """Says whether a metric is a sum over the rows, as a count is: each row twice, it doubles."""
    twice = np.repeat(np.arange(len(targets)), 2)
    with _no_warnings():
        doubled = score(answers.of_rows(twice), targets[twice])
        return abs(doubled) > 1.5 * abs(score(answers, targets))


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Silences the metrics: a resample without a row of some class has no figure for some."""
    with warnings.catch_warnings(), config_context(assume_finite=True):
        warnings.simplefilter("ignore")
        yield


def resample_groups(
    statistic: Callable[[Rows], float], groups: npt.NDArray[Any], promotion: Promotion, seed: int
) -> tuple[float, float, Values]:
    """Resamples as `resample` does, but draws whole groups (n,): their rows are no news each."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=np.nan))
    rows_of = np.split(order, starts[1:])
    return resample(
        lambda drawn: statistic(np.concatenate([rows_of[number] for number in drawn])),
        len(rows_of),
        promotion,
        seed,
    )


def resample(
    statistic: Callable[[Rows], float],
    rows: int,
    promotion: Promotion,
    seed: int,
    drawn: int | None = None,
) -> tuple[float, float, Values]:
    """Computes a statistic of n rows again and again, on rows drawn with replacement.

    Of m < n rows drawn at a time (Bickel, Götze, van Zwet: Resampling fewer than n observations,
    1997) a function of means scatters more than of n, by the root of n / m: the distances from the
    mean of the resamples are shrunk by that, and laid around its value of all rows.

    A resample that has no figure, as ROC AUC without a row of some class, is left out; if more
    than half have none, nothing is known.

    Args:
        statistic: of the rows with these places, of which some may stand there more than once.
        rows: n.
        promotion: the confidence and the number of resamples.
        seed: of the resampling.
        drawn: m, at most n; n if not said.

    Returns:
        The ends of the percentile interval (Efron, Tibshirani: An Introduction to the Bootstrap,
        1993, chapter 13), NaN if nothing is known; and the figures of at most `resamples`.
    """
    drawn = drawn or rows
    rng = np.random.default_rng(seed)
    with _no_warnings():
        values = np.array(
            [statistic(rng.integers(rows, size=drawn)) for _ in range(promotion.resamples)]
        )
        values = values[np.isfinite(values)]
        if 2 * len(values) < promotion.resamples:
            return math.nan, math.nan, values
        if drawn < rows:
            shrunk = math.sqrt(drawn / rows) * (values - values.mean())
            values = statistic(np.arange(rows)) + shrunk
    tail = 50 * (1 - promotion.confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high), values
