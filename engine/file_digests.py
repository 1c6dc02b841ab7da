"""The sha256 of files, remembered, so that a large table is read only once."""

import hashlib
import time
from pathlib import Path

from engine.memory import Memory

_memory = Memory("file_digests.json", 1000)
# A file that changed this recently might change again without its times showing it.
_SECONDS_UNTIL_TIMES_TELL = 2


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file's content, in hexadecimal.

    It is read in pieces, and not read again while its size, times and place are the same.
    """
    status = path.stat()
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    name = str(path.resolve())
    known = _memory.read().get(name, [])
    if known[:-1] == seen:
        return str(known[-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time() - max(status.st_mtime, status.st_ctime) > _SECONDS_UNTIL_TIMES_TELL:
        _memory.add({name: [*seen, digest]})
    return digest
