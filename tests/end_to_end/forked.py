"""Commands in processes forked with the imports done, as the backend `warm` runs steps.

What runs is the same file with the same command line, and below it are the same processes:
`main.py` has a forkserver of its own, from which its steps are forked, and `mlflow run` one for the
command of its entry point. Only the seconds of the imports are spared.
"""

import fcntl
import logging
import multiprocessing
import os
import shlex
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import NamedTemporaryFile

from mlflow.projects.backend import local
from mlflow.projects.submitted_run import LocalSubmittedRun
from mlflow.projects.utils import get_run_env_vars

from engine.processes.forkserver import PROJECT, start_forkserver

_NEEDED = ("draft_recipe", "prepare", "train", "sweeping.run", "sweeping.trial", "evaluate",
            "register", "rollback", "score", "monitor", "reproduce")  # fmt: skip
_OURS = ("main", "steps", "modelling", "tracking", "engine", "common")
_LONGEST_SECONDS = 600


class Forked:
    """A command that was started: `python …` without the seconds of its imports."""

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        terminal: str | None = None,
    ) -> None:
        """Starts it.

        Args:
            words: `python`, then `file.py` or `-m module`, then its options.
            folder: where it is typed.
            environment: all of its environment.
            terminal: the path of one that it takes for its own and writes to.
        """
        start_forkserver(["main", *(f"steps.{name}" for name in _NEEDED)])
        self._words = list(words)
        self._output = NamedTemporaryFile(mode="r", encoding="utf-8")  # noqa: SIM115
        output = self._output.name
        self._process = _fork(self._words, str(folder), dict(environment), output, terminal)
        assert self._process.pid
        self.pid: int = self._process.pid

    @property
    def said(self) -> str:
        """Its words so far, but those to a terminal, as one output."""
        return Path(self._output.name).read_text(encoding="utf-8")

    def wait(self, seconds: float = _LONGEST_SECONDS) -> int:
        """Waits for its end; returns its exit code, which is negative after a kill."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"{' '.join(self._words)}: {self.said}")
        return self._process.exitcode

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Waits for its end; returns its exit code and words."""
        return subprocess.CompletedProcess(self._words, self.wait(), self.said)

    def kill(self) -> None:
        """Ends it, if it lives."""
        self._process.kill()


def run_forked(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs such a command to its end."""
    return Forked(words, folder, environment).finish()


def _fork(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    output: str,
    terminal: str | None = None,
) -> BaseProcess:
    process: BaseProcess = multiprocessing.get_context("forkserver").Process(
        target=_become, args=(words, folder, environment, output, terminal)
    )
    process.start()
    return process


def _become(
    words: list[str], folder: str, environment: dict[str, str], output: str, terminal: str | None
) -> None:
    """Becomes the command; a copy of the project imports its own code."""
    if terminal:
        _take_terminal_in_place_of_group(terminal)
    else:
        with open(output, "ab") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
    if Path(words[1]).name == "mlflow":
        local._run_entry_point = partial(_run_entry_point, output)
    place = Path(folder, words[1]).parent if words[1].endswith(".py") else Path(folder)
    places = (place.resolve(), *place.resolve().parents)
    project = next((each for each in places if (each / "MLproject").is_file()), PROJECT)
    if project != PROJECT:
        for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
            del sys.modules[name]
        others = [path for path in sys.path if Path(path) != PROJECT]
        sys.path[:] = [str(project), str(project), *others]  # a script replaces the first one
    forkserver._forkserver.ensure_running = _fork_server
    forkserver.ensure_running = _fork_server
    # At once too: later it would hold what this process waits to see closed.
    own = import_module("engine.processes.forkserver")  # the copy's
    own.start_forkserver_later = own.start_forkserver
    # As `import steps` and MLflow read and set them, which was before.
    quiet = {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    environment = {**quiet, **environment}
    logging.getLogger("mlflow").setLevel(environment["MLFLOW_LOGGING_LEVEL"])
    if isinstance(local._run_entry_point, partial):
        _fork_server()  # at once, for the same reason
    import_module("engine.warm")._run_forked(words, folder, environment)  # the copy's own


def _take_terminal_in_place_of_group(terminal: str) -> None:
    """Opens a terminal; the process will lead a session there when it wants a group of its own."""
    set_group = os.setpgid

    def lead_session(_pid: int, _group: int) -> None:
        os.setpgid = set_group
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that were started with nohup ignore it
    slave = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    for stream in (0, 1, 2):
        os.dup2(slave, stream)
    os.close(slave)
    os.setpgid = lead_session


def _fork_server() -> None:
    """Starts the forkserver of this process as Python does, but for the imports that are done."""
    server = forkserver._forkserver
    if server._forkserver_pid:
        return
    listener = socket.socket(socket.AF_UNIX)
    server._forkserver_address = connection.arbitrary_address("AF_UNIX")
    listener.bind(server._forkserver_address)
    listener.listen()
    is_needed, server._forkserver_alive_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(server._forkserver_alive_fd)
        logging.getLogger("mlflow").setLevel(os.environ.get("MLFLOW_LOGGING_LEVEL", "WARNING"))
        try:
            forkserver.main(listener.detach(), is_needed, server._preload_modules)
        finally:
            os._exit(0)
    server._forkserver_pid = pid
    listener.close()
    os.close(is_needed)


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
