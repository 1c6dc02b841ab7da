"""The bootstrap: figures of rows drawn again and again, and the interval that they give."""

import math
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import Metric
from modelling.recipe import Promotion

_MOST_RESAMPLED = 10_000
_FEWEST_OF_A_CLASS = 1_000  # in a resample, of a table that has as many
_WEIGHTS_AT_ONCE = 500_000

Rows = npt.NDArray[np.intp]
Statistics = Callable[[Iterable[Rows]], Iterable[float]]
"""The figures of some resamples, each given as the places of its rows."""


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
    with no_warnings():
        doubled = figure_if_any(score, answers.of_rows(twice), targets[twice])
        return abs(doubled) > 1.5 * abs(figure_if_any(score, answers, targets))


def figure_if_any(score: Metric, answers: Answers, targets: Values) -> float:
    """Returns a metric of some rows; NaN where it has none, as of rows without one of a class."""
    try:
        return score(answers, targets)
    except (InputError, ArithmeticError, ValueError):
        return math.nan


@contextmanager
def no_warnings() -> Iterator[None]:
    """Silences the metrics: a resample without a row of some class has no figure for some."""
    from sklearn import config_context  # here, since main imports this file and does without

    with warnings.catch_warnings(), config_context(assume_finite=True):
        warnings.simplefilter("ignore")
        yield


def difference_interval(
    score: Metric,
    targets: Values,
    one: Answers,
    other: Answers,
    promotion: Promotion,
    seed: int,
    groups: npt.NDArray[Any] | None = None,
) -> tuple[float, float]:
    """Computes the interval of the difference of two models on the same rows: a paired bootstrap.

    Args:
        score: the metric; one that is a sum over the rows is told of as many as there are.
        targets: (n,) true values.
        one: the answers of the one for these rows.
        other: those of the other, whose figure is subtracted.
        promotion: the confidence and the number of resamples.
        seed: of the resampling.
        groups: (n,) whose rows are drawn together.

    Returns:
        Its ends; NaN if nothing is known.
    """
    return _resample_figures(score, targets, [one, other], promotion, seed, groups)[:2]


def figure_interval(
    score: Metric,
    targets: Values,
    answers: Answers,
    promotion: Promotion,
    seed: int,
    groups: npt.NDArray[Any] | None = None,
) -> tuple[float, float, Values]:
    """Computes the interval of a metric of n rows, and its figures, as `resample` returns them.

    Args:
        score: the metric; one that is a sum over the rows is told of as many as there are.
        targets: (n,) true values.
        answers: for these rows.
        promotion: the confidence and the number of resamples.
        seed: of the resampling.
        groups: (n,) whose rows are drawn together.
    """
    return _resample_figures(score, targets, [answers], promotion, seed, groups)


def _resample_figures(
    score: Metric,
    targets: Values,
    answers: list[Answers],
    promotion: Promotion,
    seed: int,
    groups: npt.NDArray[Any] | None,
) -> tuple[float, float, Values]:
    rows = len(targets)
    drawn = rows_to_draw(targets, is_classes=answers[0].probabilities is not None)
    # Of many rows a resample has few: counts would be of all.
    statistics = _statistics(score, targets, answers, at_once=drawn == rows)
    if groups is not None:
        return resample_groups(statistics, groups, promotion, seed, drawn / rows)
    return resample(statistics, rows, promotion, seed, drawn)


def _statistics(
    score: Metric, targets: Values, answers: list[Answers], at_once: bool
) -> Statistics:
    """The figures of the answers, or how much those of the first are above those of the second.

    Many resamples at once, where that is wanted and the metric can.
    """
    is_sum = any(adds_up(score, given, targets) for given in answers)

    def of_one(rows: Rows) -> float:
        figures = [figure_if_any(score, given.of_rows(rows), targets[rows]) for given in answers]
        return reduce(operator.sub, figures) * (len(targets) / len(rows) if is_sum else 1)

    def of_many(draws: Iterable[Rows]) -> Iterator[float]:
        for counts in _counts(draws, len(targets)):
            figures = [score.of_counts(given, targets, counts) for given in answers]
            scale = len(targets) / counts.sum(axis=1) if is_sum else 1
            yield from reduce(operator.sub, figures) * scale

    return of_many if at_once and score.of_weights else partial(map, of_one)


def _counts(draws: Iterable[Rows], rows: int) -> Iterator[Values]:
    """How often each of n rows is in each of some resamples (b, n), one part after the other."""
    remaining = iter(draws)
    while some := list(islice(remaining, max(1, _WEIGHTS_AT_ONCE // rows))):
        yield np.array([np.bincount(drawn, minlength=rows) for drawn in some], dtype=float)


def resample_groups(
    statistics: Statistics,
    groups: npt.NDArray[Any],
    promotion: Promotion,
    seed: int,
    share: float = 1.0,
) -> tuple[float, float, Values]:
    """Resamples as `resample` does, but draws whole groups (n,): their rows are no news each.

    share: of the groups that are drawn at a time. Of one group alone nothing is known.
    """
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=np.nan))
    rows_of = np.split(order, starts[1:])

    def of_groups(draws: Iterable[Rows]) -> Iterable[float]:
        return statistics(np.concatenate([rows_of[each] for each in drawn]) for drawn in draws)

    if len(rows_of) < 2:
        return math.nan, math.nan, np.array([])
    drawn = max(2, math.ceil(share * len(rows_of)))
    return resample(of_groups, len(rows_of), promotion, seed, drawn)


def resample(
    statistics: Statistics,
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
        statistics: of the rows of each resample, of which some may stand there more than once.
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
    draws = (rng.integers(rows, size=drawn) for _ in range(promotion.resamples))
    with no_warnings():
        values = np.fromiter(statistics(draws), dtype=float)
        of_all = next(iter(statistics([np.arange(rows)]))) if drawn < rows else math.nan
    return percentile_interval(values, promotion.confidence, drawn / rows, of_all)


def percentile_interval(
    figures: Values, confidence: float, share: float = 1.0, of_all: float = math.nan
) -> tuple[float, float, Values]:
    """Returns the interval of the figures of resamples, as `resample` does.

    Args:
        figures: one a resample; those that are not finite are left out.
        confidence: of the interval.
        share: of the rows that a resample has, m / n.
        of_all: the figure of all rows, where that is less than 1.
    """
    values = figures[np.isfinite(figures)]
    if 2 * len(values) < len(figures):
        return math.nan, math.nan, values
    if share < 1:
        values = of_all + math.sqrt(share) * (values - values.mean())
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high), values
