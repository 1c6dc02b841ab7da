"""A user who is a bare number, as in some containers: no name, no home that can be written."""

import getpass
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from common.user_cache import user_cache


def survive_without_account() -> None:
    """Names the user, and a temporary folder for what is remembered, where there are none.

    Both are variables of the environment, so that what runs below this process has them too.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"
    with suppress(OSError):
        user_cache().mkdir(parents=True, exist_ok=True)
        if os.access(user_cache(), os.W_OK):
            return
    folder = Path(tempfile.gettempdir(), f"cuvee_of_uid_{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's: set XDG_CACHE_HOME to one of yours")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
