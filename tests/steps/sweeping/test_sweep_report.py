"""The bar of a sweep, on a terminal and in a file."""

import io
import re
from types import SimpleNamespace

import pytest

from modelling.search.search import TrialResult
from modelling.search.space import Point
from steps.sweeping import shown as sweep_report
from steps.sweeping.shown import Progress

PLAN = SimpleNamespace(
    trials=3,
    greater_is_better=False,
    seconds=None,
    recipe=SimpleNamespace(metrics=SimpleNamespace(primary="rmse")),
)


class _Terminal(io.StringIO):
    """Keeps what was written when it is closed."""

    def close(self):
        self.written = self.getvalue()


def _sweep():
    progress, tried = Progress(PLAN), []
    for number in range(3):
        point = Point("ridge", {"alpha": 0.1 * number})
        progress.show(tried, {number: point})
        tried.append(TrialResult(number, point, "complete", 0.65 - 0.01 * number, (0.6,), "run"))
        progress.show(tried, {})
    progress.close(tried)


def _screen(written):
    """The lines that a terminal shows in the end."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[A|\x1b\[K|.", written, re.DOTALL):
        if part == "\x1b[A":
            row -= 1
        elif part == "\x1b[K":
            lines[row] = lines[row][:column]
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        else:
            lines[row] = f"{lines[row][:column]:<{column}}{part}{lines[row][column + 1 :]}"
            column += 1
    return [line.rstrip() for line in lines], row, column


def test_the_bar_leaves_two_whole_lines_and_the_terminal_below_them(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sweep_report, "open_terminal", lambda: terminal)
    _sweep()
    lines, row, column = _screen(terminal.written)
    assert re.fullmatch(r"trials 3/3 #+ 00:\d\d<00:00", lines[0])
    assert lines[1:] == ["best rmse 0.6300: ridge alpha=0.2", ""]
    assert (row, column) == (2, 0)


@pytest.fixture
def _no_terminal(monkeypatch):
    monkeypatch.setattr(sweep_report, "open_terminal", lambda: None)
    monkeypatch.setattr(sweep_report, "_SECONDS_BETWEEN_LINES", 0.0)


@pytest.mark.usefixtures("_no_terminal")
def test_a_file_has_whole_lines_and_nothing_that_moves(capsys):
    _sweep()
    said = capsys.readouterr().out
    assert not set("\r\x1b") & set(said)
    assert said.splitlines()[-1] == "3/3 trials; best rmse 0.6300: ridge alpha=0.2"
