"""Processes and what becomes of them: who they are, whether they live, how a tree of them ends."""

import os
import platform
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Self

import psutil

from common.tags import HOST, PID, PROCESS_STARTED

PARENT_VARIABLE = "CUVEE_PARENT"

_ENDING = {
    number
    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", None))
    if number is not None
}
_SHELLS = ("bash", "sh", "zsh", "dash", "cmd.exe")
_SECONDS_BETWEEN_LOOKS = 0.3
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class ProcessId:
    """A process of this host: its number, and when it started, since numbers come again.

    started: in seconds; on Linux since the boot, for the time of day may be set meanwhile.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Returns the identity of a living process."""
        epoch = psutil.boot_time() if psutil.LINUX else 0.0
        return cls(process.pid, process.create_time() - epoch)

    @classmethod
    def current(cls) -> Self:
        """Returns the identity of this process."""
        return cls.of(psutil.Process())

    def is_alive(self) -> bool:
        """Says whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(ProcessId.of(process).started - self.started) < 0.5
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def process_tags() -> dict[str, str]:
    """Returns the tags by which a run tells which process it is."""
    own = ProcessId.current()
    return {HOST: platform.node(), PID: str(own.pid), PROCESS_STARTED: f"{own.started:.2f}"}


def process_of(tags: Mapping[str, str]) -> tuple[str, ProcessId] | None:
    """Returns the host and the process that a run's tags name; None if they do not."""
    try:
        process = ProcessId(int(tags[PID]), float(tags[PROCESS_STARTED]))
        return tags[HOST], process
    except (KeyError, ValueError):
        return None


def parent_variable() -> dict[str, str]:
    """Returns the environment variable by which a step knows this process as its parent."""
    own = ProcessId.current()
    return {PARENT_VARIABLE: f"{own.pid}:{own.started:.2f}"}


@contextmanager
def environment_variables(changed: Mapping[str, str]) -> Iterator[None]:
    """Changes variables of this process's environment for the time of the block."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _parents() -> list[ProcessId]:
    """The processes without which this one must not go on.

    A step's is its `main`. Whatever `mlflow run` started ends with it: that is the parent, and
    where the parent is the shell that activated the environment, the shell's parent too.
    """
    if PARENT_VARIABLE in os.environ:
        pid, started = os.environ[PARENT_VARIABLE].split(":")
        return [ProcessId(int(pid), float(started))]
    if "MLFLOW_RUN_ID" not in os.environ:
        return []
    parents: list[ProcessId] = []
    process = psutil.Process()
    while (parent := process.parent()) and (not parents or process.name() in _SHELLS):
        parents.append(ProcessId.of(parent))
        process = parent
    return parents


# When imported, which entry points do before anything that takes long: later, a parent that has
# gone in the meantime could not be told from one that never was.
_STARTED_BY = _parents()


class Guard:
    """Watches, in a thread, for the signals that end a process and for the end of its parents.

    A thread, because a signal handler of Python waits until a long fit in C returns.
    """

    def __init__(self, stop: Callable[[str, int, bool], None]) -> None:
        """Takes what is called, once, and ends the process.

        It is given the reason, the exit code, and whether the reason is that a parent is gone.
        """
        self._stop = stop
        self._was_interrupted = False
        self._parents = _parents() if PARENT_VARIABLE in os.environ else _STARTED_BY
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in _ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it for SIGHUP
                signal.signal(number, _leave_to_the_guard)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        signal.set_wakeup_fd(-1)
        self._write.close()
        self._thread.join()
        self._read.close()

    def _watch(self) -> None:
        while True:
            ready, _, _ = select.select([self._read], [], [], _SECONDS_BETWEEN_LOOKS)
            if ready:
                numbers = self._read.recv(16)
                if not numbers:
                    return None
                ending = [number for number in numbers if number in _ENDING]
                if ending and not self._is_excused(ending[0]):
                    name = signal.Signals(ending[0]).name
                    return self._stop(f"ended by {name}", 128 + ending[0], False)
            gone = [parent.pid for parent in self._parents if not parent.is_alive()]
            if gone:
                reason = f"ended because its parent, process {gone[0]}, is gone"
                return self._stop(reason, 1, True)

    def _is_excused(self, number: int) -> bool:
        """Says whether the process itself ends after a signal, when it is ready."""
        if number == signal.SIGINT and _interruptible:
            _interruptible.pop()()
            self._was_interrupted = True
            return True
        if number == signal.SIGTERM and self._was_interrupted:
            self._was_interrupted = False
            return True
        return False


_interruptible: list[Callable[[], None]] = []


@contextmanager
def when_interrupted(act: Callable[[], None]) -> Iterator[None]:
    """Lets the first SIGINT in the block call a function, in the guard's thread, and end nothing.

    `mlflow run`, which gets it too, sends a SIGTERM then, which ends nothing either.
    """
    _interruptible.append(act)
    try:
        yield
    finally:
        _interruptible.clear()


def _leave_to_the_guard(_number: int, _frame: FrameType | None) -> None:
    """Takes the default action from a signal; the guard reads its number from the wakeup file."""


def end_children() -> bool:
    """Ends all processes below this one: asks them, waits some seconds, then kills.

    Returns:
        Whether there were any.
    """
    servers = _servers()
    below = psutil.Process().children(recursive=True)
    children = [child for child in below if child not in servers]
    for child in children:
        _signal(child, signal.SIGTERM)
    _, alive = psutil.wait_procs(children, timeout=_SECONDS_TO_END)
    for child in alive:
        _signal(child, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=1)
    return bool(children)


def end_servers() -> None:
    """Ends the forkserver: it would hold the standard output open until its imports are done."""
    for server in _servers():
        _signal(server, signal.SIGTERM)


def _servers() -> list[psutil.Process]:
    """The servers of multiprocessing, which are needed until the last."""
    own = psutil.Process()
    return [child for child in own.children() if "multiprocessing" in " ".join(_words(child))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
