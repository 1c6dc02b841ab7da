"""The sha256 of files, remembered, so that a large table is read only once."""

import hashlib
import time
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from common.user_cache import Memory

_memory = Memory("file_digests.json", 1000)
# A file that changed this recently might change again without its times showing it.
_SECONDS_UNTIL_TIMES_TELL = 2
_PIECE = 1 << 20
_SMALL = 1 << 20
_LOOKED_AT = 8000  # as Git tells a binary file


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file's content, in hexadecimal.

    It is read in pieces, and not read again while its size, times and place are the same.
    """
    return _remembered(path, "", lambda file: hashlib.file_digest(file, "sha256").hexdigest())


def text_sha256(path: Path) -> str:
    """Returns what `file_sha256` does, but of a text with its CRLFs as LFs.

    So the digest is the same in a clone in which Git writes them for LFs (`core.autocrlf`). Two
    texts that differ in nothing else cannot be told apart. A file with a NUL in its first 8,000
    bytes, as each gzipped or Parquet file has, is no text.
    """
    return _remembered(path, " as text", _digest_text)


def _digest_text(file: BufferedReader) -> str:
    is_text = b"\0" not in file.read(_LOOKED_AT)
    file.seek(0)
    if not is_text:
        return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for piece in _with_lf(file):
        digest.update(piece)
    return digest.hexdigest()


def _with_lf(file: BufferedReader) -> Iterator[bytes]:
    held = b""  # a CR whose LF may come with the next piece
    while piece := file.read(_PIECE):
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        yield piece[: len(piece) - len(held)].replace(b"\r\n", b"\n")
    yield held


def _remembered(path: Path, kind: str, read: Callable[[BufferedReader], str]) -> str:
    """The digest of a file as it is read, or as it was when it was the same."""
    status = path.stat()
    if status.st_size <= _SMALL:  # as quickly read as remembered
        with path.open("rb") as file:
            return read(file)
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    name = f"{path.resolve()}{kind}"
    known = _memory.read().get(name, [])
    if known[:-1] == seen:
        return str(known[-1])
    with path.open("rb") as file:
        digest = read(file)
    if time.time() - max(status.st_mtime, status.st_ctime) > _SECONDS_UNTIL_TIMES_TELL:
        _memory.add({name: [*seen, digest]})
    return digest
