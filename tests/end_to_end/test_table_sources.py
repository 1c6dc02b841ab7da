"""The same wines from other files: the format and the place of a table do not change the answer."""

from pathlib import Path

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wines():
    return pd.read_csv(PROJECT / "data/red-wine-quality.csv")


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def shipped(store):
    """What `prepare` makes of the project's own table."""
    return store.step("prepare").of("prepare")


def _semicolons(wines, path):
    wines.to_csv(path, sep=";", index=False)


def _gzip(wines, path):
    wines.to_csv(path, index=False, compression="gzip")


def _parquet(wines, path):
    wines.to_parquet(path, index=False)


def _shuffled(wines, path):
    wines.sample(frac=1, random_state=1)[wines.columns[::-1]].to_csv(path, index=False)


@pytest.mark.parametrize(
    ("write", "name", "address"),
    [
        (_semicolons, "semi colons.csv", "{path}"),
        (_gzip, "wines.csv.gz", "{path}"),
        (_parquet, "wines.parquet", "file://{path}"),
    ],
)
def test_other_file_gives_the_same_split(store, shipped, wines, tmp_path, write, name, address):
    write(wines, tmp_path / name)
    outcome = store.step("prepare", f"data={address.format(path=tmp_path / name)}")
    assert outcome.code == 0, outcome.terminal
    tags = outcome.of("prepare").data.tags
    assert tags["pipeline.output_digest"] == shipped.data.tags["pipeline.output_digest"]
    assert tags["pipeline.data_sha256"] != shipped.data.tags["pipeline.data_sha256"]


def test_extra_columns_and_another_order_change_nothing_but_the_report(
    store, shipped, wines, tmp_path
):
    extended = wines.assign(cellar="north", **{"bottle no": range(len(wines))})
    _shuffled(extended, tmp_path / "wines.csv")
    outcome = store.step("prepare", f"data={tmp_path / 'wines.csv'}")
    assert outcome.code == 0, outcome.terminal
    assert "prepare: left out, not in the recipe: bottle no, cellar" in outcome.terminal
    run = outcome.of("prepare")
    assert run.data.tags["pipeline.columns_left_out"] == "bottle no, cellar"
    assert run.data.metrics["columns_left_out"] == 2
    digests = [found.data.tags["pipeline.output_digest"] for found in (run, shipped)]
    assert digests[0] == digests[1]
