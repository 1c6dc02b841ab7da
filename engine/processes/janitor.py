"""A process that removes folders when another one is gone, however that ended.

    python janitor.py FOLDER ...

It waits for the end of its standard input, whose other end the other process holds. It imports
nothing of the project, which may be in one of the folders, and is nobody's child, so that it is not
ended with the process that it waits for.
"""

import os
import shutil
import sys
import time
from collections.abc import Sequence

_ATTEMPTS = 20
_SECONDS_BETWEEN = 0.5


def wait_and_remove(folders: Sequence[str]) -> None:
    """Removes folders at the end of the standard input, and what dying processes still write."""
    sys.stdin.buffer.read()
    for _ in range(_ATTEMPTS):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_SECONDS_BETWEEN)
        if not any(map(os.path.exists, folders)):
            return


if __name__ == "__main__":
    if not hasattr(os, "fork") or os.fork() == 0:
        wait_and_remove(sys.argv[1:])
