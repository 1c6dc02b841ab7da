"""What a person sees: colours where they can be shown, a line that moves while a step works."""

import io
import os
import shutil
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

import click

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STEP_WIDTH = 17
"""Of the names of steps, wherever they are listed."""

_WIDTH = 80
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_LINES = 10.0
_CLEAR = "\r\x1b[K"


class _Outlet(io.FileIO):
    """What a standard stream writes to; it takes all, also when nobody reads there any more."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Writes, if that can be done; says that it was."""
        with suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def outlive_the_terminal() -> None:
    """Lets this process go on when its window or pipe is closed, or its output's disk is full.

    All that matters is written to the runs; that it could not be shown is no reason to fail.
    """
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # it was started with the stream closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        raw = _Outlet(number, "w", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw), errors="backslashreplace", line_buffering=True
        )
        setattr(sys, name, stream)


def wants_colour() -> bool | None:
    """Says what NO_COLOR and FORCE_COLOR ask for; None: colours on a terminal only."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def folded(text: str, indent: int = 0) -> str:
    """Returns a line that, where it is too long, goes on under itself, `indent` in.

    That is as wide as the terminal, or 80 columns in a file or a pipe.
    """
    return textwrap.fill(
        text,
        _columns(),
        subsequent_indent=" " * indent,
        break_long_words=False,  # a path or an address is to be copied
        break_on_hyphens=False,
    )


def cut(text: str) -> str:
    """Returns a line that ends with an ellipsis where a terminal does."""
    width = _columns()
    return text if len(text) <= width or not sys.stdout.isatty() else text[: width - 1] + "…"


def _columns() -> int:
    return shutil.get_terminal_size((_WIDTH, 0)).columns


def say(text: str) -> None:
    """Prints text, with the colours that it has where they are wanted."""
    click.echo(text, color=wants_colour())


def say_error(line: str) -> None:
    """Prints the one line that says what is wrong."""
    LiveLine.end()
    click.echo(click.style(line, fg="red"), err=True, color=wants_colour())


class LiveLine:
    """What a person sees while a step works, as a context manager: its words, and its seconds.

    The words are read from the step's log, so that nobody else writes to the terminal. The seconds
    are on a line that moves, if it is a terminal, and is gone when the step is; in a file or a pipe
    they are a new line now and then.
    """

    _shown: ClassVar["LiveLine | None"] = None

    def __init__(self, log: Path) -> None:
        """Takes the file that the step writes; its first line is a heading."""
        self._log = log
        self._position = 0
        self._moves = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._started = self._told = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="terminal", daemon=True)

    def __enter__(self) -> Self:
        LiveLine._shown = self
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @classmethod
    def end(cls) -> None:
        """Ends the line that is shown, if one is: somebody else has something to say."""
        if cls._shown:
            cls._shown._end()

    def _end(self) -> None:
        if self._done.is_set():
            return
        LiveLine._shown = None
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_LOOKS):
            self._show(self._read())
            self._tell_seconds()
        self._show(self._read(to_the_end=True))
        self._draw("")

    def _tell_seconds(self) -> None:
        now = time.monotonic()
        line = f"{'':<{STEP_WIDTH}} {now - self._started:.0f} s"
        if self._moves:
            self._draw(line)
        elif now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            say(line)

    def _read(self, to_the_end: bool = False) -> str:
        """Returns the whole lines that are new in the log."""
        with suppress(FileNotFoundError), self._log.open("rb") as file:
            file.seek(self._position)
            new = file.read()
            end = len(new) if to_the_end else new.rfind(b"\n") + 1
            start = new.find(b"\n") + 1 if self._position == 0 else 0
            self._position += end
            return new[start:end].decode("utf-8", "replace")
        return ""

    def _show(self, words: str) -> None:
        if words:
            self._told = time.monotonic()
            self._draw("")
            click.echo(words, nl=not words.endswith("\n"), color=wants_colour())

    def _draw(self, text: str) -> None:
        if self._moves:
            sys.stdout.write(_CLEAR + text)
            sys.stdout.flush()
