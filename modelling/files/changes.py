"""A file that somebody writes while it is read is no table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import InputError


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Reads a file, or what is in a folder, that stays as it is meanwhile.

    Raises:
        InputError: it did not.
    """
    before = _state(path)
    yield
    if _state(path) != before:
        raise InputError(f"table {path} changed while it was read; start again when it is whole")


def _state(path: Path) -> list[tuple[str, int, int, int]]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(file), file.stat()) for file in files if file.exists()]
    return [(name, each.st_size, each.st_mtime_ns, each.st_ino) for name, each in found]
