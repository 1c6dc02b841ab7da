"""Which sweeps another one goes on with, whatever was cut off before, and which it may not."""

import json
from types import SimpleNamespace

import pytest

from common.errors import InputError
from steps.sweeping.loop import CONTINUED, SWEEP
from steps.sweeping.run import _continued, _find_resumed

FACTS = json.dumps({"seed": 1})


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


def test_only_a_sweep_of_the_same_kind_is_resumed(client):
    def run(entry_point="sweep", recipe="wines", experiment="0", status="FAILED", facts=FACTS):
        tags = {"mlflow.project.entryPoint": entry_point, "pipeline.recipe": recipe, SWEEP: facts}
        made = client.create_run(experiment, tags=tags).info.run_id
        if status != "RUNNING":
            client.set_terminated(made, status)
        return client.get_run(made)

    own, same = run(status="RUNNING"), run()
    assert _find_resumed("none", own) is None
    assert _find_resumed(same.info.run_id, own).info.run_id == same.info.run_id
    with pytest.raises(InputError, match="resume: there is no run '0123' in sqlite"):
        _find_resumed("0123", own)
    for other, words in (
        (run(entry_point="train"), "is of train, no sweep"),
        (run(recipe="churn"), "is of the recipe churn, this is wines"),
        (run(experiment=client.create_experiment("other")), "is of the experiment 1, this is 0"),
        (run(status="RUNNING"), "is still running"),
    ):
        with pytest.raises(InputError, match=f"resume: run {other.info.run_id} {words}"):
            _find_resumed(other.info.run_id, own)
    plan = SimpleNamespace(facts={"the search space": "a", "seed": 1})
    facts = json.dumps({"the search space": "b", "seed": 1})
    with pytest.raises(InputError, match="was another sweep: the search space differs"):
        _continued(plan, json.dumps(plan.facts), own, run(facts=facts))
