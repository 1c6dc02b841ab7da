"""Two runs of the same pipeline held against each other: are they the same, and if not, where?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelling.kinds import ROW_KEY

TOLERANCE = 1e-6
"""The largest difference of two numbers that counts as equal, relative to the largest of them."""

# Below this, a metric is rounding error.
_NOTHING = 1e-9

IDENTICAL = "identical"
CLOSE = "equal within tolerance"
DIFFERENT = "different"


@dataclass(frozen=True)
class ComparisonRow:
    """One row of the comparison: what a step gave then and now, in words, and the outcome.

    difference is the largest one of the numbers that were compared, relative to their size, where
    numbers were.
    """

    step: str
    what: str
    then: str
    now: str
    outcome: str
    difference: float = math.nan


def compare_texts(step: str, what: str, then: str | None, now: str | None) -> ComparisonRow:
    """Compares two digests, or any other texts; one that is missing differs from any other."""
    same = then is not None and then == now
    return ComparisonRow(step, what, str(then), str(now), IDENTICAL if same else DIFFERENT)


def compare_keys(what: str, then: pd.Series, now: pd.Series) -> ComparisonRow:
    """Compares the rows on one side of the split, by their keys in any order."""
    both = len(np.intersect1d(then, now))
    words = f"{len(now)} rows, {both} of them the same"
    same = len(then) == len(now) == both
    return ComparisonRow(
        "prepare", what, f"{len(then)} rows", words, IDENTICAL if same else DIFFERENT
    )


def compare_predictions(then: pd.DataFrame, now: pd.DataFrame) -> ComparisonRow:
    """Compares predictions row by row.

    Args:
        then: `row_key`, and any columns, numbers or not.
        now: the same.

    Returns:
        Their outcome; a number may differ by TOLERANCE of the largest number in its column.
    """
    what = "predictions, row by row"
    described = f"{len(then)} rows", f"{len(now)} rows"
    ours, theirs = (frame.set_index(ROW_KEY).sort_index() for frame in (now, then))
    if not ours.index.equals(theirs.index) or set(ours.columns) != set(theirs.columns):
        return ComparisonRow("evaluate", what, *described, DIFFERENT)
    differences = [_column_difference(theirs[name], ours[name]) for name in theirs.columns]
    changed = np.zeros(len(ours), dtype=bool)
    for name in theirs.columns:
        changed |= ~_equal(theirs[name], ours[name])
    now_words = f"{len(now)} rows, {int(changed.sum())} of them not the same"
    largest = max(differences, default=0.0)
    outcome = _outcome(largest, bool(changed.any()))
    return ComparisonRow("evaluate", what, described[0], now_words, outcome, largest)


def compare_metrics(then: Mapping[str, float], now: Mapping[str, float]) -> list[ComparisonRow]:
    """Compares metrics by name; one that only one side has is different."""
    rows = []
    for name in sorted({*then, *now}):
        before, after = then.get(name, math.nan), now.get(name, math.nan)
        one_is_missing = (name in then) != (name in now)
        same = before == after or (math.isnan(before) and math.isnan(after))
        largest = math.inf if one_is_missing else _difference(before, after)
        outcome = _outcome(largest, one_is_missing or not same)
        rows.append(ComparisonRow("evaluate", name, repr(before), repr(after), outcome, largest))
    return rows


def compare_models(
    then: str | None, now: str | None, predictions: ComparisonRow | None
) -> ComparisonRow:
    """Compares two models by digest; other contents are as equal as what they predict."""
    row = compare_texts("train", "model digest", then, now)
    if row.outcome == IDENTICAL or predictions is None or predictions.outcome == DIFFERENT:
        return row
    return ComparisonRow("train", row.what, row.then, row.now, CLOSE, predictions.difference)


def judge(rows: Sequence[ComparisonRow]) -> tuple[str, str | None, float]:
    """Returns the verdict, the first step that differs (None if none) and the largest difference.

    Args:
        rows: in the order of the steps.
    """
    different = [row for row in rows if row.outcome == DIFFERENT]
    largest = max((row.difference for row in rows if not math.isnan(row.difference)), default=0.0)
    if different:
        return DIFFERENT, different[0].step, largest
    close = any(row.outcome == CLOSE for row in rows)
    return CLOSE if close else IDENTICAL, None, largest


def _outcome(difference: float, changed: bool) -> str:
    if not changed:
        return IDENTICAL
    return CLOSE if difference <= TOLERANCE else DIFFERENT


def _equal(then: pd.Series, now: pd.Series) -> np.ndarray:
    return ((then == now) | (then.isna() & now.isna())).to_numpy(dtype=bool)


def _column_difference(then: pd.Series, now: pd.Series) -> float:
    if _equal(then, now).all():
        return 0.0
    if not all(pd.api.types.is_numeric_dtype(column) for column in (then, now)):
        return math.inf
    before, after = then.to_numpy(dtype=float), now.to_numpy(dtype=float)
    unequal = ~_equal(then, now)
    largest = np.abs(before[unequal] - after[unequal]).max()
    scale = max(np.abs(before).max(), np.abs(after).max())
    return float(largest / scale) if np.isfinite(largest) and scale else math.inf


def _difference(then: float, now: float) -> float:
    if then == now or (math.isnan(then) and math.isnan(now)):
        return 0.0
    gap = abs(then - now) / max(abs(then), abs(now), _NOTHING)
    return gap if math.isfinite(gap) else math.inf
