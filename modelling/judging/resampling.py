"""The bootstrap: figures of rows drawn again and again, and the interval that they give."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import Metric
from modelling.recipe import Promotion

_MOST_RESAMPLED = 10_000
_FEWEST_OF_A_CLASS = 1_000  # in a resample, of a table that has as many

Rows = npt.NDArray[np.intp]


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
        doubled = score(answers.of_rows(twice), targets[twice])
        return abs(doubled) > 1.5 * abs(score(answers, targets))


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
    is_sum = any(adds_up(score, given, targets) for given in (one, other))

    def difference(rows: Rows) -> float:
        theirs = score(other.of_rows(rows), targets[rows])
        ours = score(one.of_rows(rows), targets[rows])
        return (ours - theirs) * (len(targets) / len(rows) if is_sum else 1)

    if groups is not None:
        return resample_groups(difference, groups, promotion, seed)[:2]
    drawn = rows_to_draw(targets, is_classes=one.probabilities is not None)
    return resample(difference, len(targets), promotion, seed, drawn)[:2]


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
    with no_warnings():
        values = np.array(
            [statistic(rng.integers(rows, size=drawn)) for _ in range(promotion.resamples)]
        )
        of_all = statistic(np.arange(rows)) if drawn < rows else math.nan
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
