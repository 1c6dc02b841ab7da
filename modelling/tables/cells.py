"""The cells of a table, read as the kind of their column, and refused where they are not of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from common.errors import InputError
from common.words import and_more
from modelling.kinds import KINDS, ColumnType
from modelling.models.sklearn_wrapper import LARGEST_EXACT, is_missing, read_column
from modelling.recipe import ColumnCheck, Recipe

_CODE = r"[+-]?0\d"  # digits that are no quantity
_DECIMAL_COMMA = "1234,56"
_NO_GAP = "None"  # as a label; elsewhere it is one, as for pandas


def shown_type(column: pd.Series, decimal_comma: bool = False) -> ColumnType:
    """Returns the type of a column that nobody declared: a number, category or date.

    Text is a number or a date if every value that is not missing reads as one; but 007 is text.

    Args:
        column: (n,) raw values.
        decimal_comma: whether 1,5 is a number.
    """
    if column.dtype.kind == "M":
        return "date"
    known = column[~is_missing(column)]
    if pd.api.types.is_numeric_dtype(column) or known.empty:
        return "number"
    if read_cells(known, "number", decimal_comma=decimal_comma).abs().lt(np.inf).all():
        return "category" if read_column(known, "category").str.match(_CODE).any() else "number"
    return "date" if read_column(known, "date").notna().all() else "category"


def read_cells(
    column: pd.Series, kind: str, form: str = "", decimal_comma: bool = False
) -> pd.Series:
    """Reads (n,) raw values as `read_column` does; if decimal_comma, 1,5 is 1.5 besides."""
    kind = KINDS[kind].read_as
    read = read_column(column, kind, form)
    if kind == "number" and decimal_comma and not form and read is not column:
        read = read.fillna(read_column(column, kind, _DECIMAL_COMMA))
    return read


def read_numbers(
    table: pd.DataFrame, features: Mapping[str, Any], decimal_comma: bool
) -> pd.DataFrame:
    """Returns the raw columns that a model reads, with its numbers and booleans as float64.

    Args:
        table: n rows, of text or of values.
        features: of the model, as `fit_features` gives them.
        decimal_comma: whether 1,5 is a number in this table.

    Returns:
        n rows; what cannot be read is left as it is, for the model to say so.
    """
    formats = features.get("formats", {})
    columns = {name: table[name] for name in features["columns"]}
    for name, kind in features["columns"].items():
        if KINDS[kind].is_number:
            read = read_cells(table[name], kind, formats.get(name, ""), decimal_comma)
            wrong = read.isna() & ~is_missing(table[name]) if read.hasnans else read.isna()
            columns[name] = read.astype(object).where(~wrong, table[name]) if wrong.any() else read
    return pd.DataFrame(columns, index=table.index, copy=False)


def read_checked(
    column: pd.Series, check: ColumnCheck, source: str, decimal_comma: bool
) -> pd.Series:
    """Reads (n,) raw values as their kind, as the model will read them when it predicts.

    Args:
        column: of the table as read.
        check: what the recipe says of the column; its limits are not looked at.
        source: the table's path or URI, for messages.
        decimal_comma: whether 1,5 is a number.

    Raises:
        InputError: a value is there and is not of the kind, or is text with a zero byte.
    """
    values = read_cells(column, check.type, check.format, decimal_comma)
    if KINDS[check.type].is_text:
        _refuse_zero_bytes(values, source)
    if not values.hasnans:
        return values
    wrong = values.isna() & ~is_missing(column)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        kind = KINDS[check.type].read_as
        written = check.format or "2026-11-21"
        raise InputError(
            f"table {source}: column {column.name!r}, row {column.index[row] + 1}: "
            f"{str(column.iloc[row])[:60]!r} is not a {kind}{and_more(int(wrong.sum()) - 1)}"
            + (f"; a date is written {written}" if kind == "date" else "")
            + (f"; the format is {check.format}" if check.format and kind == "number" else "")
        )
    return values


def _refuse_zero_bytes(texts: pd.Series, source: str) -> None:
    """What is no text is in other encodings, or a file that was broken."""
    wrong = np.flatnonzero(texts.str.contains("\0", regex=False, na=False))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"table {source}: column {texts.name!r}, row {texts.index[row] + 1}: "
            f"{texts.iloc[row][:60]!r} holds a zero byte{and_more(len(wrong) - 1)}; it is no text"
        )


def read_time(
    column: pd.Series, source: str, check: ColumnCheck | None = None, decimal_comma: bool = False
) -> pd.Series:
    """Reads (n,) values that put the rows in order: dates or numbers, missing where a cell is.

    Args:
        column: of the table as read.
        source: the table's path or URI, for messages.
        check: what the recipe says of the column.
        decimal_comma: whether 1,5 is a number.

    Raises:
        InputError: a value is text that is neither, whose order would be that of the alphabet.
    """
    if check is None or KINDS[check.type].limit is None:
        is_number = shown_type(column, decimal_comma) == "number"
        check = ColumnCheck(type="number" if is_number else "date")
    return read_checked(column, check, source, decimal_comma)


def read_weights(column: pd.Series, source: str, decimal_comma: bool) -> pd.Series:
    """Reads (n,) weights of rows.

    Raises:
        InputError: one is missing, no number, infinite or below 0; or all are 0.
    """
    weights = read_checked(column, ColumnCheck(), source, decimal_comma)
    wrong = ~(weights.ge(0) & weights.lt(np.inf))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = weights.iloc[row]
        what = "is missing" if pd.isna(value) else f"is {value:g}"
        raise InputError(
            f"table {source}: data.weight {column.name!r}, row {column.index[row] + 1} {what}"
            f"{and_more(int(wrong.sum()) - 1)}; a weight is a number from 0 on"
        )
    if not weights.any():
        raise InputError(f"table {source}: data.weight {column.name!r} is 0 in every row")
    return weights


def read_target(column: pd.Series, recipe: Recipe, source: str, decimal_comma: bool) -> pd.Series:
    """Reads (n,) targets: of a regression as numbers, of a classification as the labels they are.

    Raises:
        InputError: a value is no number, or a label a number with a fraction.
    """
    if recipe.task == "regression":
        return read_checked(
            column, ColumnCheck(format=recipe.data.target_format), source, decimal_comma
        )
    labels = read_labels(column)
    if labels.dtype.kind == "f":
        row = int(np.flatnonzero(labels % 1 != 0)[0])
        raise InputError(
            f"table {source}: target {column.name!r}, row {column.index[row] + 1}: "
            f"{labels.iloc[row]:g} is no class; to predict numbers, set task: regression"
        )
    return labels


def label_text(column: pd.Series) -> pd.Series:
    """Reads (n,) raw labels of classes as text without blanks around it; None is a word there."""
    text = read_column(column, "category")
    if isinstance(column.dtype, pd.StringDtype) or column.dtype == object:
        text = text.mask(column.map(_is_none), _NO_GAP)
    return text


def _is_none(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == _NO_GAP


def read_labels(column: pd.Series) -> pd.Series:
    """Reads (n,) labels of classes, none missing.

    Returns:
        bool, int64, float64 where a number has a fraction, or text without blanks around it: text
        is what all of it spells.
    """
    if all(isinstance(value, bool | np.bool_) for value in column):
        return column.astype(bool)
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("int64") if (column % 1 == 0).all() else column.astype("float64")
    text = label_text(column)
    if text.str.lower().isin(["true", "false"]).all():
        return text.str.lower() == "true"
    numbers = read_column(text, "number")
    if numbers.isna().any() or numbers.abs().ge(LARGEST_EXACT).any():
        return text
    if text.str.match(_CODE).any() or text.str.lower().isin(["true", "false"]).any():
        return text
    return numbers.astype("int64") if (numbers % 1 == 0).all() else numbers
