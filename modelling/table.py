"""The table: read, checked against the recipe, described and digested."""

import codecs
import csv
import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet
from pandera.errors import SchemaErrors

from modelling.answers import find_class
from modelling.errors import InputError, unknown_name
from modelling.recipe import ColumnCheck, ColumnType, Recipe, limit_text
from modelling.sklearn_wrapper import is_missing, read_column

BLOCK_BYTES = 8 << 20
"""Of a CSV file that are read at a time; a row must fit in."""

_SNIFFED_BYTES = 64 * 1024
_SEPARATORS = ",;\t|"
_MOST_CLASSES = 100
_MOST_COUNTED = 1_000_000
_CODE = r"\s*[+-]?0\d"  # digits that are no quantity
_DECIMAL = re.compile(r"\s*[+-]?\d*([.,])\d+([eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class CheckedTable:
    """A table that holds what its recipe says.

    frame: the features (float64; text for a category; dates), then the target (float64, or the
    labels of a classification: int64, bool or text); left_out: the columns of the file that are
    neither declared nor dropped.
    """

    frame: pd.DataFrame
    left_out: list[str]


def read_table(path: Path) -> pd.DataFrame:
    """Reads a CSV (comma, semicolon, tab or bar; also gzipped) or Parquet file.

    A semicolon-separated file may write decimals with a comma. Text must be UTF-8.

    Raises:
        InputError: the file is missing, empty, binary, ragged, or has no row or two equal columns.
    """
    if not path.is_file():
        raise not_there(path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise InputError(f"table {path} is empty")
        table = _read_parquet(path) if magic == b"PAR1" else _read_csv(path, magic)
    except (arrow.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"table {path} cannot be read: {first_line(error)}") from error
    names = pd.Index(table.column_names)
    if not names.is_unique:
        raise InputError(f"table {path} has two columns named {names[names.duplicated()][0]!r}")
    if not table.num_rows:
        raise InputError(f"table {path} has a header, but no rows")
    # Column by column, and each column of Arrow's goes when it has become one of pandas.
    frame = table.to_pandas(ignore_metadata=True, split_blocks=True, self_destruct=True)
    arrow.default_memory_pool().release_unused()
    return frame


def _read_parquet(path: Path) -> arrow.Table:
    """The table as it looks: a named index of pandas is a column, a nameless one is nothing."""
    # Not the whole file at once, beside the table that it becomes.
    table = arrow_parquet.read_table(path, pre_buffer=False, buffer_size=1 << 20)
    nameless = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    return table.drop_columns(nameless)


def _read_csv(path: Path, magic: bytes) -> arrow.Table:
    """The table with times of day as they are written, since scoring reads text too."""
    form = sniff_csv(path, magic)
    table = _read_columns(path, form)
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if arrow.types.is_binary(kind):
            raise InputError(f"table {path} is not UTF-8 text: column {name!r}; save it as UTF-8")
    times = [field.name for field in table.schema if _is_time(field.type)]
    if not times or len(set(table.column_names)) < table.num_columns:
        return table
    as_written = _read_columns(path, form, times)
    for name in times:
        table = table.set_column(table.column_names.index(name), name, as_written[name])
    return table


def _is_time(kind: arrow.DataType) -> bool:
    return arrow.types.is_time(kind) or arrow.types.is_timestamp(kind)


def _read_columns(path: Path, form: "CsvForm", as_text: Sequence[str] = ()) -> arrow.Table:
    """All columns, each as what it shows; or only some, as text."""
    with form.open(path) as stream:
        return arrow_csv.read_csv(
            stream,
            # A message names the row only when one thread reads.
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(delimiter=form.separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=as_text,
                column_types=dict.fromkeys(as_text, arrow.string()),
                strings_can_be_null=True,
                decimal_point="," if form.decimal_comma else ".",
            ),
        )


class _WithLf:
    """Replaces CRLFs in a text that comes in pieces."""

    def __init__(self) -> None:
        self._held = b""  # a CR whose LF may come with the next piece

    def __call__(self, piece: arrow.Buffer) -> bytes:
        text = self._held + piece.to_pybytes()
        self._held = b"\r" if piece.size and text.endswith(b"\r") else b""
        return text.removesuffix(self._held).replace(b"\r\n", b"\n")


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written: its separator, its decimal mark, gzipped or not."""

    separator: str
    decimal_comma: bool
    gzipped: bool

    def open(self, path: Path) -> arrow.NativeFile:
        """Opens the text of the file, with LFs for its CRLFs: those in cells are the file's too."""
        stream = arrow.input_stream(str(path), compression="gzip" if self.gzipped else None)
        return arrow.TransformInputStream(stream, _WithLf())


def sniff_csv(path: Path, magic: bytes) -> CsvForm:
    """Looks at the beginning of a CSV file.

    Args:
        path: the file.
        magic: its first bytes.

    Raises:
        InputError: it is binary, no UTF-8 text, or has no row.
    """
    gzipped = magic.startswith(b"\x1f\x8b")
    with gzip.open(path) if gzipped else path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
    if b"\0" in head:
        raise InputError(f"table {path} is binary, neither CSV nor Parquet")
    is_whole = len(head) < _SNIFFED_BYTES
    try:  # the last character may be cut
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=is_whole)
    except UnicodeDecodeError as error:
        line = head.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"table {path} is not UTF-8 text: {error.reason} in line {line}; save it as UTF-8"
        ) from error
    lines = text.strip().splitlines()
    if not lines:
        raise InputError(f"table {path} is empty")
    if len(lines) == 1 and is_whole:
        raise InputError(f"table {path} has a header, but no rows")
    separator = _separator(text)
    rows = lines[1:] if is_whole else lines[1:-1]
    return CsvForm(separator, separator == ";" and _has_decimal_comma(rows), gzipped)


