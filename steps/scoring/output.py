"""What `score` writes: the scores, and the rows that have none."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as arrow
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from common.errors import InputError

_ENDINGS = (".csv", ".csv.gz", ".parquet")


def check_output(path: Path, overwrite: bool, endings: Sequence[str] = _ENDINGS) -> None:
    """Checks that a file can be written here.

    Raises:
        InputError: it is a folder, or there already, or would be in none, or ends otherwise.
    """
    if not path.name.endswith(tuple(endings)):
        raise InputError(f"output {path} must end in {' or '.join(endings)}")
    if path.is_dir():
        raise InputError(f"output {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise InputError(
            f"output {path}: there is no folder {path.parent}; a relative path starts from where "
            "you stand"
        )
    if path.exists() and not overwrite:
        raise InputError(f"output {path} is there already; overwrite=true replaces it")


class ScoreWriter:
    """Writes batches of scores as CSV, gzipped CSV or Parquet; nothing where none comes."""

    def __init__(self, path: Path, ending_of: Path) -> None:
        """Takes where to write, and the path whose ending says how."""
        self._path = path
        self._name = ending_of.name
        self._open = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def write(self, batch: arrow.RecordBatch) -> None:
        """Writes rows; the columns of the first batch are those of all."""
        if self._writer is None:
            self._writer = self._open.enter_context(self._make(batch.schema))
        self._writer.write_batch(batch)

    def _make(self, schema: arrow.Schema) -> Any:
        if self._name.endswith(".parquet"):
            # A dictionary of numbers that hardly ever come again costs time and room.
            repeated = [field.name for field in schema if not arrow.types.is_primitive(field.type)]
            return arrow_parquet.ParquetWriter(self._path, schema, use_dictionary=repeated)
        compression = "gzip" if self._name.endswith(".gz") else None
        stream = arrow.output_stream(str(self._path), compression=compression)
        return arrow_csv.CSVWriter(self._open.enter_context(stream), schema)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._open.__exit__(kind, error, traceback)
        except OSError:
            # On a full disk closing fails as writing did; the first error says it.
            if error is None:
                raise


class RejectWriter:
    """Writes rows that cannot be scored as CSV: number, reason, raw values; nothing without any."""

    def __init__(self, path: Path, columns: Sequence[str], separator: str = ",") -> None:
        """Takes the columns of the raw values; and the separator of the input, to be read alike."""
        self._path = path
        self._separator = separator
        self._columns = list(columns)
        self._open = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def write(self, row: int, reason: str, values: Mapping[str, Any], line: str = "") -> None:
        """Writes one row; line is the text of one that has no columns."""
        if self._writer is None:
            file = self._open.enter_context(self._path.open("w", encoding="utf-8", newline=""))
            self._writer = csv.writer(file, delimiter=self._separator, lineterminator="\n")
            self._writer.writerow(["row", "reason", *self._columns, "line"])
        self._writer.writerow([row, reason, *(values.get(name) for name in self._columns), line])

    def __exit__(self, *error: object) -> None:
        self._open.close()
