"""Which sweeps another one goes on with, whatever was cut off before."""

import json
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from steps.sweep_trials import CONTINUED, SWEEP
from steps.sweeping import _continued

FACTS = json.dumps({"seed": 1})


@pytest.fixture
def client(tmp_path, make_database, monkeypatch):
    uri = make_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return MlflowClient(uri)


def test_a_sweep_that_was_extended_and_cut_off_goes_on_with_all_its_trials(client):
    plan = SimpleNamespace(facts={"seed": 1})

    def sweep(status, continued=()):
        run = client.create_run("0", tags={SWEEP: FACTS, CONTINUED: ",".join(continued)})
        client.set_terminated(run.info.run_id, status)
        return client.get_run(run.info.run_id)

    def continued(resumed=None):
        return set(_continued(plan, FACTS, client.create_run("0"), resumed))

    finished = sweep("FINISHED")
    ids = [finished.info.run_id]
    assert continued() == set()
    assert continued(finished) == set(ids)
    cut_off = sweep("KILLED", ids)  # of 200 trials, where the finished one had 100
    ids.append(cut_off.info.run_id)
    assert continued(finished) == continued(cut_off) == continued() == set(ids)
    ids.append(sweep("KILLED", ids).info.run_id)
    assert continued(finished) == continued() == set(ids)
