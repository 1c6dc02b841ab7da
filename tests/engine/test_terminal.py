"""What is shown where the output is no terminal."""

import re
import time

import pytest

from engine import terminal
from engine.terminal import LiveLine, folded


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN_LINES", 0.2)


def test_a_file_has_a_line_of_the_seconds_now_and_then(tmp_path, capsys):
    with LiveLine(tmp_path / "step.log"):
        time.sleep(0.7)
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines) <= 3
    assert [line for line in lines if not re.fullmatch(r" {18}\d+ s", line)] == []


def test_a_step_that_speaks_for_itself_needs_no_other_line(tmp_path, capsys):
    log = tmp_path / "step.log"
    log.write_text("# heading\n")
    with LiveLine(log):
        for number in range(7):
            with log.open("a") as file:
                file.write(f"fold {number}\n")
            time.sleep(0.1)
    assert capsys.readouterr().out.splitlines() == [f"fold {number}" for number in range(7)]


def test_a_long_line_goes_on_under_itself_in_a_file_too(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    path = "/" + "long/" * 30
    lines = folded(f"verdict  {'a word or two ' * 10}{path}", indent=9).split("\n")
    assert lines[0].startswith("verdict  a word")
    assert max(map(len, lines[:-1])) <= 80
    assert lines[1].startswith("         ")
    assert lines[-1].strip() == path
