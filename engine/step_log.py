"""What a step prints: kept in a file to the last word, and still shown on the terminal."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import ClassVar, TextIO

from common.secrets import hide_secrets

LOG_VARIABLE = "CUVEE_STEP_LOG"

_SECONDS_BETWEEN_LOOKS = 0.05
_PIECE = 64 * 1024


class StepLog:
    """Sends this process's standard output and error to a file, which is shown where they went.

    The file is written directly, so that it holds the last word of a process that is killed. A
    thread copies it to the terminal, unless `main` named the file (LOG_VARIABLE): it does so then.
    """

    original_error: ClassVar[int] = 2
    under_way: ClassVar["StepLog | None"] = None

    def __init__(self, heading: str) -> None:
        """Takes the first line of the file, which the terminal does not show."""
        named = os.environ.get(LOG_VARIABLE)
        descriptor, temporary = (None, named) if named else mkstemp(prefix="cuvee-", suffix=".log")
        if descriptor is not None:
            os.close(descriptor)
        self.path = Path(str(temporary))
        self._is_temporary = named is None
        self._heading = heading + "\n"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log", daemon=True)

    def start(self) -> None:
        """Redirects both streams."""
        self.path.write_text(self._heading, encoding="utf-8")
        self._originals = (os.dup(1), os.dup(2))
        StepLog.original_error = self._originals[1]
        StepLog.under_way = self
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self._redirect(file, file)
        os.close(file)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        if self._is_temporary:
            self._thread.start()

    def stop(self) -> None:
        """Gives both streams back, when all has been copied; a second call does nothing."""
        if self._done.is_set():
            return
        self._redirect(*self._originals)
        StepLog.original_error = 2
        StepLog.under_way = None
        self._done.set()
        if self._is_temporary:
            self._thread.join()
        for original in self._originals:
            os.close(original)

    def read(self) -> str:
        """Returns the heading and what was printed so far, without secrets."""
        return read_log(self.path)

    def remove(self) -> None:
        """Deletes the file, unless `main` named it: it looks after its own."""
        if self._is_temporary:
            self.path.unlink(missing_ok=True)

    @staticmethod
    def _redirect(output: int, error: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(output, 1)
        os.dup2(error, 2)

    def _follow(self) -> None:
        with self.path.open("rb") as file:
            file.seek(len(self._heading.encode()))
            while True:
                done = self._done.is_set()
                while piece := file.read(_PIECE):
                    with suppress(OSError):  # nobody reads there any more
                        os.write(self._originals[0], piece)
                if done:
                    return
                self._done.wait(_SECONDS_BETWEEN_LOOKS)


def read_log(path: Path) -> str:
    """Returns the text of a log without the secrets that something may have printed."""
    return hide_secrets(path.read_text(encoding="utf-8", errors="replace"))


def last_words() -> str:
    """Returns the last line that this process, or one below it, printed; empty without a log."""
    lines = StepLog.under_way.read().split("\n") if StepLog.under_way else []
    return next((line.strip() for line in reversed(lines[1:]) if line.strip()), "")


def open_terminal() -> TextIO | None:
    """Opens the terminal behind the log, where what moves belongs; None if there is none."""
    number = StepLog.original_error
    return os.fdopen(os.dup(number), "w") if os.isatty(number) else None
