"""The table: read, checked against the recipe, described and digested."""

import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as arrow
import pyarrow.compute as compute
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from common.errors import InputError, unknown_name
from modelling.files.changes import unchanged
from modelling.files.csv_files import (
    CsvForm,
    as_written,
    composed,
    read_header,
    sniff_csv,
    with_numbers,
)
from modelling.formulas import check_kinds, columns_in, parse_condition
from modelling.judging.answers import find_class
from modelling.kinds import KINDS, ColumnType
from modelling.models.sklearn_wrapper import LARGEST_EXACT, evaluate, is_missing, read_column
from modelling.own_code import ask_rows
from modelling.recipe import ColumnCheck, Recipe, limit_text
from modelling.tables.split import is_side, sample_by_content, with_weights

DECIMAL_COMMA = "decimal_comma"
"""What a Parquet file says of itself whose text is that of CSV files in which 1,5 is a number."""

_MOST_CLASSES = 100
_FEWEST_OF_A_CLASS = 2
_MOST_COUNTED = 1_000_000
_CODE = r"[+-]?0\d"  # digits that are no quantity
_DECIMAL_COMMA = "1234,56"
_GAP = "missing"
_NO_GAP = "None"  # as a label; elsewhere it is one, as for pandas


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


def read_table(path: Path, numbers: Collection[str] = (), encoding: str = "") -> pd.DataFrame:
    """Reads a CSV (comma, semicolon, tab or bar; also compressed) or Parquet file.

    The cells of a CSV file stay text, as they are written: what they mean, the kind of their column
    decides. Excel's line `sep=;`, UTF-16 and nameless empty columns are understood, and
    Windows-1252 where it is sure.

    Args:
        path: the file.
        numbers: columns of a CSV file that are read at once if all of their cells are plain
            numbers: the same as what `read_column` makes of their text, in less time and room.
        encoding: of a CSV file, where it is not to be found out.

    Returns:
        The table; of a CSV file with the attributes `decimal_comma`: whether 1,5 may be a number in
        it; and `encoding`.

    Raises:
        InputError: the file is missing, empty, no table, ragged, has no row or two equal columns,
            or changed meanwhile.
    """
    if not path.is_file():
        raise not_there(path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise InputError(f"table {path} is empty")
        with unchanged(path):
            form = None if magic == b"PAR1" else sniff_csv(path, magic, said=encoding)
            table = _read_csv(path, form, numbers) if form else _read_parquet(path)
    except (arrow.ArrowException, OSError, EOFError, UnicodeError, zlib.error) as error:
        raise InputError(f"table {path} cannot be read: {first_line(error)}") from error
    table = table.rename_columns([composed(name) for name in table.column_names])
    check_names(table.column_names, path)
    if not table.num_rows:
        raise InputError(f"table {path} has a header, but no rows")
    # Column by column, and each column of Arrow's goes when it has become one of pandas.
    frame = table.to_pandas(ignore_metadata=True, split_blocks=True, self_destruct=True)
    arrow.default_memory_pool().release_unused()
    if form:
        frame.attrs = {"decimal_comma": form.decimal_comma, "encoding": form.encoding}
    elif (arrow_parquet.read_schema(path).metadata or {}).get(DECIMAL_COMMA.encode()) == b"True":
        frame.attrs = {"decimal_comma": True}
    return frame


def check_names(names: Sequence[str], path: Path) -> None:
    """Checks that the columns have different names.

    Raises:
        InputError: two have the same, or none.
    """
    index = pd.Index(names)
    if not index.is_unique:
        twice = str(index[index.duplicated()][0])
        raise InputError(
            f"table {path} has two columns "
            + (f"named {twice!r}" if twice.strip() else "without a name, with values below it")
        )


def _read_parquet(path: Path) -> arrow.Table:
    """The table as it looks: a named index of pandas is a column, a nameless one is nothing."""
    # Not the whole file at once, beside the table that it becomes.
    table = arrow_parquet.read_table(path, pre_buffer=False, buffer_size=1 << 20)
    nameless = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    table = table.drop_columns(nameless)
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        # Beside a gap pandas makes floats of them, which do not hold all of their digits.
        if column.null_count and arrow.types.is_integer(column.type) and _is_large(column):
            table = table.set_column(place, name, column.cast(arrow.string()))
    return table


def _is_large(column: arrow.ChunkedArray) -> bool:
    ends = compute.min_max(column).as_py()
    return any(end is not None and abs(end) >= LARGEST_EXACT for end in ends.values())


def _read_csv(path: Path, form: CsvForm, numbers: Collection[str]) -> arrow.Table:
    """The cells as text, without the empty columns and rows that Excel leaves at the end."""
    names, form = read_header(path, form)
    table = None
    if numbers and not form.decimal_comma:
        with suppress(arrow.ArrowInvalid):
            table = _read_cells(path, form, with_numbers(names, numbers))
    table = table or _read_cells(path, form, as_written(names))
    empty = [
        place
        for place, name in enumerate(names)
        if not name.strip() and not any(map(_is_there, table.column(place)))
    ]
    table = table.select([place for place in range(len(names)) if place not in empty])
    rows = table.num_rows
    while rows and not any(_is_there(column[rows - 1]) for column in table.columns):
        rows -= 1
    return table.slice(0, rows)


def _read_cells(path: Path, form: CsvForm, convert: arrow_csv.ConvertOptions) -> arrow.Table:
    with form.open(path) as stream:
        return arrow_csv.read_csv(stream, **form.options(), convert_options=convert)


def _is_there(cell: arrow.Scalar) -> bool:
    return cell.is_valid and cell.as_py() != ""


def not_there(path: Path) -> InputError:
    """Says that there is no table here."""
    return InputError(
        f"table {path} is not there; a relative path starts from the recipe's repository or folder"
    )


def first_line(error: Exception) -> str:
    """Returns what an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


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
        name: _read(table[name], check, source, decimal_comma) for name, check in checks.items()
    }
    columns[target] = _read_target(table[target], recipe, source, decimal_comma)
    if recipe.task == "regression":
        checks[target] = ColumnCheck()
    frame = pd.DataFrame(columns, index=table.index, copy=False)
    frame, beyond, outside = _within_limits(frame, checks, recipe.data.outside_limits)
    frame, rare = _without_rare_classes(frame, recipe)
    if frame.empty:
        raise InputError(f"table {source}: no row is left; {', '.join(outside) or 'all are rare'}")
    _check_values(frame, checks, recipe, source)
    checked = len(frame)
    weights = None
    if weight:
        weights = read_weights(table.loc[frame.index, weight], source, decimal_comma)
    if recipe.data.duplicates == "drop":
        frame = frame[~with_weights(frame, weights).duplicated()]
    different = len(frame)
    if recipe.data.sample:
        frame = sample_by_content(frame, recipe.data.sample, weights)
    left = {"missing_target": without_target, "outside_limits": beyond, "rare_classes": rare}
    chosen = {
        **uncounted,
        "duplicates": checked - different,
        "sample": different - len(frame),
    }
    left |= {key: count for key, count in chosen.items() if count}
    weights = None if weights is None else weights.loc[frame.index]
    return CheckedTable(frame, left_out, left, outside, weights)


def read_weights(column: pd.Series, source: str, decimal_comma: bool) -> pd.Series:
    """Reads (n,) weights of rows.

    Raises:
        InputError: one is missing, no number, infinite or below 0; or all are 0.
    """
    weights = _read(column, ColumnCheck(), source, decimal_comma)
    wrong = ~(weights.ge(0) & weights.lt(np.inf))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = weights.iloc[row]
        what = "is missing" if pd.isna(value) else f"is {value:g}"
        raise InputError(
            f"table {source}: data.weight {column.name!r}, row {column.index[row] + 1} {what}"
            f"{_and_more(int(wrong.sum()) - 1)}; a weight is a number from 0 on"
        )
    if not weights.any():
        raise InputError(f"table {source}: data.weight {column.name!r} is 0 in every row")
    return weights


def has_decimal_comma(table: pd.DataFrame) -> bool:
    """Says whether 1,5 may be a number in a table, as `read_table` gives it."""
    return bool(table.attrs.get("decimal_comma", False))


def rows_that_count(
    table: pd.DataFrame, recipe: Recipe, source: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leaves out the rows that do not count, by data.where and data.filter of a recipe.

    Args:
        table: n rows as read, numbered from 0.
        recipe: whose data.columns say how they are read.
        source: the table's path or URI, for messages.

    Returns:
        The others, with their numbers; and by key how many are left out, where any are.

    Raises:
        InputError: a column is missing, or no row is left, or the function of one's own fails.
    """
    table, elsewhere = _where(table, recipe, source)
    table, filtered = _filter(table, recipe, source)
    counts = {"where": elsewhere, "filter": filtered}
    return table, {key: count for key, count in counts.items() if count}


def _where(table: pd.DataFrame, recipe: Recipe, source: str) -> tuple[pd.DataFrame, int]:
    """The rows of which the recipe's condition holds, and how many others there are."""
    data = recipe.data
    if not data.where:
        return table, 0
    tree = parse_condition(data.where)
    decimal_comma = has_decimal_comma(table)
    cells, kinds = {}, {}
    for name in sorted(columns_in(tree)):
        if name not in table.columns:
            raise InputError(
                f"table {source}: data.where: " + unknown_name("column", name, table.columns)
            )
        check = _check_of(table[name], recipe, decimal_comma)
        kinds[name] = check.type
        cells[name] = read_cells(table[name], check.type, check.format, decimal_comma).to_numpy()
    try:
        check_kinds(tree, kinds)
    except ValueError as error:
        raise InputError(f"data.where: {error}") from error
    kept = evaluate(tree, cells, len(table)) == 1
    if not kept.any():
        raise InputError(f"table {source}: data.where: {data.where} leaves no row")
    return table[kept], int((~kept).sum())


def _filter(table: pd.DataFrame, recipe: Recipe, source: str) -> tuple[pd.DataFrame, int]:
    """The rows that the recipe's own function keeps, and how many others there are."""
    path = recipe.data.filter
    if not path:
        return table, 0
    rows = _read_all(table, recipe)
    kept = ask_rows(path, recipe.code, rows, "True or False", _is_bool).to_numpy(dtype=bool)
    if not kept.any():
        raise InputError(f"table {source}: data.filter: {path} leaves no row")
    return table[kept], int((~kept).sum())


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def ask_sides(table: pd.DataFrame, recipe: Recipe, rows: pd.Index) -> pd.Series:
    """Asks the recipe's own function of the split where rows go.

    Args:
        table: as read.
        recipe: with split.function.
        rows: the n numbers, from 0, of those that are trained on or tested.

    Returns:
        (n,) train or test, as text, by the rows' numbers.

    Raises:
        InputError: the function raises, or gives something else.
    """
    read = _read_all(table, recipe).loc[rows].reset_index(drop=True)
    path = str(recipe.split.function)
    return ask_rows(path, recipe.code, read, "train or test", is_side).set_axis(rows)


def _read_all(table: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows with all columns, each read as its kind; what cannot be read is missing."""
    decimal_comma = has_decimal_comma(table)
    table = table.reset_index(drop=True)
    columns = {}
    for name in table.columns:
        check = _check_of(table[name], recipe, decimal_comma)
        columns[name] = read_cells(table[name], check.type, check.format, decimal_comma)
    return pd.DataFrame(columns)


def _check_of(column: pd.Series, recipe: Recipe, decimal_comma: bool) -> ColumnCheck:
    """How any column of the table is read: as declared, or as it shows."""
    name = str(column.name)
    if name in recipe.data.columns:
        return recipe.data.columns[name]
    if name == recipe.data.target and recipe.task == "regression":
        return ColumnCheck(format=recipe.data.target_format)
    return ColumnCheck(type=shown_type(column, decimal_comma))


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
            f"{_and_more(count - 1)}; the target must be known, or data.missing_target: drop"
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
                words.append(f"{name!r} is {what} in row {row}{_and_more(count - 1)}")
            # A model refuses them as well, if it knows no gaps, or an order without that value.
            if outside == "drop" or what == _GAP or check.order:
                left_out |= wrong
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


def _without_rare_classes(frame: pd.DataFrame, recipe: Recipe) -> tuple[pd.DataFrame, int]:
    if recipe.task == "regression" or recipe.data.rare_classes == "refuse":
        return frame, 0
    labels = frame[recipe.data.target]
    rare = labels.map(labels.value_counts()) < _FEWEST_OF_A_CLASS
    return frame[~rare], int(rare.sum())


def _check_values(
    frame: pd.DataFrame, checks: Mapping[str, ColumnCheck], recipe: Recipe, source: str
) -> None:
    is_limited = recipe.data.outside_limits == "refuse"
    for name, check in checks.items():
        values = frame[name]
        for what, wrong in _refused(values, check, is_limited):
            if wrong.any():
                raise InputError(f"table {source}: {_first_refused(values, what, wrong)}")
        share = values.isna().mean()
        if is_limited and check.missing and share > check.missing:
            raise InputError(
                f"table {source}: column {name!r} is missing in {share:.1%} of the rows, more than "
                f"the {check.missing:.1%} that are allowed"
            )
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
    return where + is_what + _and_more(int(wrong.sum()) - 1)


def _column_checks(table: pd.DataFrame, recipe: Recipe, source: str) -> dict[str, ColumnCheck]:
    data = recipe.data
    if data.target not in table.columns:
        raise InputError(f"table {source}: " + unknown_name("target", data.target, table.columns))
    declared = data.columns or {
        str(name): ColumnCheck(type=shown_type(table[name], has_decimal_comma(table)), missing=1.0)
        for name in table.columns
        if name not in (*data.drop, data.target, recipe.split.given_by, data.weight)
    }
    if not declared:
        raise InputError(f"table {source} has no column but the target and the dropped ones")
    return dict(declared)


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


def _read(column: pd.Series, check: ColumnCheck, source: str, decimal_comma: bool) -> pd.Series:
    """Reads a column as its kind, as the model will read it when it predicts."""
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
            f"{str(column.iloc[row])[:60]!r} is not a {kind}{_and_more(int(wrong.sum()) - 1)}"
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
            f"{texts.iloc[row][:60]!r} holds a zero byte{_and_more(len(wrong) - 1)}; it is no text"
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
    return _read(column, check, source, decimal_comma)


def _read_target(column: pd.Series, recipe: Recipe, source: str, decimal_comma: bool) -> pd.Series:
    """The target of a regression as numbers; the labels of a classification as they are."""
    if recipe.task == "regression":
        return _read(column, ColumnCheck(format=recipe.data.target_format), source, decimal_comma)
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
            f"{_and_more(len(rare) - 1, 'such class', 'such classes')}; data.rare_classes: drop "
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


def _and_more(count: int, one: str = "row", many: str = "rows") -> str:
    return f" (and {count} more {many if count > 1 else one})" if count > 0 else ""


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
