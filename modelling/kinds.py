"""The kinds of columns: one record a kind, with all that differs from one kind to another.

The logged model reads raw cells by `read_as` (`read_column` of models/sklearn_wrapper.py, which
imports nothing of the project). A new kind is a record here, its reading there, its encoding in
estimators/preprocessing.py and its look in drafting/column_look.py.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

ColumnType = Literal["number", "integer", "boolean", "category", "ordinal", "text", "date"]

ROW_KEY = "row_key"
"""The column that the split adds: it names a row by its content."""

_SPELLED_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_A_DAY = datetime(2026, 11, 21)
_A_NUMBER = re.compile(r"\D*?1([.,' ]?)234([.,])56\D*")


def check_number_format(form: str) -> None:
    """Checks how a table writes the number 1234.56.

    Raises:
        ValueError: it is not that number.
    """
    found = _A_NUMBER.fullmatch(form)
    if found is None or found[1] == found[2]:
        raise ValueError(
            f"format {form!r} is not the number 1234.56 as the table writes it, such as "
            "'1.234,56', '1 234,56', '$1,234.56' or '1234.56%'"
        )


def check_date_format(form: str) -> None:
    """Checks a format of dates.

    Raises:
        ValueError: a date that it writes cannot be read again.
    """
    with suppress(ValueError):
        if datetime.strptime(_A_DAY.strftime(form), form) == _A_DAY:
            return
    raise ValueError(f"format {form!r} does not write a date; for 21/11/2026 it is '%d/%m/%Y'")


@dataclass(frozen=True)
class Kind:
    """What is to be known of a kind.

    read_as: the kind that the logged model reads it as, which `features.json` records. encoded:
    what a Pipeline does with it, a field of `Inputs`. is_number: whether a checked column is
    float64, of which formulas and limits make sense. is_whole: whether a fraction is outside its
    limits. limit: the type of min and max, if it has them. check_format: refuses a format with a
    ValueError, where it has one. not_from: MLflow's types of a checked column that it cannot be
    read from. watched: the name in a profile of what the model makes of it, if it is watched.
    becomes: what that is, in words, if it is something else.
    """

    read_as: str
    encoded: str
    is_number: bool = False
    is_whole: bool = False
    limit: type | None = None
    check_format: Callable[[str], None] | None = None
    not_from: frozenset[str] = frozenset()
    watched: str = "{}"
    becomes: str = ""

    @property
    def is_text(self) -> bool:
        """Whether a checked column is text."""
        return not self.is_number and self.limit is None


_NO_NUMBERS = frozenset({"string", "datetime"})
_NUMBER = Kind(
    "number",
    "numbers",
    is_number=True,
    limit=float,
    check_format=check_number_format,
    not_from=_NO_NUMBERS,
)

KINDS: Mapping[str, Kind] = {
    "number": _NUMBER,
    "integer": Kind(**{**vars(_NUMBER), "is_whole": True}),
    "boolean": Kind("boolean", "flags", is_number=True, not_from=_NO_NUMBERS),
    "category": Kind(
        "category",
        "categories",
        becomes="a category a number for each of its values, or a column, or, of many, the mean of "
        "the target",
    ),
    "ordinal": Kind(
        "ordinal", "numbers", becomes="an ordinal the place of its value in the order, from 0"
    ),
    "text": Kind(
        "text",
        "texts",
        watched="",
        becomes="a text some numbers for its words (tf-idf, and its singular value decomposition)",
    ),
    "date": Kind(
        "date",
        "numbers",
        limit=date,
        check_format=check_date_format,
        not_from=frozenset({"string", "double", "long", "boolean"}),
        watched="{} (days)",
        becomes="a date becomes its day, month, day of the week and hour",
    ),
}


def kind_of_values(dtype: Any) -> ColumnType:
    """Returns the kind of a checked column that nobody declared, by the type of its values."""
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    is_number = isinstance(dtype, np.dtype) and pd.api.types.is_numeric_dtype(dtype)
    return "number" if is_number else "category"


def number_as_text(text: str) -> str | None:
    """Returns the number or boolean that a text spells as pandas would write it, 7 for 007."""
    if text.lower() in ("true", "false"):
        return text.capitalize()
    if not _SPELLED_NUMBER.fullmatch(text):
        return None
    number = float(text)
    exact = int(text) if text.lstrip("+-").isdigit() else number
    return str(int(exact)) if float(number).is_integer() else str(number)
