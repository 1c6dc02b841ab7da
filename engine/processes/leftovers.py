"""Temporary folders that are gone when this process is, also after `kill -9`."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from engine.command_line import mlflow_run_above
from engine.processes.forkserver import PROJECT
from engine.processes.guard import PARENT_VARIABLE
from engine.provenance.project_state import run_git

_JANITOR = Path(__file__).with_name("janitor.py")
_BY_MKDTEMP = re.compile(r"tmp[a-z0-9_]{8}")
# Start times of processes are known to the second, those of files exactly.
_SECONDS_OF_DOUBT = 1.5


@contextmanager
def vanishing_folder() -> Iterator[Path]:
    """Gives a temporary folder that is removed at the end of the block, or of this process."""
    folder = Path(tempfile.mkdtemp(prefix="cuvee-")).resolve()
    janitor = _start_janitor(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _dismiss(janitor)


def _start_janitor(folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-I", "-S", str(_JANITOR), str(folder)]
    janitor = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
        start_new_session=True,
    )
    if hasattr(os, "fork"):
        janitor.wait()  # the one that remains is its child
    return janitor


def _dismiss(janitor: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        if janitor.stdin:
            janitor.stdin.close()


def remove_what_mlflow_leaves() -> None:
    """Sees to the temporary folders that `mlflow run` makes for this process and never removes.

    The folder for parameters of type path, which no entry point here has, goes at once. The clone
    that it made of a Git URL goes when this process does.
    """
    if "MLFLOW_RUN_ID" not in os.environ or PARENT_VARIABLE in os.environ:
        return
    with suppress(psutil.Error, OSError):
        started, command = mlflow_run_above()
        _remove_storage_folder(started)
        clone = _clone_of(command)
        if clone:
            # The last of all that happens at the end: the code that runs is in there.
            atexit.register(_remove_clone, clone, _start_janitor(clone))


def _remove_clone(clone: Path, janitor: "subprocess.Popen[bytes]") -> None:
    shutil.rmtree(clone, ignore_errors=True)
    _dismiss(janitor)


def _remove_storage_folder(started: float) -> None:
    """Removes the one empty folder that was made when this process was started, if it is one."""
    found = [
        Path(entry.path)
        for entry in os.scandir(tempfile.gettempdir())
        if _BY_MKDTEMP.fullmatch(entry.name)
        and entry.is_dir(follow_symlinks=False)
        and abs(entry.stat().st_mtime - started) < _SECONDS_OF_DOUBT
        and not os.listdir(entry.path)
    ]
    if len(found) == 1:
        found[0].rmdir()


def _clone_of(command: list[str]) -> Path | None:
    """The clone that the `mlflow run` with this command line made of a Git URL; None if none."""
    root = Path(tempfile.gettempdir()).resolve()
    for folder in (PROJECT, *PROJECT.parents):
        if folder.parent == root and _BY_MKDTEMP.fullmatch(folder.name):
            url = run_git(["config", "--get", "remote.origin.url"], folder).strip("\n")
            urls = [word.strip("'\"").partition("#")[0] for word in command]
            return folder if url in urls else None
    return None
