"""What a worker of a Dask cluster does for a sweep: hands trials to processes of its own.

It comes to the worker with the project's code, in a ZIP file. Only the standard library may be used
here: the scheduler imports this too, and need not have anything else.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

_Sweep = tuple[str, bytes]
"""The ZIP file with a sweep's code, and its place."""

_idle: list["_Process"] = []
_ended_sweeps: set[_Sweep] = set()
_lock = threading.Lock()


class WorkerLostError(Exception):
    """The process of a trial ended before the trial did; it may be tried again."""


def do_trial(archive: str, place: bytes, trial: bytes) -> bytes:
    """Does a trial in a process that stays for the next one.

    Args:
        archive: name of the ZIP file with the project's code.
        place: an `engine.trials.trial.Place`, pickled, as the process reads it.
        trial: an `engine.trials.trial.Trial`, likewise.

    Returns:
        An `engine.trials.trial.TrialEnd`, pickled.

    Raises:
        WorkerLostError: the process ended first.
    """
    process = _take(archive, place)
    try:
        process.connection.send_bytes(trial)
        ended = process.connection.recv_bytes()
    except (EOFError, OSError) as error:
        code = process.popen.wait()
        how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise WorkerLostError(f"its process on {platform.node()} was {how}") from error
    with _lock:
        if process.sweep in _ended_sweeps:
            process.connection.close()
        else:
            _idle.append(process)
    return ended


def end_processes(archive: str, place: bytes) -> None:
    """Ends a sweep's processes: those that have nothing to do now, the others after their trial."""
    with _lock:
        _ended_sweeps.add((archive, place))
        _end_idle(lambda process: process.sweep == (archive, place))


def find_obstacle(store: str, versions: dict[str, str]) -> str | None:
    """Says why this worker cannot do trials; None if it can.

    Args:
        store: an SQLite file that it must see, or "".
        versions: by package; Python's under "python".
    """
    if store and not os.path.exists(store):
        return (
            f"{platform.node()} does not see the store {store}: set MLFLOW_TRACKING_URI to a "
            "tracking server that all workers reach"
        )
    for name, wanted in versions.items():
        found = _version(name)
        if found != wanted:
            return f"{platform.node()} has {name} {found}, this machine {wanted}"
    return None


def _version(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


class _Process:
    def __init__(self, archive: str, place: bytes) -> None:
        self.sweep: _Sweep = (archive, place)
        self.connection, theirs = Pipe()
        # By its name: every worker has what it needs, and a scheduler may lack it.
        parent = import_module("engine.processes.guard").parent_variable()
        environment = {**os.environ, **parent}
        environment.pop("MLFLOW_RUN_ID", None)
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "engine.trials.dask_worker", str(theirs.fileno())],
            cwd=_unpack(archive),
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self.connection.send_bytes(place)


def _take(archive: str, place: bytes) -> _Process:
    """A process for this sweep that has nothing to do; those of other sweeps are ended."""
    with _lock:
        _end_idle(lambda process: process.sweep != (archive, place))
        while _idle:
            process = _idle.pop()
            if process.popen.poll() is None:
                return process
    return _Process(archive, place)


def _end_idle(is_to_end: Callable[["_Process"], bool]) -> None:
    for process in [process for process in _idle if is_to_end(process)]:
        _idle.remove(process)
        process.connection.close()


_unpacking = threading.Lock()
_unpacked: dict[str, tempfile.TemporaryDirectory[str]] = {}


def _unpack(archive: str) -> str:
    with _unpacking:
        if archive not in _unpacked:
            path = next(Path(entry) for entry in sys.path if Path(entry).name == archive)
            folder = tempfile.TemporaryDirectory(prefix="cuvee-")
            with zipfile.ZipFile(path) as file:
                file.extractall(folder.name)
            _unpacked[archive] = folder
        return _unpacked[archive].name


def _serve(descriptor: int) -> None:
    """The process itself: reads its place, then does the trials that come."""
    engine_trial = import_module("engine.trials.trial")
    connection = Connection(descriptor)
    try:
        place = connection.recv()
    except EOFError:
        return
    engine_trial.serve(connection, place)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
