"""What a cluster did twice."""

import mlflow
import pytest
from mlflow import MlflowClient

from engine.trials.dask_trials import end_doubles
from engine.trials.trial import Place

PARENT = "0" * 32


@pytest.fixture
def client(tmp_path, make_database):
    mlflow.set_tracking_uri(make_database(tmp_path))
    yield MlflowClient()
    mlflow.set_tracking_uri(None)


def test_of_a_trial_that_was_done_twice_one_counts(client):
    def do(number, parent=PARENT):
        tags = {"mlflow.parentRunId": parent, "pipeline.trial": str(number)}
        run_id = client.create_run("0", tags=tags).info.run_id
        client.set_terminated(run_id)
        return run_id

    prepared = client.create_run("0", tags={"mlflow.parentRunId": PARENT}).info.run_id
    client.set_terminated(prepared)
    first, lost, again = do(0), do(1), do(1)
    without_answer, of_another_sweep = do(2), do(1, "1" * 32)

    end_doubles(
        Place("", "0", "train", {"mlflow.parentRunId": PARENT}, "", {}), {0: first, 1: again}
    )

    ended = client.get_run(lost)
    assert ended.info.status == "KILLED"
    assert again in ended.data.tags["pipeline.error"]
    for run_id in (prepared, first, again, without_answer, of_another_sweep):
        assert client.get_run(run_id).info.status == "FINISHED"
