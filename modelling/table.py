"""The table: read, checked against the recipe, described and digested."""

import csv
import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet
from pandera.errors import SchemaErrors

from modelling.errors import InputError, unknown_name
from modelling.recipe import ColumnCheck, Recipe

_SNIFFED_BYTES = 64 * 1024
_SEPARATORS = ",;\t|"
_NO_NUMBERS = {
    "dates": pd.api.types.is_datetime64_any_dtype,
    "durations": pd.api.types.is_timedelta64_dtype,
}


@dataclass(frozen=True)
class CheckedTable:
    """A table that holds what its recipe says.

    frame: the features, then the target, each float64; left_out: the columns of the file that are
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
        raise InputError(
            f"table {path} is not there; a relative path is looked up from the project's root"
        )
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise InputError(f"table {path} is empty")
        table = _read_parquet(path) if magic == b"PAR1" else _read_csv(path, magic)
    except (arrow.ArrowException, OSError, EOFError, zlib.error) as error:
        raise InputError(f"table {path} cannot be read: {_first_line(error)}") from error
    names = pd.Index(table.column_names)
    if not names.is_unique:
        raise InputError(f"table {path} has two columns named {names[names.duplicated()][0]!r}")
    if not table.num_rows:
        raise InputError(f"table {path} has a header, but no rows")
    return table.to_pandas(ignore_metadata=True)


def _read_parquet(path: Path) -> arrow.Table:
    """The table as it looks: a named index of pandas is a column, a nameless one is nothing."""
    table = arrow_parquet.read_table(path)
    nameless = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    return table.drop_columns(nameless)


def _read_csv(path: Path, magic: bytes) -> arrow.Table:
    gzipped = magic.startswith(b"\x1f\x8b")
    with gzip.open(path) if gzipped else path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
    if b"\0" in head:
        raise InputError(f"table {path} is binary, neither CSV nor Parquet")
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < _SNIFFED_BYTES else "ignore")
    except UnicodeDecodeError as error:
        raise InputError(f"table {path} is not UTF-8 text: {error.reason}") from error
    lines = text.strip().splitlines()
    if not lines:
        raise InputError(f"table {path} is empty")
    if len(lines) == 1 and len(head) < _SNIFFED_BYTES:
        raise InputError(f"table {path} has a header, but no rows")
    separator = _separator(text)
    decimal_comma = (
        separator == ";" and re.search(r"\d,\d", text) and not re.search(r"\d\.\d", text)
    )
    with arrow.input_stream(str(path), compression="gzip" if gzipped else None) as stream:
        return arrow_csv.read_csv(
            stream,
            # A message names the row only when one thread reads.
            read_options=arrow_csv.ReadOptions(use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=separator),
            convert_options=arrow_csv.ConvertOptions(
                strings_can_be_null=True, decimal_point="," if decimal_comma else "."
            ),
        )


def _separator(text: str) -> str:
    """The separator that splits the header into most columns; a comma if none does."""
    header = text.splitlines()[:1]
    widths = {mark: len(next(csv.reader(header, delimiter=mark), [])) for mark in _SEPARATORS}
    return max(_SEPARATORS, key=lambda mark: widths[mark])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_table(table: pd.DataFrame, recipe: Recipe, source: str) -> CheckedTable:
    """Checks a table against the recipe and keeps the columns to train on.

    Args:
        table: as read.
        recipe: says which columns there must be, and what they hold.
        source: the table's path or URI, for messages.

    Returns:
        The features and the target as float64, finite or (where allowed) missing.

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
    known = {*checks, *recipe.data.drop, time_column}
    left_out = [name for name in table.columns if name not in known]
    numbers = {name: _to_number(table[name], source) for name in checks}
    frame = pd.DataFrame(numbers, index=table.index)
    try:
        _schema(checks).validate(frame, lazy=True)
    except SchemaErrors as error:
        raise InputError(f"table {source}: {_first_failure(error.failure_cases)}") from error
    if frame[target].nunique() < 2:
        raise InputError(
            f"table {source}: target {target!r} is constant, there is nothing to learn"
        )
    return CheckedTable(frame, left_out)


def _column_checks(table: pd.DataFrame, recipe: Recipe, source: str) -> dict[str, ColumnCheck]:
    data = recipe.data
    if data.target not in table.columns:
        raise InputError(f"table {source}: " + unknown_name("target", data.target, table.columns))
    declared = data.columns or {
        str(name): ColumnCheck(missing=1.0)
        for name in table.columns
        if name not in (*data.drop, data.target, recipe.split.time_column)
    }
    if not declared:
        raise InputError(f"table {source} has no column but the target and the dropped ones")
    return {**declared, data.target: ColumnCheck()}


def _to_number(column: pd.Series, source: str) -> pd.Series:
    for kind, has_kind in _NO_NUMBERS.items():
        if has_kind(column.dtype):
            raise InputError(f"table {source}: column {column.name!r} holds {kind}, not numbers")
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    text = numbers.isna() & column.notna()
    if text.any():
        row = int(np.flatnonzero(text)[0])
        raise InputError(
            f"table {source}: column {column.name!r}, row {row + 1}: "
            f"{str(column.iloc[row])[:60]!r} is not a number{_and_more(int(text.sum()) - 1)}"
        )
    return numbers


def _schema(checks: dict[str, ColumnCheck]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({name: _pandera_column(check) for name, check in checks.items()})


def _pandera_column(check: ColumnCheck) -> pa.Column:
    rules = [pa.Check(np.isfinite, name="finite", ignore_na=True)]
    if check.type == "integer":
        rules.append(pa.Check(lambda column: column % 1 == 0, name="an integer", ignore_na=True))
    if check.type == "boolean":
        rules.append(pa.Check.isin([0, 1], error="a boolean"))
    if check.min is not None:
        rules.append(pa.Check.ge(check.min, error=f"at least {check.min:g}"))
    if check.max is not None:
        rules.append(pa.Check.le(check.max, error=f"at most {check.max:g}"))
    if check.missing:
        rules.append(
            pa.Check(
                lambda column: column.isna().mean() <= check.missing,
                name=f"missing in at most {check.missing:.1%} of the rows",
                ignore_na=False,
            )
        )
    return pa.Column("float64", rules, nullable=check.missing > 0)


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
    return f"{where}: {first['failure_case']:g} is not {first['check']}{more}"


def _and_more(count: int) -> str:
    return f" (and {count} more row{'s' if count > 1 else ''})" if count > 0 else ""


def profile_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Describes each column of a numeric table.

    Returns:
        One row a column: column, rows, missing (count), distinct (count), mean, std, min, the
        quartiles 25%, 50% and 75%, max; in the column's own units.
    """
    profile = frame.describe().T.drop(columns="count")
    profile.insert(0, "rows", len(frame))
    profile.insert(1, "missing", frame.isna().sum())
    profile.insert(2, "distinct", frame.nunique())
    return profile.rename_axis("column").reset_index()


def table_digest(frame: pd.DataFrame) -> str:
    """Returns the sha256 of a numeric table's whole content: names, order and every value."""
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(f"{name}\0{frame[name].dtype}\0{len(frame)}\0".encode())
        digest.update(np.ascontiguousarray(frame[name].to_numpy()).tobytes())
    return digest.hexdigest()
