"""refresh: an alert ends with another champion, and the same night again does nothing."""

import json

import pandas as pd
import pytest

from steps.refresh import Decision
from tests.end_to_end.store import PROJECT

pytestmark = pytest.mark.slow

WINES = PROJECT / "data/red-wine-quality.csv"


@pytest.fixture(scope="module")
def store(make_store):
    """Has a champion of the wines."""
    return make_store(like="champion")


@pytest.fixture(scope="module")
def turned(store):
    """Wines of which the best are the worst now."""
    wines = pd.read_csv(WINES)
    file = store.folder / "turned.csv"
    wines.assign(quality=10 - wines["quality"]).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def night(store, turned):
    return store.step("refresh", f"data={turned}", f"result={store.folder / 'night.json'}")


def test_an_alert_makes_a_better_model_the_champion(night, store):
    assert night.code == 0, night.terminal
    run = night.of("refresh")
    tags = run.data.tags
    assert (tags["pipeline.verdict"], tags["pipeline.model_version"]) == ("promoted", "2")
    assert "is worse than the limit" in tags["pipeline.alert"]
    assert "rmse" in tags["pipeline.verdict_reason"]
    assert night.aliases == {"champion": 2}
    monitored = store.client.get_run(tags["pipeline.monitor_run_id"])
    assert monitored.data.tags["pipeline.alert"] == tags["pipeline.alert"]
    trained = store.client.get_run(tags["pipeline.train_run_id"])
    assert trained.data.tags["pipeline.verdict"] == "promoted"
    told = json.loads((store.folder / "night.json").read_text())
    assert (told["status"], told["verdict"], told["champion_before"]) == ("done", "promoted", "1")


def test_the_same_night_again_does_nothing(night, store, turned):
    before = len(store.runs())
    again = store.step("refresh", f"data={turned}")
    assert again.code == 0
    assert f"run {night.of('refresh').info.run_id} has done it" in again.terminal
    assert len(store.runs()) == before + 1
    assert again.aliases == {"champion": 2}
    assert again.of("refresh").data.tags["pipeline.champion_before"] == "1"  # as it was told


def test_rows_as_promised_keep_the_champion_without_a_training(night, store, turned):
    rows = store.folder / "as_promised.csv"
    pd.read_csv(turned).sample(500, random_state=1).to_csv(rows, index=False)
    before = len(store.runs())
    calm = store.step("refresh", f"data={rows}")
    assert calm.of("refresh").data.tags["pipeline.verdict"] == "kept"
    assert len(store.runs()) == before + 2  # its own, and monitor's


def test_when_the_data_turns_back_the_model_of_before_is_the_champion_again(night, store):
    back = store.step("refresh", f"data={WINES}")
    assert back.code == 0, back.terminal
    tags = back.of("refresh").data.tags
    assert (tags["pipeline.verdict"], tags["pipeline.model_version"]) == ("promoted", "1")
    assert tags["pipeline.verdict_reason"].startswith("the same model as version 1, and better")
    assert back.aliases == {"champion": 1}
    assert back.versions.keys() == {1, 2}


def test_a_champion_that_gave_the_alarm_and_stays_needs_a_person():
    assert Decision("kept", "the new model is rejected", "1", alert="drift").needs_a_person
    assert not Decision("promoted", "better", "2", alert="drift").needs_a_person
    assert not Decision("kept", "within its limits", "1").needs_a_person
