"""What the tests of tracking/ share: a database of their own, and a run in it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[Path], str]) -> str:
    """A SQLite database with its tables; creating them takes seconds."""
    return make_database(tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def experiment(
    store: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An experiment of the test's own is the active one, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    mlflow.set_tracking_uri(store)
    name = request.node.nodeid
    identity = mlflow.create_experiment(name, artifact_location=(tmp_path / "kept").as_uri())
    mlflow.set_experiment(name)
    yield identity
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)  # set in the environment too, where the next tests would find it
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture
def stored(store: str) -> Callable[[str], Run]:
    """Reads a run from the database."""
    return MlflowClient(store).get_run


@pytest.fixture
def artifacts(store: str) -> Callable[[str, str], list[str]]:
    """Lists the artifacts of a run, in a folder of it."""

    def listed(run_id: str, folder: str = "") -> list[str]:
        return [file.path for file in MlflowClient(store).list_artifacts(run_id, folder)]

    return listed
