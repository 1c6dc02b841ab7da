"""A table of any size as a stream of batches: CSV, a Parquet file, or a folder of these.

What a batch holds does not depend on where it begins: the text of a CSV file stays text until the
model's own kinds say what it is.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as arrow
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from common.errors import InputError
from modelling.files.changes import unchanged
from modelling.files.csv_files import CsvForm, as_written, composed, read_header, sniff_csv
from modelling.files.endings import PARQUET, files_that_count
from modelling.files.table_file import (
    DECIMAL_COMMA,
    check_names,
    first_line,
    is_nameless_index,
    not_there,
)
from modelling.kinds import KINDS, number_as_text
from modelling.tables.cells import read_numbers

_BUFFER_BYTES = 1 << 20  # of each column of a Parquet file
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """Some rows of a table, in its order.

    table: the columns that were asked for, n rows; rows: (n,) their numbers in the whole table,
    from 1; broken: by number the rows around them that have no columns: why, and their text.
    """

    table: arrow.Table
    rows: npt.NDArray[np.int64]
    broken: dict[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class TableStream:
    """A table that is there and has a header.

    columns: its names; texts: those whose values are text that may spell something else;
    decimal_comma: whether they spell 1.5 as 1,5; row_count: None if only reading tells; types: of
    Parquet columns, one that holds the values of all files, or None where there is no such one;
    written: the names as a CSV file has them.
    """

    path: Path
    columns: list[str]
    texts: frozenset[str]
    row_count: int | None
    decimal_comma: bool = False
    form: CsvForm | None = None
    files: tuple[Path, ...] = ()
    types: Mapping[str, arrow.DataType | None] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
        """Reads the table from its beginning; the next batch is read while one is worked on.

        Args:
            columns: to read; the others are passed over.
            batch_rows: the most rows of a batch; memory grows with it, and with nothing else.

        Raises:
            InputError: the table cannot be read any further, or changed meanwhile.
        """
        read = _csv_batches if self.form else _parquet_batches
        return _ahead(_told_in_one_line(read(self, columns, batch_rows), self.path))


def open_stream(path: Path, encoding: str = "") -> TableStream:
    """Looks at a table without reading it: a CSV (also compressed) or Parquet file, or a folder.

    The encoding of a CSV file is found out if it is not given. Of a folder, all Parquet files below
    it are one table, in the order of their paths; folders named `column=value` add a column. Names
    that begin with `.`, `_` or `~$` do not count.

    Raises:
        InputError: it is missing, empty, no table, or has two equal columns.
    """
    if not path.exists():
        raise not_there(path)
    try:
        if path.is_dir():
            return _open_parquet(path, _files_below(path))
        with path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise InputError(f"table {path} is empty")
        is_parquet = magic == b"PAR1"
        return _open_parquet(path, (path,)) if is_parquet else _open_csv(path, magic, encoding)
    except (arrow.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"table {path} cannot be read: {first_line(error)}") from error


def _told_in_one_line(batches: Iterator[Batch], path: Path) -> Iterator[Batch]:
    try:
        with unchanged(path):
            yield from batches
    except (arrow.ArrowException, OSError, EOFError, zlib.error) as error:
        raise InputError(f"table {path} cannot be read: {first_line(error)}") from error


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before is worked on."""
    end = object()
    with ThreadPoolExecutor(1, "read") as reader:
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item  # type: ignore[misc]


# CSV


def _open_csv(path: Path, magic: bytes, encoding: str) -> TableStream:
    form = sniff_csv(path, magic, is_strict=False, said=encoding)
    header, form = read_header(path, form)
    # What has no name, the empty columns at the end of a sheet among them, nobody can ask for.
    written = {composed(name): name for name in header if name.strip()}
    names = [composed(name) for name in header if name.strip()]
    check_names(names, path)
    comma = form.decimal_comma
    return TableStream(path, names, frozenset(names), None, comma, form, written=written)


