"""The split of a table into training and test rows, independent of the order of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import InputError
from common.words import counted
from modelling.kinds import ROW_KEY
from modelling.recipe import Split

_FEWEST_ROWS = 2
_SAID_BY_ROWS = ("column", "own")
_HASHED_AT_ONCE = 500_000


@dataclass(frozen=True)
class SplitTable:
    """The two sides of a table: its columns behind `row_key`, in the order of that key.

    rows: the whole table with its keys; train_rows, test_rows: the places of each side's rows in
    it; duplicate_rows: rows that stand in the table a second time; duplicates_across_split: test
    rows whose feature values also stand among the training rows, a leak; rows_in_gap: rows on
    neither side, between the two in time.
    """

    rows: pd.DataFrame
    train_rows: np.ndarray
    test_rows: np.ndarray
    duplicate_rows: int
    duplicates_across_split: int
    rows_in_gap: int = 0

    @property
    def train(self) -> pd.DataFrame:
        """A copy of the training rows; made anew, since two sides at once are a second table."""
        return self.rows.iloc[self.train_rows].reset_index(drop=True)

    @property
    def test(self) -> pd.DataFrame:
        """A copy of the test rows."""
        return self.rows.iloc[self.test_rows].reset_index(drop=True)


def split_table(
    frame: pd.DataFrame,
    target: str,
    split: Split,
    given: pd.Series | None = None,
    weights: pd.Series | None = None,
) -> SplitTable:
    """Splits a checked table.

    Args:
        frame: (n, features + 1), with the target among the columns.
        target: the target's name.
        split: method, test size, seed.
        given: (n,) what to order by, for the method `time`; text of groups, for `group`, and of
            sides, for `column` and `own`.
        weights: (n,) how much each row counts, if not the same; it does not decide a row's side.

    Returns:
        Both sides. `row_key` is an unsigned 64-bit hash of the row's values, weight and what is
        given of it, and of its number among equal rows, so that it stays the same when the table is
        shuffled or grows.

    Raises:
        InputError: a side would have fewer than two rows, or none of a class, or a class has too
            few rows to be split, or a column has the name of the key, or all rows of a side weigh
            nothing.
    """
    if ROW_KEY in frame:
        raise InputError(
            f"no column may be named {ROW_KEY!r}: the split gives each row its key there"
        )
    features = frame.drop(columns=target)
    feature_hash = hash_rows(features)
    row_hash = hash_rows(with_weights(frame, weights))
    keys, occurrence = _row_keys(row_hash)
    if given is not None:
        # Of equal rows of two groups, the order of the file must not say which is on which side.
        keys, _ = _row_keys(_mix(row_hash ^ _mix(hash_rows(given.to_frame("given")))))
    order = np.argsort(keys, kind="stable")
    in_test = np.zeros(len(frame), dtype=bool)
    in_test[order] = _choose_test_rows(
        split,
        feature_hash[order],
        frame[target].to_numpy()[order],
        None if given is None else given.iloc[order].reset_index(drop=True),
    )
    in_train = ~in_test & ~_is_in_gap(given, in_test, split)
    _check_sizes(in_train, in_test, split)
    sides = {"test": in_test, "training": in_train}
    for name, side in sides.items():
        if weights is not None and not weights[side].any():
            raise InputError(f"data.weight {weights.name!r} is 0 in all {name} rows")
    if frame[target].dtype.kind != "f":
        _check_sides_have_all_classes(frame[target], sides, split)
    keyed = pd.DataFrame({ROW_KEY: keys, **frame}, index=frame.index, copy=False)
    train_rows, test_rows = order[in_train[order]], order[in_test[order]]
    crossing = pd.Series(feature_hash[test_rows]).isin(feature_hash[train_rows])
    return SplitTable(
        rows=keyed,
        train_rows=train_rows,
        test_rows=test_rows,
        duplicate_rows=int(np.count_nonzero(occurrence)),
        duplicates_across_split=int(crossing.sum()),
        rows_in_gap=len(frame) - len(train_rows) - len(test_rows),
    )


def time_in_days(given: pd.Series) -> pd.Series:
    """Returns (n,) dates as days since 1970, and numbers as they are."""
    if given.dtype.kind != "M":
        return given.astype("float64")
    return (given - pd.Timestamp(0)) / pd.Timedelta(days=1)


def _is_in_gap(given: pd.Series | None, in_test: np.ndarray, split: Split) -> np.ndarray:
    """Which rows are too near to the first test row to be trained on: (n,) booleans."""
    if not split.gap or given is None:
        return np.zeros(len(in_test), dtype=bool)
    times = time_in_days(given).to_numpy()
    return ~in_test & (times > times[in_test].min(initial=np.inf) - split.gap)


def with_weights(frame: pd.DataFrame, weights: pd.Series | None) -> pd.DataFrame:
    """Returns n rows with their weights, if they have any: rows that weigh otherwise are others."""
    return frame if weights is None else pd.concat([frame, weights], axis=1)


def sample_by_content(
    frame: pd.DataFrame, rows: int, weights: pd.Series | None = None
) -> pd.DataFrame:
    """Returns at most so many rows in their order, the same ones in whatever order they stand."""
    if len(frame) <= rows:
        return frame
    keyed = with_weights(frame, None if weights is None else weights.loc[frame.index])
    chosen = np.argsort(_mix(_row_keys(hash_rows(keyed))[0]), kind="stable")[:rows]
    return frame.iloc[np.sort(chosen)]


def _row_keys(row_hash: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row's key, of its hash, and how many equal rows stand before it."""
    occurrence = _count_occurrences(row_hash)
    keys = np.where(occurrence == 0, row_hash, _mix(row_hash ^ _mix(occurrence)))
    return keys, occurrence


