"""The run of a step: where it goes, how it ends, its params and metrics as they are stored."""

import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import path_to_local_sqlite_uri
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sqlalchemy import make_url

from tracking import mlflow_manager
from tracking.mlflow_manager import (
    configure_autologging,
    database_file,
    end_run,
    init_mlflow,
    init_mlflow_experiment,
    log_artifact,
    log_metrics,
    log_params,
    sqlite_uri,
    start_run,
)

INPUTS = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
STEP = {"mlflow.project.entryPoint": "train"}


@pytest.fixture
def autologging():
    yield configure_autologging
    configure_autologging(None)


def test_the_tracking_server_is_the_one_that_was_named(store):
    mlflow.set_tracking_uri("sqlite:///elsewhere.db")
    assert init_mlflow(store) == mlflow.get_tracking_uri() == store


def test_without_a_name_the_tracking_server_stays(store):
    assert init_mlflow() == store


def test_a_server_whose_name_nobody_knows_is_told_so():
    with pytest.raises(ConnectionError, match=r"no machine of the name no-such-host\.invalid"):
        init_mlflow("http://no-such-host.invalid:5000")


def test_the_environment_names_the_tracking_server(store, monkeypatch):
    mlflow.set_tracking_uri(None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert init_mlflow() == store


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["C"]), min_size=1))
@example("a b")
@example("100%25")
@example("l'été ?#é%d")
def test_a_database_in_any_folder_is_found_by_its_uri(name):
    """By ours, by MLflow's, and by the file that SQLAlchemy opens."""
    path = Path("/folder", name, "mlflow.db")
    assert database_file(sqlite_uri(path)) == path
    assert make_url(sqlite_uri(path)).database == str(path)
    if name not in (".", ".."):
        assert database_file(path_to_local_sqlite_uri(str(path))) == path


@pytest.mark.parametrize("name", ["a b", "100%25", "l'été ?#é%d"])
def test_files_lie_in_the_working_directory_whatever_its_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "")
    monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT")
    mlflow.set_tracking_uri(None)
    client = MlflowClient(init_mlflow())
    client.log_text(client.create_run("0").info.run_id, "here", "a.txt")
    assert len(list(folder.glob("mlruns/*/*/artifacts/a.txt"))) == 1


def test_without_any_name_it_is_a_whole_database_in_the_working_directory(tmp_path):
    copies = [tmp_path / f"mlflow.db.{ending}" for ending in ("1", "20261124", "2026-11-24.gz")]
    left_behind = tmp_path / ".mlflow.db.unfinished-1"
    being_made = tmp_path / ".mlflow.db.unfinished-2"
    for file in (*copies, left_behind, being_made):
        file.write_bytes(b"runs")
    os.utime(left_behind, (0, 0))
    mlflow.set_tracking_uri(None)
    assert init_mlflow() == mlflow.get_tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert list(database.execute("SELECT name FROM experiments")) == [("Default",)]
    # What nobody finished is gone; copies of an old one stay, and what another one may be making.
    found = {*tmp_path.glob("*.db*"), *tmp_path.glob(".*.db*")}
    assert found == {tmp_path / "mlflow.db", *copies, being_made}


def test_a_database_that_another_user_makes_meanwhile_stays_theirs(tmp_path, monkeypatch):
    class SlowClient(MlflowClient):
        def search_experiments(self, *given, **more):
            (tmp_path / "mlflow.db").write_bytes(b"theirs")
            return super().search_experiments(*given, **more)

    monkeypatch.setattr(mlflow_manager, "MlflowClient", SlowClient)
    mlflow.set_tracking_uri(None)
    init_mlflow()
    assert (tmp_path / "mlflow.db").read_bytes() == b"theirs"
    assert not list(tmp_path.glob("*unfinished*"))


def test_a_relative_database_is_made_absolute_and_kept_if_it_is_there(tmp_path):
    (tmp_path / "other.db").write_bytes(b"as it was")
    assert init_mlflow("sqlite:///other.db") == f"sqlite:///{tmp_path / 'other.db'}"
    assert (tmp_path / "other.db").read_bytes() == b"as it was"


