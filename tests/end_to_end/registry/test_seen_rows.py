"""A champion that has been trained on the rows that it is measured on: the verdict says so."""

import re

import pandas as pd
import pytest

from modelling.kinds import ROW_KEY
from tests.end_to_end.store import PROJECT, RECIPE

pytestmark = pytest.mark.slow


class Recipe:
    """The wines' recipe, to be changed, and a store in which its model is the champion."""

    def __init__(self, folder, store):
        self.store = store
        self._path = folder / "wine_quality.yaml"
        self._path.write_text((PROJECT / RECIPE).read_text(encoding="utf-8"), encoding="utf-8")

    def change(self, old, new):
        text = self._path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        self._path.write_text(text.replace(old, new), encoding="utf-8")

    def main(self, *parameters):
        return self.store.main(f"recipe={self._path}", *parameters)


@pytest.fixture(scope="module")
def recipe(make_store, tmp_path_factory):
    return Recipe(tmp_path_factory.mktemp("recipe"), make_store(like="champion"))


def judged(outcome):
    assert outcome.code == 0, outcome.terminal
    return outcome.parent.data.tags["pipeline.verdict_reason"]


def test_a_table_that_grows_brings_none(recipe, tmp_path):
    header, *wines = (PROJECT / "data" / "red-wine-quality.csv").read_text().splitlines()
    grown = tmp_path / "wines.csv"
    more = [",".join([*line.split(",")[:-2], "9.1", "6"]) for line in wines[:200]]
    grown.write_text("\n".join([header, *wines, *more]) + "\n")
    outcome = recipe.main("alpha=0.05", f"data={grown}")
    assert "of the champion, version 1" in judged(outcome)
    assert "the champion was trained" not in judged(outcome)


def test_another_seed_brings_rows_that_the_champion_knows(recipe, template, read_artifact):
    trained = template("champion").outcomes["first"].step("prepare")
    recipe.change("  test_size: 0.2\n  seed: 0", "  test_size: 0.2\n  seed: 1")
    outcome = recipe.main("model=ridge")
    seen, asked = re.search(
        r"trained on (\d+) of the (\d+) test rows, and looks better", judged(outcome)
    ).groups()
    known, rows = (
        set(pd.read_parquet(read_artifact(run, f"{side}.parquet"))[ROW_KEY])
        for run, side in ((trained, "train"), (outcome.step("prepare"), "test"))
    )
    assert (int(seen), int(asked)) == (len(known & rows), len(rows))
    assert int(seen) > 0.6 * int(asked)


def test_a_champion_that_takes_a_column_which_is_gone_stays_and_the_verdict_says_so(recipe):
    recipe.change("    pH: {type: number, min: 2, max: 5}\n", "")
    outcome = recipe.main("model=ridge")
    assert re.search(r"compared with the champion, version \d+, which takes pH:", judged(outcome))
    assert outcome.parent.data.tags["pipeline.verdict"] == "challenger"
    assert "pipeline.step.evaluate_champion.run_id" not in outcome.parent.data.tags
    made = max(outcome.versions)
    moved = recipe.store.step("rollback", f"version={made}")
    assert (moved.code, moved.aliases["champion"]) == (0, made), moved.terminal


def test_rows_with_more_columns_cannot_be_told_apart(recipe):
    recipe.change("    sulphates:", "    pH: {type: number, min: 2, max: 5}\n    sulphates:")
    assert "the champion was trained with other columns" in judged(recipe.main())