def _csv_batches(table: TableStream, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """The rows as text; a row with too few or too many fields is told by its number."""
    assert table.form is not None  # noqa: S101
    broken: dict[int, tuple[str, str]] = {}
    before = 2 if table.form.first_line else 1  # with the header

    def keep(row: arrow_csv.InvalidRow) -> str:
        fields = f"has {row.actual_columns} fields, the header has {row.expected_columns}"
        broken[row.number - before] = fields, row.text
        return "skip"

    wanted = [table.written[name] for name in columns or table.columns[:1]]
    convert = as_written(wanted)
    convert.include_columns = wanted
    with table.form.open(table.path) as stream:
        reader = arrow_csv.open_csv(stream, **table.form.options(keep), convert_options=convert)
        next_row = 1
        for block in reader:
            for piece in _pieces(block, batch_rows):
                rows = _numbers(next_row, piece.num_rows, broken)
                next_row = int(rows[-1]) + 1
                passed = {row: broken.pop(row) for row in sorted(broken) if row < next_row}
                part = arrow.Table.from_batches([piece])
                yield Batch(part.rename_columns(list(columns or table.columns[:1])), rows, passed)
        if broken:
            empty = arrow.table({name: arrow.array([], arrow.string()) for name in columns})
            yield Batch(empty, np.array([], np.int64), dict(sorted(broken.items())))


def _pieces(block: arrow.RecordBatch, most: int) -> Iterator[arrow.RecordBatch]:
    for start in range(0, block.num_rows, most):
        yield block.slice(start, most)


def _numbers(first: int, count: int, broken: Mapping[int, Any]) -> npt.NDArray[np.int64]:
    """The numbers of the next rows, around those that are broken."""
    numbers = np.arange(first, first + count + len(broken))
    return np.setdiff1d(numbers, list(broken), assume_unique=True)[:count]


# Parquet


def _files_below(folder: Path) -> tuple[Path, ...]:
    found = files_that_count(folder)
    others = [path.name for path in found if path.suffix not in PARQUET]
    if others:
        raise InputError(
            f"folder {folder} holds {others[0]!r}; all its files must end in .parquet "
            "(names that begin with ., _ or ~$ do not count)"
        )
    if not found:
        raise InputError(f"folder {folder} holds no Parquet file")
    return tuple(found)


def _open_parquet(path: Path, files: tuple[Path, ...]) -> TableStream:
    """All files must have the columns of the first."""
    names: list[str] = []
    types: dict[str, arrow.DataType | None] = {}
    rows = 0
    for file in files:
        parquet = arrow_parquet.ParquetFile(file)
        schema = named_schema(parquet.schema_arrow)
        for column in schema:
            types[column.name] = _common(types.get(column.name, column.type), column.type)
        own = [*schema.names, *_partition(path, file)]
        if not names:
            check_names(own, file)
            names = own
        missing = [name for name in names if name not in own]
        if missing:
            raise InputError(
                f"folder {path}: {file.relative_to(path)} has no column {missing[0]!r}, as "
                f"{files[0].relative_to(path)} has"
            )
        rows += parquet.metadata.num_rows
    if not rows:
        raise InputError(f"table {path} has no rows")
    texts = frozenset(_partition(path, files[0]))
    marks = arrow_parquet.read_schema(files[0]).metadata or {}
    comma = marks.get(DECIMAL_COMMA.encode()) == b"True"
    return TableStream(path, names, texts, rows, comma, files=files, types=types)


def named_schema(schema: arrow.Schema) -> arrow.Schema:
    """Returns the columns of a Parquet file by the names that `read_table` gives them."""
    kept = [column for column in schema if not is_nameless_index(column.name)]
    return arrow.schema([column.with_name(composed(column.name)) for column in kept])


def _common(one: arrow.DataType | None, other: arrow.DataType) -> arrow.DataType | None:
    """The type that holds the values of both; pandas makes another of integers with a gap."""
    if one is None or one == other:
        return one
    schemas = [arrow.schema([("", kind)]) for kind in (one, other)]
    try:
        return arrow.unify_schemas(schemas, promote_options="permissive").field(0).type
    except arrow.ArrowException:
        return None


def _partition(folder: Path, file: Path) -> dict[str, str | None]:
    """The columns that the folders `name=value` on the way to a file are."""
    parts = file.relative_to(folder).parent.parts if file != folder else ()
    pairs = [part.split("=", 1) for part in parts if "=" in part]
    return {
        composed(name): None if value == _NO_PARTITION else unquote(value) for name, value in pairs
    }


def _parquet_batches(
    table: TableStream, columns: Sequence[str], batch_rows: int
) -> Iterator[Batch]:
    next_row = 1
    for file in table.files:
        partition = _partition(table.path, file)
        wanted = [name for name in columns if name not in partition]
        # Otherwise it keeps all that it has read of the file until the end.
        parquet = arrow_parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        written = {composed(name): name for name in parquet.schema_arrow.names}
        for piece in parquet.iter_batches(batch_rows, columns=[written[name] for name in wanted]):
            values = {name: piece.column(written[name]) for name in wanted}
            for name in set(columns) & set(partition):
                text = arrow.scalar(partition[name], arrow.string())
                values[name] = arrow.repeat(text, piece.num_rows)
            rows = np.arange(next_row, next_row + piece.num_rows)
            next_row += piece.num_rows
            yield Batch(arrow.table({name: values[name] for name in columns}), rows)


# From columns of a file to those that a model takes


def as_frame(
    batch: Batch,
    features: Mapping[str, Any],
    stream: TableStream,
    numeric_categories: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Returns the rows as the model takes them: each column as training would have read it.

    Args:
        batch: n rows.
        features: of the model, as `fit_features` gives them.
        stream: where the batch is from.
        numeric_categories: of a model that knows no spellings, the categories whose values were
            numbers or booleans in training.

    Returns:
        n rows, with text left where it does not spell the kind; and by number from 0 the rows with
        a value that is no text at all.
    """
    problems: dict[int, str] = {}
    columns: dict[str, Any] = {}
    for name, kind in features["columns"].items():
        values = _one_array(batch.table[name])
        if arrow.types.is_string(values.type):
            values, wrong = _valid_text(values)
            for row in wrong:
                problems.setdefault(row, _no_text(name))
        elif KINDS[kind].is_text and arrow.types.is_integer(values.type):
            values = values.cast(arrow.string())  # pandas makes floats of them beside a gap
        columns[name] = values.to_pandas()
    frame = read_numbers(pd.DataFrame(columns, copy=False), features, stream.decimal_comma)
    for name in numeric_categories:
        if name in stream.texts:
            text = frame[name].str.replace(",", ".") if stream.decimal_comma else frame[name]
            frame[name] = text.map(lambda value: number_as_text(value) or value, "ignore")
    return frame, problems


def find_broken_text(batch: Batch, names: Collection[str]) -> dict[int, str]:
    """Returns by number from 0 the rows with a value in these columns that is no text at all."""
    problems: dict[int, str] = {}
    for name in sorted(names):
        values = _one_array(batch.table[name])
        if arrow.types.is_string(values.type):
            problems |= dict.fromkeys(_valid_text(values)[1], _no_text(name))
    return problems


def _no_text(name: str) -> str:
    return f"column {name!r} is not UTF-8 text"


def _one_array(column: arrow.ChunkedArray) -> arrow.Array:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(array, arrow.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else arrow.array([], column.type)
    if arrow.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if arrow.types.is_large_string(array.type) or arrow.types.is_string_view(array.type):
        array = array.cast(arrow.string())
    return array


def _valid_text(text: arrow.Array) -> tuple[arrow.Array, list[int]]:
    """The text with marks in place of what is not UTF-8, and the rows where that was."""
    try:
        text.validate(full=True)
        return text, []
    except arrow.ArrowInvalid:
        values = text.cast(arrow.binary()).to_pylist()
    kept = [value if value is None else value.decode(errors="replace") for value in values]
    wrong = [
        row
        for row, value in enumerate(values)
        if value is not None and value.decode(errors="replace").encode() != value
    ]
    return arrow.array(kept, arrow.string()), wrong


def is_numeric_category(values: Sequence[str]) -> bool:
    """Says whether the values of a category were numbers or booleans before they became text."""
    return bool(values) and all(map(_is_canonical, values))


def _is_canonical(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return value in ("True", "False")
    return number_as_text(value) == value
