"""Runs of other hosts: left alone, unless somebody says that the host is gone."""

from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from engine.processes import process_tags
from engine.reaper import find_stale_runs, reap
from engine.tags import ERROR, HOST


def test_a_run_of_another_host_ends_when_that_host_is_said_to_be_gone(
    tmp_path, make_database, monkeypatch
):
    uri = make_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(uri)
    theirs, ours = (
        client.create_run(
            "0", tags={MLFLOW_PROJECT_ENTRY_POINT: "main", **process_tags(), **host}
        ).info.run_id
        for host in ({HOST: "container-7"}, {})
    )
    assert find_stale_runs(["0"]) == []
    assert find_stale_runs(["0"], ["container-8"]) == []
    [(run, reason)] = reap(["0"], ["container-7"])
    assert run.info.run_id == theirs
    ended = client.get_run(theirs)
    assert ended.info.status == "KILLED"
    assert ended.data.tags[ERROR] == reason == "its host, container-7, is gone"
    assert client.get_run(ours).info.status == "RUNNING"
