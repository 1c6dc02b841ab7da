"""Trials: training runs of a sweep, many of them in one process, each a run of its own.

A run, its parameters, its figures and its end are one call of MLflow each, and the connection to
the store, the table and the imports stay from one trial to the next.
"""

import os
import platform
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from common.secrets import hide_secrets
from common.tags import ERROR, LONGEST_TAG
from engine.failures import end_run_unless_ended, one_line
from engine.processes.guard import Guard, process_tags


@dataclass(frozen=True)
class Place:
    """Where trials are recorded, and what does their work.

    function: `module:name` of a function that takes `setting` and returns the one that does a
    trial; step: the entry point that a trial is a run of; tags: of every run.
    """

    tracking_uri: str
    experiment_id: str
    step: str
    tags: Mapping[str, str]
    function: str
    setting: Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One trial to do: how its run is called and tagged, its parameters, and its work."""

    number: int
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    work: Mapping[str, Any]


@dataclass(frozen=True)
class Figures:
    """What the work of a trial gives: metrics as (name, value, step), tags, the result, files."""

    metrics: Sequence[tuple[str, float, int]]
    tags: Mapping[str, str] = field(default_factory=dict)
    result: Any = None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: its run, the result of its work, or the line that says why there is none.

    lost: its process ended first, and it may be tried again.
    """

    number: int
    run_id: str | None
    result: Any = None
    error: str | None = None
    lost: bool = False


Work = Callable[[Mapping[str, Any]], Figures]


class Trials(Protocol):
    """Processes that do trials, here or elsewhere."""

    def begin(self, place: Place) -> None:
        """Takes where the trials are recorded; before the first one."""

    def free(self) -> int:
        """Returns how many more trials can be taken now."""

    def submit(self, trial: Trial) -> None:
        """Takes a trial."""

    def wait(self, seconds: float) -> list[TrialEnd]:
        """Returns the trials that have ended, as soon as there is one."""

    def close(self) -> None:
        """Ends the processes, and with them the trials that are not done."""


def serve(connection: Connection, place: Place) -> None:
    """Does the trials that come through a connection until it is closed, one after the other."""
    trials = _Server(place)
    with Guard(trials.stop):
        trials.serve(connection)


class _Server:
    def __init__(self, place: Place) -> None:
        mlflow.set_tracking_uri(place.tracking_uri)
        self._place = place
        self._client = MlflowClient()
        self._log = _Log(place.step)
        self._own_tags = process_tags()
        self._work: Work | None = None
        self._run: Run | None = None
        self._ending = threading.Lock()

    def serve(self, connection: Connection) -> None:
        """Answers each trial with how it ended."""
        while True:
            try:
                trial = connection.recv()
            except EOFError:
                return
            try:
                ended = self._do(trial)
            except Exception as error:  # the store is away, say: the sweep must know
                ended = self._give_up(trial, one_line(error))
            try:
                connection.send(ended)
            except OSError:
                return

    def stop(self, reason: str, exit_code: int, _parent_is_gone: bool) -> None:
        """Ends the process at once, and says so on the run of the trial."""
        with self._ending:
            if self._run:
                try:
                    self._log.write(self._run, reason + "\n")
                    end_run_unless_ended(self._run.info.run_id, "KILLED", reason)
                except Exception:
                    self._log.remove()
            self._log.remove()
            os._exit(exit_code)

    def _do(self, trial: Trial) -> TrialEnd:
        self._log.begin(trial)
        run = self._client.create_run(
            self._place.experiment_id,
            tags={**self._place.tags, **self._own_tags, **trial.tags},
            run_name=trial.name,
        )
        self._run = run
        run_id = run.info.run_id
        self._client.log_batch(run_id, params=[Param(*pair) for pair in trial.params.items()])
        error: Exception | None = None
        figures = Figures([])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")  # each trial is to be warned, not the first only
                figures = self._working()(trial.work)
        except Exception as caught:
            error = caught
        with self._ending:
            ended = self._record(trial, run, figures, error)
            self._run = None
        return ended

    def _working(self) -> Work:
        if self._work is None:
            module, _, name = self._place.function.partition(":")
            self._work = getattr(import_module(module), name)(self._place.setting)
        return self._work

    def _record(
        self, trial: Trial, run: Run, figures: Figures, error: Exception | None
    ) -> TrialEnd:
        run_id = run.info.run_id
        line = one_line(error) if error else None
        tags = {**figures.tags, **({ERROR: line[:LONGEST_TAG]} if line else {})}
        now = int(datetime.now().timestamp() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, step) for name, value, step in figures.metrics],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for name, content in figures.files.items():
            self._log.add(run, name, content)
        self._log.write(run, "".join(traceback.format_exception(error)) if error else "")
        self._client.set_terminated(run_id, "FAILED" if error else "FINISHED")
        return TrialEnd(trial.number, run_id, figures.result, line)

    def _give_up(self, trial: Trial, line: str) -> TrialEnd:
        run, self._run = self._run, None
        if run:
            try:
                end_run_unless_ended(run.info.run_id, "FAILED", line)
            except Exception as error:
                line = f"{line}; its end could not be recorded: {one_line(error)}"
        return TrialEnd(trial.number, run.info.run_id if run else None, error=line)


class _Log:
    """What a trial prints: kept in a file, for its run, and shown nowhere else."""

    def __init__(self, step: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cuvee-")
        self._path = Path(self._folder.name, f"{step}.log")
        self._step = step
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            os.dup2(file, number)
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        os.close(file)

    def begin(self, trial: Trial) -> None:
        """Starts an empty file with what is tried where."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.truncate(self._path, 0)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        options = " ".join(f"--{name} {value}" for name, value in trial.params.items())
        head = f"# {self._step} on {platform.node()}, {started}: {options}\n"
        self._path.write_text(head, encoding="utf-8")

    def write(self, run: Run, text: str) -> None:
        """Adds a text, and logs the file as an artifact of the trial's run."""
        sys.stdout.flush()
        sys.stderr.flush()
        printed = self._path.read_text(encoding="utf-8", errors="replace")
        self._path.write_text(hide_secrets(printed + text), encoding="utf-8")
        repository = get_artifact_repository(run.info.artifact_uri)
        repository.log_artifact(str(self._path), "logs")

    def add(self, run: Run, name: str, content: bytes) -> None:
        """Logs a file beside it."""
        file = Path(self._folder.name, name)
        file.write_bytes(content)
        get_artifact_repository(run.info.artifact_uri).log_artifact(str(file))
        file.unlink()

    def remove(self) -> None:
        """Removes the file."""
        self._folder.cleanup()
