"""A table checked against its recipe, and described: the columns and rows that are trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import InputError, unknown_name
from common.words import and_more
from modelling.files.table_file import has_decimal_comma
from modelling.judging.answers import find_class
from modelling.kinds import KINDS
from modelling.models.sklearn_wrapper import is_missing
from modelling.recipe import ColumnCheck, Recipe, limit_text
from modelling.tables.cells import (
    label_text,
    read_checked,
    read_target,
    read_weights,
    shown_type,
)
from modelling.tables.rows import rows_that_count
from modelling.tables.split import hash_rows, sample_by_content, with_weights

_MOST_CLASSES = 100
_FEWEST_OF_A_CLASS = 2
_GAP = "missing"
_MOST_COUNTED = 1_000_000


@dataclass(frozen=True)
class CheckedTable:
    """A table that holds what its recipe says.

    frame: the features (float64; text for a category; dates), then the target (float64, or the
    labels of a classification: int64, bool or text); its rows keep the numbers from 0 that they
    have in the file. left_out: the columns of the file that are neither declared nor dropped.
    rows_left_out: how many rows are not here, by the key of the recipe that says so. outside: in
    words, what of the file is outside the limits of the columns, where that is no reason to refuse.
    weights: (n,) how much each row counts, if the recipe says so, under the name of its column.
    """

    frame: pd.DataFrame
    left_out: list[str]
    rows_left_out: Mapping[str, int] = field(default_factory=dict)
    outside: Sequence[str] = ()
    weights: pd.Series | None = None


def check_table(table: pd.DataFrame, recipe: Recipe, source: str) -> CheckedTable:
    """Checks a table against the recipe and keeps the columns to train on.

    Args:
        table: as read.
        recipe: says which columns there must be, and what they hold.
        source: the table's path or URI, for messages.

    Returns:
        The features, finite or (where allowed) missing, and the target, never missing.

    Raises:
        InputError: a column is missing or holds something that is not allowed, with the row
            (counted from 1, without the header) and the value; or the target cannot be learnt.
    """
    table = table.reset_index(drop=True)
    target = recipe.data.target
    checks = _column_checks(table, recipe, source)
    given_by = recipe.split.given_by
    weight = recipe.data.weight
    for name in [*checks, *filter(None, (given_by, weight))]:
        if name not in table.columns:
            raise InputError(f"table {source}: " + unknown_name("column", name, table.columns))
    known = {*checks, *recipe.data.drop, target, given_by, weight}
    left_out = [name for name in table.columns if name not in known]
    table, uncounted = rows_that_count(table, recipe, source)
    table, without_target = _with_target(table, recipe, source)
    decimal_comma = has_decimal_comma(table)
    columns = {
        name: read_checked(table[name], check, source, decimal_comma)
        for name, check in checks.items()
    }
    columns[target] = read_target(table[target], recipe, source, decimal_comma)
    if recipe.task == "regression":
        checks[target] = ColumnCheck()
    frame = pd.DataFrame(columns, index=table.index, copy=False)
    frame, beyond, outside = _within_limits(frame, checks, recipe.data.outside_limits)
    frame, rare = _without_rare_classes(frame, recipe)
    if frame.empty:
        raise InputError(f"table {source}: no row is left; {', '.join(outside) or 'all are rare'}")
    _check_values(frame, checks, recipe, source)
    weights = None
    if weight:
        weights = read_weights(table.loc[frame.index, weight], source, decimal_comma)
    frame, unchosen = _choose_rows(frame, weights, table, recipe)
    left = {"missing_target": without_target, "outside_limits": beyond, "rare_classes": rare}
    left |= {key: count for key, count in {**uncounted, **unchosen}.items() if count}
    weights = None if weights is None else weights.loc[frame.index]
    return CheckedTable(frame, left_out, left, outside, weights)


def _with_target(table: pd.DataFrame, recipe: Recipe, source: str) -> tuple[pd.DataFrame, int]:
    """The rows that have a target, and how many others there are."""
    column = table[recipe.data.target]
    missing = is_missing(column) if recipe.task == "regression" else label_text(column).isna()
    count = int(missing.sum())
    if not count:
        return table, 0
    if recipe.data.missing_target == "refuse":
        row = int(np.flatnonzero(missing)[0])
        raise InputError(
            f"table {source}: column {column.name!r}, row {column.index[row] + 1} is missing"
            f"{and_more(count - 1)}; the target must be known, or data.missing_target: drop"
        )
    if count == len(table):
        raise InputError(f"table {source}: target {column.name!r} is empty")
    return table[~missing.to_numpy()], count


def _within_limits(
    frame: pd.DataFrame, checks: Mapping[str, ColumnCheck], outside: str
) -> tuple[pd.DataFrame, int, list[str]]:
    """The rows to go on with, how many are left out, and what is outside the limits, in words."""
    if outside == "refuse":
        return frame, 0, []
    left_out = np.zeros(len(frame), dtype=bool)
    words = []
    for name, check in checks.items():
        for what, wrong in _outside(frame[name], check):
            count = int(wrong.sum())
            if count:
                row = int(frame.index[wrong][0]) + 1
                words.append(f"{name!r} is {what} in row {row}{and_more(count - 1)}")
            # A model refuses them as well, if it knows no gaps, or an order without that value.
            if outside == "drop" or what == _GAP or check.order:
                left_out |= wrong
        if too_many := _too_many_gaps(frame[name], check):
            words.append(f"{name!r} {too_many}")
    return frame[~left_out], int(left_out.sum()), words


def _outside(values: pd.Series, check: ColumnCheck) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """What a column should not hold, in words, and where it does."""
    if not check.missing:
        yield _GAP, values.isna().to_numpy()
    if KINDS[check.type].is_whole:
        yield "not an integer", (values % 1 > 0).to_numpy()
    if check.min is not None:
        yield f"not at least {limit_text(check.min)}", values.lt(_limit(check.min)).to_numpy()
    if check.max is not None:
        yield f"not at most {limit_text(check.max)}", values.gt(_limit(check.max)).to_numpy()
    if check.order:
        unknown = values.notna() & ~values.isin(check.order)
        yield f"not one of {', '.join(check.order)}", unknown.to_numpy()


def _too_many_gaps(values: pd.Series, check: ColumnCheck) -> str:
    """That more of a column is missing than may be, in words; nothing where none may be at all."""
    share = values.isna().mean()
    if not check.missing or share <= check.missing:
        return ""
    return (
        f"is missing in {share:.1%} of the rows, more than the {check.missing:.1%} that are allowed"
    )


def _without_rare_classes(frame: pd.DataFrame, recipe: Recipe) -> tuple[pd.DataFrame, int]:
    if recipe.task == "regression" or recipe.data.rare_classes == "refuse":
        return frame, 0
    labels = frame[recipe.data.target]
    rare = labels.map(labels.value_counts()) < _FEWEST_OF_A_CLASS
    return frame[~rare], int(rare.sum())


def _choose_rows(
    frame: pd.DataFrame, weights: pd.Series | None, table: pd.DataFrame, recipe: Recipe
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows without equal ones, or a sample of them; and how many others there are, by key."""
    data, rows = recipe.data, len(frame)
    is_chosen = data.duplicates == "drop" or data.sample
    if is_chosen and (recipe.split.given_by or recipe.split.function):
        # Which of equal rows stays says on which side it is: the order of the file must not.
        frame = _in_order_of_content(frame, weights, table)
        weights = None if weights is None else weights.loc[frame.index]
    if data.duplicates == "drop":
        frame = frame[~with_weights(frame, weights).duplicated()]
    different = len(frame)
    if data.sample:
        frame = sample_by_content(frame, data.sample, weights)
    counts = {"duplicates": rows - different, "sample": different - len(frame)}
    return frame.sort_index(), counts


