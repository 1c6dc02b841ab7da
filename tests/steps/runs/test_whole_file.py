"""Files that are there whole or not at all."""

import platform
import subprocess
import sys

import pytest

from steps.runs.whole_file import whole_file


def _unfinished(path, number):
    return path.with_name(f"{path.name}.unfinished-{platform.node()}-{number}")


def test_a_file_appears_when_the_block_ends_well(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    with whole_file(path) as unfinished:
        unfinished.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")

    def write_half():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_removes_what_was_there(tmp_path):
    path = tmp_path / "a.rejects.csv"
    path.write_text("of an earlier run")
    with whole_file(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(tmp_path):
    path = tmp_path / "a.csv"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as alive:
        left_behind, at_work = _unfinished(path, gone.pid), _unfinished(path, alive.pid)
        of_another = _unfinished(tmp_path / "b.csv", gone.pid)
        for file in (left_behind, at_work, of_another):
            file.touch()
        with whole_file(path) as unfinished:
            unfinished.touch()
        assert not left_behind.exists()
        assert at_work.exists()
        assert of_another.exists()
        alive.communicate(b"\n")
