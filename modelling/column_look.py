"""What a column of an unknown table holds, and whether a model should be given it."""

import math
import re
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_UP, Decimal, localcontext

import numpy as np
import pandas as pd

from modelling.recipe import ColumnCheck, ColumnType
from modelling.sklearn_wrapper import is_missing, read_column
from modelling.split import ROW_KEY
from modelling.table import shown_type
from modelling.words import counted

_LONGEST_NAME = 1000  # YAML takes no longer key
_FEWEST_IN_ORDER = 20  # fewer numbers may be in order by chance
_MANY_VALUES = 20
_FEW_WRONG = 0.2
_WORDS_OF_A_TEXT = 4
_LONGEST_SHOWN = 40
_LONG = 1e12
_DATE_OF_SOME_SORT = r"(?:\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4})(?:[ T].*)?"
_UNREADABLE = (bytes, list, dict, np.ndarray, pd.Timedelta)


@dataclass(frozen=True)
class Look:
    """What was seen of a column.

    check: what the table must hold there from now on, looser than what was seen; None where the
    column can be no feature as it is. seen: the same in words, for a comment. useless: why nothing
    can be learnt from it; suspect: why it had better be left out; both empty for an ordinary one.
    """

    check: ColumnCheck | None
    seen: str = ""
    useless: str = ""
    suspect: str = ""


def look_at_column(column: pd.Series) -> Look:
    """Looks at (n,) raw values."""
    name = str(column.name)
    missing = is_missing(column)
    known = column[~missing]
    useless = _unusable(name, known)
    if useless:
        return Look(None, useless=useless)
    kind = shown_type(column)
    values = read_column(known, kind)
    distinct = values.nunique()
    if distinct == 1 and len(known) == len(column):
        return Look(None, useless=f"it is always {show(values.iloc[0])}")
    allowed = _allowed_missing(float(missing.mean()))
    gaps = f", {missing.mean():.1%} missing" if missing.any() else ""
    if kind == "number" and _is_named_like_an_id(name) and 2 * distinct <= len(known):
        kind, values = "category", read_column(known, "category")
    if kind == "category":
        seen = _most_often(values, distinct) + gaps
        almost = _almost_numbers(values) or _almost_dates(values)
        useless = _identifier_or_text(values, distinct)
        if useless:
            return Look(None, useless=almost or useless)
        seen = f"{seen}; {almost}" if almost else seen
        return Look(ColumnCheck(type=kind, missing=allowed), seen)
    if kind == "date":
        first, last = values.min(), values.max()
        seen = f"{first.isoformat()[:10]} to {last.isoformat()[:10]}"
        return Look(ColumnCheck(type=kind, min=_earlier(first, last), missing=allowed), seen + gaps)
    check, seen = _look_at_numbers(values, column.dtype.kind == "f" and not missing.any())
    suspect = "" if missing.any() else _row_number(name, values, distinct)
    return Look(check.model_copy(update={"missing": allowed}), seen + gaps, suspect=suspect)


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
        return "every value is different: an identifier or free text"
    if distinct > _MANY_VALUES and 2 * distinct > len(values):
        words = values.str.count(r"\S+").mean()
        what = "free text" if words >= _WORDS_OF_A_TEXT else "like an identifier"
        return f"{distinct} different values in {len(values)} cells: {what}"
    return ""


def _almost_numbers(values: pd.Series) -> str:
    """What keeps a column of text from being one of numbers."""
    wrong = values[read_column(values, "number").isna()]
    if wrong.empty or len(wrong) > _FEW_WRONG * len(values):
        return ""
    return f"numbers, but for {_cells(wrong)}"


def _cells(wrong: pd.Series) -> str:
    count = "one cell" if len(wrong) == 1 else f"{len(wrong)} cells"
    return f"{count} such as {show(wrong.iloc[0])!r}: to be emptied"


def _almost_dates(values: pd.Series) -> str:
    """What keeps a column of text from being one of dates: which number is the month is a guess."""
    others = values[read_column(values, "date").isna()]
    alike = others.str.strip().str.fullmatch(_DATE_OF_SOME_SORT)
    if len(others) - alike.sum() > _FEW_WRONG * len(values):
        return ""
    if not alike.any():
        return f"dates, but for {_cells(others)}"
    return f"dates such as {show(others[alike].iloc[0])!r}: write them like 2026-11-21 to use them"


def _most_often(values: pd.Series, distinct: int) -> str:
    shares = values.value_counts(normalize=True)
    encoded = "; encoded by the mean of the target" if distinct > _MANY_VALUES else ""
    most = f"most often {show(shares.index[0])} ({shares.iloc[0]:.0%})"
    return f"{counted(distinct, 'value')}, {most}{encoded}"


def _look_at_numbers(values: pd.Series, decimals: bool) -> tuple[ColumnCheck, str]:
    """The check of numbers and what was seen.

    Args:
        values: (n,) float64.
        decimals: whether the table writes whole numbers with a point, so that others may come.
    """
    finite = values[np.isfinite(values)]
    if finite.empty:
        return ColumnCheck(), "nothing finite"
    if finite.isin([0, 1]).all() and not decimals:
        return ColumnCheck(type="boolean"), f"true in {finite.mean():.0%}"
    kind: ColumnType = "integer" if (finite % 1 == 0).all() and not decimals else "number"
    low, high = float(finite.min()), float(finite.max())
    width = high - low or abs(high)
    least = 0.0 if low >= 0 else _round_away(low - width)
    check = ColumnCheck(type=kind, min=least, max=_round_away(high + width))
    return check, f"{show(low)} to {show(high)}"


def _round_away(value: float) -> float | None:
    """Rounds to two digits, away from zero; None where no float is so large."""
    if not math.isfinite(value):
        return None
    with localcontext(prec=2, rounding=ROUND_UP):
        rounded = float(+Decimal(value))
    return rounded if math.isfinite(rounded) else None


def _earlier(first: pd.Timestamp, last: pd.Timestamp) -> date | None:
    """As much before the first date as the last is behind it; None where no date is so early."""
    try:
        return (first - (last - first)).date()
    except (ValueError, OverflowError, NotImplementedError):
        return None
