"""Whether what a model says of single rows holds: its intervals, and its probabilities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from modelling.judging.answers import Values
from modelling.judging.metrics import HIGH, LOW

Mask = npt.NDArray[np.bool_]

ALL_ROWS = "all"
COVERAGE = "interval_coverage"
"""The metric: the share of rows whose interval, or set of classes, holds what is true."""
PROMISED_COVERAGE = f"promised_{COVERAGE}"

_Z = 1.959964  # of 95 %
_TOLERANCE = 0.02
_BINS = 10
_FEWEST_OF_A_BIN = 20


def share_with_interval(
    holds: npt.NDArray[np.bool_],
    weights: Values | None = None,
    groups: npt.NDArray[Any] | None = None,
) -> tuple[float, float, float]:
    """Returns the share of n rows of which something holds, and both ends of its 95 % interval.

    The interval is Wilson's (Probable inference, the law of succession, and statistical inference,
    1927); with weights, of as many rows as these are worth (Kish: Survey sampling, 1965), and with
    groups, of as many as tell as much (Korn, Graubard: Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data, 1998).

    Args:
        holds: (n,) whether it does.
        weights: (n,) how much each row counts, if not the same.
        groups: (n,) whose rows are alike, if rows are not drawn each by itself.
    """
    count = np.ones(len(holds)) if weights is None else weights
    share = float(count @ holds / count.sum())
    rows = float(count.sum() ** 2 / (count @ count))
    if groups is not None:
        rows = min(rows, _rows_worth(holds, count, groups))
    middle = (share + _Z**2 / (2 * rows)) / (1 + _Z**2 / rows)
    reach = _Z / (1 + _Z**2 / rows) * np.sqrt(share * (1 - share) / rows + (_Z / rows) ** 2 / 4)
    return share, max(0.0, middle - reach), min(1.0, middle + reach)


def _rows_worth(holds: Mask, count: Values, groups: npt.NDArray[Any]) -> float:
    """How many rows drawn each by itself tell as much as groups do, by how these differ."""
    place = np.unique(groups, return_inverse=True)[1]
    held, weight = np.bincount(place, count * holds), np.bincount(place, count)
    total, all_held = weight.sum(), held.sum()
    off = held * total - weight * all_held
    if not off.any():  # nothing tells how alike the rows of one are: at worst, all the same
        return len(weight)
    return float(all_held * (total - all_held) * total**2 / (off @ off))


def is_broken(promised: float, share: float, high: float) -> bool:
    """Says whether intervals hold clearly less often than promised: by 2 points, and no chance."""
    return share < promised - _TOLERANCE and high < promised


def measure_coverage(
    holds: Mask,
    sizes: Values,
    promised: float,
    parts: Mapping[str, Mask],
    weights: Values | None,
    groups: npt.NDArray[Any] | None = None,
) -> pd.DataFrame:
    """Measures how often intervals, or sets of classes, hold what is true.

    Args:
        holds: (n,) whether the row's does.
        sizes: (n,) how wide it is, or how many classes it has.
        promised: the share of the rows that they are to hold.
        parts: of the rows, by name.
        weights: (n,) how much each row counts, if not the same.
        groups: (n,) whose rows are alike, as `share_with_interval` has them.

    Returns:
        A row for all and one a part that is not empty: rows_of, rows, coverage, low, high, size
        (the median of widths, the mean of numbers of classes), and broken.
    """
    found = []
    is_count = bool((sizes % 1 == 0).all())
    for name, mask in {ALL_ROWS: np.ones(len(holds), dtype=bool), **parts}.items():
        if not mask.any() or (weights is not None and not weights[mask].any()):
            continue
        of_part = (None if given is None else given[mask] for given in (weights, groups))
        share, low, high = share_with_interval(holds[mask], *of_part)
        size = np.mean(sizes[mask]) if is_count else np.median(sizes[mask])
        broken = is_broken(promised, share, high)
        found.append((name, int(mask.sum()), share, low, high, float(size), broken))
    names = ["rows_of", "rows", "coverage", "low", "high", "size", "broken"]
    return pd.DataFrame(found, columns=names)


def coverage_figures(coverage: pd.DataFrame, promised: float) -> dict[str, float]:
    """Returns what `measure_coverage` found of all rows, as metrics, beside what is promised."""
    of_all = coverage.iloc[0]
    named = {"coverage": COVERAGE, "low": COVERAGE + LOW, "high": COVERAGE + HIGH}
    figures = {name: float(of_all[column]) for column, name in named.items()}
    return {**figures, PROMISED_COVERAGE: promised}


def calibration_table(
    said: Values, is_class: Values, weights: Values | None = None
) -> pd.DataFrame:
    """Holds probabilities against what came, in at most ten bins of as many rows.

    Args:
        said: (n,) probabilities of a class.
        is_class: (n,) whether it was that class, 1 or 0.
        weights: (n,) how much each row counts, if not the same.

    Returns:
        A row a bin: from, to, rows, said (the mean probability), came (the share of rows of the
        class), low, high (its 95 % interval).
    """
    bins = min(_BINS, max(1, len(said) // _FEWEST_OF_A_BIN))
    ends = np.unique(np.quantile(said, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(ends, said, side="right")
    count = np.ones(len(said)) if weights is None else weights
    found = []
    for number in np.unique(place):
        own = (place == number) & (count > 0)
        if own.any():
            came = share_with_interval(is_class[own] == 1, count[own])
            mean = float(np.average(said[own], weights=count[own]))
            found.append((said[own].min(), said[own].max(), int(own.sum()), mean, *came))
    return pd.DataFrame(found, columns=["from", "to", "rows", "said", "came", "low", "high"])
