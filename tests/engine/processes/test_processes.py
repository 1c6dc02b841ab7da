"""Who a process is, and the end of a tree of them."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from engine.processes.guard import ProcessId, end_children, process_of, process_tags

SLEEPER = "import subprocess, sys, time; {}; time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def start(code):
    return subprocess.Popen([sys.executable, "-c", code])


def test_a_process_is_known_by_its_start_too():
    own = ProcessId.current()
    assert own.is_alive()
    assert not ProcessId(own.pid, own.started - 100).is_alive()


@pytest.mark.skipif(not psutil.LINUX, reason="there, the start of a process is not the clock's")
def test_a_process_lives_on_when_the_clock_is_set(monkeypatch):
    tags, booted = process_tags(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 3600)
    assert process_of(tags)[1].is_alive()


def test_a_process_that_ended_is_not_alive():
    process = start("pass")
    known = ProcessId.of(psutil.Process(process.pid))
    time.sleep(0.2)  # ended, and not waited for: a zombie
    assert not known.is_alive()
    process.wait()
    assert not known.is_alive()


def test_tags_tell_the_process():
    host, process = process_of(process_tags())
    assert host
    assert process.is_alive()
    assert process_of({}) is None
    assert process_of({**process_tags(), "pipeline.pid": "x"}) is None


def test_children_end_with_theirs_and_even_if_they_do_not_want_to(monkeypatch):
    monkeypatch.setattr("engine.processes.guard._SECONDS_TO_END", 1.0)
    nested = f"subprocess.Popen([sys.executable, '-c', {SLEEPER.format(STUBBORN)!r}])"
    process = start(SLEEPER.format(nested))
    while len(psutil.Process(process.pid).children()) < 1:
        time.sleep(0.05)
    time.sleep(0.5)
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    assert end_children()
    process.wait()
    assert not [one for one in tree if one.is_running() and one.status() != "zombie"]
    assert not end_children()


def test_a_parent_that_goes_during_the_imports_is_missed():
    guarded = (
        "import engine.processes.guard as p, os, time; "
        "print(os.getpid(), flush=True); time.sleep(1); "
        "p.Guard(lambda reason, code, gone: os._exit(code)).__enter__(); time.sleep(60)"
    )
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {guarded!r}])"
    environment = {**os.environ, "MLFLOW_RUN_ID": "one"}
    environment.pop("CUVEE_PARENT", None)
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        guarded_process = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        guarded_process.wait(5)
