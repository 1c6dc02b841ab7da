"""How a CSV file is written: its encoding, its separator, and what Excel puts around a table."""

import codecs
import gzip
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import pyarrow as arrow
import pyarrow.csv as arrow_csv

from common.errors import InputError
from modelling.models.sklearn_wrapper import GAPS

BLOCK_BYTES = 8 << 20
"""Of a CSV file that are read at a time; a row must fit in."""

_SNIFFED_BYTES = 1 << 20
_SEPARATORS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"')
_EXCELS_LINE = re.compile(r'\s*"?sep=(.)"?[,;\t ]*')
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_AS_UTF_8 = 'save it as UTF-8 (in Excel: File, Save As, "CSV UTF-8 (Comma delimited)")'
_OTHER_FILES = {
    b"PK\x03\x04": "is a workbook or another zip file, but not named so; a workbook ends in .xlsx",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook, but not named so; let it end in .xls",
    b"SQLi": "is an SQLite database; write its table as CSV or Parquet",
}
# What Windows-1252 must look like to be sure of it: letters of Western Europe that stand alone or
# in pairs among others, none large behind a small one, and usual signs.
_WESTERN = "àâäáãåæçéèêëíìîïñóòôöõøœúùûüýÿß"
_SIGNS = "€£§°µ²³·«»\u2018\u2019“”\u2013—…¡¿º™®©\u00a0"
_UNSURE = re.compile(
    rf"[^\x00-\x7f{_WESTERN}{_WESTERN.upper()}Ÿ{_SIGNS}]"
    rf"|[{_WESTERN}{_WESTERN.upper()}]{{3}}|[a-z{_WESTERN}][{_WESTERN.upper()}]"
    rf"|[A-Za-z][²³¿¡][A-Za-z]|[ÂÃÄÅ][{_SIGNS}]"  # the last is UTF-8 that was broken elsewhere
)


_OF_WESTERN = ("cp1252", "iso8859-1", "iso8859-15")
# What a word with an accent is in UTF-8, and in an encoding of Western Europe never.
_UTF_8_LETTER = re.compile(rb"(?:[A-Za-z]*\xc3[\xa1-\xba\xbc-\xbf])+[A-Za-z]*")
_ZERO_IN_TEXT = re.compile(rb"[^\0,;\t|\r\n]{0,20}\0[^\0,;\t|\r\n]{0,20}")
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1f]")
_FEWEST_LETTERS = 4  # to a zero byte, in a text that was broken


