"""How a column's text writes numbers, dates and booleans, found by all of its cells.

The draft finds it once, and the recipe says it: from there on a cell is read by that alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelling.files.table_file import has_decimal_comma
from modelling.kinds import ColumnType
from modelling.models.sklearn_wrapper import FALSE, LARGEST_EXACT, TRUE, read_column

_BODIES = (
    *("1234.56", "1,234.56", "1 234.56", "1'234.56"),
    *("1234,56", "1.234,56", "1 234,56", "1'234,56"),
)
_MONEY = (
    r"(?:[A-Z]{0,2}[$€£¥₹₽₩₺₫₪₴฿₦₱]|EUR|USD|GBP|CHF|Fr\.|SEK|NOK|DKK|PLN|CZK|HUF|JPY|CNY|INR|BRL|CAD|"
    r"AUD|kr\.?|zł|Kč|Ft)"
)
_NUMBER_LIKE = re.compile(
    rf"[-+\u2212(]?\s*(?P<before>{_MONEY}\s*)?[-+\u2212]?"
    rf"(?P<core>\d[\d.,'\u2019\s]*?|[.,]\d+)(?P<after>\s*(?:{_MONEY}|%))?\)?"
)
_MARK = re.compile(r"[.,'\u2019\s]")
_CODE = r"[+-]?0\d"  # digits that are no quantity
_LONG_NUMBER = r"[+-]?\d{16,}"
_IN_GROUPS = r"[-+\u2212(]?\D*?[1-9]\d{0,2}(?:[.,]\d{3})+\D*"
_DATE_LIKE = re.compile(
    r"(?:\d{1,4}[./\- ]\d{1,2}[./\- ]\d{1,4}|\d{1,2}(?:er)?[ \-.]+[^\W\d_]{3,9}\.?[ \-,]+\d{2,4}"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4}|(?:19|20)\d\d-\d\d)(?:[ T]\d.*)?"
)
_DAY_IN_DIGITS = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_FIRST_DAY, _LAST_DAY = 19000101, 20991231
_DAY_FIRST = tuple(
    f"%d{mark}%m{mark}{year}" for mark in ("/", ".", "-", " ") for year in ("%Y", "%y")
)
_MONTH_FIRST = tuple(f"%m{mark}%d{mark}{year}" for mark in ("/", "-") for year in ("%Y", "%y"))
_CLEAR_DATES = (
    *("", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%d-%B-%Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
)
_FIRST = 50  # values that a format is tried on, before all
_FEWEST_DAYS = 10
_FEWEST_ROWS, _MOST_ROWS = 1_000, 10_000  # that show a habit
_MOST_CELLS = 2_000_000  # of all columns together


@dataclass(frozen=True)
class Habits:
    """How a table writes what one of its columns alone does not show.

    decimal: the mark before a fraction, if a column shows it; day_first: whether 11/02 is in
    February; usual_decimal: the mark that files of this form have most often.
    """

    decimal: str = ""
    day_first: bool | None = None
    usual_decimal: str = "."


NO_HABITS = Habits()


@dataclass(frozen=True)
class Written:
    """What a column holds and how its text writes it, as the recipe says both.

    doubt: what else it may mean, in words; is_open: whether that is as likely.
    """

    kind: ColumnType
    form: str = ""
    doubt: str = ""
    is_open: bool = False


def find_habits(table: pd.DataFrame) -> Habits:
    """Finds what the columns of a table show that can be read in one way only."""
    decimals: set[str] = set()
    orders: set[bool] = set()
    first = table.head(min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_CELLS // table.shape[1])))
    for name in first.columns:
        if isinstance(first[name].dtype, pd.StringDtype):
            text = _distinct(first[name])
            shown = (
                {decimal_mark(form) for form in _number_forms(text)} if _has_mark(text) else set()
            )
            decimals |= shown if len(shown) == 1 else set()
            order = {form in _DAY_FIRST for form in _date_forms(text) if form not in _CLEAR_DATES}
            orders |= order if len(order) == 1 else set()
    return Habits(
        decimals.pop() if len(decimals) == 1 else "",
        orders.pop() if len(orders) == 1 else None,
        "," if has_decimal_comma(table) else ".",
    )


def find_written(column: pd.Series, habits: Habits) -> Written:
    """Finds how (n,) raw values are written, none of them missing."""
    if isinstance(column.dtype, pd.StringDtype):
        return _find_in_text(_distinct(column), habits)
    if column.dtype.kind == "M":
        return Written("date")
    if column.dtype.kind in "bO" and all(isinstance(value, bool | np.bool_) for value in column):
        return Written("boolean")
    if not pd.api.types.is_numeric_dtype(column):
        return _find_in_text(_distinct(column), habits)
    if _are_day_numbers(column):
        return Written("date", "%Y%m%d")
    is_long = column.dtype.kind in "iu" and column.abs().max() >= LARGEST_EXACT
    return Written("category" if is_long else "number")


def _find_in_text(text: pd.Series, habits: Habits) -> Written:
    """Finds it in the different values of a column."""
    if _are_days_in_digits(text):
        return Written("date", "%Y%m%d")
    forms = _number_forms(text)
    if forms:
        is_code = text.str.match(_CODE).any() or text.str.fullmatch(_LONG_NUMBER).any()
        return Written("category") if is_code else _choose_number(text, forms, habits)
    dates = _date_forms(text)
    if dates:
        return _choose_date(text, dates, habits)
    words = set(text.str.lower())
    is_boolean = words & {*TRUE} and words & {*FALSE} and words <= {*TRUE, *FALSE}
    return Written("boolean" if is_boolean else "category")


def almost(values: pd.Series, most: float) -> tuple[str, pd.Series]:
    """Finds what keeps text from being numbers or dates.

    Args:
        values: (n,) text, none missing.
        most: the share of the cells that may be wrong.

    Returns:
        number, date or nothing; and the cells that are wrong.
    """
    counts = values.value_counts(sort=False)
    for kind, pattern in (("number", _NUMBER_LIKE), ("date", _DATE_LIKE)):
        is_like = np.array([bool(pattern.fullmatch(value)) for value in counts.index])
        if 0 < counts[~is_like].sum() <= most * len(values):
            found = find_written(counts.index[is_like].to_series(), NO_HABITS)
            if found.kind == kind:
                return kind, values[values.isin(counts.index[~is_like])]
    return "", values.iloc[:0]


def _distinct(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        return read_column(column, "category").dropna().drop_duplicates()
    text = column.drop_duplicates()
    read = read_column(text, "category")
    return read.dropna() if read.equals(text) else read.dropna().drop_duplicates()


def _has_mark(text: pd.Series) -> bool:
    """Whether a cell has one: of most columns, the first ones say that it has."""
    return any(_MARK.search("".join(part)) for part in (text.head(_FIRST), text))


# Numbers


def _number_forms(text: pd.Series) -> dict[str, pd.Series]:
    """The ways in which all of the text is numbers, and these; the plainest first."""
    if text.empty:
        return {}
    plain = _plain_numbers(text)
    if plain and not _may_have_groups(text):
        return plain
    if not all(map(_NUMBER_LIKE.fullmatch, text.head(_FIRST))):
        return {}
    parts = text.str.extract(f"^{_NUMBER_LIKE.pattern}$")
    if parts["core"].isna().any():
        return {}
    around = [_only(parts[side]) for side in ("before", "after")]
    if None in around:
        return {}
    forms = [f"{around[0]}{body}{around[1]}" for body in _BODIES]
    found = {form: read_column(text, "number", form) for form in forms}
    return {
        form if form != _BODIES[0] or not plain else "": values
        for form, values in found.items()
        if np.isfinite(values).all()
    }


def _may_have_groups(text: pd.Series) -> bool:
    """Whether each point or comma of numbers may stand before a group of three digits."""
    marked = text
    for part in (text.head(_FIRST), text):
        marked = part[part.str.contains(r"[.,]")]
        if not marked.str.fullmatch(_IN_GROUPS).all():
            return False
    return not marked.empty


def _all_match(text: pd.Series, pattern: str) -> bool:
    """Whether a pattern is all of each text: of most columns, the first ones say that it is not."""
    return all(bool(part.str.fullmatch(pattern).all()) for part in (text.head(_FIRST), text))


def _plain_numbers(text: pd.Series) -> dict[str, pd.Series]:
    values = read_column(text, "number")
    is_number = np.isfinite(values) & ~text.str.lower().isin(["true", "false"])
    return {"": values} if is_number.all() else {}


def _only(signs: pd.Series) -> str | None:
    """The one sign of a column, with the blank before or behind it; None of two."""
    found = signs.dropna().unique()
    if len({sign.strip() for sign in found}) > 1:
        return None
    return re.sub(r"\s", " ", str(max(found, key=len))) if len(found) else ""


def decimal_mark(form: str) -> str:
    """Returns the mark before a fraction in a format of numbers; a point in none."""
    return form[form.index("56") - 1] if form else "."


def _choose_number(text: pd.Series, forms: Mapping[str, pd.Series], habits: Habits) -> Written:
    decimal = habits.decimal or habits.usual_decimal
    if "" in forms and not _has_mark(text):
        return Written("number")
    form = next((form for form in forms if decimal_mark(form) == decimal), next(iter(forms)))
    others = [other for other in forms if not forms[other].equals(forms[form])]
    if not others or habits.decimal:
        return Written("number", form)
    grouped = text.str.fullmatch(_IN_GROUPS)
    if grouped.all() and decimal_mark(form) == "." and "." in text.iloc[0]:
        return Written("number", form)  # as any measurement with three digits behind its point
    example = text[grouped].iloc[0]
    read, other = (f"{forms[one][text == example].iloc[0]:g}" for one in (form, others[0]))
    way = f"format: {others[0]!r}" if others[0] else "no format"
    return Written("number", form, f"{example} is taken for {read}; if it is {other}: {way}")


# Dates


def _date_forms(text: pd.Series) -> list[str]:
    """The formats in which all of the text is dates; where ISO 8601 is one, that alone."""
    if text.empty or not all(map(_DATE_LIKE.fullmatch, text.head(_FIRST))):
        return []
    few = text.head(_FIRST)
    if _are_dates(few, "") and _are_dates(text, ""):
        return [""]
    signs = set(text.iloc[0])
    forms = [
        form
        for form in (*_CLEAR_DATES, *_DAY_FIRST, *_MONTH_FIRST)
        if signs.issuperset(re.sub("%.", "", form)) and _are_dates(few, form)
    ]
    return [form for form in forms if _are_dates(text, form)]


def _are_days_in_digits(text: pd.Series) -> bool:
    """Whether text is days such as 20260131, and enough of them to be no numbers by chance."""
    return (
        len(text) >= _FEWEST_DAYS
        and _all_match(text, _DAY_IN_DIGITS)
        and _are_dates(text, "%Y%m%d")
    )


def _are_day_numbers(column: pd.Series) -> bool:
    """The same of numbers, as Parquet and JSON have them."""
    numbers = column.drop_duplicates()
    if not numbers.between(_FIRST_DAY, _LAST_DAY).all() or (numbers % 1 != 0).any():
        return False
    return _are_days_in_digits(numbers.astype("int64").astype("str"))


def _are_dates(text: pd.Series, form: str) -> bool:
    return bool(read_column(text, "date", form).notna().all())


def _choose_date(text: pd.Series, forms: Iterable[str], habits: Habits) -> Written:
    clear, day, month = (
        [form for form in forms if form in known]
        for known in (_CLEAR_DATES, _DAY_FIRST, _MONTH_FIRST)
    )
    if clear:
        return Written("date", clear[0])
    if not (day and month):
        return Written("date", (day or month)[0])
    if habits.day_first is not None:
        return Written("date", (day if habits.day_first else month)[0])
    return Written(
        "date",
        day[0],
        f"dates such as {text.iloc[0]!r}, in which the day or the month may come first: "
        f"format {day[0]!r} or {month[0]!r}",
        is_open=True,
    )
