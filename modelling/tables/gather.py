"""Several files as one table, and files that are neither CSV nor Parquet: made one Parquet file.

Cells become text, as a CSV file has them, and their column's kind reads them; a column of Parquet
files keeps its type where all files have the same.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as arrow_parquet

from common.errors import InputError
from modelling.files.changes import unchanged
from modelling.files.csv_files import composed, open_text
from modelling.files.endings import JSON_LINES, TABLES, WORKBOOKS, files_that_count
from modelling.files.table_file import DECIMAL_COMMA, check_names, not_there
from modelling.tables.stream import TableStream, named_schema, open_stream

_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class _Source:
    """A table that is to become part of one.

    path: of its file; columns: its names; decimal_comma: whether 1,5 may be a number in it; files:
    of Parquet, whose columns have types; batches: reads columns that are asked for, some rows at a
    time.
    """

    path: Path
    columns: list[str]
    decimal_comma: bool
    files: Sequence[Path]
    batches: Callable[[list[str]], Iterator[arrow.Table]]


def files_below(folder: Path) -> list[Path]:
    """Returns the tables in a folder, but those whose names begin with `.`, `_` or `~$`.

    Raises:
        InputError: there is none, or something else beside them.
    """
    found = files_that_count(folder)
    for path in found:
        if not path.name.lower().endswith(TABLES):
            raise InputError(f"folder {folder} holds {path.name!r}, which is no table")
    if not found:
        raise InputError(f"folder {folder} holds no table")
    return found


def gather(
    files: Sequence[Path],
    target: Path,
    source_column: str | None = None,
    encoding: str = "",
    sheet: str = "",
) -> None:
    """Writes the rows of tables, in this order, as one Parquet file.

    Args:
        files: CSV, Parquet, JSON lines or workbooks, at least one.
        target: where to write.
        source_column: the name of a column with the name of each row's file.
        encoding: of CSV files, where it is not to be found out.
        sheet: of workbooks, where not just one holds anything.

    Raises:
        InputError: one cannot be read, lacks a column of the first, or is written in another way.
            What a later one has besides is left out.
    """
    tables = [_open(file, encoding, sheet) for file in files]
    first = tables[0]
    names = [name for name in first.columns if name.strip()]
    for table in tables:
        missing = [name for name in names if name not in table.columns]
        if missing:
            raise InputError(
                f"table {table.path} has no column {missing[0]!r}, as {first.path} has"
            )
        if table.decimal_comma != first.decimal_comma:
            raise InputError(f"table {table.path} separates by another sign than {first.path}")
    if source_column in names:
        raise InputError(f"data.source_column: the tables have a column {source_column!r}")
    types = _same_types(tables)
    with _Writer(target, {DECIMAL_COMMA: str(first.decimal_comma)}) as writer:
        for table in tables:
            for batch in table.batches(names):
                rows = arrow.table({name: _cast(batch[name], types.get(name)) for name in names})
                if source_column:
                    source = arrow.repeat(arrow.scalar(table.path.name, arrow.string()), len(rows))
                    rows = rows.append_column(source_column, source)
                writer.write(rows)


def _open(file: Path, encoding: str, sheet: str) -> _Source:
    ending = file.name.lower()
    if not ending.endswith((*JSON_LINES, *WORKBOOKS)):
        table = open_stream(file, encoding)
        return _Source(
            file, table.columns, table.decimal_comma, table.files, partial(_batches, table)
        )
    if not file.exists():
        raise not_there(file)
    if ending.endswith(JSON_LINES):
        names = list(dict.fromkeys(name for row in _rows(file) for name in row))
        return _Source(file, names, False, (), partial(_in_batches, partial(_rows, file)))
    # Here, since few tables are workbooks.
    from modelling.tables.workbook import open_sheet

    found = open_sheet(file, sheet)
    return _Source(file, [*found.columns], False, (), partial(_in_batches, found.rows))


def _same_types(tables: Sequence[_Source]) -> dict[str, arrow.DataType]:
    """The types of columns that are of one in all files; none if a file has no types."""
    if not all(table.files for table in tables):
        return {}
    files = [file for table in tables for file in table.files]
    first, *others = [named_schema(arrow_parquet.read_schema(file)) for file in files]
    return {
        name: first.field(name).type
        for name in first.names
        if all(name in other.names and other.field(name) == first.field(name) for other in others)
    }


def _batches(table: TableStream, names: list[str]) -> Iterator[arrow.Table]:
    for batch in table.batches(names, _ROWS_AT_ONCE):
        if batch.broken:
            row = min(batch.broken)
            raise InputError(f"table {table.path}, row {row}: {batch.broken[row][0]}")
        yield batch.table.select(names)


def _cast(column: arrow.ChunkedArray, kind: arrow.DataType | None) -> arrow.ChunkedArray:
    """The column as the type that it has in all files, or as text."""
    if kind is not None:
        return column.cast(kind)
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(arrow.string())
    except arrow.ArrowException as error:
        raise InputError(f"a column of type {column.type} cannot be read as text") from error


def _in_batches(
    read: Callable[[], Iterator[Mapping[str, str | None]]], names: Sequence[str]
) -> Iterator[arrow.Table]:
    rows = read()
    while held := list(islice(rows, _ROWS_AT_ONCE)):
        yield arrow.table(
            {name: arrow.array([row.get(name) for row in held], arrow.string()) for name in names}
        )


def _rows(path: Path) -> Iterator[dict[str, str | None]]:
    """The rows of JSON lines, with each number as it is written."""
    number = 0
    is_empty = True
    try:
        with unchanged(path), open_text(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    is_empty = False
                    yield _row(line, path, number)
    except (UnicodeError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"table {path}, line {number + 1}: {error}") from error
    if is_empty:
        raise InputError(f"table {path} is empty")


def _row(line: str, path: Path, number: int) -> dict[str, str | None]:
    try:
        content = json.loads(line, parse_float=str, parse_int=str)
    except ValueError as error:
        raise InputError(f"table {path}, line {number} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"table {path}, line {number} is no JSON object")
    nested = [name for name, value in content.items() if isinstance(value, dict | list)]
    if nested:
        raise InputError(f"table {path}, line {number}: {nested[0]!r} is no single value")
    return {composed(name): cell_text(value) for name, value in content.items()}


def cell_text(value: Any) -> str | None:
    """Returns a value as a CSV file would have it; nothing for None."""
    return value if value is None or isinstance(value, str) else str(value)


class _Writer:
    """A Parquet file that takes its schema from its first rows."""

    def __init__(self, target: Path, marks: dict[str, str]) -> None:
        self._target = target
        self._marks = marks
        self._file: arrow_parquet.ParquetWriter | None = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file:
            self._file.close()

    def write(self, rows: arrow.Table) -> None:
        """Writes n rows, with the columns of the first ones."""
        rows = rows.replace_schema_metadata(self._marks)
        if self._file is None:
            self._file = arrow_parquet.ParquetWriter(self._target, rows.schema)
        self._file.write_table(rows)


def write_rows(rows: Iterator[Sequence[Any]], names: Sequence[str], target: Path) -> int:
    """Writes rows of values as a Parquet file of text, some at a time; returns how many.

    Raises:
        InputError: two columns have the same name, or a value is no text, number, date or boolean.
    """
    names = [composed(name) for name in names]
    check_names(names, target)
    count = 0
    with _Writer(target, {}) as writer:
        while block := list(islice(rows, _ROWS_AT_ONCE)):
            count += len(block)
            cells = zip(names, zip(*block, strict=True), strict=True)
            texts = {name: _texts(column, name) for name, column in cells}
            arrays = {name: arrow.array(column, arrow.string()) for name, column in texts.items()}
            writer.write(arrow.table(arrays))
    return count


def _texts(column: Sequence[Any], name: str) -> Sequence[str | None]:
    """The values of a column as text; by their types, since there are few of these."""
    kinds = {*map(type, column)}
    for kind in kinds:
        if issubclass(kind, bytes | memoryview | dict | list):
            raise InputError(f"column {name!r} holds values of type {kind.__name__}")
    if kinds <= {str, NoneType}:
        return column
    return [cell_text(value) for value in column] if NoneType in kinds else [*map(str, column)]
