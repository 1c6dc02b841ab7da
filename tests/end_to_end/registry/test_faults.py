"""Kills: no run stays RUNNING, no process survives, and the next run succeeds. And full disks."""

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

from tests.end_to_end.forked import Forked
from tests.end_to_end.store import PROJECT, clean_environment
from tests.end_to_end.terminal import wait_until

TRIALS = 30
_SECONDS_TO_END = 30

pytestmark = pytest.mark.slow

# What main is given so that this step is the first that runs: the others are reused.
_OPTIONS = {
    "prepare": {"alpha": "0.2", "cache": "refresh"},
    "train": {"alpha": "0.35"},
    "evaluate": {"alpha": "0.25"},
    "register": {"alpha": "0.3"},
}
# Each pair of a command, of who is hit (the process that was typed, main, or the step), of a signal
# and of the step that runs then; `imports`: main does its own yet.
_KILLS = [
    ("mlflow run", "top", "SIGKILL", "prepare"),
    ("main.py", "main", "SIGTERM", "prepare"),
    ("main.py", "step", "SIGINT", "prepare"),
    ("mlflow run", "top", "SIGINT", "train"),
    ("main.py", "main", "SIGKILL", "train"),
    ("mlflow run", "step", "SIGTERM", "train"),
    ("mlflow run", "top", "SIGTERM", "evaluate"),
    ("main.py", "main", "SIGINT", "evaluate"),
    ("main.py", "step", "SIGKILL", "evaluate"),
    ("mlflow run", "top", "SIGKILL", "register"),
    ("main.py", "main", "SIGTERM", "register"),
    ("main.py", "step", "SIGINT", "register"),
    ("mlflow run", "top", "SIGKILL", "imports"),
    ("mlflow run", "main", "SIGINT", "imports"),
    ("main.py", "main", "SIGTERM", "imports"),
]


@pytest.fixture(scope="module")
def store(make_store):
    """A store with a champion, a model that is only trained, and one that is evaluated too."""
    made = make_store(like="evaluated")
    for options in (["alpha=0.2"], ["alpha=0.25", "until=train"]):
        outcome = made.main(*options)
        assert outcome.code == 0, outcome.terminal
    return made


def _type(store, command, options):
    """Types a command of the pipeline in a session of its own."""
    words = {
        "mlflow run": ["-m", "mlflow", "run", str(PROJECT), "--env-manager", "local"],
        "main.py": [str(PROJECT / "main.py")],
    }[command]
    if command == "mlflow run":
        words += ["--experiment-name", "wine_quality"]  # as main.py names it: its steps are reused
    for name, value in options.items():
        words += ["-P", f"{name}={value}"] if command == "mlflow run" else [f"--{name}", value]
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=store.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


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


def _find_main(top):
    """The process that was typed, or the one below `mlflow run`; None until it is there."""
    typed = (one for one in _tree(top) if "main.py" in _words(one))
    return next((one for one in typed if "forkserver" not in _words(one)), None)


def _find_step(main, name=""):
    """The process below main of a step that has begun: it writes its log. None until it is there.

    A process that the forkserver has forked, and main itself, may look like one before. With
    `imports` it is main, once it has noted who started it and come to what takes long.
    """
    if name == "imports":
        return main if any("numpy" in file.path for file in main.memory_maps()) else None
    for process in _tree(main)[1:]:
        with suppress(psutil.Error, OSError):
            for file in process.open_files():
                if file.path.endswith("step.log"):
                    is_it = Path(file.path).read_text(encoding="utf-8").startswith(f"# {name}")
                    return process if is_it else None
    return None


def _await(find, *given):
    return wait_until(lambda: find(*given), "a process", seconds_between=0.01)


def _running(store):
    return [run.info.run_name for run in store.runs() if run.info.status == "RUNNING"]


def _assert_ended(store, processes, number):
    _, alive = psutil.wait_procs(processes, timeout=_SECONDS_TO_END)
    assert not alive, [_words(process) for process in alive]
    if number == signal.SIGKILL:
        reaped = store.check_status("--reap")
        assert reaped.returncode == 0, reaped.stdout
    assert _running(store) == []


