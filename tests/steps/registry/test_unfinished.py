"""A change of the registry that is cut off before any of its requests is finished or undone."""

import os
from unittest import mock

import mlflow
import pytest
from mlflow import MlflowClient

from engine.processes.guard import process_tags
from steps.registry.journal import move_champion, read_journal
from steps.registry.unfinished import finish_or_undo
from steps.registry.versions import UNFINISHED, find_champion

WRITES = [
    name
    for name in dir(MlflowClient)
    if name.startswith(("set_", "delete_", "update_")) and ("model" in name or "alias" in name)
]


@pytest.fixture(scope="module")
def client(tmp_path_factory, make_database):
    mlflow.set_tracking_uri(make_database(tmp_path_factory.mktemp("store")))
    yield MlflowClient()
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


class CutOffError(BaseException):
    """Like a kill: nothing of the program comes after it."""


def cut_off_before_write(number, act):
    """Does something until it has written so many times; says whether that was all of it."""
    left = [number]

    def cut(original):
        def write(*arguments, **options):
            if left[0] == 0:
                raise CutOffError
            left[0] -= 1
            return original(*arguments, **options)

        return write

    with mock.patch.multiple(
        MlflowClient, **{name: cut(getattr(MlflowClient, name)) for name in WRITES}
    ):
        try:
            act()
        except CutOffError:
            return False
    return True


def said(client, name):
    model = client.get_registered_model(name)
    return {
        str(found.version): (read_journal(found.tags), found.description, found.aliases)
        for found in client.search_model_versions(f"name = '{name}'")
    } | {"model": (dict(model.tags), dict(model.aliases))}


def test_a_move_that_a_rollback_is_at_work_on_is_left_alone(client, tmp_path):
    name = "under way"
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, tmp_path.as_uri())
    move_champion(name, "2", "promoted", "the first")
    with mlflow.start_run(experiment_id="0", tags=process_tags()) as run:
        assert not cut_off_before_write(2, lambda: move_champion(name, "1", "rolled back", "slow"))
    client.update_run(run.info.run_id, status="RUNNING")
    before = said(client, name)
    assert finish_or_undo(name) == []
    assert said(client, name) == before
    client.set_terminated(run.info.run_id, "KILLED")
    assert finish_or_undo(name) == [
        f"the champion of {name} never became version 1: no entry in its journal"
    ]


def test_a_move_of_the_champion_is_made_or_not_made(client, tmp_path):
    name, cuts = "moves", 0
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, tmp_path.as_uri())
    move_champion(name, "1", "promoted", "the first")
    while True:
        before = said(client, name)
        client.set_registered_model_alias(name, "challenger", "2")
        done = cut_off_before_write(cuts, lambda: move_champion(name, "2", "promoted", "better"))
        finish_or_undo(name)
        assert finish_or_undo(name) == []
        last = read_journal(client.get_registered_model(name).tags)[-1]
        assert last.after == str(find_champion(name).version)
        if last.after == "1":
            client.delete_registered_model_alias(name, "challenger")
            assert said(client, name) == before
        else:
            assert str(last) in client.get_model_version(name, "1").description
            assert str(last) in client.get_model_version(name, "2").description
            assert client.get_registered_model(name).aliases.keys() == {"champion"}
            move_champion(name, "1", "rolled back", "for the next cut")
        if done:
            break
        cuts += 1
    assert cuts > 7


def test_a_version_without_an_alias_goes_and_one_with_it_stays(client, tmp_path):
    client.create_registered_model("versions")
    first, second, third = (
        client.create_model_version("versions", tmp_path.as_uri(), tags={UNFINISHED: "none"})
        for _ in range(3)
    )
    client.set_registered_model_alias("versions", "champion", first.version)
    client.set_registered_model_alias("versions", "challenger", third.version)
    did = finish_or_undo("versions")
    assert [f"version {second.version} of versions was half registered: removed"] == [
        line for line in did if "removed" in line
    ]
    left = client.search_model_versions("name = 'versions'")
    assert {found.version for found in left} == {first.version, third.version}
    assert not any(UNFINISHED in found.tags for found in left)
    assert finish_or_undo("versions") == []


def test_a_model_that_is_not_there_has_nothing_unfinished(client):
    assert finish_or_undo("nothing") == []


def test_a_model_that_somebody_named_with_an_apostrophe_hinders_nobody(client):
    client.create_registered_model("vin d'Ana")
    assert finish_or_undo("vin d'Ana") == []
    assert find_champion("vin d'Ana") is None
