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

# Like main.py, it starts the forkserver before its imports; then it opens a run for each test.
_SCRIPT = """
import os, sys, threading
from pathlib import Path
from engine.processes.forkserver import start_forkserver

if __name__ == "__main__":
    start_forkserver(["numpy"])
    import mlflow
    import engine.warm

    folder, other = map(Path, sys.argv[1:])
    project, probe = os.environ["PYTHONPATH"], os.environ["PROBE"]

    def step(name, uri=project, synchronous=True, config=None, **options):
        return mlflow.run(
            uri, probe, parameters={**options, "out": str(folder / f"{name}.json")},
            backend="warm", env_manager="local", synchronous=synchronous,
            backend_config=config or {},
        )

    with mlflow.start_run(run_name="process"):
        os.environ["GREETING"] = "hello"
        step("one", alpha="0.5", text="it's $HOME; *")
        step("two")

    with mlflow.start_run(run_name="endings"):
        for number, ending in enumerate([{"code": "3"}, {"kill": "9"}, {"kill": "15"}]):
            step(f"ending {number}", synchronous=False, **ending)

    with mlflow.start_run(run_name="threads") as run:
        config = {"parent_run_id": run.info.run_id}
        threads = [
            threading.Thread(target=step, args=(name,), kwargs={"config": dict(config)})
            for name in ("thread a", "thread b", "thread c")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with mlflow.start_run(run_name="other"):
        step("other", uri=str(other))
"""


class Script:
    """What the script left: its words, what the probes found, and runs with those below them."""

    def __init__(self, words, folder, uri):
        self.words = words
        self.found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
        self.folder = folder
        self._runs = MlflowClient(uri).search_runs(["0"], order_by=["attributes.start_time"])

    def family(self, name):
        (parent,) = (run for run in self._runs if run.info.run_name == name)
        children = [
            run
            for run in self._runs
            if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
        ]
        return parent, children


@pytest.fixture(scope="module")
def script(tmp_path_factory, make_database):
    """Runs the script, once for all tests: its imports take longer than all of its steps."""
    folder, other = tmp_path_factory.mktemp("script"), tmp_path_factory.mktemp("other")
    (other / "MLproject").write_text("name: other\nentry_points: {}\n")
    (other / PROBE).parent.mkdir(parents=True)
    (other / PROBE).write_text((PROJECT / PROBE).read_text())
    (folder / "script.py").write_text(_SCRIPT)
    uri = make_database(folder)
    done = subprocess.run(
        [sys.executable, "script.py", str(folder), str(other)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "PROBE": PROBE,
            "MLFLOW_TRACKING_URI": uri,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return Script(done.stdout, folder, uri)


def test_a_forked_step_is_a_process_of_its_own(script):
    _, (child, _) = script.family("process")
    one = script.found["one"]
    assert one["pid"] == one["group"]
    assert one["folder"] == str(PROJECT)
    assert one["arguments"][:4] == ["--alpha", "0.5", "--text", "it's $HOME; *"]
    assert one["run_id"] == child.info.run_id
    assert one["greeting"] == "hello"
    assert one["threads"] == 1
    assert one["terminates"]
    assert one["is_main"]
    assert "the probe was here" in script.words
    assert child.data.tags["mlflow.project.backend"] == "warm"
    assert child.info.status == "FINISHED"


def test_two_steps_share_no_random_state(script):
    one, two = script.found["one"], script.found["two"]
    assert one["random"][0] != two["random"][0]
    assert one["random"][1] != two["random"][1]


def test_the_exit_code_decides_even_if_nobody_waits(script):
    _, children = script.family("endings")
    assert sorted((child.info.status, child.data.tags["pipeline.error"]) for child in children) == [
        ("FAILED", "the process ended with exit code 3"),
        ("KILLED", "the process was killed by SIGKILL"),
        ("KILLED", "the process was killed by SIGTERM"),
    ]


def test_steps_of_threads_have_the_parent_that_is_named(script):
    _, children = script.family("threads")
    assert {child.info.run_id for child in children} == {
        script.found[f"thread {name}"]["run_id"] for name in "abc"
    }
    assert {child.info.status for child in children} == {"FINISHED"}


def test_another_project_runs_by_the_backend_local(script, tmp_path):
    _, (child,) = script.family("other")
    assert "runs by the backend local: only " in script.words
    assert script.found["other"]["folder"].endswith("other0")
    assert child.info.status == "FINISHED"
