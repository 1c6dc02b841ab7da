"""The window is closed, or what reads the output ends: no process is left, and no run is false."""

import subprocess
import sys

import psutil
import pytest

from tests.end_to_end.store import PROJECT
from tests.end_to_end.terminal import Terminal, wait_until

pytestmark = pytest.mark.slow

MAIN = [sys.executable, str(PROJECT / "main.py")]
MLFLOW_RUN = [sys.executable, "-m", "mlflow", "run", str(PROJECT), "--env-manager", "local"]
SWEEP = [*MLFLOW_RUN, "-e", "sweep", "-P", "model=ridge", "-P", "alpha=0.1,1", "-P", "solver=auto"]
_SECONDS_TO_END = 60


@pytest.fixture
def store(make_store):
    return make_store()


def _wait_for_a_step(store):
    """Waits until a step runs below the parent run."""
    wait_until(lambda: len(store.runs()) > 1, "a step")


def _tree(pid):
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def _assert_ended(store, processes, word):
    _, alive = psutil.wait_procs(processes, timeout=_SECONDS_TO_END)
    assert alive == []
    parent, *steps = store.runs()
    assert (parent.info.status, parent.data.tags["pipeline.error"]) == ("KILLED", word)
    assert {run.info.status for run in steps} <= {"FINISHED", "KILLED"}


def test_a_closed_window_ends_the_pipeline(store, environment):
    terminal = Terminal(MAIN, store.folder, environment)
    try:
        _wait_for_a_step(store)
        processes = _tree(terminal.process.pid)
        terminal.close()
        assert terminal.process.wait(_SECONDS_TO_END) == 129
    finally:
        terminal.process.kill()
        terminal.close()
    _assert_ended(store, processes, "ended by SIGHUP")


def test_who_cannot_say_so_ends_all_the_same(store, environment):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(MAIN, cwd=store.folder, env=environment, **pipes) as started:
        _wait_for_a_step(store)
        processes = _tree(started.pid)
        started.stdout.close()
        started.stderr.close()
        started.terminate()
        try:
            assert started.wait(_SECONDS_TO_END) == 143
        finally:
            started.kill()
    _assert_ended(store, processes, "ended by SIGTERM")


@pytest.mark.parametrize(
    ("like", "command", "closing"),
    [
        ("champion", MAIN, "| head -1"),
        ("champion", MAIN, ">&- 2>&-"),
        ("sweep", SWEEP, "2>&- | head -1"),
    ],
    ids=["main, a pipe", "main, nothing", "sweep, a pipe and nothing"],
)
def test_it_goes_on_when_nobody_reads(make_store, like, command, closing):
    """Where most is done already."""
    store = make_store(like=like)
    store.client.delete_registered_model("wine_quality")
    outcome = store.type(["bash", "-o", "pipefail", "-c", f'"$@" {closing}', "-", *command])
    assert outcome.code == 0
    assert outcome.runs[0].data.tags["pipeline.verdict"] == "promoted"
    assert {run.info.status for run in outcome.runs} == {"FINISHED"}
