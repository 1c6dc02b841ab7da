"""Every entry point alone, from a folder that is not the project, and with wrong run ids.

What is wrong with a run id is said by tests/steps/runs/test_step.py; here it reaches the terminal.
"""

import re

import pandas as pd
import pytest


def _model_uri(train):
    return f"models:/{train.outputs.model_outputs[0].model_id}"


def _run_id(outcome):
    (run,) = outcome.runs
    return run.info.run_id


@pytest.fixture(scope="module")
def store(make_store):
    """A store with a champion, whose prepared rows are used."""
    return make_store(like="champion")


@pytest.fixture(scope="module")
def champion(template):
    return template("champion").outcomes["first"]


@pytest.fixture(scope="module")
def prepared(champion):
    return f"prepare_run_id={champion.step('prepare').info.run_id}"


@pytest.fixture(scope="module")
def prepare(store):
    return store.step("prepare", "data=data/red-wine-quality.csv")


@pytest.fixture(scope="module")
def train(store, prepared):
    return store.mlflow_run(prepared, "l1_ratio=0.25", entry_point="train", is_typed=False)


@pytest.fixture(scope="module")
def evaluate(store, prepared, train):
    return store.step("evaluate", prepared, f"model_uri={_model_uri(train.of('train'))}")


@pytest.fixture(scope="module")
def register(store, evaluate):
    return store.step("register", f"evaluate_run_id={_run_id(evaluate)}")


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


def test_register_alone_compares_with_the_champions_own_evaluation_of_the_same_rows(register):
    assert register.code == 0, register.terminal
    run = register.of("register")
    assert "difference_to_champion" in run.data.metrics
    assert run.data.tags["pipeline.verdict"] == "challenger"
    assert register.aliases == {"champion": 1, "challenger": 2}


def test_entry_points_alone_are_finished_runs_without_a_parent(prepare, train, evaluate, register):
    for outcome in (prepare, train, evaluate, register):
        (run,) = outcome.runs
        assert run.info.status == "FINISHED"
        assert "mlflow.parentRunId" not in run.data.tags


def test_message_for_a_missing_relative_table_says_where_it_is_looked_up(store):
    words = ["no/such/table.csv", "is not there", "starts from the recipe's repository or folder"]
    store.step("prepare", "data=no/such/table.csv").assert_refused("prepare", words, parent=False)


def test_train_refuses_the_run_of_another_step(store, champion):
    run_id = champion.step("train").info.run_id
    outcome = store.step("train", f"prepare_run_id={run_id}")
    words = ["prepare_run_id", run_id, "is of train, not of prepare"]
    outcome.assert_refused("train", words, parent=False)


def test_evaluate_refuses_an_unknown_run_id(store, champion):
    uri = _model_uri(champion.step("train"))
    outcome = store.step("evaluate", "prepare_run_id=0123456789abcdef", f"model_uri={uri}")
    outcome.assert_refused("evaluate", ["prepare_run_id", "no run '0123"], parent=False)


def test_evaluate_refuses_an_unknown_model(store, prepared):
    outcome = store.step("evaluate", prepared, "model_uri=models:/wine_quality/99")
    outcome.assert_refused("evaluate", ["models:/wine_quality/99 cannot be loaded"], parent=False)


def test_register_refuses_the_run_of_another_step(store, champion):
    outcome = store.step("register", f"evaluate_run_id={champion.step('train').info.run_id}")
    outcome.assert_refused("register", ["evaluate_run_id", "is of train, not of"], parent=False)