def test_the_experiment_becomes_the_active_one(store):
    init_mlflow_experiment("chosen by name")
    with start_run("wine", None, {}) as run:
        pass
    assert MlflowClient(store).get_experiment(run.info.experiment_id).name == "chosen by name"


@pytest.mark.parametrize("choose", [init_mlflow_experiment, mlflow.set_experiment])
def test_an_experiment_that_was_active_here_before_gives_way(choose, store):
    choose("a")
    with start_run("wine", None, {}):
        pass
    init_mlflow_experiment("b")
    with start_run("wine", None, {}) as run:
        pass
    assert MlflowClient(store).get_experiment(run.info.experiment_id).name == "b"


@pytest.mark.parametrize("variable", ["MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"])
def test_what_mlflow_run_has_chosen_stays(variable, store, monkeypatch):
    monkeypatch.setenv(variable, "0")
    init_mlflow_experiment("must not be made")
    assert MlflowClient(store).get_experiment_by_name("must not be made") is None


def test_a_run_is_named_and_tagged_after_its_step_entity_and_model(stored):
    with start_run("wine", "ridge", {**STEP, "pipeline.rows": 5, "pipeline.none": None}) as run:
        assert mlflow.active_run().info.run_id == run.info.run_id
    run = stored(run.info.run_id)
    assert run.info.run_name == "train wine ridge"
    assert run.info.status == "FINISHED"
    assert run.data.tags["pipeline.recipe"] == "wine"
    assert run.data.tags["pipeline.model"] == "ridge"
    assert run.data.tags["pipeline.rows"] == "5"
    assert "pipeline.none" not in run.data.tags


def test_a_step_without_a_model_is_named_without_one(stored):
    with start_run("wine", None, {"mlflow.project.entryPoint": "prepare"}) as run:
        pass
    run = stored(run.info.run_id)
    assert run.info.run_name == "prepare wine"
    assert "pipeline.model" not in run.data.tags


def test_the_run_that_mlflow_run_made_is_used(stored, store, experiment, monkeypatch):
    made = MlflowClient(store).create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    with start_run("wine", "ridge", STEP) as run:
        log_metrics({"rmse": 0.5})
    assert run.info.run_id == made
    run = stored(made)
    assert (run.info.status, run.data.metrics["rmse"]) == ("FINISHED", 0.5)
    assert run.data.tags["pipeline.model"] == "ridge"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_run_that_an_exception_leaves_is_failed(error, stored):
    with pytest.raises(error), start_run("wine", None, {}) as run:
        raise error(1)
    assert stored(run.info.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_end_run_finishes_the_active_run(stored):
    run = mlflow.start_run()
    end_run()
    assert stored(run.info.run_id).info.status == "FINISHED"
    assert mlflow.active_run() is None


def test_params_are_stored_as_text(stored):
    with start_run("wine", None, {}) as run:
        log_params({"alpha": 0.5, "depth": None, "scale": True, "solver": "auto"})
    expected = {"alpha": "0.5", "depth": "None", "scale": "True", "solver": "auto"}
    assert stored(run.info.run_id).data.params == expected


@pytest.fixture
def of_mlflow_run(store, experiment, monkeypatch):
    """Makes a run with parameters as `mlflow run` does, which waits for its entry point."""

    def make(**params):
        client = MlflowClient(store)
        run = client.create_run(experiment, tags={"mlflow.source.type": "PROJECT"})
        for name, value in params.items():
            client.log_param(run.info.run_id, name, value)
        monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)

    return make


def test_params_that_mlflow_run_has_logged_are_not_changed(of_mlflow_run, stored):
    of_mlflow_run(alpha="'0.50'", model="''")
    with start_run("wine", None, {}) as run:
        log_params({"alpha": 0.5, "model": "ridge", "l1_ratio": 0.25})
        log_params({"alpha": 0.75, "l1_ratio": 0.25})
        log_params({})
    expected = {"alpha": "'0.50'", "model": "''", "l1_ratio": "0.25"}
    assert stored(run.info.run_id).data.params == expected