def _has_decimal_comma(rows: Sequence[str]) -> bool:
    """Whether some cell is a number with a comma, and none is one with a point."""
    cells = (cell for row in csv.reader(rows, delimiter=";") for cell in row)
    return {found[1] for cell in cells if (found := _DECIMAL.fullmatch(cell))} == {","}


def _separator(text: str) -> str:
    """The separator that splits the header into most columns; a comma if none does."""
    header = text.splitlines()[:1]
    widths = {mark: len(next(csv.reader(header, delimiter=mark), [])) for mark in _SEPARATORS}
    return max(_SEPARATORS, key=lambda mark: widths[mark])


def not_there(path: Path) -> InputError:
    """Says that there is no table here."""
    return InputError(
        f"table {path} is not there; a relative path is looked up from the project's root"
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
    target = recipe.data.target
    checks = _column_checks(table, recipe, source)
    time_column = recipe.split.time_column
    for name in [*checks, *([time_column] if time_column else [])]:
        if name not in table.columns:
            raise InputError(f"table {source}: " + unknown_name("column", name, table.columns))
    known = {*checks, *recipe.data.drop, target, time_column}
    left_out = [name for name in table.columns if name not in known]
    columns = {
        name: _read(table[name], "number" if check.type == "integer" else check.type, source)
        for name, check in checks.items()
    }
    columns[target] = _read_target(table[target], recipe, source)
    if recipe.task == "regression":
        checks[target] = ColumnCheck()
    frame = pd.DataFrame(columns, index=table.index, copy=False)
    try:
        _schema(checks).validate(frame, lazy=True, inplace=True)
    except SchemaErrors as error:
        raise InputError(f"table {source}: {_first_failure(error.failure_cases)}") from error
    if recipe.task == "classification":
        _check_classes(frame[target], recipe, source)
    elif frame[target].min() == frame[target].max():
        raise InputError(
            f"table {source}: target {target!r} is constant, there is nothing to learn"
        )
    return CheckedTable(frame, left_out)


def _column_checks(table: pd.DataFrame, recipe: Recipe, source: str) -> dict[str, ColumnCheck]:
    data = recipe.data
    if data.target not in table.columns:
        raise InputError(f"table {source}: " + unknown_name("target", data.target, table.columns))
    declared = data.columns or {
        str(name): ColumnCheck(type=shown_type(table[name]), missing=1.0)
        for name in table.columns
        if name not in (*data.drop, data.target, recipe.split.time_column)
    }
    if not declared:
        raise InputError(f"table {source} has no column but the target and the dropped ones")
    return dict(declared)


def shown_type(column: pd.Series) -> ColumnType:
    """Returns the type of a column that nobody declared: a number, category or date.

    Text is a number or a date if every value that is not blank reads as one; but 007 is text.
    """
    if column.dtype.kind == "M":
        return "date"
    known = column[~is_missing(column)]
    if pd.api.types.is_numeric_dtype(column) or known.empty:
        return "number"
    if read_column(known, "number").abs().lt(np.inf).all():
        return "category" if read_column(known, "category").str.match(_CODE).any() else "number"
    return "date" if read_column(known, "date").notna().all() else "category"


def _read(column: pd.Series, kind: str, source: str) -> pd.Series:
    """Reads a column as its kind, as the model will read it when it predicts."""
    values = read_column(column, kind)
    wrong = values.isna() & ~is_missing(column)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"table {source}: column {column.name!r}, row {row + 1}: "
            f"{str(column.iloc[row])[:60]!r} is not a {kind}{_and_more(int(wrong.sum()) - 1)}"
            + ("; a date is written 2026-11-21" if kind == "date" else "")
        )
    return values


