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

_LONGEST_SECONDS = 300


def wait_until(happened: Callable[[], object], what: str) -> None:
    """Waits for something that will come, however slow the machine is."""
    end = monotonic() + _LONGEST_SECONDS
    while not happened():
        assert monotonic() < end, f"{what}: not within {_LONGEST_SECONDS} s"
        sleep(0.1)


def _take_terminal() -> None:
    # Tests that were started with nohup, or in the background, ignore what a terminal sends.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command: Sequence[str], cwd: Path, variables: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._read = bytearray()
        self._closed = threading.Event()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**variables, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
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
        self._thread.join(5)
        return code

    def close(self) -> None:
        """Closes the window: SIGHUP to whatever is in the foreground."""
        if not self._closed.is_set():
            self._closed.set()
            self._thread.join()
            os.close(self._master)