def _in_order_of_content(
    frame: pd.DataFrame, weights: pd.Series | None, table: pd.DataFrame
) -> pd.DataFrame:
    """The rows, those that are equal to another by all that stands in the table beside them."""
    places = pd.Series(np.zeros(len(frame), dtype=np.uint64), frame.index)
    is_equal = with_weights(frame, weights).duplicated(keep=False)
    if is_equal.any():
        places[is_equal] = hash_rows(table.loc[frame.index[is_equal]].apply(_hashable))
    return frame.iloc[np.argsort(places.to_numpy(), kind="stable")]


def _hashable(column: pd.Series) -> pd.Series:
    """A column as it is, or in words: what nobody reads of a table may be lists."""
    if column.dtype == object or isinstance(column.dtype, pd.ArrowDtype):
        return column.astype(object).map(_in_words)
    return column


def _in_words(value: Any) -> str:
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)


def _check_values(
    frame: pd.DataFrame, checks: Mapping[str, ColumnCheck], recipe: Recipe, source: str
) -> None:
    is_limited = recipe.data.outside_limits == "refuse"
    for name, check in checks.items():
        values = frame[name]
        for what, wrong in _refused(values, check, is_limited):
            if wrong.any():
                raise InputError(f"table {source}: {_first_refused(values, what, wrong)}")
        too_many = _too_many_gaps(values, check)
        if is_limited and too_many:
            raise InputError(f"table {source}: column {name!r} {too_many}")
    target = recipe.data.target
    if recipe.task == "classification":
        _check_classes(frame[target], recipe, source)
    elif frame[target].min() == frame[target].max():
        raise InputError(
            f"table {source}: target {target!r} is constant, there is nothing to learn"
        )


