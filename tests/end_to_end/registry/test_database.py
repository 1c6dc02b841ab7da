"""A pipeline on what a query gives, and on a pattern of files: as on the file itself."""

import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[3]
QUERY = "SELECT *\nFROM wines -- all of them\nWHERE pH > 0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The wines in a database and in two files, and a recipe for the first."""
    folder = tmp_path_factory.mktemp("places")
    wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
    with sqlite3.connect(folder / "shop.db") as shop:
        wines.to_sql("wines", shop, index=False)
    wines.head(1000).to_csv(folder / "1.csv", index=False)
    wines.tail(-1000).to_parquet(folder / "2.parquet", index=False)
    recipe = yaml.safe_load((PROJECT / "recipes/wine_quality.yaml").read_text(encoding="utf-8"))
    del recipe["data"]["path"]
    recipe["data"] |= {"sql": QUERY, "connection": "$SHOP"}
    (folder / "wines.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return folder


def test_a_query_and_files_give_the_same_rows_as_the_shipped_table(
    make_store, template, folder, read_artifact
):
    shipped = template("champion").outcomes["first"].step("prepare").data
    store = make_store()
    recipe, shop = f"recipe={folder / 'wines.yaml'}", f"sqlite:///{folder}/shop.db"
    outcome = store.main(recipe, "until=prepare", SHOP=shop)
    assert outcome.code == 0, outcome.terminal
    prepared = outcome.step("prepare").data
    assert prepared.tags["pipeline.output_digest"] == shipped.tags["pipeline.output_digest"]
    again = store.main(recipe, "until=prepare", SHOP=shop)
    assert again.parent.data.tags["pipeline.step.prepare.status"] == "reused", again.terminal
    for run in (outcome.parent, outcome.step("prepare")):
        assert shop not in str(run.to_dictionary())
    files = store.step("prepare", f"data={folder}/*.[cp]*[vt]")
    assert files.code == 0, files.terminal
    tags = files.of("prepare").data.tags
    assert tags["pipeline.output_digest"] == shipped.tags["pipeline.output_digest"]


def test_a_database_that_is_not_there_is_told_in_a_line(make_store, folder):
    outcome = make_store().main(f"recipe={folder / 'wines.yaml'}")
    outcome.assert_refused("prepare", ["table $SHOP: the environment has no variable SHOP"])
