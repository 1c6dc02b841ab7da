"""A terminal of 80 columns: what a person at one sees, with Ctrl-C, and its window to close."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from tests.end_to_end.forked import Forked

_LONGEST_SECONDS = 300
_Found = TypeVar("_Found")


def wait_until(happened: Callable[[], _Found], what: str, seconds_between: float = 0.1) -> _Found:
    """Waits for something that will come, however slow the machine is, and returns it."""
    end = monotonic() + _LONGEST_SECONDS
    while not (found := happened()):
        assert monotonic() < end, f"{what}: not within {_LONGEST_SECONDS} s"
        sleep(seconds_between)
    return found


def _take_terminal() -> None:
    # Tests that were started with nohup, or in the background, ignore what a terminal sends.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A command on a terminal of its own; forked with the imports done if it is `python`."""

    def __init__(self, command: Sequence[str], cwd: Path, variables: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._slave: int | None = slave
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._read = bytearray()
        self._closed = threading.Event()
        environment = {**variables, "TERM": "xterm-256color"}
        self.process: Forked | subprocess.Popen[bytes]
        if command[0] == "python":
            self.process = Forked(command, cwd, environment, os.ttyname(slave))
        else:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        # It never waits in a read: a terminal that is being read cannot be closed.
        while not self._closed.is_set():
            if select.select([self._master], [], [], 0.05)[0]:
                try:
                    self._read += os.read(self._master, 65536)
                except OSError:  # nobody writes there any more
                    return

    @property
    def shown(self) -> str:
        """All that was written to it."""
        return bytes(self._read).decode("utf-8", "replace").replace("\r\n", "\n")

    def press_control_c(self) -> None:
        """What the keys do: SIGINT to whatever is in the foreground."""
        os.write(self._master, b"\x03")

    def wait(self) -> int:
        """Waits for the command's end; returns its exit code."""
        code = self.process.wait(_LONGEST_SECONDS)
        self._let_go()
        self._thread.join(5)
        return code

    def close(self) -> None:
        """Closes the window: SIGHUP to whatever is in the foreground."""
        if not self._closed.is_set():
            self._closed.set()
            self._thread.join()
            self._let_go()
            os.close(self._master)

    def _let_go(self) -> None:
        # Held until then: a forked process opens it itself, and it is gone when nobody has it open.
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None
