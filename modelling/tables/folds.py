"""Folds of the training rows, made as the table was split into training and test rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from common.errors import InputError

Rows = npt.NDArray[np.intp]

_HELD_OUT = 5  # one of so many folds
_MOST_WEIGHED_GROUPS = 2_000  # for which StratifiedGroupKFold takes a second


def split_folds(
    raw: pd.DataFrame,
    targets: pd.Series,
    folds: int,
    seed: int,
    stratify: bool = False,
    times: pd.Series | None = None,
    groups: pd.Series | None = None,
    gap: float = 0.0,
) -> list[tuple[Rows, Rows]]:
    """Splits training rows into folds, as the table was split into training and test rows.

    Args:
        raw: (n, columns) the rows without the target.
        targets: (n,) numbers or labels.
        folds: how many; each is scored by a model of the others or, given times, of those before.
        seed: of the shuffling.
        stratify: whether each fold is to have as much of each label; given times, some of each.
        times: (n,) what to order the rows by.
        groups: (n,) whose rows stay together.
        gap: how far the times of the rows to fit end before those to score begin.

    Returns:
        For each fold the places of the rows to fit and of those to score. Equal rows stay together,
        unless there are groups that do.

    Raises:
        InputError: there are too few rows or groups, or too few of a class, or none yet before a
            fold.
    """
    if times is not None:
        order = np.argsort(times.to_numpy(), kind="stable")
        _check_count(len(order) - 1, folds, "rows")
        rows = [(order[fit], order[score]) for fit, score in TimeSeriesSplit(folds).split(order)]
        rows = _with_gap(rows, times.to_numpy(), gap) if gap else rows
        if stratify:
            _check_all_classes(rows, targets)
        return rows
    if groups is not None:
        return _split_groups(targets, folds, seed, stratify, groups)
    hashes = pd.util.hash_pandas_object(raw, index=False).to_numpy()
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    _check_count(len(first), folds, "different rows")
    labels = targets.iloc[first]
    if stratify:
        fewest = labels.value_counts()
        _check_count(int(fewest.iloc[-1]), folds, f"different rows of class {fewest.index[-1]}")
    return _deal(labels, group, folds, seed, stratify)


def _deal(
    labels: pd.Series, of_row: npt.NDArray[np.intp], folds: int, seed: int, stratify: bool
) -> list[tuple[Rows, Rows]]:
    """Deals (m,) groups of rows to folds, by the label of each; (n,) says of which a row is."""
    kind = StratifiedKFold if stratify else KFold
    place = np.empty(len(labels), dtype=np.intp)
    splits = kind(folds, shuffle=True, random_state=seed).split(labels, labels)
    for number, (_, chosen) in enumerate(splits):
        place[chosen] = number
    fold = place[of_row]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def hold_out(
    raw: pd.DataFrame, targets: pd.Series, seed: int, stratify: bool, **given: Any
) -> tuple[Rows, Rows]:
    """Holds one fold of five out: the last, which is of the latest rows where time says.

    Args:
        raw: (n, columns) the rows without the target.
        targets: (n,) numbers or labels.
        seed: of the shuffling.
        stratify: whether the fold is to have as much of each label.
        **given: times, groups and gap, as `split_folds` takes them.

    Returns:
        The places of the rows to fit, and of those that are held out.

    Raises:
        InputError: as `split_folds`.
    """
    return split_folds(raw, targets, _HELD_OUT, seed, stratify, **given)[-1]


def _with_gap(
    rows: Sequence[tuple[Rows, Rows]], times: npt.NDArray[np.float64], gap: float
) -> list[tuple[Rows, Rows]]:
    kept = [(fit[times[fit] <= times[score].min() - gap], score) for fit, score in rows]
    for number, (fit, _) in enumerate(kept):
        if not len(fit):
            raise InputError(
                f"fold {number + 1} of {len(rows)} has no row to fit before split.gap {gap:g}: "
                "take fewer folds, or a smaller gap"
            )
    return kept


def _split_groups(
    targets: pd.Series, folds: int, seed: int, stratify: bool, groups: pd.Series
) -> list[tuple[Rows, Rows]]:
    _check_count(groups.nunique(), folds, "groups")
    if not stratify:
        kind = GroupKFold(folds, shuffle=True, random_state=seed)
        return list(kind.split(targets, groups=groups))
    fewest = groups.groupby(targets.to_numpy()).nunique()
    _check_count(int(fewest.min()), folds, f"groups with rows of class {fewest.idxmin()}")
    names, group = np.unique(groups, return_inverse=True)
    if len(names) > _MOST_WEIGHED_GROUPS:
        # So many spread evenly by chance; each counts as the rarest class among its rows.
        order = np.argsort(-targets.map(targets.value_counts()).to_numpy(), kind="stable")
        row = np.empty(len(names), dtype=np.intp)
        row[group[order]] = order
        rows = _deal(targets.iloc[row], group, folds, seed, stratify)
    else:
        kind = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        rows = list(kind.split(targets, targets, groups))
    _check_all_classes(rows, targets)
    return rows


def _check_count(count: int, folds: int, what: str) -> None:
    if count < folds:
        raise InputError(f"{folds} folds need as many {what} among the training rows, got {count}")


def _check_all_classes(rows: Sequence[tuple[Rows, Rows]], targets: pd.Series) -> None:
    """In the order of time, a class may begin late; the groups with it may be few."""
    for number, (fit, _) in enumerate(rows):
        absent = sorted(set(targets) - set(targets.iloc[fit]))
        if absent:
            raise InputError(
                f"fold {number + 1} of {len(rows)} is trained on rows without the class "
                f"{absent[0]!r}: take fewer folds, or another split.method"
            )