def hash_rows(frame: pd.DataFrame) -> np.ndarray:
    """Returns (n,) 64-bit hashes of rows by their values: columns by their names, -0.0 as 0.0."""
    names = sorted(frame.columns)
    numbers = frame.select_dtypes("float64").columns

    def hashes(rows: pd.DataFrame) -> np.ndarray:
        rows = rows.copy(deep=False)
        for name in numbers:
            rows[name] = rows[name] + 0.0
        return pd.util.hash_pandas_object(rows[names], index=False).to_numpy()

    # Some rows at a time, since it takes a copy of them.
    starts = range(0, len(frame), _HASHED_AT_ONCE)
    parts = [hashes(frame.iloc[start : start + _HASHED_AT_ONCE]) for start in starts]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def _count_occurrences(values: np.ndarray) -> np.ndarray:
    """How often each of (n,) values stands before its own place: unsigned integers."""
    in_order = np.sort(values)
    if (in_order[1:] != in_order[:-1]).all():
        return np.zeros(len(values), dtype=np.uint64)
    order = np.argsort(values, kind="stable")
    place = np.arange(len(values), dtype=np.uint64)
    is_first = np.append(True, values[order][1:] != values[order][:-1])
    occurrence = np.empty(len(values), dtype=np.uint64)
    occurrence[order] = place - np.maximum.accumulate(np.where(is_first, place, 0))
    return occurrence


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable generators, 2014)."""
    mixed = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _choose_test_rows(
    split: Split, feature_hash: np.ndarray, targets: np.ndarray, given: pd.Series | None
) -> np.ndarray:
    """Which rows, given in the order of their keys, are test rows: (n,) booleans."""
    rows = len(targets)
    if split.given_by and (given is None or given.isna().any()):
        key = "time_column" if split.method == "time" else "column"
        raise InputError(f"split.{key} {split.given_by!r} has missing values")
    if split.method == "hash":
        return _by_hash(feature_hash, split)
    if split.method == "group" and given is not None:
        return _by_group(given, targets, split)
    if split.method in _SAID_BY_ROWS and given is not None:
        return _as_said(given, split)
    in_test = np.zeros(rows, dtype=bool)
    if split.method == "time" and given is not None:
        latest = given.sort_values(kind="stable").index[-round(rows * split.test_size) or rows :]
        in_test[latest] = True
        return in_test
    # Main asks this module for a name only, and must not wait for scikit-learn.
    from sklearn.model_selection import train_test_split

    try:
        _, chosen = train_test_split(
            np.arange(rows),
            test_size=split.test_size,
            random_state=split.seed,
            stratify=targets if split.method == "stratified" else None,
        )
    except ValueError as error:
        raise InputError(
            f"the table cannot be split by method {split.method!r}: {error}"
        ) from error
    in_test[chosen] = True
    return in_test


_TRAIN, _TEST = ("train", "training"), ("test", "testing")


def is_side(value: object) -> bool:
    """Says whether a value is a word for one of the two sides."""
    return isinstance(value, str) and value.lower() in (*_TRAIN, *_TEST)


def _by_group(given: pd.Series, targets: np.ndarray, split: Split) -> np.ndarray:
    if given.nunique() == 1:
        raise InputError(
            f"split.column {split.column!r} is {given.iloc[0]!r} in all rows; at least two "
            "groups are needed"
        )
    if split.stratify:
        return _by_group_and_class(given, targets, split)
    return _by_hash(pd.util.hash_pandas_object(given, index=False).to_numpy(), split)


def _by_group_and_class(given: pd.Series, targets: np.ndarray, split: Split) -> np.ndarray:
    """Which rows are of the groups that are drawn by their hash, as many of each class."""
    counts = pd.crosstab(given.to_numpy(), targets)
    groups = pd.DataFrame({"class": counts.idxmax(axis=1)}, index=counts.index)
    seed = _mix(np.array([split.seed], dtype=np.uint64))
    hashes = pd.util.hash_pandas_object(pd.Series(counts.index, dtype="str"), index=False)
    groups["place"] = _mix(hashes.to_numpy() ^ seed)
    of_class = groups.groupby("class")["place"]
    wanted = (of_class.transform("size") * split.test_size).round().clip(lower=1)
    tested = groups.index[of_class.rank(method="first") <= wanted]
    return given.isin(tested).to_numpy()


def _as_said(given: pd.Series, split: Split) -> np.ndarray:
    words = given.str.lower()
    in_test = words.isin(_TEST).to_numpy()
    unknown = given[~in_test & ~words.isin(_TRAIN)]
    if len(unknown):
        raise InputError(
            f"split.column {split.column!r} is {min(unknown)!r} in {counted(len(unknown), 'row')}; "
            "it says train or test"
        )
    return in_test


def _by_hash(hashes: np.ndarray, split: Split) -> np.ndarray:
    seed = _mix(np.array([split.seed], dtype=np.uint64))
    return _mix(hashes ^ seed) < np.uint64(split.test_size * 2**64)


def _check_sizes(in_train: np.ndarray, in_test: np.ndarray, split: Split) -> None:
    test_rows, train_rows = int(in_test.sum()), int(in_train.sum())
    in_gap = len(in_test) - test_rows - train_rows
    if min(test_rows, train_rows) < _FEWEST_ROWS and split.method == "group":
        raise InputError(
            f"split.column {split.column!r}: the groups that are drawn leave {train_rows} training "
            f"and {test_rows} test rows, at least {_FEWEST_ROWS} each are needed; use another "
            "split.seed, or split.test_size"
        )
    if min(test_rows, train_rows) < _FEWEST_ROWS:
        why = "cannot be" if split.method in _SAID_BY_ROWS else "is too small to"
        raise InputError(
            f"a table of {len(in_test)} rows {why} split: {train_rows} training and "
            f"{test_rows} test rows {_as_asked(split)}, at least {_FEWEST_ROWS} each are needed"
            + (f"; {counted(in_gap, 'row')} in split.gap {split.gap:g}" if in_gap else "")
        )


def _as_asked(split: Split) -> str:
    if split.method in _SAID_BY_ROWS:
        return f"as {split.column or split.function} says"
    return f"at split.test_size {split.test_size:g}"


def _check_sides_have_all_classes(
    labels: pd.Series, sides: Mapping[str, np.ndarray], split: Split
) -> None:
    for name, rows in sides.items():
        absent = sorted(set(labels) - set(labels[rows]))
        if absent:
            count = int((labels == absent[0]).sum())
            raise InputError(
                f"class {absent[0]!r} ({count} rows in all) has no row among the {name} rows; "
                + (
                    "use another split.seed"
                    if split.method == "group"
                    else "use split.method: stratified"
                )
            )
