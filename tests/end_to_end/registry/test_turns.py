"""Registrations from several hosts: each host has its own locks, the registry is the same."""

import json

import psutil
import pytest

from tests.end_to_end.store import PROJECT
from tests.end_to_end.terminal import wait_until

NAME = "wine_quality"
WEAK, BETTER, BEST = "weak", "better", "best"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluated(make_store, template):
    """A store with three evaluated models, and nothing registered."""
    made = template("evaluated").outcomes
    runs = {choice: made[choice].step("evaluate").info.run_id for choice in (WEAK, BETTER, BEST)}
    return make_store(like="evaluated"), runs


@pytest.fixture
def register(evaluated, tmp_path):
    """Starts a registration on a host of this name."""
    store, runs = evaluated
    return lambda host, choice: store.start_step(
        "register", f"evaluate_run_id={runs[choice]}", XDG_CACHE_HOME=str(tmp_path / host)
    )


@pytest.fixture(autouse=True)
def _empty_registry(evaluated):
    client = evaluated[0].client
    yield
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)


def finish(processes):
    ended = [process.finish() for process in processes]
    assert [one.returncode for one in ended] == [0] * len(ended), "\n".join(
        one.stdout for one in ended
    )


def moves(client):
    tags = client.get_registered_model(NAME).tags
    entries = [json.loads(tags[name]) for name in sorted(tags) if "pipeline.journal." in name]
    return [(entry["from"], entry["to"]) for entry in entries]


def test_six_hosts_at_once_give_one_champion_and_it_is_the_best(evaluated, register):
    store, runs = evaluated
    finish(
        [register(f"{number}", choice) for number, choice in enumerate([WEAK, BETTER, BEST] * 2)]
    )
    versions = store.client.search_model_versions(f"name = '{NAME}'")
    assert len({found.tags["pipeline.model_digest"] for found in versions}) == len(versions) == 3
    assert not [found for found in versions if "pipeline.unfinished" in found.tags]
    champion = store.client.get_model_version_by_alias(NAME, "champion")
    assert champion.tags["pipeline.evaluate_run_id"] == runs[BEST]
    known = moves(store.client)
    assert known[0][0] == "none"
    assert known[-1][1] == str(champion.version)
    assert [after for _, after in known[:-1]] == [before for before, _ in known[1:]]
    promoted = [found for found in versions if found.tags["pipeline.verdict"] == "promoted"]
    assert {str(found.version) for found in promoted} == {after for _, after in known}


def _leave_behind(client, run_id, **tags):
    """What a registration leaves that was killed in its turn."""
    return client.create_model_version(
        NAME, (PROJECT / "data").as_uri(), tags={"pipeline.unfinished": run_id, **tags}
    )


def test_what_a_killed_registration_left_is_cleared_up_by_the_next(evaluated, register):
    store, runs = evaluated
    finish([register("one", WEAK)])
    client = store.client
    digest = client.get_run(runs[BEST]).data.tags["pipeline.model_digest"]
    said = {"pipeline.model_digest": digest, "pipeline.replaced_version": "1"}
    dead = _leave_behind(client, runs[WEAK], **said)
    client.set_model_version_tag(NAME, "1", "pipeline.replaced_by_version", str(dead.version))
    finish([register("two", BEST)])
    versions = {found.version: found for found in client.search_model_versions()}
    assert sorted(map(int, versions)) == [1, 3]
    assert moves(client) == [("none", "1"), ("1", "3")]
    assert client.get_model_version(NAME, "1").tags["pipeline.replaced_by_version"] == "3"
    assert client.get_model_version_by_alias(NAME, "champion").version == 3


def test_a_registration_that_lacked_only_its_last_act_is_completed(evaluated, register):
    store, runs = evaluated
    finish([register("one", BEST)])
    client = store.client
    client.set_model_version_tag(NAME, "1", "pipeline.unfinished", runs[BEST])
    finish([register("two", WEAK)])
    assert "pipeline.unfinished" not in client.get_model_version(NAME, "1").tags
    assert client.get_model_version_by_alias(NAME, "champion").version == 1
    assert client.get_model_version_by_alias(NAME, "challenger").version == 2


def test_a_living_registration_is_waited_for(evaluated, register):
    client = evaluated[0].client
    client.create_registered_model(NAME)
    alive = client.create_run("0", tags={"pipeline.host": "elsewhere", "pipeline.pid": "1"})
    first = _leave_behind(client, alive.info.run_id)
    process = register("two", WEAK)
    waits = f"waits while run {alive.info.run_id} registers version {first.version}"
    wait_until(lambda: waits in process.said, "its words")
    assert psutil.pid_exists(process.pid)
    client.set_terminated(alive.info.run_id, "FAILED")
    finish([process])
    assert [found.version for found in client.search_model_versions()] == [2]
