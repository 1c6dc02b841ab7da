"""The backend `warm`: what a forked step has, and what becomes of its run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

PROJECT = Path(__file__).parents[2]
PROBE = "tests/engine/probe.py"

# A script like main.py: starts the forkserver, opens a run, and does what stands in its place.
_SCRIPT = """
import json, os, sys, threading
from pathlib import Path
from engine.forkserver import start_forkserver

if __name__ == "__main__":
    start_forkserver(["numpy"])
    import mlflow
    import engine.warm
    folder = Path(sys.argv[1])
    def step(name, uri={project!r}, **options):
        synchronous = options.pop("synchronous", True)
        config = options.pop("config", {{}})
        options["out"] = str(folder / f"{{name}}.json")
        return mlflow.run(
            uri, {probe!r}, parameters=options, backend="warm", env_manager="local",
            synchronous=synchronous, backend_config=config,
        )
    with mlflow.start_run() as run:
        {body}
"""


@pytest.fixture
def run_script(tmp_path, make_database):
    """Runs a script with this body; returns its words, its client and what the probes found."""

    def run(body, code=0):
        script = tmp_path / "script.py"
        text = _SCRIPT.format(
            project=str(PROJECT), probe=PROBE, body=body.replace("\n", "\n        ")
        )
        script.write_text(text)
        uri = make_database(tmp_path)
        done = subprocess.run(
            [sys.executable, str(script), str(tmp_path)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "MLFLOW_TRACKING_URI": uri},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout
        found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
        runs = MlflowClient(uri).search_runs(["0"], order_by=["attributes.start_time"])
        return done.stdout, runs, found

    return run


def test_a_forked_step_is_a_process_of_its_own(run_script):
    words, (parent, child), found = run_script(
        "os.environ['GREETING'] = 'hello'; step('one', alpha='0.5', text=\"it's $HOME; *\")"
    )
    one = found["one"]
    assert one["pid"] == one["group"]
    assert one["folder"] == str(PROJECT)
    assert one["arguments"][:4] == ["--alpha", "0.5", "--text", "it's $HOME; *"]
    assert one["run_id"] == child.info.run_id
    assert one["greeting"] == "hello"
    assert one["threads"] == 1
    assert one["terminates"]
    assert one["is_main"]
    assert "the probe was here" in words
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["mlflow.project.backend"] == "warm"
    assert child.info.status == "FINISHED"


def test_two_steps_share_no_random_state(run_script):
    _, _, found = run_script("step('one'); step('two')")
    assert found["one"]["random"][0] != found["two"]["random"][0]
    assert found["one"]["random"][1] != found["two"]["random"][1]


def test_the_exit_code_decides_even_if_nobody_waits(run_script):
    endings = {
        "code='3'": ("FAILED", "the process ended with exit code 3"),
        "kill='9'": ("KILLED", "the process was killed by SIGKILL"),
        "kill='15'": ("KILLED", "the process was killed by SIGTERM"),
    }
    steps = [f"step('{n}', synchronous=False, {options})" for n, options in enumerate(endings)]
    _, (_, *children), _ = run_script("; ".join(steps))
    ended = [(child.info.status, child.data.tags["pipeline.error"]) for child in children]
    assert sorted(ended) == sorted(endings.values())


def test_steps_of_threads_have_the_parent_that_is_named(run_script):
    body = (
        "config = {'parent_run_id': run.info.run_id}\n"
        "start = lambda name: step(name, config=dict(config))\n"
        "threads = [threading.Thread(target=start, args=(name,)) for name in 'abc']\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()"
    )
    _, (parent, *children), found = run_script(body)
    assert sorted(found) == ["a", "b", "c"]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert {child.info.status for child in children} == {"FINISHED"}


def test_another_project_runs_by_the_backend_local(run_script, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "MLproject").write_text("name: other\nentry_points: {}\n")
    (other / PROBE).parent.mkdir(parents=True)
    (other / PROBE).write_text((PROJECT / PROBE).read_text())
    words, (_, child), found = run_script(f"step('one', uri={str(other)!r})")
    assert "runs by the backend local: only " in words
    assert found["one"]["folder"] == str(other)
    assert child.info.status == "FINISHED"
