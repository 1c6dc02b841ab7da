"""The sha256 of files, remembered, so that a large table is read only once."""

import hashlib
import json
import os
import time
from pathlib import Path

_MOST_FILES = 1000
# A file that changed this recently might change again without its times showing it.
_SECONDS_UNTIL_TIMES_TELL = 2


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file's content, in hexadecimal.

    It is read in pieces, and not read again while its size, times and place are the same.
    """
    status = path.stat()
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    name = str(path.resolve())
    memory = _read_memory()
    if name in memory and memory[name][:-1] == seen:
        return str(memory[name][-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time() - max(status.st_mtime, status.st_ctime) > _SECONDS_UNTIL_TIMES_TELL:
        _remember(name, [*seen, digest])
    return digest


def _memory_file() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "cuvee", "file_digests.json")


def _read_memory() -> dict[str, list[int | str]]:
    try:
        return dict(json.loads(_memory_file().read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _remember(name: str, entry: list[int | str]) -> None:
    """Adds an entry; two writers at once may lose one of theirs, which costs a reading later."""
    memory = {**_read_memory(), name: entry}
    kept = dict(list(memory.items())[-_MOST_FILES:])
    file = _memory_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(kept), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        return
