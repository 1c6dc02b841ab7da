"""What was done in one experiment counts in the other, whichever way a pipeline is started."""

STEPS = ("prepare", "train", "evaluate", "register")
DEFAULT = {"MLFLOW_EXPERIMENT_ID": "0"}  # as `mlflow run` sets it for main


def _reused(outcome):
    assert outcome.code == 0, outcome.terminal
    tags = outcome.parent.data.tags
    return [name for name in STEPS if tags.get(f"pipeline.step.{name}.status") == "reused"]


def test_what_one_has_done_the_other_reuses(make_store):
    store = make_store(like="champion")
    (own,) = {run.info.experiment_id for run in store.runs()}
    by_mlflow = store.main(**DEFAULT)
    assert _reused(by_mlflow) == list(STEPS)
    assert by_mlflow.parent.info.experiment_id == "0"
    assert by_mlflow.parent.data.tags["pipeline.verdict"] == "unchanged"
    # A link leads to the experiment of the run that stands for the step.
    link = f"#/experiments/{own}/runs/{by_mlflow.step('train').info.run_id}"
    assert link in by_mlflow.parent.data.tags["mlflow.note.content"]

    assert _reused(store.main("alpha=0.5", "until=train", **DEFAULT)) == ["prepare"]
    by_python = store.main("alpha=0.5", "until=train")
    assert _reused(by_python) == ["prepare", "train"]
    assert by_python.parent.info.experiment_id == own
    assert by_python.step("train").info.experiment_id == "0"