@pytest.mark.parametrize("is_of_mlflow_run", [True, False])
def test_a_second_value_of_a_param_is_refused(is_of_mlflow_run, of_mlflow_run, stored):
    if is_of_mlflow_run:
        of_mlflow_run(alpha="1")
    with start_run("wine", None, {}) as run:
        log_params({"l1_ratio": 0.25})
        with pytest.raises(MlflowException, match="l1_ratio"):
            log_params({"l1_ratio": 0.5})
    assert stored(run.info.run_id).data.params["l1_ratio"] == "0.25"


def test_a_param_of_any_length_is_stored(stored):
    with start_run("wine", None, {}) as run:
        log_params({"long": "x" * 10_000})
    assert stored(run.info.run_id).data.params["long"] == "x" * 6000


def test_every_kind_of_number_is_stored_as_it_is(stored):
    numbers = {
        "float": 0.5,
        "int": 3,
        "bool": True,
        "float64": np.float64(0.25),
        "float32": np.float32(0.75),
        "int64": np.int64(7),
        "infinite": math.inf,
    }
    with start_run("wine", None, {}) as run:
        log_metrics(numbers)
    metrics = stored(run.info.run_id).data.metrics
    assert {name: metrics[name] for name in list(numbers)[:-1]} == {
        "float": 0.5,
        "int": 3,
        "bool": 1,
        "float64": 0.25,
        "float32": 0.75,
        "int64": 7,
    }
    assert metrics["infinite"] > 1e300


@pytest.mark.parametrize("value", [None, "high", math.nan, [1.0]])
def test_what_is_no_number_is_stored_as_nan(value, stored):
    with start_run("wine", None, {}) as run:
        log_metrics({"rmse": value})
    assert math.isnan(stored(run.info.run_id).data.metrics["rmse"])


def test_metrics_of_several_steps_are_kept(store):
    with start_run("wine", None, {}) as run:
        log_metrics({"loss": 2.0}, step=1)
        log_metrics({"loss": 1.0}, step=2)
    history = MlflowClient(store).get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]


@pytest.mark.parametrize("folder", [None, "plots"])
def test_an_artifact_keeps_its_name(folder, tmp_path, artifacts):
    path = tmp_path / "figure.png"
    path.write_bytes(b"picture")
    with start_run("wine", None, {}) as run:
        log_artifact(path, folder)
    assert artifacts(run.info.run_id, folder or "") == [
        f"{folder}/figure.png" if folder else "figure.png"
    ]


@pytest.mark.parametrize("settings", [{}, {"disable": False}])
def test_autologging_logs_what_the_estimator_is_and_no_model(
    settings, autologging, of_mlflow_run, stored, store
):
    of_mlflow_run(alpha="'2'")
    autologging(settings)
    with start_run("wine", None, {}) as run:
        make_pipeline(StandardScaler(), Ridge(alpha=2)).fit(INPUTS, [1.0, 2.0, 4.0])
        log_params({"alpha": 2, "solver": "auto"})
    run = stored(run.info.run_id)
    assert run.data.params["ridge__alpha"] == "2"
    assert run.data.params["alpha"] == "'2'"
    assert run.data.params["solver"] == "auto"
    assert run.data.tags["estimator_name"] == "Pipeline"
    assert not run.inputs.dataset_inputs
    assert not MlflowClient(store).search_logged_models([run.info.experiment_id])


@pytest.mark.parametrize("first", [{}, None])
@pytest.mark.parametrize("off", [None, "off", {"disable": True}])
def test_autologging_is_off_for_what_says_so(first, off, autologging, stored):
    autologging(first)
    autologging(off)
    with start_run("wine", None, {}) as run:
        Ridge().fit(INPUTS, [1.0, 2.0, 4.0])
    assert stored(run.info.run_id).data.params == {}
