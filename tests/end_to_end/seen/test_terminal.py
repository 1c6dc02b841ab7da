"""What a person at a terminal of 80 columns sees of a pipeline."""

import re

import pytest

from tests.end_to_end.store import PROJECT
from tests.end_to_end.terminal import Terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SECONDS = re.compile(r"\r\x1b\[K +\d+ s")


@pytest.fixture(scope="module")
def run(make_store, environment):
    """Does what `python main.py` does on a terminal; returns its code and all that was written.

    A model is there, but not registered.
    """
    store = make_store(like="champion")
    store.client.delete_registered_model("wine_quality")

    def run(*words, **variables):
        command = ["python", str(PROJECT / "main.py"), *words]
        terminal = Terminal(command, store.folder, {**environment, **variables})
        try:
            return terminal.wait(), terminal.shown
        finally:
            terminal.close()

    return run


@pytest.fixture(scope="module")
def first(run):
    """A run that promotes it, with colours."""
    return run()


@pytest.fixture(scope="module")
def weaker(run, first):
    """A run with long reasons, without colours."""
    return run("--alpha", "0.3", "--l1_ratio", "0.2", NO_COLOR="1")


def screen(written):
    """The lines that stay on the screen, without their colours."""
    lines = COLOUR.sub("", written).removesuffix("\n").split("\n")
    return [line.rpartition("\x1b[K")[2] for line in lines]


@pytest.mark.parametrize("name", ["first", "weaker"])
def test_it_fits_on_a_screen_of_80_columns(name, request):
    code, written = request.getfixturevalue(name)
    assert code == 0, written
    lines = screen(written)
    assert len(lines) < 24
    # Where to look is copied, so it is not broken into lines.
    assert [
        line for line in lines if len(line) > 80 and not line.startswith(("report", "look"))
    ] == []
    assert "INFO" not in written


def test_seconds_move_while_a_step_works_and_are_gone_afterwards(first):
    _, written = first
    assert SECONDS.search(written)
    assert not [line for line in screen(written) if re.fullmatch(r" +\d+ s", line)]
    assert screen(written)[3].startswith("register          runs: the champion went")


def test_a_step_has_one_line_and_the_verdict_as_many_as_it_needs(weaker):
    _, written = weaker
    lines = screen(written)
    (register,) = (line for line in lines if line.startswith("register          runs: "))
    assert len(register) == 80
    assert register.endswith("…")
    (at,) = (number for number, line in enumerate(lines) if line.startswith("verdict  "))
    assert lines[at].startswith("verdict  challenger: passed the gate, but")
    assert re.match(r" {9}\S", lines[at + 1])


def test_the_verdict_has_a_colour_unless_there_shall_be_none(first, weaker):
    assert "\x1b[32m\x1b[1mpromoted\x1b[0m" in first[1]
    assert COLOUR.search(weaker[1]) is None


def test_an_error_is_one_line_and_red(run, first):
    code, written = run("--model", "elastic_nett")
    assert code == 2
    (line,) = written.splitlines()
    assert line.startswith("\x1b[31mmain: ")
    assert "elastic_net" in COLOUR.sub("", line).partition("elastic_nett")[2]


def test_a_step_that_fails_leaves_no_half_line(run, first, tmp_path):
    table = tmp_path / "wines.csv"
    table.write_text("quality\nhigh\n", encoding="utf-8")
    code, written = run("--data", str(table))
    assert code == 1
    lines = [line for line in screen(written) if line]
    assert lines[0].startswith("prepare           runs: ")
    assert lines[-1].startswith("prepare: ")
    assert len([line for line in lines if line.startswith("prepare: ")]) == 1
    assert "Traceback" not in written


def test_verbose_shows_what_mlflow_says(run, first):
    code, written = run("--cache", "off", "--until", "prepare", "--verbose", "true")
    assert code == 0, written
    assert re.search(r"INFO mlflow\.projects.*=== Created directory", written)
