"""A step's command in a process forked with the imports done, as the backend `warm` runs steps."""

import multiprocessing
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from engine.forkserver import start_forkserver
from engine.warm import _run_forked

_STEPS = (
    "draft_recipe",
    "prepare",
    "train",
    "evaluate",
    "register",
    "rollback",
    "score",
    "monitor",
)
_LONGEST_SECONDS = 600


def run_forked(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python …` without the seconds of its imports; its words are one output."""
    start_forkserver([f"steps.{step}" for step in _STEPS])
    with NamedTemporaryFile(mode="r", encoding="utf-8") as output:
        process = multiprocessing.get_context("forkserver").Process(
            target=_become, args=(list(words), str(folder), dict(environment), output.name)
        )
        process.start()
        process.join(_LONGEST_SECONDS)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{' '.join(words)}: {output.read()}")
        return subprocess.CompletedProcess(words, process.exitcode or 0, output.read())


def _become(words: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    with open(output, "wb") as file:
        for terminal in (1, 2):
            os.dup2(file.fileno(), terminal)
    _run_forked(words, folder, environment)
