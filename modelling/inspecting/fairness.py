"""Whether a classification treats groups alike: whom it takes for the class, and whom it finds."""

import math
from typing import Any

import numpy as np
import pandas as pd

from modelling.inspecting.slices import EvaluatedRows, parts_of
from modelling.judging.answers import Values
from modelling.judging.intervals import FEW_ROWS

RATES = ("selection_rate", "true_positive_rate")


def measure_fairness(tested: EvaluatedRows, slices: tuple[str, ...]) -> pd.DataFrame:
    """Measures the groups that are named: a column by its values, a condition against the others.

    The selection rate is the share of the rows that are taken for the positive class (equal where
    there is demographic parity), the true positive rate the share of the rows of that class that
    are (equal where there is equal opportunity: Hardt, Price, Srebro: Equality of opportunity in
    supervised learning, 2016).

    Args:
        tested: the test rows of a binary classification, whose answers and targets are 1 for the
            positive class.
        slices: as `measure_slices` has them.

    Returns:
        A row a group: slice (that it is one of), group, rows, positives, selection_rate and
        true_positive_rate, which is NaN without a positive row.
    """
    weights = tested.answers.weights
    count = np.ones(len(tested.targets)) if weights is None else weights
    said, true = tested.answers.predictions == 1, tested.targets == 1
    rows = []
    for text in slices:
        groups = dict(parts_of(text, tested.rows))
        if len(groups) == 1:
            [(name, mask)] = groups.items()
            groups = {name: mask, f"not {name}": ~mask}
        for group, mask in groups.items():
            selected = _share(count, said, mask), _share(count, said, mask & true)
            rows.append((text, group, int(mask.sum()), int((mask & true).sum()), *selected))
    return pd.DataFrame(rows, columns=["slice", "group", "rows", "positives", *RATES])


def _share(count: Values, said: Any, among: Any) -> float:
    total = float(count[among].sum())
    return float(count[among & said].sum()) / total if total > 0 else math.nan


def largest_gaps(table: pd.DataFrame) -> dict[str, tuple[str, str, float]]:
    """Returns the groups with the lowest and the highest of each rate, and how far apart these are.

    Args:
        table: as `measure_fairness` gives it; groups of one slice are compared with each other, and
            only those with 30 rows (of the true positive rate, 30 of the class).
    """
    gaps: dict[str, tuple[str, str, float]] = {}
    for rate, counted in zip(RATES, ("rows", "positives"), strict=True):
        for _, groups in table[table[counted] >= FEW_ROWS].groupby("slice", sort=False):
            ordered = groups.sort_values(rate).to_dict("records")
            low, high = ordered[0], ordered[-1]
            gap = float(high[rate] - low[rate])
            if gap > gaps.get(rate, ("", "", 0.0))[2]:
                gaps[rate] = str(low["group"]), str(high["group"]), gap
    return gaps
