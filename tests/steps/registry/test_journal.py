"""The journal of the champion alias, in a real registry, and what was the champion before."""

import os
from dataclasses import replace

import mlflow
import pytest
from mlflow import MlflowClient

from steps.registry.journal import (
    PROMOTED,
    ROLLED_BACK,
    Move,
    move_champion,
    read_journal,
    version_before,
    was_taken_back,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory, make_database):
    mlflow.set_tracking_uri(make_database(tmp_path_factory.mktemp("store")))
    yield MlflowClient()
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture
def name(client, request, tmp_path):
    """A registered model of three versions, without a champion."""
    client.create_registered_model(request.node.name)
    for _ in range(3):
        client.create_model_version(request.node.name, tmp_path.as_uri())
    return request.node.name


def journal(client, name):
    return read_journal(client.get_registered_model(name).tags)


def moves(*pairs):
    """Moves between versions; a third word says that one back was the gate's too."""
    return [
        Move(
            when=f"2026-01-0{day}T00:00:00.000000Z",
            who="ana",
            what=ROLLED_BACK
            if not gate and after in {pair[1] for pair in pairs[: day - 1]}
            else PROMOTED,
            why="better",
            before=before,
            after=after,
        )
        for day, (before, after, *gate) in enumerate(pairs, 1)
    ]


def test_a_move_is_written_on_the_model_and_on_both_versions(client, name):
    first = move_champion(name, "1", "promoted", "passed the gate")
    second = move_champion(name, "2", "promoted", "better: ação")
    assert journal(client, name) == [first, second]
    assert (second.before, second.after, second.why) == ("1", "2", "better: ação")
    assert read_journal(client.get_model_version(name, "1").tags) == [first, second]
    assert read_journal(client.get_model_version(name, "2").tags) == [second]
    assert client.get_model_version_by_alias(name, "champion").version in (2, "2")


def test_descriptions_end_with_the_journal_and_keep_what_they_said(client, name):
    client.update_model_version(name, "1", "A fine model.")
    first = move_champion(name, "1", "promoted", "passed the gate")
    second = move_champion(name, "2", "promoted", "better")
    third = move_champion(name, "1", "rolled back", "<b>slow</b>")
    description = client.get_model_version(name, "1").description
    third = replace(third, why="&#60;b&#62;slow&#60;/b&#62;")
    assert description == f"A fine model.\n\n**Journal**\n\n- {first}\n- {second}\n- {third}"


def test_a_move_that_the_registry_does_not_make_is_an_error_and_leaves_no_entry(
    client, name, monkeypatch
):
    move_champion(name, "1", "promoted", "passed the gate")
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", lambda *_: None)
    with pytest.raises(ValueError, match=r"told that version 2 .* says that it is version 1"):
        move_champion(name, "2", "promoted", "better")
    assert len(journal(client, name)) == 1
    assert read_journal(client.get_model_version(name, "2").tags) == []


def test_a_challenger_that_becomes_the_champion_is_no_challenger_any_more(client, name):
    client.set_registered_model_alias(name, "challenger", "2")
    move_champion(name, "2", "rolled back", "it is better after all")
    assert client.get_registered_model(name).aliases.keys() == {"champion"}


def test_who_took_a_version_out_of_use_was_the_gate_or_a_person(client, name):
    move_champion(name, "1", PROMOTED, "passed the gate")
    move_champion(name, "2", PROMOTED, "better")
    assert [was_taken_back(name, number) for number in "13"] == [False, False]
    client.set_registered_model_alias(name, "champion", "3")  # by hand
    assert was_taken_back(name, "2")
    client.set_registered_model_alias(name, "champion", "2")
    move_champion(name, "1", ROLLED_BACK, "slow")
    assert was_taken_back(name, "2")


@pytest.mark.parametrize(
    ("pairs", "champion", "before"),
    [
        ([("none", "1")], "1", None),
        ([("none", "1"), ("1", "2"), ("2", "3")], "3", "2"),
        ([("none", "1"), ("1", "2"), ("2", "3"), ("3", "2")], "2", "1"),
        ([("none", "1"), ("1", "2"), ("2", "1"), ("1", "3")], "3", "1"),
        ([("none", "1"), ("1", "2"), ("2", "3"), ("3", "1")], "1", None),
        ([("none", "1"), ("1", "2"), ("2", "1", "again")], "1", "2"),
        ([("none", "1"), ("1", "2"), ("2", "1", "again"), ("1", "2")], "2", "1"),
        ([("none", "1"), ("1", "2")], "4", "2"),  # somebody moved the alias by hand
        ([("none", "1"), ("1", "2")], None, "2"),  # or dropped it
        ([("none", "1"), ("1", "9"), ("9", "3")], "3", "1"),  # version 9 was deleted
        ([], None, None),
    ],
)
def test_the_version_before_is_the_champion_before_the_one_that_is(pairs, champion, before):
    assert version_before(moves(*pairs), champion, {"1", "2", "3", "4"}) == before
