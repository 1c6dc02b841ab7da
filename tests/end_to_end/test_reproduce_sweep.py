"""`-e reproduce` of a sweep: its winner is made again, and no other trial."""

import sys

import pytest

from modelling.errors import InputError
from steps.recorded import find_recorded
from tests.end_to_end.project_copy import Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(make_store, tmp_path_factory):
    return Project(tmp_path_factory.mktemp("reproduce"), make_store())


@pytest.fixture(scope="module")
def swept(project):
    """A sweep of two trials, of which the winner is registered."""
    space = ["--model", "elastic_net", "--alpha", "0.01,0.5", "--l1_ratio", "0.5"]
    options = ["--data", str(project.table), "--folds", "2", *space]
    command = [sys.executable, "-m", "steps.sweep", *options]
    outcome = project.store.type(command, cwd=project.folder, variables=project.variables)
    assert outcome.code == 0, outcome.terminal
    assert outcome.aliases == {"champion": 1}
    return outcome


def test_the_winner_of_a_sweep_is_identical(project, swept):
    sweep = swept.of("sweep")
    outcome = project.reproduce(sweep.info.run_id)
    assert outcome.code == 0, outcome.terminal
    own, again = outcome.of("reproduce"), outcome.of("main")
    assert own.data.tags["pipeline.verdict"] == "identical", outcome.terminal
    assert again.data.params["alpha"] == "0.01"
    assert again.data.tags["pipeline.model"] == "elastic_net"
    assert again.data.metrics["rmse"] == sweep.data.metrics["rmse"]
    steps = [run.data.tags["mlflow.project.entryPoint"] for run in outcome.runs]
    assert steps == ["reproduce", "main", "prepare", "train", "evaluate"]
    assert list(outcome.versions) == [1]


def test_the_version_that_a_sweep_registered_is_its_winner(project, swept, monkeypatch):
    sweep = swept.of("sweep").info.run_id
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", project.store.uri)
    for uri in ("models:/wine_quality/1", "models:/wine_quality@champion"):
        recorded = find_recorded(uri)
        assert recorded.run_id == sweep
        assert recorded.request["hyperparameters"] == {"alpha": 0.01, "l1_ratio": 0.5}


def test_a_trial_is_refused_by_the_name_of_its_sweep(project, swept, monkeypatch):
    sweep = swept.of("sweep").info.run_id
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", project.store.uri)
    below = [run for run in swept.runs if run.data.tags.get("mlflow.parentRunId") == sweep]
    trials = [run for run in below if run.data.tags["mlflow.project.entryPoint"] == "train"]
    assert len(trials) == 3  # and the training of the winner
    for trial in trials:
        with pytest.raises(InputError, match=f"is of train, .*reproduce the run above it, {sweep}"):
            find_recorded(trial.info.run_id)
