"""A table of any size as a stream of batches: CSV, a Parquet file, or a folder of these.

What a batch holds does not depend on where it begins: the text of a CSV file stays text until the
model's own kinds say what it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as arrow
import pyarrow.compute as compute
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from modelling.errors import InputError
from modelling.table import BLOCK_BYTES, CsvForm, first_line, not_there, sniff_csv

_BUFFER_BYTES = 1 << 20  # of each column of a Parquet file
_ENDINGS = (".parquet", ".parq", ".pq")
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_WHOLE_NUMBER = r"^(0|-?[1-9]\d*)$"
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
    Parquet columns, one that holds the values of all files, or None where there is no such one.
    """

    path: Path
    columns: list[str]
    texts: frozenset[str]
    row_count: int | None
    form: CsvForm | None = None
    files: tuple[Path, ...] = ()
    types: Mapping[str, arrow.DataType | None] = field(default_factory=dict)

    @property
    def decimal_comma(self) -> bool:
        """Whether its text spells 1.5 as 1,5."""
        return self.form is not None and self.form.decimal_comma

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
        """Reads the table from its beginning; the next batch is read while one is worked on.

        Args:
            columns: to read; the others are passed over.
            batch_rows: the most rows of a batch; memory grows with it, and with nothing else.

        Raises:
            InputError: the table cannot be read any further.
        """
        read = _csv_batches if self.form else _parquet_batches
        return _ahead(_told_in_one_line(read(self, columns, batch_rows), self.path))


def open_stream(path: Path) -> TableStream:
    """Looks at a table without reading it: a CSV (also gzipped) or Parquet file, or a folder.

    Of a folder, all Parquet files below it are one table, in the order of their paths; folders
    named `column=value` add a column. Names that begin with a point or an underscore do not count.

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
        return _open_parquet(path, (path,)) if magic == b"PAR1" else _open_csv(path, magic)
    except (arrow.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"table {path} cannot be read: {first_line(error)}") from error


def _told_in_one_line(batches: Iterator[Batch], path: Path) -> Iterator[Batch]:
    try:
        yield from batches
    except (arrow.ArrowException, OSError, EOFError) as error:
        raise InputError(f"table {path} cannot be read: {first_line(error)}") from error


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before is worked on."""
    end = object()
    with ThreadPoolExecutor(1, "read") as reader:
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item  # type: ignore[misc]


def _check_names(names: Sequence[str], path: Path) -> list[str]:
    twice = pd.Index(names)[pd.Index(names).duplicated()]
    if len(twice):
        raise InputError(f"table {path} has two columns named {twice[0]!r}")
    return list(names)


# CSV


def _open_csv(path: Path, magic: bytes) -> TableStream:
    form = sniff_csv(path, magic)
    with form.open(path) as stream:
        reader = arrow_csv.open_csv(
            stream,
            arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            _parse_options(form, lambda _row: "skip"),
        )
        names = _check_names(reader.schema.names, path)
    return TableStream(path, names, frozenset(names), None, form)


def _parse_options(form: CsvForm, on_broken_row: Any) -> arrow_csv.ParseOptions:
    return arrow_csv.ParseOptions(
        delimiter=form.separator, newlines_in_values=True, invalid_row_handler=on_broken_row
    )


