"""The MLflow project backend `warm`: steps forked from a process that has the imports done.

`import engine.warm` registers it, beside MLflow's own `local`, which gives the same results.
"""

import atexit
import logging
import multiprocessing
import os
import runpy
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.projects._project_spec import Project
from mlflow.projects.backend import loader
from mlflow.projects.backend.abstract_backend import AbstractBackend
from mlflow.projects.submitted_run import SubmittedRun
from mlflow.projects.utils import (
    PROJECT_STORAGE_DIR,
    PROJECT_SYNCHRONOUS,
    fetch_and_validate_project,
    get_entry_point_command,
    get_or_create_run,
    get_run_env_vars,
    load_project,
)
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from engine.failures import end_run_unless_ended, making_a_run, one_line
from engine.processes.forkserver import PROJECT, can_fork, start_awaited_forkserver
from engine.processes.guard import parent_variable

PARENT_RUN_ID = "parent_run_id"
"""Key of the backend's configuration: the parent run, whatever thread starts the step."""

_NICENESS = 10  # of what nobody waits for while there are steps

_logger = logging.getLogger(__name__)


class WarmBackend(AbstractBackend):
    """Runs an entry point of this project in a forked process; others through `local`."""

    def run(
        self,
        project_uri: str,
        entry_point: str,
        params: dict[str, Any],
        version: str | None,
        backend_config: dict[str, Any],
        tracking_uri: str,
        experiment_id: str,
    ) -> SubmittedRun:
        """Starts an entry point as `mlflow.run` asks for it, and returns its run at once."""
        if version is None and Path(project_uri).resolve() == PROJECT:
            work_dir, project = str(PROJECT), _own_project()
        else:
            work_dir = fetch_and_validate_project(project_uri, version, entry_point, params)
            project = load_project(work_dir)
        [command] = get_entry_point_command(
            project, entry_point, params, backend_config.get(PROJECT_STORAGE_DIR)
        )
        parent_run_id = backend_config.get(PARENT_RUN_ID)
        reason = _why_not_warm(command, work_dir)
        if reason:
            _logger.warning("%s runs by the backend local: %s", entry_point, reason)
            local = loader.MLFLOW_BACKENDS["local"]()
            # Asynchronously, it would start another mlflow run.
            backend_config = {**backend_config, PROJECT_SYNCHRONOUS: True}
            submitted = local.run(
                project_uri,
                entry_point,
                params,
                version,
                backend_config,
                tracking_uri,
                experiment_id,
            )
            _set_parent(submitted.run_id, parent_run_id)
            return submitted
        with making_a_run:
            run = get_or_create_run(
                None, project_uri, experiment_id, work_dir, version, entry_point, params
            )
            _set_parent(run.info.run_id, parent_run_id)
            environment = {
                **os.environ,
                **parent_variable(),
                **get_run_env_vars(run.info.run_id, experiment_id),
            }
            process = multiprocessing.get_context("forkserver").Process(
                target=_run_forked, args=(shlex.split(command), work_dir, environment)
            )
            # Before the lock goes: who ends all processes then must find this one.
            process.start()
        return WarmSubmittedRun(run.info.run_id, process)


loader.MLFLOW_BACKENDS["warm"] = WarmBackend


class WarmSubmittedRun(SubmittedRun):
    """A forked step. Its exit code decides the run's status, also when nobody waits for it."""

    def __init__(self, run_id: str, process: BaseProcess) -> None:
        super().__init__()
        self._run_id = run_id
        self._process = process
        self._watcher = threading.Thread(target=self._finish, name=f"step {run_id}")
        self._watcher.start()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run_id

    def wait(self) -> bool:
        """Waits for the step to end; returns whether it succeeded."""
        self._watcher.join()
        return self._process.exitcode == 0

    def get_status(self) -> str:
        """Returns the status by the process, as MLflow's names have it."""
        if self._watcher.is_alive():
            return RunStatus.to_string(RunStatus.RUNNING)
        status = RunStatus.FINISHED if self._process.exitcode == 0 else RunStatus.FAILED
        return RunStatus.to_string(status)

    def cancel(self) -> None:
        """Ends the step and all that it started, and waits until they are gone."""
        if self._watcher.is_alive() and self._process.pid:
            try:
                os.killpg(self._process.pid, signal.SIGTERM)
            except ProcessLookupError:
                self._process.terminate()
        self._watcher.join()

    def _finish(self) -> None:
        self._process.join()
        exit_code = self._process.exitcode
        if exit_code == 0:
            return
        if exit_code is not None and exit_code < 0:
            name = signal.Signals(-exit_code).name
            status, line = "KILLED", f"the process was killed by {name}"
        else:
            status, line = "FAILED", f"the process ended with exit code {exit_code}"
        try:
            end_run_unless_ended(self._run_id, status, line)
        except Exception as error:  # nobody sees what a thread raises
            _logger.warning("run %s: %s, and %s", self._run_id, line, one_line(error))


@cache
def _own_project() -> Project:
    """This project as `MLproject` describes it, which takes long to read for each step again."""
    return load_project(str(PROJECT))


def start_beside(words: Sequence[str]) -> BaseProcess:
    """Starts `python …` in a forked process beside the steps; it has no run of its own."""
    start_awaited_forkserver()
    process: BaseProcess = multiprocessing.get_context("forkserver").Process(
        target=_run_beside, args=(["python", *words], str(PROJECT), dict(os.environ))
    )
    process.start()
    return process


def _run_beside(words: list[str], work_dir: str, environment: dict[str, str]) -> None:
    os.nice(_NICENESS)
    _run_forked(words, work_dir, environment)


def _why_not_warm(command: str, work_dir: str) -> str | None:
    """Says why a command cannot be forked; None if it can."""
    words = shlex.split(command)
    if not can_fork():
        return "this platform cannot fork"
    if Path(work_dir).resolve() != PROJECT:
        return f"only {PROJECT} has its imports done, not {work_dir}"
    if shlex.join(words) != command:
        return "its command needs a shell"
    if len(words) < 2 or words[0] != "python":
        return "its command is not python"
    if (words[1] == "-m" and len(words) > 2) or words[1].endswith(".py"):
        return None
    return "its command is neither python file.py nor python -m module"


def _set_parent(run_id: str, parent_run_id: str | None) -> None:
    client = MlflowClient()
    if parent_run_id and client.get_run(run_id).data.tags.get(MLFLOW_PARENT_RUN_ID) is None:
        client.set_tag(run_id, MLFLOW_PARENT_RUN_ID, parent_run_id)


def _run_forked(words: list[str], work_dir: str, environment: dict[str, str]) -> None:
    """Becomes the step, in a forked process that has nothing of its parent's but the imports."""
    forget_the_parent(work_dir, environment)
    try:
        if words[1] == "-m":
            sys.argv = words[2:]
            sys.path[0] = work_dir
            sys.modules.pop(words[2], None)
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words[1:]
            sys.path[0] = str(Path(work_dir, words[1]).parent)
            runpy.run_path(words[1], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # a forked process ends without them


def forget_the_parent(work_dir: str, environment: dict[str, str]) -> None:
    """Makes a forked process one of its own: its group, signals, variables, folder and chance."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(work_dir)
    tempfile.tempdir = None
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
