"""Kills at random moments: no run stays RUNNING, no process survives, and the next run succeeds."""

import random
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).parents[2]
TRIALS = 30
_SECONDS_TO_END = 30

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(make_store):
    """A store with a champion."""
    made = make_store()
    assert made.main().code == 0
    return made


@pytest.fixture(scope="module")
def start(environment):
    """Starts a command of the pipeline, all steps to be run, in a session of its own."""

    def start(store, command):
        words = {
            "mlflow run": ["-m", "mlflow", "run", str(PROJECT), "--env-manager", "local"],
            "main.py": [str(PROJECT / "main.py")],
        }[command]
        refresh = ["-P", "cache=refresh"] if command == "mlflow run" else ["--cache", "refresh"]
        return subprocess.Popen(
            [sys.executable, *words, *refresh],
            cwd=store.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return start


def _tree(process):
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _words(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _is_step(process):
    """A step is forked from the forkserver, and has its command line."""
    try:
        parent = process.parent()
    except psutil.Error:
        return False
    return "forkserver" in _words(process) and parent and "forkserver" in _words(parent)


def _target(top, who, deadline):
    """The process to hit; None if it does not appear in time."""
    while time.monotonic() < deadline:
        for process in _tree(top):
            is_main = "main.py" in _words(process) and "forkserver" not in _words(process)
            is_it = {"top": process == top, "main": is_main, "step": _is_step(process)}[who]
            if is_it:
                return process
        time.sleep(0.01)
    return None


def _has_log(process):
    try:
        return any(file.path.endswith(".log") for file in process.open_files())
    except psutil.Error:
        return False


def _step_with_log(top):
    """A command that the forkserver runs looks like a step until it is run; it has no log."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in _tree(top):
            if _is_step(process) and _has_log(process):
                return process
        time.sleep(0.005)
    pytest.fail("no step opened its log")


def _running(store):
    return [run.info.run_name for run in store.runs() if run.info.status == "RUNNING"]


@pytest.mark.parametrize("trial", range(TRIALS))
def test_killed_at_a_random_moment(store, start, trial):
    rng = random.Random(trial)  # noqa: S311
    command = rng.choice(["mlflow run", "main.py"])
    who = rng.choice(["top", "main", "step"])
    number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    with start(store, command) as started:
        top = psutil.Process(started.pid)
        assert _target(top, "main", time.monotonic() + 60)
        time.sleep(rng.uniform(0.5, 8))
        target = _target(top, who, time.monotonic() + 3)
        processes = _tree(top)
        with suppress(psutil.NoSuchProcess):  # it may have finished before
            (target or top).send_signal(number)
        started.wait(_SECONDS_TO_END)
    _, alive = psutil.wait_procs(processes, timeout=_SECONDS_TO_END)
    assert not alive, [_words(process) for process in alive]
    if number != signal.SIGKILL:
        assert _running(store) == []
    reaped = store.check_status("--reap")
    assert _running(store) == []
    assert reaped.returncode == 0, reaped.stdout
    outcome = store.main()
    assert outcome.code == 0, outcome.terminal
    assert outcome.parent.data.tags["pipeline.verdict"] == "unchanged"
    assert outcome.aliases == {"champion": 1}


def test_a_step_whose_run_is_being_made_is_not_forgotten(store, environment):
    """The signal comes when the main thread is about to make the run, and its children are few."""
    code = """if True:
        import os, runpy, sys, time
        import engine.warm as warm
        from mlflow import MlflowClient
        make = warm.get_or_create_run
        def slow(*given):
            print("making", flush=True)
            until = time.monotonic() + 3
            parent = os.environ["CUVEE_RUN_ID"]
            while MlflowClient().get_run(parent).info.status == "RUNNING":
                time.sleep(0.05)
                if time.monotonic() > until:
                    break
            return make(*given)
        warm.get_or_create_run = slow
        sys.argv = ["main.py", "--cache", "refresh"]
        runpy.run_path("main.py", run_name="__main__")
    """
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**environment, "MLFLOW_TRACKING_URI": store.uri},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert "making\n" in iter(process.stdout.readline, "")
        process.terminate()
    assert process.returncode == 143
    assert _running(store) == []


def test_a_step_that_is_killed_ends_its_parent_and_keeps_its_log(make_store, start, read_artifact):
    store = make_store()
    with start(store, "main.py") as started:
        _step_with_log(psutil.Process(started.pid)).kill()
        assert started.wait(_SECONDS_TO_END) == 1
    parent, child = store.runs()[-2:]
    assert child.data.tags["pipeline.error"] == "the process was killed by SIGKILL"
    assert parent.data.tags["pipeline.error"] == "prepare: the process was killed by SIGKILL"
    assert {parent.info.status, child.info.status} == {"KILLED"}
    assert "# prepare on " in read_artifact(child, "logs/prepare.log").read_text()


def test_a_store_that_does_not_answer_is_said_in_one_line(tmp_path, type_command):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
    command = [sys.executable, str(PROJECT / "main.py")]
    place = {"MLFLOW_TRACKING_URI": uri}
    done = type_command(command, tmp_path, place)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert uri in done.stdout


def test_artifacts_that_cannot_be_written_are_said_in_one_line(make_store):
    store = make_store()
    (store.folder / "mlruns").write_text("a file where a folder should be")
    outcome = store.main()
    assert outcome.code == 1
    assert "Traceback" not in outcome.terminal
    assert "mlruns" in outcome.terminal.splitlines()[-1]
    assert {run.info.status for run in outcome.runs} == {"FAILED"}
    assert not outcome.versions


@pytest.mark.parametrize("kilobytes", [700, 1300], ids=["for the database", "for artifacts"])
def test_a_full_disk_is_said_in_one_line(make_store, type_command, kilobytes):
    store = make_store(is_empty=True)
    size = f"size={kilobytes}k"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(store.folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = type_command([sys.executable, str(PROJECT / "main.py")], store.folder)
        assert done.returncode == 1
        assert "Traceback" not in done.stdout
        assert re.search("full|No space left", done.stdout.splitlines()[-1])
        assert "verdict" not in done.stdout
    finally:
        subprocess.run(["umount", "--lazy", str(store.folder)], check=True)