def _csv_batches(table: TableStream, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """The rows as text; a row with too few or too many fields is told by its number."""
    assert table.form is not None  # noqa: S101
    broken: dict[int, tuple[str, str]] = {}

    def keep(row: arrow_csv.InvalidRow) -> str:
        fields = f"has {row.actual_columns} fields, the header has {row.expected_columns}"
        broken[row.number - 1] = fields, row.text  # the header is number 1
        return "skip"

    with table.form.open(table.path) as stream:
        reader = arrow_csv.open_csv(
            stream,
            # Only one thread numbers the broken rows.
            arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            _parse_options(table.form, keep),
            arrow_csv.ConvertOptions(
                include_columns=list(columns) or table.columns[:1],
                column_types=dict.fromkeys(table.columns, arrow.string()),
                strings_can_be_null=True,
                check_utf8=False,  # done by `as_frame`, which names the row
            ),
        )
        next_row = 1
        for block in reader:
            for piece in _pieces(block, batch_rows):
                rows = _numbers(next_row, piece.num_rows, broken)
                next_row = int(rows[-1]) + 1
                passed = {row: broken.pop(row) for row in sorted(broken) if row < next_row}
                yield Batch(arrow.Table.from_batches([piece]), rows, passed)
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
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )
    others = [path.name for path in found if path.suffix not in _ENDINGS]
    if others:
        raise InputError(
            f"folder {folder} holds {others[0]!r}; all its files must end in .parquet "
            "(names that begin with . or _ do not count)"
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
        for column in parquet.schema_arrow:
            types[column.name] = _common(types.get(column.name, column.type), column.type)
        own = [*parquet.schema_arrow.names, *_partition(path, file)]
        names = names or _check_names(own, file)
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
    return TableStream(path, names, texts, rows, files=files, types=types)


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
    return {name: None if value == _NO_PARTITION else unquote(value) for name, value in pairs}


def _parquet_batches(
    table: TableStream, columns: Sequence[str], batch_rows: int
) -> Iterator[Batch]:
    next_row = 1
    for file in table.files:
        partition = _partition(table.path, file)
        wanted = [name for name in columns if name not in partition]
        # Otherwise it keeps all that it has read of the file until the end.
        parquet = arrow_parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        for piece in parquet.iter_batches(batch_rows, columns=wanted):
            values = {name: piece.column(name) for name in wanted}
            for name in set(columns) & set(partition):
                text = arrow.scalar(partition[name], arrow.string())
                values[name] = arrow.repeat(text, piece.num_rows)
            rows = np.arange(next_row, next_row + piece.num_rows)
            next_row += piece.num_rows
            yield Batch(arrow.table({name: values[name] for name in columns}), rows)


# From columns of a file to those that a model takes


def as_frame(
    batch: Batch,
    kinds: Mapping[str, str],
    stream: TableStream,
    numeric_categories: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Returns the rows as the model takes them: each column as training would have read it.

    Args:
        batch: n rows.
        kinds: number, boolean, category or date, of each column that the model reads.
        stream: where the batch is from.
        numeric_categories: categories whose values were numbers or booleans in training.

    Returns:
        n rows, with text left where it does not spell the kind; and by number from 0 the rows with
        a value that is no text at all.
    """
    problems: dict[int, str] = {}
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        values = _one_array(batch.table[name])
        if name in stream.texts or arrow.types.is_string(values.type):
            values, wrong = _valid_text(values)
            for row in wrong:
                problems.setdefault(row, f"column {name!r} is not UTF-8 text")
        if name in stream.texts:
            columns[name] = _spelled(values, kind, stream.decimal_comma, name in numeric_categories)
        elif kind in ("number", "boolean") and _is_plain_number(values.type):
            columns[name] = _as_floats(values)
        else:
            columns[name] = values.to_pandas()
    return pd.DataFrame(columns, copy=False), problems


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


def _spelled(text: arrow.Array, kind: str, decimal_comma: bool, numeric: bool) -> Any:
    """The values that text spells, for a kind."""
    if kind in ("number", "boolean"):
        return _numbers_from(text, decimal_comma)
    if kind == "category" and numeric:
        spelled = compute.replace_substring(text, ",", ".") if decimal_comma else text
        return _canonical(spelled).to_pandas()
    return text.to_pandas()


def _is_plain_number(kind: arrow.DataType) -> bool:
    return arrow.types.is_floating(kind) or arrow.types.is_integer(kind) or kind == arrow.bool_()


def _as_floats(values: arrow.Array) -> npt.NDArray[np.float64]:
    if values.type == arrow.bool_():
        values = values.cast(arrow.uint8())
    return values.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)


def _numbers_from(text: arrow.Array, decimal_comma: bool) -> npt.NDArray[Any]:
    """(n,) float64; or, if some text spells no number, objects with that text among them.

    A number is the same whatever else is in the batch: the nearest one to what is written.
    """
    spelled = compute.replace_substring(text, ",", ".") if decimal_comma else text
    for kind in (arrow.float64(), arrow.bool_()):
        try:
            return _as_floats(spelled.cast(kind))
        except arrow.ArrowInvalid:
            continue
    spelled = compute.utf8_trim_whitespace(spelled)
    is_number = compute.fill_null(compute.match_substring_regex(spelled, _NUMBER), False)
    lower = compute.utf8_lower(spelled)
    is_true, is_false = compute.equal(lower, "true"), compute.equal(lower, "false")
    spelled = compute.if_else(is_number, spelled, None)
    values = _as_floats(spelled.cast(arrow.float64())).astype(object)
    values[compute.fill_null(is_true, False).to_numpy(zero_copy_only=False)] = 1.0
    values[compute.fill_null(is_false, False).to_numpy(zero_copy_only=False)] = 0.0
    for row in np.flatnonzero(pd.isna(values)):
        if text[row].is_valid:
            values[row] = text[int(row)].as_py()
    return values


def _canonical(text: arrow.Array) -> arrow.Array:
    """Numbers and booleans in text, spelled as the model spells them: 7 for 007 and 7.0."""
    if compute.all(compute.match_substring_regex(text, _WHOLE_NUMBER), min_count=0).as_py():
        return text
    return arrow.array([_canonical_value(value) for value in text.to_pylist()], arrow.string())


def _canonical_value(value: str | None) -> str | None:
    if value is None:
        return None
    if value.strip().lower() in ("true", "false"):
        return value.strip().capitalize()
    try:
        return str(int(value))
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number.is_integer() else str(number)


def is_numeric_category(values: Sequence[str]) -> bool:
    """Says whether the values of a category were numbers or booleans before they became text."""
    return bool(values) and all(map(_is_canonical, values))


def _is_canonical(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return value in ("True", "False")
    return _canonical_value(value) == value