def read_time(column: pd.Series, source: str) -> pd.Series:
    """Reads (n,) values that put the rows in order: dates or numbers, missing where a cell is.

    Args:
        column: of the table as read.
        source: the table's path or URI, for messages.

    Raises:
        InputError: a value is text that is neither, whose order would be that of the alphabet.
    """
    kind = shown_type(column)
    return _read(column, "number" if kind == "number" else "date", source)


def _read_target(column: pd.Series, recipe: Recipe, source: str) -> pd.Series:
    """The target of a regression as numbers; the labels of a classification as they are."""
    missing = is_missing(column)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        more = _and_more(int(missing.sum()) - 1)
        raise InputError(
            f"table {source}: column {column.name!r}, row {row + 1} is missing{more}; "
            "the target must be known"
        )
    if recipe.task == "regression":
        return _read(column, "number", source)
    if all(isinstance(value, bool | np.bool_) for value in column):
        return column.astype(bool)
    if not pd.api.types.is_numeric_dtype(column):
        return read_column(column, "category")
    fraction = column % 1 != 0
    if fraction.any():
        row = int(np.flatnonzero(fraction)[0])
        raise InputError(
            f"table {source}: target {column.name!r}, row {row + 1}: {column.iloc[row]:g} is no "
            "class; to predict numbers, set task: regression"
        )
    return column.astype("int64")


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
    rare = [name for name in classes if counts[name] < 2]
    if rare:
        raise InputError(
            f"{target}: class {rare[0]!r} has one row, at least two are needed"
            f"{_and_more(len(rare) - 1, 'such class', 'such classes')}"
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


def _schema(checks: dict[str, ColumnCheck]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({name: _pandera_column(check) for name, check in checks.items()})


def _pandera_column(check: ColumnCheck) -> pa.Column:
    rules = []
    if check.type in ("number", "integer"):
        rules.append(pa.Check(np.isfinite, name="finite", ignore_na=True))
    if check.type == "integer":
        rules.append(pa.Check(lambda column: column % 1 == 0, name="an integer", ignore_na=True))
    if check.min is not None:
        least = f"at least {limit_text(check.min)}"
        rules.append(pa.Check.ge(_limit(check.min), error=least))
    if check.max is not None:
        most = f"at most {limit_text(check.max)}"
        rules.append(pa.Check.le(_limit(check.max), error=most))
    if check.missing:
        rules.append(
            pa.Check(
                lambda column: column.isna().mean() <= check.missing,
                name=f"missing in at most {check.missing:.1%} of the rows",
                ignore_na=False,
            )
        )
    return pa.Column(None, rules, nullable=check.missing > 0)


def _limit(limit: float | date) -> float | pd.Timestamp:
    return pd.Timestamp(limit) if isinstance(limit, date) else limit


def _first_failure(failures: pd.DataFrame) -> str:
    first = failures.iloc[0]
    same = failures[(failures["column"] == first["column"]) & (failures["check"] == first["check"])]
    where = f"column {first['column']!r}"
    if pd.isna(first["index"]):
        return f"{where} is not {first['check']}"
    where += f", row {int(first['index']) + 1}"
    more = _and_more(len(same) - 1)
    if first["check"] == "not_nullable":
        return f"{where} is missing{more}"
    value = first["failure_case"]
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{where}: {shown} is not {first['check']}{more}"


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
