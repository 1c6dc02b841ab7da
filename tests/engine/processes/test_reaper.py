"""Runs whose process is gone are ended; those of other hosts and those that yet start are not."""

import os
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from common.tags import ERROR, HOST
from engine.processes.guard import process_tags
from engine.processes.reaper import find_stale_runs, reap


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


@pytest.fixture
def start_mlflow_run(tmp_path):
    """Starts what looks like a `mlflow run` in a folder; of a run id, if one is given."""
    script = tmp_path / "mlflow"
    script.write_text(
        "import os, subprocess, sys\n"
        "environment = {**os.environ, 'MLFLOW_RUN_ID': sys.argv[2]}\n"
        "child = [sys.executable, '-c', 'print(flush=True); input()']\n"
        "sys.argv[2] and subprocess.Popen(child, env=environment) or print(flush=True)\n"
        "input()\n"
    )
    started = []

    def start(folder, run_id, uri=""):
        process = subprocess.Popen(
            [sys.executable, str(script), "run", run_id],
            cwd=folder,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.communicate()


@pytest.mark.parametrize(
    ("folder", "run_id", "uri", "found"),
    [
        (".", "", "", False),
        ("elsewhere", "", "sqlite:///../mlflow.db", False),
        ("elsewhere", "", "http://127.0.0.1:1", False),
        ("elsewhere", "", "", True),
        (".", "another", "", True),
        ("elsewhere", "this", "", False),
    ],
    ids=str,
)
def test_a_run_that_its_mlflow_run_may_yet_start_is_left_alone(
    tmp_path, make_database, monkeypatch, start_mlflow_run, folder, run_id, uri, found
):
    store = make_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    (tmp_path / "elsewhere").mkdir()
    made = MlflowClient(store).create_run(
        "0",
        start_time=int(time.time() * 1000) + 60_000,  # the processes are the older ones
        tags={MLFLOW_PROJECT_ENTRY_POINT: "main"},
    )
    start_mlflow_run(tmp_path / folder, made.info.run_id if run_id == "this" else run_id, uri)
    stale = [run.info.run_id for run, _ in find_stale_runs(["0"])]
    assert stale == ([made.info.run_id] if found else [])
