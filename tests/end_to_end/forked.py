"""Commands in processes forked with the imports done, as the backend `warm` runs steps.

What runs is the same file with the same command line; only the seconds of its imports are spared.
`main.py` forks its steps from the same server, and `mlflow run` the command of its entry point.
"""

import logging
import multiprocessing
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import NamedTemporaryFile

from mlflow.projects.backend import local
from mlflow.projects.submitted_run import LocalSubmittedRun
from mlflow.projects.utils import get_run_env_vars

from engine.forkserver import PROJECT, start_forkserver

_NEEDED = ("draft_recipe", "prepare", "train", "sweeping", "trial", "evaluate", "register",
            "rollback", "score", "monitor", "reproduce")  # fmt: skip
_OURS = ("main", "steps", "modelling", "tracking", "engine")
_LONGEST_SECONDS = 600


def run_forked(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python …` without the seconds of its imports; its words are one output.

    Args:
        words: `python`, then `file.py` or `-m module`, then its options.
        folder: where it is typed.
        environment: all of its environment.
    """
    start_forkserver(["main", *(f"steps.{name}" for name in _NEEDED)])
    with NamedTemporaryFile(mode="r", encoding="utf-8") as output:
        process = _fork(list(words), str(folder), dict(environment), output.name)
        process.join(_LONGEST_SECONDS)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{' '.join(words)}: {output.read()}")
        return subprocess.CompletedProcess(words, process.exitcode or 0, output.read())


def _fork(words: list[str], folder: str, environment: dict[str, str], output: str) -> BaseProcess:
    process: BaseProcess = multiprocessing.get_context("forkserver").Process(
        target=_become, args=(words, folder, environment, output)
    )
    process.start()
    return process


def _become(words: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    with open(output, "ab") as file:
        for terminal in (1, 2):
            os.dup2(file.fileno(), terminal)
    if Path(words[1]).name == "mlflow":
        local._run_entry_point = partial(_run_entry_point, output)
    _run(words, folder, environment)


def _run_entry_point(
    output: str, command: str, work_dir: str, experiment_id: str, run_id: str
) -> LocalSubmittedRun:
    """Does what MLflow's own function does, whose process is `bash -c command`."""
    environment = {**os.environ, **get_run_env_vars(run_id, experiment_id)}
    process = _fork(shlex.split(command), work_dir, environment, output)
    return LocalSubmittedRun(run_id, _Popen(process))


class _Popen:
    """What MLflow asks of the process of an entry point."""

    def __init__(self, process: BaseProcess) -> None:
        self.pid = process.pid
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode


def _run(words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Becomes the command; a copy of the project imports its own code."""
    place = Path(folder, words[1]).parent if words[1].endswith(".py") else Path(folder)
    places = (place.resolve(), *place.resolve().parents)
    project = next((each for each in places if (each / "MLproject").is_file()), PROJECT)
    if project != PROJECT:
        for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
            del sys.modules[name]
        others = [path for path in sys.path if Path(path) != PROJECT]
        sys.path[:] = [str(project), str(project), *others]  # a script replaces the first one
    # It is running already: this process has inherited its address.
    forkserver._forkserver.ensure_running = lambda: None
    forkserver.ensure_running = lambda: None
    # As `import steps` and MLflow read and set them, which was before.
    quiet = {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    environment = {**quiet, **environment}
    logging.getLogger("mlflow").setLevel(environment["MLFLOW_LOGGING_LEVEL"])
    warm = import_module("engine.warm")  # the copy's own
    run, warm._run_forked = warm._run_forked, _run  # for the steps of main
    run(words, folder, environment)
