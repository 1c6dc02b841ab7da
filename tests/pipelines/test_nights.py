"""Nights in each orchestrator, in an environment of its own.

One that is promoted, raises an alert and is promoted again; one that is rejected; some that fail;
and in Prefect one whose step is killed while the server is away.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.end_to_end.git_daemon import copy_project
from tests.end_to_end.store import clean_environment
from tests.pipelines.conftest import PROJECT
from tests.team_server import free_ports

pytestmark = pytest.mark.exhaustive

_PREFECT = """
import Prefect_ML_Pipeline
from prefect.client.orchestration import get_client
from Prefect_ML_Pipeline import door, night, steps

state = night(return_state=True, **form)
print("night:", state.name)
print("steps:", steps(return_state=True).name)
state = night(recipe=strict, return_state=True)
print("rejected:", state.type.name, state.name, state.message)
state = night(recipe="nowhere.yaml", return_state=True)
print("refused:", state.type.name, state.message)
Prefect_ML_Pipeline.door = door.with_options(retry_delay_seconds=0)
state = night(data=no_target, return_state=True)
print("failed:", state.type.name, state.message)
with get_client(sync_client=True) as client:
    keys = {each.key for each in client.read_artifacts() if each.key}
    print("artifacts:", *sorted(keys))
"""
_DAGSTER = """
from dagster import DagsterInstance, build_schedule_context
from Dagster_ML_Pipeline import definitions, nightly

with DagsterInstance.get() as instance:
    tick = nightly.evaluate_tick(build_schedule_context(instance=instance))
    print("tick:", len(tick.run_requests))
    job = definitions.resolve_job_def("night")

    def run(config):
        resources = {"night": {"config": config}}
        return job.execute_in_process(
            {"resources": resources}, instance=instance, raise_on_error=False
        )

    print("quiet:", run({}).success, run({"labelled": "data/red-wine-quality.csv"}).success)
    done = run(form)
    print("night:", done.success)
    checks = {each.check_name: each.passed for each in done.get_asset_check_evaluations()}
    print("checks:", *sorted(checks.items()))
    print("tags:", instance.get_run_by_id(done.run_id).tags["verdict"])
    done = run({"recipe": strict})
    (check,) = done.get_asset_check_evaluations()
    tag = instance.get_run_by_id(done.run_id).tags["verdict"]
    print("rejected:", done.success, check.check_name, check.passed, tag, check.description)
    done = run({"recipe": "nowhere.yaml"})
    (error,) = [each.step_failure_data.user_failure_data for each in done.get_step_failure_events()]
    print("refused:", done.success, error.description)
"""
_AIRFLOW = """
from datetime import timedelta
from Airflow_ML_Pipeline import night

for each in night.tasks:
    each.retry_delay = timedelta(seconds=1)

def run(**form):
    done = night.test(run_conf=form)
    tasks = {each.task_id: each for each in done.get_task_instances()}
    states = {name: str(each.state) for name, each in tasks.items()}
    print("night:", done.state.value, tasks["train"].try_number, *sorted(states.items()))

run(recipe=strict)
run(recipe=strict, labelled=form["labelled"])
run(recipe="nowhere.yaml")
run(recipe="recipes/wine_quality.yaml", data=no_target)
"""
_FAULT = """
import Prefect_ML_Pipeline