def _refused(
    values: pd.Series, check: ColumnCheck, is_limited: bool
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    if KINDS[check.type].is_number:
        yield "not finite", np.isinf(values.to_numpy())
    if is_limited:
        yield from _outside(values, check)


def _first_refused(values: pd.Series, what: str, wrong: npt.NDArray[np.bool_]) -> str:
    value = values[wrong].iloc[0]
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    where = f"column {values.name!r}, row {values.index[wrong][0] + 1}"
    is_what = f" is {what}" if what == _GAP else f": {shown} is {what}"
    return where + is_what + and_more(int(wrong.sum()) - 1)


def _column_checks(table: pd.DataFrame, recipe: Recipe, source: str) -> dict[str, ColumnCheck]:
    data = recipe.data
    if data.target not in table.columns:
        raise InputError(f"table {source}: " + unknown_name("target", data.target, table.columns))
    absent = [name for name in data.drop if name not in table.columns]
    if absent and not data.columns:
        # Maybe misspelt: the one that was meant would be trained on.
        known = unknown_name("column", absent[0], table.columns)
        raise InputError(f"table {source}: data.drop: {known}")
    declared = data.columns or {
        str(name): ColumnCheck(type=shown_type(table[name], has_decimal_comma(table)), missing=1.0)
        for name in table.columns
        if name not in (*data.drop, data.target, recipe.split.given_by, data.weight)
    }
    if not declared:
        raise InputError(f"table {source} has no column but the target and the dropped ones")
    return dict(declared)


def _check_classes(labels: pd.Series, recipe: Recipe, source: str) -> None:
    counts = labels.value_counts()
    classes = sorted(counts.index)
    target = f"table {source}: target {recipe.data.target!r}"
    if len(classes) < 2:
        raise InputError(
            f"{target} has the one class {classes[0]!r} only, there is nothing to learn"
        )
    if len(classes) > _MOST_CLASSES:
        raise InputError(
            f"{target} has {len(classes)} different values, more than the {_MOST_CLASSES} that a "
            "classification may have; to predict numbers, set task: regression"
        )
    rare = [name for name in classes if counts[name] < _FEWEST_OF_A_CLASS]
    if rare:
        raise InputError(
            f"{target}: class {rare[0]!r} has one row, at least two are needed"
            f"{and_more(len(rare) - 1, 'such class', 'such classes')}; data.rare_classes: drop "
            "leaves them out"
        )
    positive = recipe.data.positive_class
    if positive is None and len(classes) == 2:
        raise InputError(
            f"{target} has two classes: say which one the model is to find, "
            f"data.positive_class: {classes[0]} or {classes[1]}"
        )
    if positive is not None and len(classes) > 2:
        raise InputError(
            f"{target} has {len(classes)} classes; data.positive_class is for two: leave it out"
        )
    if positive is not None:
        find_class(classes, positive)


def _limit(limit: float | date) -> float | pd.Timestamp:
    return pd.Timestamp(limit) if isinstance(limit, date) else limit


def profile_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Describes each column of a checked table.

    Returns:
        One row a column: column, type, rows, missing (count), distinct (count, among the first
        million rows); of numbers mean,
        std, min, the quartiles 25%, 50% and 75% and max, in the column's own units; of dates min
        and max; of text and labels the most common value and its share.
    """
    return pd.DataFrame([_profile(frame[name]) for name in frame.columns])


def _profile(column: pd.Series) -> dict[Any, Any]:
    profile: dict[Any, Any] = {
        "column": column.name,
        "type": str(column.dtype),
        "rows": len(column),
        "missing": int(column.isna().sum()),
        "distinct": column.head(_MOST_COUNTED).nunique(),
    }
    if column.dtype.kind == "f":
        return {**profile, **column.describe().drop("count").to_dict()}
    if column.dtype.kind == "M":
        return profile | {"min": str(column.min()), "max": str(column.max())}
    counts = column.value_counts(normalize=True)
    if counts.empty:
        return profile
    return profile | {"most_common": str(counts.index[0]), "share": float(counts.iloc[0])}
