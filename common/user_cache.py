"""What this user's processes remember from one to the next, in files below ~/.cache/cuvee."""

import json
import os
from pathlib import Path
from typing import Any


def user_cache() -> Path:
    """Returns the folder for what can be computed again; it need not be there."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cuvee")


def writable_cache(name: str) -> Path | None:
    """Returns a folder in there, made if need be; None if nothing can be written to it."""
    folder = user_cache() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


class Memory:
    """Entries of JSON by name, the newest ones, in a file; a damaged file is an empty one."""

    def __init__(self, file_name: str, most: int) -> None:
        self._file_name = file_name
        self._most = most

    @property
    def file(self) -> Path:
        """Where it is."""
        return user_cache() / self._file_name

    def read(self) -> dict[str, Any]:
        """Returns all entries."""
        try:
            return dict(json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def add(self, entries: dict[str, Any]) -> None:
        """Adds entries; of two writers at once one may lose its own, to be computed again."""
        kept = dict(list({**self.read(), **entries}.items())[-self._most :])
        temporary = self.file.with_suffix(f".{os.getpid()}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(kept), encoding="utf-8")
            temporary.replace(self.file)
        except OSError:
            return