Prefect_ML_Pipeline.door = Prefect_ML_Pipeline.door.with_options(retry_delay_seconds=[40, 40])
print("night:", Prefect_ML_Pipeline.night(return_state=True).name)
"""
STRICT = "recipes/strict.yaml"
_TOO_BAD, _NO_TARGET = "0.01", "quality"
_TRIED_AGAIN = [("main", None)] * 3
_NIGHT = [("main", "promoted"), ("score", None), ("monitor", None), ("main", "promoted")]


class Place:
    """A copy of the project, a store, tables, and an environment with an orchestrator in it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.project, self._bin = folder / "project", folder / name / "bin"
        copy_project(self.project)
        self.store = f"sqlite:///{folder / 'mlflow.db'}"
        wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
        wines.drop(columns="quality").to_csv(folder / "rows.csv", index=False)
        wines.assign(quality=11 - wines["quality"]).to_csv(folder / "reversed.csv", index=False)
        self.scores = folder / "scores.csv"
        self.form = {
            "rows": str(folder / "rows.csv"),
            "scores": str(self.scores),
            "labelled": str(folder / "reversed.csv"),
        }
        recipe = (PROJECT / "recipes/wine_quality.yaml").read_text(encoding="utf-8")
        strict = recipe.replace("min_absolute_change: 0.1", "threshold: 0.01")
        (self.project / "recipes/strict.yaml").write_text(strict, encoding="utf-8")
        (folder / "home").mkdir()
        (folder / "home" / "dagster.yaml").write_bytes(
            (self.project / "pipelines/dagster.yaml").read_bytes()
        )
        home = str(folder / "home")
        self.variables = {
            **clean_environment(),
            **dict.fromkeys(("AIRFLOW_HOME", "DAGSTER_HOME", "PREFECT_HOME"), home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "pipelines"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "CUVEE_BIN": str(Path(sys.executable).parent),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "MLFLOW_TRACKING_URI": self.store,
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
            "PYTHONPATH": str(self.project / "pipelines"),
        }
        self.run("uv", "venv", "--python", sys.executable, str(folder / name))
        requirements = self.project / f"pipelines/requirements-{name}.txt"
        self.run("uv", "pip", "install", "--python", str(self._bin / "python"), "-r", requirements)

    def run(self, *command: str) -> str:
        """Runs a command with the orchestrator's programs on the PATH; returns what it said."""
        path = os.pathsep.join([str(self._bin), self.variables["PATH"]])
        done = subprocess.run(
            command,
            cwd=self.project,
            env={**self.variables, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def python(self, code: str) -> list[str]:
        """Runs code that knows the form, a recipe that rejects all, and a table without target."""
        known = f"form, strict, no_target = {self.form!r}, {STRICT!r}, {self.form['rows']!r}"
        return self.run("python", "-c", f"{known}\n{code}").splitlines()

    def runs(self) -> list[tuple[str, str | None]]:
        """The entry points that ran, in their order, with their verdicts."""
        client = MlflowClient(self.store)
        found = client.search_runs(
            [each.experiment_id for each in client.search_experiments()],
            order_by=["attributes.start_time"],
        )
        tags = [run.data.tags for run in found if "mlflow.parentRunId" not in run.data.tags]
        return [(each["mlflow.project.entryPoint"], each.get("pipeline.verdict")) for each in tags]

    def pipelines(self) -> list[Run]:
        """The runs of main, the oldest first."""
        client = MlflowClient(self.store)
        where = "tags.`mlflow.project.entryPoint` = 'main'"
        ids = [each.experiment_id for each in client.search_experiments()]
        return list(client.search_runs(ids, where, order_by=["attributes.start_time"]))

    def registered(self) -> tuple[str, int]:
        """The champion, and how many versions there are."""
        client = MlflowClient(self.store)
        champion = client.get_model_version_by_alias("wine_quality", "champion")
        return str(champion.version), len(client.search_model_versions("name = 'wine_quality'"))


class Server:
    """A tracking server at a port of its own, which can go away and come back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_ports("127.0.0.1", 1)
        self.uri = f"http://127.0.0.1:{self._port}"
        self._client = MlflowClient(self.uri)

    def __enter__(self) -> "Server":
        self._start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()

    def _start(self) -> None:
        launch = [PROJECT / "scripts/launch_mlflow.sh", str(self._port)]
        variables = {**clean_environment(), "MLFLOW_TRACKING_URI": f"sqlite:///{self._folder}/s.db"}
        self._process = subprocess.Popen(
            launch, cwd=self._folder, env=variables, stdout=subprocess.PIPE, text=True
        )
        assert any("Ctrl-C ends it" in line for line in self._process.stdout)

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _running(self, entry_point: str) -> list[Run]:
        where = f"tags.`mlflow.project.entryPoint` = '{entry_point}'"
        ids = [each.experiment_id for each in self._client.search_experiments()]
        return list(self._client.search_runs(ids, f"{where} and attributes.status = 'RUNNING'"))

    def wait_for_step(self, entry_point: str, night: threading.Thread) -> None:
        while not self._running(entry_point):
            assert night.is_alive()
            time.sleep(0.1)

    def kill_main_and_go_away(self, seconds: float) -> str:
        """Kills the pipeline's process as nobody can hinder; returns its run."""
        (run,) = self._running("main")
        self._process.terminate()
        os.kill(int(run.data.tags["pipeline.pid"]), signal.SIGKILL)
        self._process.wait()
        time.sleep(seconds)
        self._start()
        return run.info.run_id


def assert_told(said: list[str], head: str, tail: str) -> None:
    """Some line says both, in this order."""
    assert any(tail in line.partition(head)[2] for line in said), "\n".join(said)


def test_prefect(tmp_path):
    place = Place(tmp_path, "prefect")
    said = place.python(_PREFECT)
    assert "night: Alert, promoted" in said
    assert "steps: Promoted" in said  # the rows of the recipe are as they were before the alert
    assert_told(said, "rejected: COMPLETED Rejected", _TOO_BAD)
    assert_told(said, "refused: FAILED", "nowhere.yaml")
    assert_told(said, "failed: FAILED", _NO_TARGET)
    keys = "evaluate monitor prepare register retrain score train"
    assert f"artifacts: {' '.join(f'cuvee-{key}' for key in keys.split())}" in said
    assert place.runs()[:4] == _NIGHT
    assert place.runs()[-4:] == [("main", "rejected"), *_TRIED_AGAIN]
    assert (place.registered(), place.scores.exists()) == (("1", 2), True)


def test_dagster(tmp_path):
    place = Place(tmp_path, "dagster")
    said = place.python(_DAGSTER)
    assert "tick: 1" in said
    assert {"quiet: True True", "night: True"} <= set(said)
    assert "checks: ('gate', True) ('still_good', False)" in said
    assert "tags: alert, promoted" in said
    assert_told(said, "rejected: True gate False rejected", _TOO_BAD)
    assert_told(said, "refused: False", "nowhere.yaml")
    quiet = [("main", "promoted"), ("main", "unchanged"), ("monitor", None), ("main", "unchanged")]
    assert place.runs()[:4] == quiet
    assert sorted(place.runs()[4:7], key=str) == sorted(_NIGHT[1:], key=str)
    assert (place.registered(), place.scores.exists()) == (("2", 2), True)
    file = ["-d", "pipelines", "-f", "pipelines/Dagster_ML_Pipeline.py"]
    assert "night_schedule [RUNNING]" in place.run("dagster", "schedule", "list", *file)


def test_airflow(tmp_path):
    place = Place(tmp_path, "airflow")
    place.run("airflow", "db", "migrate")
    assert "No data found" in place.run("airflow", "dags", "list-import-errors")
    conf = json.dumps(place.form)
    said = place.run("airflow", "dags", "test", "cuvee", "2026-11-30", "--conf", conf)
    assert "state=success" in said
    assert place.runs() == _NIGHT
    said = place.python(_AIRFLOW)
    for monitored in ("skipped", "success"):
        states = f"('monitor', '{monitored}') ('promoted', 'skipped') ('rejected', 'success')"
        assert_told(said, "night: success 1", f"{states} ('retrain', 'skipped')")
    assert_told(said, "rejected:", _TOO_BAD)
    assert_told(said, "night: failed 1", "('train', 'failed')")
    assert_told(said, "AirflowFailException: main:", "nowhere.yaml")
    assert_told(said, "night: failed 3", "('train', 'failed')")
    assert_told(said, "AirflowException: main:", _NO_TARGET)
    quiet = [("main", "rejected"), ("main", "rejected"), ("monitor", None)]
    assert place.runs()[4:] == [*quiet, *_TRIED_AGAIN]
    assert (place.registered(), place.scores.exists()) == (("2", 2), True)


def test_a_step_is_killed_and_the_server_away_for_a_while(tmp_path):
    """The orchestrator tries again, and what was done is reused."""
    place = Place(tmp_path, "prefect")
    with Server(tmp_path) as server:
        place.store = place.variables["MLFLOW_TRACKING_URI"] = server.uri
        told: list[str] = []
        night = threading.Thread(target=lambda: told.extend(place.python(_FAULT)))
        night.start()
        server.wait_for_step("train", night)
        killed = server.kill_main_and_go_away(seconds=30)
        night.join()
        assert "night: Promoted" in told, told
        first, second = place.pipelines()
        assert first.info.run_id == killed
        assert (first.info.status, second.info.status) == ("KILLED", "FINISHED")
        tags = second.data.tags
        assert tags["pipeline.step.prepare.status"] == "reused"
        assert tags["pipeline.step.train.status"] == "ran"
        assert place.runs() == [("main", None), ("main", "promoted")]
