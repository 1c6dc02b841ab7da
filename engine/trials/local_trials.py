"""Trials on this machine: processes forked from the warm forkserver, which live until the end."""

import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

from engine.processes.forkserver import PROJECT, can_fork
from engine.processes.guard import parent_variable
from engine.trials.trial import Place, Trial, TrialEnd, serve
from engine.warm import forget_the_parent

_SECONDS_TO_END = 5


class LocalTrials:
    """Some processes, each doing one trial at a time."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._workers: list[_Worker] = []

    def begin(self, place: Place) -> None:
        """Starts the processes."""
        self._place = place
        self._workers = [_start(place) for _ in range(self._jobs)]

    def free(self) -> int:
        """Returns how many processes have nothing to do."""
        return sum(worker.trial is None for worker in self._workers)

    def submit(self, trial: Trial) -> None:
        """Gives a trial to a process that has none."""
        worker = next(worker for worker in self._workers if worker.trial is None)
        worker.trial = trial
        try:
            worker.connection.send(trial)
        except OSError:
            return  # it died while it had nothing to do; `wait` finds that

    def wait(self, seconds: float) -> list[TrialEnd]:
        """Returns the trials that have ended; a process that is gone is replaced by another."""
        busy = [worker for worker in self._workers if worker.trial is not None]
        ready = wait([worker.connection for worker in busy], timeout=seconds)
        ended = []
        for worker in busy:
            if worker.connection in ready:
                ended.append(self._receive(worker))
        return ended

    def _receive(self, worker: "_Worker") -> TrialEnd:
        trial, worker.trial = worker.trial, None
        try:
            return cast("TrialEnd", worker.connection.recv())
        except (EOFError, OSError):
            self._workers[self._workers.index(worker)] = _start(self._place)
            number = cast("Trial", trial).number
            return TrialEnd(number, None, error=_end_of(worker), lost=True)

    def close(self) -> None:
        """Closes the connections, which ends the processes; those at work are told to."""
        for worker in self._workers:
            worker.connection.close()
            if worker.trial is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_SECONDS_TO_END)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    trial: Trial | None = None


def _start(place: Place) -> _Worker:
    context = multiprocessing.get_context("forkserver" if can_fork() else "spawn")
    ours, theirs = context.Pipe()
    environment = {**os.environ, **parent_variable()}
    process = context.Process(target=_serve_forked, args=(theirs, place, environment))  # type: ignore[attr-defined]
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve_forked(connection: Connection, place: Place, environment: dict[str, str]) -> None:
    if can_fork():
        forget_the_parent(str(PROJECT), environment)
    serve(connection, place)


def _end_of(worker: _Worker) -> str:
    worker.process.join()
    code = worker.process.exitcode or 0
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
