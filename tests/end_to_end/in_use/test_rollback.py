"""The champion alias moves back: after three promotions, by `-e rollback`."""

import json
import re

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(make_store):
    """A store with three promotions, and a fourth version that nothing has gated."""
    store = make_store(like="three_champions")
    source = store.folder.as_uri()
    store.client.create_model_version("wine_quality", source)
    return store


def registry(store):
    """All that the registry says, to see that nothing of it changed."""
    model = store.client.get_registered_model("wine_quality")
    versions = store.client.search_model_versions("name = 'wine_quality'")
    said = [(found.version, found.description, found.tags) for found in versions]
    return dict(model.aliases), dict(model.tags), said


def journal(tags):
    entries = [json.loads(tags[name]) for name in sorted(tags) if "pipeline.journal." in name]
    return [(entry["from"], entry["to"], entry["what"]) for entry in entries]


def test_journal_tells_of_promotions_and_rollbacks_in_their_order(store):
    first = store.mlflow_run(entry_point="rollback")
    assert first.code == 0, first.terminal
    assert first.aliases == {"champion": 2}
    second = store.step("rollback", "version=1", "reason=customers complained")
    assert second.aliases == {"champion": 1}, second.terminal
    moves = [
        ("none", "1", "promoted"),
        ("1", "2", "promoted"),
        ("2", "3", "promoted"),
        ("3", "2", "rolled back"),
        ("2", "1", "rolled back"),
    ]
    assert journal(store.client.get_registered_model("wine_quality").tags) == moves
    version = {number: store.client.get_model_version("wine_quality", number) for number in "123"}
    assert journal(version["1"].tags) == [moves[0], moves[1], moves[4]]
    assert journal(version["2"].tags) == moves[1:]
    assert journal(version["3"].tags) == moves[2:4]
    assert version["1"].description.endswith("customers complained")
    status = store.check_status()
    assert status.returncode == 0, status.stdout
    told = status.stdout.splitlines()
    at = told.index("model wine_quality: version 1 is champion")
    below = " ".join(line.strip() for line in told[at + 1 :])  # long lines are folded
    said = re.findall(r"(\w+) +-> (\w+)", below)
    assert said == [(before, after) for before, after, _ in moves]
    assert "customers complained" in below[below.rindex("->") :]

    repeated = store.main()
    assert repeated.parent.data.tags["pipeline.verdict"] == "unchanged"
    assert journal(store.client.get_registered_model("wine_quality").tags) == moves


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("previous", ["no champion before version 1", "version= takes: 2, 3"]),
        ("9", ["has no version '9'", "2, 3"]),
        ("1", ["is the champion already"]),
        ("4", ["version 4", "never passed the gate"]),
        ("latest", ["has no version 'latest'"]),
    ],
)
def test_refusals_change_nothing(store, version, words):
    before = registry(store)
    outcome = store.step("rollback", f"version={version}")
    outcome.assert_refused("rollback", words, parent=False)
    assert registry(store) == before
