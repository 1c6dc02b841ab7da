"""The same wines from other files: the format and the place of a table do not change the answer."""

from pathlib import Path

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wines():
    return pd.read_csv(PROJECT / "data/red-wine-quality.csv")


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def shipped(template):
    """What `prepare` makes of the project's own table."""
    return template("champion").outcomes["first"].step("prepare")


def test_another_form_of_the_file_gives_the_same_split(store, shipped, wines, tmp_path):
    path = tmp_path / "semi colons.csv.gz"
    wines.to_csv(path, sep=";", index=False, compression="gzip")
    outcome = store.step("prepare", f"data={path}")
    assert outcome.code == 0, outcome.terminal
    tags = outcome.of("prepare").data.tags
    assert tags["pipeline.output_digest"] == shipped.data.tags["pipeline.output_digest"]
    assert tags["pipeline.data_sha256"] != shipped.data.tags["pipeline.data_sha256"]


def test_extra_columns_and_another_order_change_nothing_but_the_report(
    store, shipped, wines, tmp_path
):
    extended = wines.assign(cellar="north", **{"bottle no": range(len(wines))})
    shuffled = extended.sample(frac=1, random_state=1)[extended.columns[::-1]]
    shuffled.to_parquet(tmp_path / "wines.parquet", index=False)
    outcome = store.step("prepare", f"data=file://{tmp_path / 'wines.parquet'}")
    assert outcome.code == 0, outcome.terminal
    assert "prepare: left out, not in the recipe: bottle no, cellar" in outcome.terminal
    run = outcome.of("prepare")
    assert run.data.tags["pipeline.columns_left_out"] == "bottle no, cellar"
    assert run.data.metrics["columns_left_out"] == 2
    digests = [found.data.tags["pipeline.output_digest"] for found in (run, shipped)]
    assert digests[0] == digests[1]