class _TextInPieces:
    """Replaces CRLFs, and leaves out the empty rows that Excel puts at the end of a text."""

    def __init__(self, separator: str) -> None:
        sign = re.escape(separator).encode()
        self._empty_rows = re.compile(rb'\n(?:""(?![^\n%b])|[\n%b])*+\Z' % (sign, sign))
        self._of_empty_rows = b'\r\n"' + separator.encode()
        self._held = b""  # may be the beginning of what the next piece ends

    def __call__(self, piece: arrow.Buffer) -> bytes:
        text = (self._held + piece.to_pybytes()).replace(b"\r\n", b"\n")
        is_end = not piece.size
        whole = self._empty_rows.sub(b"\n", text) if is_end else text.rstrip(self._of_empty_rows)
        self._held = b"" if is_end else text[len(whole) :]
        return whole


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written.

    separator: of its cells; encoding: of its text; first_line: what stands before the header;
    compression: gzip, zstd or None; names: of its columns, where the header has one twice.
    """

    separator: str
    encoding: str
    first_line: str
    compression: str | None
    names: tuple[str, ...] = ()

    @property
    def decimal_comma(self) -> bool:
        """Whether 1,5 may be a number: where the comma does not separate the cells."""
        return self.separator == ";"

    def open(self, path: Path) -> arrow.NativeFile:
        """Opens the text, as UTF-8, without empty rows at its end.

        It has LFs for its CRLFs: those in cells are the file's too.
        """
        stream = arrow.input_stream(str(path), compression=self.compression)
        if self.encoding != "utf-8":
            stream = arrow.transcoding_input_stream(stream, self.encoding, "utf-8")
        return arrow.TransformInputStream(stream, _TextInPieces(self.separator))

    def options(self, on_broken_row: Any = None) -> dict[str, Any]:
        """Returns how Arrow is to read and parse it, in one thread: only one numbers the rows."""
        return {
            "read_options": arrow_csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                skip_rows=bool(self.first_line),
                column_names=self.names or None,
                skip_rows_after_names=bool(self.names),
            ),
            "parse_options": arrow_csv.ParseOptions(
                delimiter=self.separator,
                newlines_in_values=True,
                invalid_row_handler=on_broken_row,
            ),
        }


def read_header(path: Path, form: CsvForm) -> tuple[list[str], CsvForm]:
    """Reads the names of the columns; the second `x` is called `x (2)`.

    Args:
        path: the file.
        form: how it is written.

    Returns:
        The names, and the form by which the file is read with them.
    """
    with form.open(path) as stream:
        names = arrow_csv.open_csv(stream, **form.options(lambda _row: "skip")).schema.names
    different = told_apart(names)
    return different, form if different == names else replace(form, names=tuple(different))


def told_apart(names: Iterable[str]) -> list[str]:
    """Returns the names of columns, of which the second `x` is called `x (2)`."""
    counts: Counter[str] = Counter()
    different = []
    for name in names:
        counts[composed(name)] += bool(name.strip())
        place = counts[composed(name)]
        different.append(f"{name} ({place})" if place > 1 else name)
    return different


def composed(name: str) -> str:
    """Returns a name with each letter as one sign, accent and all, as recipes have names too."""
    return unicodedata.normalize("NFC", name)


def as_written(names: list[str]) -> arrow_csv.ConvertOptions:
    """Cells as they are written: text, and nothing where nothing stands."""
    return arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, arrow.string()),
        strings_can_be_null=True,
        null_values=[""],
        check_utf8=False,
    )


def with_numbers(names: list[str], numbers: Collection[str]) -> arrow_csv.ConvertOptions:
    """Cells as they are written, but for columns of plain numbers and gaps; others are refused."""
    options = arrow_csv.ConvertOptions(strings_can_be_null=False, null_values=GAPS)
    options.column_types = {
        name: arrow.float64() if name in numbers else arrow.string() for name in names
    }
    return options


def sniff_csv(path: Path, magic: bytes, is_strict: bool = True, said: str = "") -> CsvForm:
    """Looks at a CSV file.

    Args:
        path: the file.
        magic: its first bytes.
        is_strict: whether text in an encoding that is not sure is refused; else its rows are left
            to whoever reads them.
        said: the encoding, where it is not to be found out.

    Raises:
        InputError: it is of another sort, in no encoding that is sure, or not in the one that is
            said, or has no row.
    """
    for beginning, what in _OTHER_FILES.items():
        if magic.startswith(beginning):
            raise InputError(f"table {path} {what}")
    starts = _COMPRESSIONS.items()
    compression = next((name for start, name in starts if magic.startswith(start)), None)
    with _open_bytes(path, compression) as file:
        head = file.read(_SNIFFED_BYTES)
    is_whole = len(head) < _SNIFFED_BYTES
    encoding = (
        _checked_encoding(path, compression, said)
        if said
        else _find_encoding(path, compression, head, is_strict)
    )
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)
    errors = "strict" if is_strict else "replace"
    try:  # the last character may be cut
        text = decoder(errors).decode(head, final=is_whole)
    except UnicodeDecodeError as error:
        raise InputError(f"table {path} cannot be read: {error.reason}; {_AS_UTF_8}") from error
    first_line, rest = _excels_line(text)
    lines = rest.strip().splitlines()
    if not lines:
        raise InputError(f"table {path} is empty")
    _refuse_json(path, lines[0])
    if len(lines) == 1 and is_whole:
        raise InputError(f"table {path} has a header, but no rows")
    named = _EXCELS_LINE.fullmatch(first_line)
    return CsvForm(named[1] if named else _separator(rest), encoding, first_line, compression)


def _open_bytes(path: Path, compression: str | None) -> BinaryIO:
    if compression == "zstd":
        return cast("BinaryIO", arrow.input_stream(str(path), compression=compression))
    return cast("BinaryIO", gzip.open(path)) if compression else path.open("rb")


def _excels_line(text: str) -> tuple[str, str]:
    """The line `sep=;` by which Excel is told the separator, if there is one, and the rest."""
    line, _, rest = text.partition("\n")
    return (line.rstrip("\r"), rest) if _EXCELS_LINE.fullmatch(line.rstrip("\r")) else ("", text)


def _separator(text: str) -> str:
    """The separator that splits the header into most columns; a comma if none does."""
    header = _QUOTED.sub("", text.lstrip("\r\n")).splitlines()[:1] or [""]
    return max(_SEPARATORS, key=header[0].count)


def _refuse_json(path: Path, line: str) -> None:
    is_json = re.fullmatch(r"\[\s*(\{.*)?", line) is not None
    if line.startswith("{"):
        try:
            is_json = isinstance(json.loads(line), dict)
        except ValueError:
            is_json = line.strip() == "{"
    if is_json:
        raise InputError(
            f"table {path} is JSON, not CSV; write it as Parquet first: "
            "pandas.read_json(path, lines=True).to_parquet('table.parquet'), without lines=True if "
            "it is one list"
        )


def open_text(path: Path) -> TextIO:
    """Opens a file as UTF-8 text, decompressed as its name says."""
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    return TextIOWrapper(_open_bytes(path, compression), encoding="utf-8-sig")


def _checked_encoding(path: Path, compression: str | None, said: str) -> str:
    """The encoding that is said, unless the file shows that it is another one."""
    encoding = codecs.lookup(said).name
    is_utf_8 = _first_problem(path, compression, "utf-8") is None
    other = _first_problem(path, compression, "ascii")
    if is_utf_8 and other and encoding != "ascii" and not encoding.startswith("utf"):
        line = other.rpartition(" in ")[2]
        raise InputError(f"table {path} is UTF-8 text, as {line} shows; data.encoding says {said}")
    problem = _first_problem(path, compression, encoding)
    if problem:
        raise InputError(f"table {path} is not {said} text: {problem}; see data.encoding")
    if encoding in _OF_WESTERN and (found := _find_first(path, compression, _UTF_8_LETTER)):
        raise InputError(
            f"table {path} mixes encodings: line {found[0]} is UTF-8 text ({found[1].decode()!r}), "
            f"others are {said}"
        )
    return "utf-8" if encoding == "utf-8-sig" else encoding


def _find_encoding(path: Path, compression: str | None, head: bytes, is_strict: bool) -> str:
    """UTF-8, or else Windows-1252 where it is sure: of the whole file, not of its beginning."""
    if head.startswith(_UTF_16):
        return "utf-16"
    if b"\0" in head:
        raise _binary(path, compression, head)
    problem = _first_problem(path, compression, "utf-8")
    if problem is None:
        return "utf-8"
    if not _is_unsure(path, compression):
        return "cp1252"
    if is_strict:
        raise InputError(
            f"table {path} is not UTF-8 text: {problem}; {_AS_UTF_8}, or say data.encoding"
        )
    return "utf-8"


def _binary(path: Path, compression: str | None, head: bytes) -> InputError:
    """Says whether it is no text at all, or where a zero byte broke it."""
    found = _find_first(path, compression, _ZERO_IN_TEXT)
    if not found or head.count(b"\0") * _FEWEST_LETTERS > len(head) or _CONTROLS.search(head):
        return InputError(f"table {path} is binary, neither CSV nor Parquet")
    line, text = found
    shown = text.decode(errors="replace")
    return InputError(f"table {path}, line {line} holds a zero byte ({shown!r}); it is no text")


def _find_first(
    path: Path, compression: str | None, pattern: re.Pattern[bytes]
) -> tuple[int, bytes] | None:
    """The number of the first line that holds a pattern, and what it is; in blocks of lines."""
    before, rest = 1, b""
    with _open_bytes(path, compression) as file:
        for block in _blocks(file):
            text = rest + block
            if found := pattern.search(text):
                return before + text.count(b"\n", 0, found.start()), found[0]
            end = text.rfind(b"\n") + 1
            before, rest = before + text.count(b"\n", 0, end), text[end:][-_SNIFFED_BYTES:]
    return None


def _first_problem(path: Path, compression: str | None, encoding: str) -> str | None:
    line = 1
    decoder = codecs.getincrementaldecoder(encoding)()
    with _open_bytes(path, compression) as file:
        for block in _blocks(file):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line += block.count(b"\n", 0, max(error.start - kept, 0))
                return f"{error.reason} in line {line}"
            line += block.count(b"\n")
    return None


def _is_unsure(path: Path, compression: str | None) -> bool:
    """Whether bytes that are no UTF-8 may be something else than Windows-1252."""
    decoder = codecs.getincrementaldecoder("cp1252")()
    with _open_bytes(path, compression) as file:
        for block in _blocks(file):
            try:
                if not block.isascii() and _UNSURE.search(decoder.decode(block)):
                    return True
            except UnicodeDecodeError:
                return True
    return False


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The content in blocks, and an empty one at the end."""
    while block := file.read(_SNIFFED_BYTES):
        yield block
    yield b""
