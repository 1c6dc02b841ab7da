"""`-e reproduce` of a sweep: its winner is made again, and no other trial."""

import pytest

from common.errors import InputError
from steps.runs.provenance_read import find_recorded

pytestmark = pytest.mark.slow


@pytest.fixture
def swept(template, monkeypatch):
    """A sweep of six trials, of which the winner is registered."""
    found = template("sweep")
    uri = "mlflow.tracking._tracking_service.utils._tracking_uri"
    monkeypatch.setattr(uri, found.store.uri)
    return found.outcomes["grid"]


def test_the_winner_of_a_sweep_is_identical(make_store, swept, tmp_path_factory):
    sweep, temporary = swept.of("sweep"), tmp_path_factory.mktemp("t")
    outcome = make_store(like="sweep").mlflow_run(
        f"run_id={sweep.info.run_id}", entry_point="reproduce", is_typed=False,
        TMPDIR=str(temporary),
    )  # fmt: skip
    assert outcome.code == 0, outcome.terminal
    own, again = outcome.of("reproduce"), outcome.of("main")
    assert own.data.tags["pipeline.verdict"] == "identical", outcome.terminal
    assert again.data.params["alpha"] == "1"
    assert again.data.tags["pipeline.model"] == "ridge"
    assert again.data.metrics["rmse"] == sweep.data.metrics["rmse"]
    steps = [run.data.tags["mlflow.project.entryPoint"] for run in outcome.runs]
    assert steps == ["reproduce", "main", "prepare", "train", "evaluate"]
    assert list(outcome.versions) == [1]
    assert list(temporary.glob("cuvee-*")) == []


def test_the_version_that_a_sweep_registered_is_its_winner(swept):
    sweep = swept.of("sweep").info.run_id
    for uri in ("models:/wine_quality/1", "models:/wine_quality@champion"):
        recorded = find_recorded(uri)
        assert recorded.run_id == sweep
        assert recorded.request["hyperparameters"] == {"alpha": 1, "solver": "auto"}


def test_a_trial_is_refused_by_the_name_of_its_sweep(swept):
    sweep = swept.of("sweep").info.run_id
    below = [run for run in swept.runs if run.data.tags.get("mlflow.parentRunId") == sweep]
    trials = [run for run in below if run.data.tags["mlflow.project.entryPoint"] == "train"]
    assert len(trials) == 7  # and the training of the winner
    for trial in trials:
        with pytest.raises(InputError, match=f"is of train, .*reproduce the run above it, {sweep}"):
            find_recorded(trial.info.run_id)
