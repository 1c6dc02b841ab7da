"""What a column of an unknown table holds, and whether a model should be given it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

import numpy as np
import pandas as pd

from common.words import counted
from modelling.drafting.written import (
    NO_HABITS,
    Habits,
    Written,
    almost,
    decimal_mark,
    find_written,
)
from modelling.kinds import ROW_KEY, ColumnType
from modelling.models.sklearn_wrapper import is_missing, read_column
from modelling.recipe import ColumnCheck

_LONGEST_NAME = 1000  # YAML takes no longer key
_FEWEST_IN_ORDER = 20  # fewer numbers may be in order by chance
_MANY_VALUES = 20
_FEW_WRONG = 0.2
_WORDS_OF_A_TEXT = 4
_FREE_TEXT = "free text, left out unless the recipe declares it as type: text"
_LONGEST_SHOWN = 40
_LONG = 1e12
_SKEWED = 3  # quartiles' widths beyond a quartile, from where on no limit is guessed
_UNREADABLE = (bytes, list, dict, np.ndarray, pd.Timedelta)


@dataclass(frozen=True)
class Look:
    """What was seen of a column.

    check: what the table must hold there from now on, looser than what was seen; None where the
    column can be no feature as it is. seen: the same in words, for a comment. useless: why nothing
    can be learnt from it; suspect: why it had better be left out; both empty for an ordinary one.
    doubt: what else it may be, which whoever knows the table must say.
    """

    check: ColumnCheck | None
    seen: str = ""
    useless: str = ""
    suspect: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class _Column:
    """What is known of a column before its kind is looked at.

    known: the raw values that are not missing; values: the same, read; allowed: the share that may
    miss, and gaps: that does, in words.
    """

    name: str
    known: pd.Series
    values: pd.Series
    distinct: int
    allowed: float
    gaps: str


def look_at_column(column: pd.Series, habits: Habits = NO_HABITS) -> Look:
    """Looks at (n,) raw values of a table with these habits."""
    name = str(column.name)
    missing = is_missing(column)
    known = column[~missing]
    useless = _unusable(name, known)
    if useless:
        return Look(None, useless=useless)
    written = find_written(known, habits)
    values = read_column(known, written.kind, written.form)
    distinct = values.nunique()
    if distinct == 1 and len(known) == len(column):
        return Look(None, useless=f"it is always {show(values.iloc[0])}")
    if written.kind == "number" and _is_named_like_an_id(name) and 2 * distinct <= len(known):
        written, values = Written("category"), read_column(known, "category")
    share = float(missing.mean())
    gaps = f", {share:.1%} missing" if share else ""
    look = _LOOKS[written.kind]
    return look(_Column(name, known, values, distinct, _allowed_missing(share), gaps), written)


def _look_at_category(column: _Column, _: Written) -> Look:
    almost = _almost(column.values)
    useless = _identifier_or_text(column.values, column.distinct)
    if useless:
        as_text = ColumnCheck(type="text", missing=column.allowed)
        check = as_text if is_free_text(column.values) and not almost else None
        return Look(check, useless=almost or useless, doubt=almost)
    seen = _most_often(column.values, column.distinct) + column.gaps
    check = ColumnCheck(type="category", missing=column.allowed)
    return Look(check, f"{seen}; {almost}" if almost else seen, doubt=almost)


def _look_at_date(column: _Column, written: Written) -> Look:
    first, last = column.values.min(), column.values.max()
    check = ColumnCheck(
        type="date", format=written.form, min=_earlier(first, last), missing=column.allowed
    )
    if written.is_open:
        return Look(check, useless=written.doubt, doubt=written.doubt)
    seen = f"{first.isoformat()[:10]} to {last.isoformat()[:10]}"
    return Look(check, seen + _as_written(column, written.form) + column.gaps)


def _look_at_boolean(column: _Column, _: Written) -> Look:
    check = ColumnCheck(type="boolean", missing=column.allowed)
    return Look(check, f"true in {column.values.mean():.0%}{column.gaps}")


def _look_at_number(column: _Column, written: Written) -> Look:
    infinite = column.values[np.isinf(column.values)]
    if len(infinite):
        return Look(None, useless=f"it holds {infinite.iloc[0]:g}, which is no number")
    check, seen = _look_at_numbers(
        column.values, _shows_decimals(column.known, written.form) and not column.allowed
    )
    check = check.model_copy(update={"missing": column.allowed, "format": written.form})
    doubt = f"; {written.doubt}" if written.doubt else ""
    return Look(
        check,
        seen + _as_written(column, written.form) + column.gaps + doubt,
        suspect=_row_number(column.name, column.values, column.distinct),
        doubt=written.doubt,
    )


_LOOKS: Mapping[ColumnType, Callable[[_Column, Written], Look]] = {
    "number": _look_at_number,
    "integer": _look_at_number,
    "boolean": _look_at_boolean,
    "category": _look_at_category,
    "ordinal": _look_at_category,
    "text": _look_at_category,
    "date": _look_at_date,
}


def _shows_decimals(known: pd.Series, form: str) -> bool:
    """Whether whole numbers are written with a fraction too, so that others may come."""
    if isinstance(known.dtype, pd.StringDtype):
        return bool(known.str.contains(decimal_mark(form), regex=False).any())
    return known.dtype.kind == "f"


def _as_written(column: _Column, form: str) -> str:
    """How a cell reads that is written in another way than the usual."""
    if not form:
        return ""
    longest = int(column.known.astype("str").str.len().to_numpy().argmax())
    value = column.values.iloc[longest]
    read = value.isoformat()[:10] if isinstance(value, pd.Timestamp) else f"{value:.10g}"
    return f"; {show(column.known.iloc[longest])} is {read}"


def show(value: object) -> str:
    """Returns a value as it may stand in a comment: printable, on one line, not long."""
    text = str(value)
    if isinstance(value, float):
        text = f"{value:.0f}" if value.is_integer() and abs(value) < _LONG else f"{value:.4g}"
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _unusable(name: str, known: pd.Series) -> str:
    """Why a column cannot be a feature whatever stands in it, or because of it."""
    if name == ROW_KEY:
        return "the split gives each row its key under this name; rename it to use it"
    if not name.strip():
        return "it has no name"
    if len(name) > _LONGEST_NAME:
        return "its name is too long; rename it to use it"
    if known.empty:
        return "it is empty"
    if isinstance(known.iloc[0], _UNREADABLE):
        return f"it holds values of type {type(known.iloc[0]).__name__}, no numbers and no text"
    return ""


def _allowed_missing(share: float) -> float:
    """Half as much again and a twentieth, rounded up to twentieths; none where none was seen."""
    return min(1.0, math.ceil(20 * 1.5 * share + 1) / 20) if share else 0.0


def _is_named_like_an_id(name: str) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return any(word.lower() in ("id", "uuid", "guid", "identifier") for word in words)


def _row_number(name: str, values: pd.Series, distinct: int) -> str:
    """Why whole numbers are taken for an identifier."""
    if (values % 1 != 0).any() or 2 * distinct <= len(values):
        return ""
    if _is_named_like_an_id(name):
        return "whole numbers that hardly repeat, under the name of an identifier"
    if distinct < len(values) or len(values) < _FEWEST_IN_ORDER:
        return ""
    if values.max() - values.min() == len(values) - 1:
        return "it counts the rows"
    if values.is_monotonic_increasing or values.is_monotonic_decreasing:
        return "whole numbers that only grow (or fall) from row to row, like an identifier"
    return ""


def _identifier_or_text(values: pd.Series, distinct: int) -> str:
    if distinct == len(values) > 1:
        what = _FREE_TEXT if is_free_text(values) else "an identifier or free text"
        return f"every value is different: {what}"
    if distinct > _MANY_VALUES and 2 * distinct > len(values):
        what = _FREE_TEXT if is_free_text(values) else "like an identifier"
        return f"{distinct} different values in {len(values)} cells: {what}"
    return ""


def is_free_text(values: pd.Series) -> bool:
    """Says whether (n,) text is sentences: four words on average, or more."""
    return bool(values.str.count(r"\S+").mean() >= _WORDS_OF_A_TEXT)


def _almost(values: pd.Series) -> str:
    """What keeps a column of text from being one of numbers or dates."""
    kind, wrong = almost(values, _FEW_WRONG)
    if not kind:
        return ""
    count = "one cell" if len(wrong) == 1 else f"{len(wrong)} cells"
    return f"{kind}s, but for {count} such as {show(wrong.iloc[0])!r}: to be emptied"


def _most_often(values: pd.Series, distinct: int) -> str:
    shares = values.value_counts(normalize=True)
    most = f"most often {show(shares.index[0])} ({shares.iloc[0]:.0%})"
    return f"{counted(distinct, 'value')}, {most}"


def _look_at_numbers(values: pd.Series, decimals: bool) -> tuple[ColumnCheck, str]:
    """The check of numbers and what was seen.

    Args:
        values: (n,) float64.
        decimals: whether the table writes whole numbers with a point, so that others may come.
    """
    if values.isin([0, 1]).all() and not decimals:
        # A count begins like that: it may be 2 one day.
        return ColumnCheck(type="integer", min=0), f"0 or 1, 1 in {values.mean():.0%}"
    kind: ColumnType = "integer" if (values % 1 == 0).all() and not decimals else "number"
    low, high = float(values.min()), float(values.max())
    width = high - low or abs(high)
    quarter, half = values.quantile([0.25, 0.75])
    most = _SKEWED * (half - quarter)
    least = None if quarter - low > most else _rounded(low - width, ROUND_FLOOR)
    largest = None if high - half > most else _rounded(high + width, ROUND_CEILING)
    check = ColumnCheck(type=kind, min=0.0 if low >= 0 else least, max=largest)
    return check, f"{show(low)} to {show(high)}"


def _rounded(value: float, rounding: str) -> float | None:
    """Rounds to two digits, upwards or downwards; None where no float is so large."""
    if not math.isfinite(value):
        return None
    with localcontext(prec=2, rounding=rounding):
        rounded = float(+Decimal(f"{value:.12g}"))
    return rounded if math.isfinite(rounded) else None


def _earlier(first: pd.Timestamp, last: pd.Timestamp) -> date | None:
    """As much before the first date as the last is behind it; None where no date is so early."""
    try:
        return (first - (last - first)).date()
    except (ValueError, OverflowError, NotImplementedError):
        return None
