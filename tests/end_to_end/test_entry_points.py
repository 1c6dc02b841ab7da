"""Every entry point alone, from a folder that is not the project, and with wrong run ids."""

import re
from pathlib import Path

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[2]


def _model_uri(train):
    return f"models:/{train.outputs.model_outputs[0].model_id}"


def _run_id(outcome):
    (run,) = outcome.runs
    return run.info.run_id


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def prepare(store):
    return store.mlflow_run("data=data/red-wine-quality.csv", entry_point="prepare")


@pytest.fixture(scope="module")
def train(store, prepare):
    return store.mlflow_run(
        f"prepare_run_id={_run_id(prepare)}", "l1_ratio=0.25", entry_point="train"
    )


@pytest.fixture(scope="module")
def evaluate(store, prepare, train):
    uri = _model_uri(train.of("train"))
    return store.mlflow_run(
        f"prepare_run_id={_run_id(prepare)}", f"model_uri={uri}", entry_point="evaluate"
    )


@pytest.fixture(scope="module")
def register(store, evaluate):
    return store.mlflow_run(f"evaluate_run_id={_run_id(evaluate)}", entry_point="register")


@pytest.fixture(scope="module")
def failed(store, prepare):
    return store.step("prepare", "data=no/such/table.csv")


@pytest.fixture(scope="module")
def candidate(store, prepare, register):
    """The evaluation of a model that is not registered yet, typed without `mlflow run`."""
    prepared = f"prepare_run_id={_run_id(prepare)}"
    train = store.step("train", prepared, "model=ridge")
    return store.step("evaluate", prepared, f"model_uri={_model_uri(train.of('train'))}")


def test_prepare_alone_looks_a_relative_table_up_from_the_projects_root(prepare):
    assert prepare.code == 0, prepare.terminal
    assert prepare.of("prepare").data.metrics["rows"] == 1599


def test_train_alone_passes_a_hyperparameter_on(train):
    assert train.code == 0, train.terminal
    assert train.of("train").data.params["l1_ratio"] == "0.25"
    assert re.search(r"models:/m-\w+", _model_uri(train.of("train")))


def test_evaluate_alone_logs_metrics_and_predictions(evaluate, read_artifact):
    assert evaluate.code == 0, evaluate.terminal
    run = evaluate.of("evaluate")
    assert run.data.metrics["rmse"] < run.data.metrics["dummy_rmse"]
    assert len(pd.read_parquet(read_artifact(run, "predictions/*.parquet"))) > 200


def test_register_alone_promotes(register):
    assert register.code == 0, register.terminal
    assert register.of("register").data.tags["pipeline.verdict"] == "promoted"
    assert register.aliases == {"champion": 1}


def test_entry_points_alone_are_finished_runs_without_a_parent(prepare, train, evaluate, register):
    for outcome in (prepare, train, evaluate, register):
        (run,) = outcome.runs
        assert run.info.status == "FINISHED"
        assert "mlflow.parentRunId" not in run.data.tags


def test_message_for_a_missing_relative_table_says_where_it_is_looked_up(failed):
    words = ["no/such/table.csv", "is not there", "looked up from the project's root"]
    failed.assert_refused("prepare", words, parent=False)


def test_train_refuses_an_unknown_run_id(store, prepare):
    outcome = store.step("train", "prepare_run_id=0123456789abcdef")
    outcome.assert_refused("train", ["prepare_run_id", "no run '0123456789abcdef'"], parent=False)


def test_train_refuses_the_run_of_another_step(store, train):
    outcome = store.step("train", f"prepare_run_id={_run_id(train)}")
    words = ["prepare_run_id", _run_id(train), "is of train, not of prepare"]
    outcome.assert_refused("train", words, parent=False)


def test_train_refuses_the_run_of_another_recipe(store, prepare):
    churn = "recipe=recipes/customer_churn.yaml"
    outcome = store.step("train", churn, f"prepare_run_id={_run_id(prepare)}")
    words = ["prepare_run_id", "is of the recipe 'wine_quality', not of 'customer_churn'"]
    outcome.assert_refused("train", words, parent=False)


def test_train_refuses_a_failed_run(store, failed):
    outcome = store.step("train", f"prepare_run_id={_run_id(failed)}")
    words = ["prepare_run_id", _run_id(failed), "is FAILED, not FINISHED"]
    outcome.assert_refused("train", words, parent=False)


def test_evaluate_refuses_an_unknown_run_id(store, train):
    uri = _model_uri(train.of("train"))
    outcome = store.step("evaluate", "prepare_run_id=0123456789abcdef", f"model_uri={uri}")
    outcome.assert_refused("evaluate", ["prepare_run_id", "no run '0123"], parent=False)


def test_evaluate_refuses_an_unknown_model(store, prepare):
    run_id = f"prepare_run_id={_run_id(prepare)}"
    outcome = store.step("evaluate", run_id, "model_uri=models:/wine_quality/99")
    outcome.assert_refused("evaluate", ["models:/wine_quality/99 cannot be loaded"], parent=False)


def test_register_refuses_the_run_of_another_step(store, train):
    outcome = store.step("register", f"evaluate_run_id={_run_id(train)}")
    outcome.assert_refused("register", ["evaluate_run_id", "is of train, not of"], parent=False)


def test_register_refuses_a_champion_run_of_another_model(store, candidate):
    run_id = _run_id(candidate)
    outcome = store.step("register", f"evaluate_run_id={run_id}", f"champion_run_id={run_id}")
    words = ["champion_run_id", run_id, "did not evaluate the champion", "version 1"]
    outcome.assert_refused("register", words, parent=False)
    assert list(outcome.versions) == [1]


def test_register_refuses_to_overlook_the_champion(store, tmp_path, register):
    wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
    wines.iloc[:800].to_csv(tmp_path / "wines.csv", index=False)
    prepared = f"prepare_run_id={_run_id(store.step('prepare', f'data={tmp_path}/wines.csv'))}"
    train = store.step("train", prepared)
    evaluate = store.step("evaluate", prepared, f"model_uri={_model_uri(train.of('train'))}")
    outcome = store.step("register", f"evaluate_run_id={_run_id(evaluate)}")
    words = ["has a champion, version 1", "-e evaluate", "champion_run_id"]
    outcome.assert_refused("register", words, parent=False)
    assert list(outcome.versions) == [1]


def test_register_compares_with_the_champions_own_evaluation_of_the_same_rows(store, candidate):
    outcome = store.step("register", f"evaluate_run_id={_run_id(candidate)}")
    assert outcome.code == 0, outcome.terminal
    assert "difference_to_champion" in outcome.of("register").data.metrics
    assert outcome.of("register").data.tags["pipeline.verdict"] == "challenger"
