"""Files that are there whole or not at all."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name to write to, and renames what was written when the block ends well.

    The name is `<path>.unfinished-<host>-<process>`; an error removes the file, and so does the
    next one who writes to the path if the process was killed. If nothing was written, what was
    there before is removed too.
    """
    unfinished = path.with_name(f"{path.name}.unfinished-{platform.node()}-{os.getpid()}")
    _remove_left_behind(path)
    try:
        yield unfinished
        if unfinished.exists():
            _to_disk(unfinished)
            unfinished.replace(path)
        else:
            path.unlink(missing_ok=True)
        if os.name == "posix":
            _to_disk(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_left_behind(path: Path) -> None:
    """Removes what killed processes of this host began to write."""
    beginning = f"{path.name}.unfinished-{platform.node()}-"
    for file in path.parent.iterdir():
        number = file.name.removeprefix(beginning)
        if file.name.startswith(beginning) and number.isdecimal() and not _writes(number, file):
            file.unlink(missing_ok=True)


def _writes(number: str, file: Path) -> bool:
    """Whether the process lives and is older than the file: numbers come again."""
    try:
        started = psutil.Process(int(number)).create_time()
        return int(number) != os.getpid() and started <= file.stat().st_ctime
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
