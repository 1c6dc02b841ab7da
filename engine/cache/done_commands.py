"""A guess, before anything is imported: will this command find all of its steps done?

Then the process from which steps are forked would do its imports for nothing, and take its share of
the cores from this one. A wrong guess costs seconds only: that process is started later.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from common.user_cache import Memory
from engine.cache.code_digests import code_digests

_memory = Memory("done_commands.json", 500)


class Command:
    """What was typed: its words, where, for which store and with which code of the project."""

    def __init__(self, project: Path, modules: Iterable[str]) -> None:
        """Takes the project, and those of its modules that the steps run."""
        self._typed = [*sys.argv, _folder(), os.environ.get("MLFLOW_TRACKING_URI", "")]
        self._project = project
        self._modules = modules

    def was_done(self) -> bool:
        """Says whether it was done before, and each file that it read is still the same."""
        files = _memory.read().get(self._key) or {}
        return bool(files) and all(_state(file) == state for file, state in files.items())

    def remember(self, files: Iterable[str | Path]) -> None:
        """Notes that it is done, and the files that it read; relative ones start here."""
        paths = [os.path.abspath(file) for file in files]
        _memory.add({self._key: {path: _state(path) for path in paths}})

    @cached_property
    def _key(self) -> str:
        code = [code_digests(self._project, module) for module in self._modules]
        return hashlib.sha256(json.dumps([self._typed, code]).encode()).hexdigest()[:16]


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # which is told when the store is looked for there
        return ""


def _state(file: str) -> list[int] | None:
    """Its size and the time of its last change; None if it is no file of this machine."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
