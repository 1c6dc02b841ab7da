"""Whether a command is taken for one that has nothing to do."""

import sys

import pytest

from engine.cache.done_commands import Command


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one module, and a table; `main.py --model a` was done there."""
    for variable in ("XDG_CACHE_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["main.py", "--model", "a"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "step.py").write_text("a = 1\n")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    Command(tmp_path, ["step"]).remember(["table.csv", "https://example.com/more.csv"])
    return tmp_path


def test_the_same_again_is_done(project):
    assert Command(project, ["step"]).was_done()


def test_other_words_place_store_or_code_are_not(project, monkeypatch):
    for change in (
        lambda patch: patch.setattr(sys, "argv", ["main.py", "--model", "b"]),
        lambda patch: patch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db"),
        lambda patch: patch.chdir(project.parent),
    ):
        with monkeypatch.context() as patch:
            change(patch)
            assert not Command(project, ["step"]).was_done()
    (project / "other.py").write_text("a = 2\n")
    assert not Command(project, ["other"]).was_done()


def test_another_table_or_one_that_is_gone_is_not(project):
    table = project / "table.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    assert not Command(project, ["step"]).was_done()
    table.unlink()
    assert not Command(project, ["step"]).was_done()