@pytest.mark.parametrize(("command", "who", "number", "step"), _KILLS)
def test_whoever_is_killed_no_run_is_false_and_no_process_survives(
    store, read_artifact, command, who, number, step
):
    known = {run.info.run_id for run in store.runs()}
    options = _OPTIONS.get(step, {})
    is_forked = command == "main.py" and step != "imports"
    words = (f"{name}={value}" for name, value in options.items())
    started = store.start_main(*words) if is_forked else _type(store, command, options)
    top = psutil.Process(started.pid)
    main = top if is_forked else _await(_find_main, top)
    running = _await(_find_step, main, step)
    target = {"top": top, "main": main, "step": running}[who]
    processes = _tree(top)
    target.send_signal(signal.Signals[number])
    code = started.wait(_SECONDS_TO_END)
    assert code != 0
    _assert_ended(store, processes, signal.Signals[number])
    ended = [run for run in store.runs() if run.info.run_id not in known]
    assert {run.info.status for run in ended} <= {"KILLED", "FAILED"}  # by us, by mlflow run
    if step != "imports":
        errors = [run.data.tags["pipeline.error"] for run in ended]  # of main and of the step
        by = "the process was killed by" if (who, number) == ("step", "SIGKILL") else "ended b"
        assert errors[1].startswith(by)
        assert errors[0] == f"{step}: {errors[1]}" if who == "step" else "ended b" in errors[0]
        assert f"# {step} on " in read_artifact(ended[1], f"logs/{step}.log").read_text()


def test_after_the_kills_what_was_killed_runs_and_the_champion_is_in_use(store):
    for alpha in (_OPTIONS["train"]["alpha"], _OPTIONS["register"]["alpha"]):
        outcome = store.main(f"alpha={alpha}")
        assert outcome.code == 0, outcome.terminal
        assert outcome.parent.data.tags["pipeline.verdict"] in ("challenger", "rejected")
    outcome = store.main("alpha=0.2")
    assert outcome.parent.data.tags["pipeline.verdict"] == "unchanged"
    assert outcome.aliases["champion"] == 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("trial", range(TRIALS))
def test_killed_at_a_random_moment(store, trial):
    rng = random.Random(trial)  # noqa: S311
    command = rng.choice(["mlflow run", "main.py"])
    who = rng.choice(["top", "main", "step"])
    number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    with _type(store, command, {"cache": "refresh", "alpha": "0.2"}) as started:
        top = psutil.Process(started.pid)
        main = _await(_find_main, top)
        time.sleep(rng.uniform(0.5, 8))
        target = {"top": top, "main": main, "step": _find_step(main)}[who] or top
        processes = _tree(top)
        with suppress(psutil.NoSuchProcess):  # it may have finished before
            target.send_signal(number)
        started.wait(_SECONDS_TO_END)
    _assert_ended(store, processes, number)
    outcome = store.main("alpha=0.2")
    assert outcome.code == 0, outcome.terminal
    assert outcome.parent.data.tags["pipeline.verdict"] == "unchanged"
    assert outcome.aliases["champion"] == 1


def test_a_step_whose_run_is_being_made_is_not_forgotten(store, tmp_path):
    """The signal comes when the main thread is about to make the run, and its children are few."""
    script = tmp_path / "slow.py"
    script.write_text("""if True:
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
    """)
    environment = {**clean_environment(), "MLFLOW_TRACKING_URI": store.uri}
    process = Forked(["python", str(script)], PROJECT, environment)
    wait_until(lambda: "making\n" in process.said, "the making of a run")
    psutil.Process(process.pid).terminate()
    assert process.wait() == 143
    assert _running(store) == []


def test_a_store_that_does_not_answer_is_said_in_one_line(make_store):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
    done = make_store(is_empty=True).start_main(MLFLOW_TRACKING_URI=uri).finish()
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
def test_a_full_disk_is_said_in_one_line(make_store, kilobytes):
    store = make_store(is_empty=True)
    size = f"size={kilobytes}k"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(store.folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = store.start_main().finish()
        assert done.returncode == 1
        assert "Traceback" not in done.stdout
        assert re.search("full|No space left", done.stdout.splitlines()[-1])
        assert "verdict" not in done.stdout
    finally:
        subprocess.run(["umount", "--lazy", str(store.folder)], check=True)
