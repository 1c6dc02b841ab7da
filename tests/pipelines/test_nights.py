"""A night in each orchestrator, in an environment of its own: promoted, alert, promoted again."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.end_to_end.git_daemon import copy_project
from tests.end_to_end.store import clean_environment
from tests.pipelines.conftest import PROJECT

pytestmark = pytest.mark.exhaustive

_PREFECT = """
from prefect.client.orchestration import get_client
from Prefect_ML_Pipeline import night, steps

state = night(return_state=True, **form)
print("night:", state.name)
print("steps:", steps(return_state=True).name)
print("failed:", night(data="/nowhere.xyz", recipe="nowhere.yaml", return_state=True).message)
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
    print("failed:", run({"recipe": "nowhere.yaml"}).success)
"""
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
        (folder / "home").mkdir()
        (folder / "home" / "dagster.yaml").write_bytes(
            (self.project / "pipelines/dagster.yaml").read_bytes()
        )
        home = str(folder / "home")
        self._environment = {
            **clean_environment(),
            **dict.fromkeys(("AIRFLOW_HOME", "DAGSTER_HOME", "PREFECT_HOME"), home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "pipelines"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "CUVEE_BIN": str(Path(sys.executable).parent),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "MLFLOW_TRACKING_URI": self.store,
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PYTHONPATH": str(self.project / "pipelines"),
        }
        self.run("uv", "venv", "--python", sys.executable, str(folder / name))
        requirements = self.project / f"pipelines/requirements-{name}.txt"
        self.run("uv", "pip", "install", "--python", str(self._bin / "python"), "-r", requirements)

    def run(self, *command: str) -> str:
        """Runs a command with the orchestrator's programs on the PATH; returns what it said."""
        path = os.pathsep.join([str(self._bin), self._environment["PATH"]])
        done = subprocess.run(
            command,
            cwd=self.project,
            env={**self._environment, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def python(self, code: str) -> list[str]:
        """Runs code that knows `form`."""
        return self.run("python", "-c", f"form = {self.form!r}\n{code}").splitlines()

    def runs(self) -> list[tuple[str, str | None]]:
        """The entry points that ran, in their order, with their verdicts."""
        client = MlflowClient(self.store)
        found = client.search_runs(
            [each.experiment_id for each in client.search_experiments()],
            order_by=["attributes.start_time"],
        )
        tags = [run.data.tags for run in found if "mlflow.parentRunId" not in run.data.tags]
        return [(each["mlflow.project.entryPoint"], each.get("pipeline.verdict")) for each in tags]

    def champion(self) -> str:
        client = MlflowClient(self.store)
        return str(client.get_model_version_by_alias("wine_quality", "champion").version)


def test_prefect(tmp_path):
    place = Place(tmp_path, "prefect")
    said = place.python(_PREFECT)
    assert "night: Alert, promoted" in said
    assert "steps: Unchanged" in said
    assert any(line.startswith("failed:") and "nowhere.yaml" in line for line in said)
    keys = "evaluate monitor prepare register retrain score train"
    assert f"artifacts: {' '.join(f'cuvee-{key}' for key in keys.split())}" in said
    assert place.runs()[:4] == _NIGHT
    assert (place.champion(), place.scores.exists()) == ("2", True)


def test_dagster(tmp_path):
    place = Place(tmp_path, "dagster")
    said = place.python(_DAGSTER)
    assert "tick: 1" in said
    assert {"quiet: True True", "night: True"} <= set(said)
    assert "checks: ('gate', True) ('still_good', False)" in said
    assert "failed: False" in said
    quiet = [("main", "promoted"), ("main", "unchanged"), ("monitor", None), ("main", "unchanged")]
    assert place.runs()[:4] == quiet
    assert sorted(place.runs()[4:7], key=str) == sorted(_NIGHT[1:], key=str)
    assert (place.champion(), place.scores.exists()) == ("2", True)
    file = ["-d", "pipelines", "-f", "pipelines/Dagster_ML_Pipeline.py"]
    assert "night_schedule [RUNNING]" in place.run("dagster", "schedule", "list", *file)


def test_airflow(tmp_path):
    place = Place(tmp_path, "airflow")
    place.run("airflow", "db", "migrate")
    assert "No data found" in place.run("airflow", "dags", "list-import-errors")
    conf = str(place.form).replace("'", '"')
    said = place.run("airflow", "dags", "test", "cuvee", "2026-11-30", "--conf", conf)
    assert "state=success" in said
    assert place.runs() == _NIGHT
    assert (place.champion(), place.scores.exists()) == ("2", True)
