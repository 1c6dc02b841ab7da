"""A file with a table, of CSV or Parquet: its cells as they are written."""

import re
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as arrow
import pyarrow.compute as compute
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from common.errors import InputError
from modelling.files.changes import unchanged
from modelling.files.csv_files import (
    CsvForm,
    as_written,
    composed,
    read_header,
    sniff_csv,
    with_numbers,
)
from modelling.models.sklearn_wrapper import LARGEST_EXACT

DECIMAL_COMMA = "decimal_comma"
"""What a Parquet file says of itself whose text is that of CSV files in which 1,5 is a number."""


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
    table = table.drop_columns(list(filter(is_nameless_index, table.column_names)))
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        # Beside a gap pandas makes floats of them, which do not hold all of their digits.
        if column.null_count and arrow.types.is_integer(column.type) and _is_large(column):
            table = table.set_column(place, name, column.cast(arrow.string()))
    return table


def is_nameless_index(name: str) -> bool:
    """Says whether a column of a Parquet file is an index of pandas that has no name."""
    return re.fullmatch(r"__index_level_\d+__", name) is not None


def _is_large(column: arrow.ChunkedArray) -> bool:
    ends = compute.min_max(column).as_py()
    return any(end is not None and abs(end) >= LARGEST_EXACT for end in ends.values())


def _read_csv(path: Path, form: CsvForm, numbers: Collection[str]) -> arrow.Table:
    """The cells as text, without the empty columns that Excel leaves at the end."""
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
    return table.select([place for place in range(len(names)) if place not in empty])


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


def has_decimal_comma(table: pd.DataFrame) -> bool:
    """Says whether 1,5 may be a number in a table, as `read_table` gives it."""
    return bool(table.attrs.get("decimal_comma", False))
