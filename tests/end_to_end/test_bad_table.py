"""A bad table: one line that says what is wrong and where, FAILED runs, nothing registered."""

from pathlib import Path

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[2]
HEADER = (PROJECT / "data/red-wine-quality.csv").read_text().splitlines()[0]


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def wines():
    return pd.read_csv(PROJECT / "data/red-wine-quality.csv").head(100).astype(object)


def _cell(column, row, value):
    """A table with this value in a row, counted from 1."""

    def write(wines):
        changed = wines.copy()
        changed.loc[row - 1, column] = value
        return changed

    return write


TABLES = {
    "empty": (b"", ["table.csv is empty"]),
    "header only": (HEADER.encode(), ["table.csv has a header, but no rows"]),
    "binary": (bytes(range(256)), ["table.csv is binary, neither CSV nor Parquet"]),
    "ragged": (f"{HEADER}\n7,0.7,0\n".encode(), ["table.csv", "Expected 12 columns, got 3"]),
    "no target": (
        lambda wines: wines.rename(columns={"quality": "qualty"}),
        ["table.csv: unknown target 'quality'", "did you mean 'qualty'?", "allowed: fixed acidity"],
    ),
    "constant target": (
        lambda wines: wines.assign(quality=5),
        ["table.csv: target 'quality' is constant"],
    ),
    "missing target": (
        _cell("quality", 3, None),
        ["table.csv: column 'quality', row 3 is missing"],
    ),
    "no column": (
        lambda wines: wines.rename(columns={"alcohol": "alkohol"}),
        ["table.csv: unknown column 'alcohol'", "did you mean 'alkohol'?", "allowed: fixed acid"],
    ),
    "out of range": (
        _cell("alcohol", 2, 250),
        ["table.csv: column 'alcohol', row 2: 250 is not at most 25"],
    ),
    "text": (_cell("pH", 4, "sour"), ["table.csv: column 'pH', row 4: 'sour' is not a number"]),
    "infinite": (
        _cell("density", 5, float("inf")),
        ["table.csv: column 'density', row 5: inf is not finite"],
    ),
    "too few rows": (
        lambda wines: wines.iloc[[0, 3]],
        ["a table of 2 rows is too small to split", "at least 2 each are needed"],
    ),
}


# All go the same way through main, whose seconds are spared for most.
THROUGH_MAIN = ("text",)


@pytest.mark.parametrize(
    ("name", "through_main"), [(name, name in THROUGH_MAIN) for name in TABLES]
)
def test_bad_table(store, wines, tmp_path, name, through_main):
    content, words = TABLES[name]
    path = tmp_path / "table.csv"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(wines).to_csv(path, index=False)
    parameter = f"data={path}"
    outcome = store.main(parameter) if through_main else store.step("prepare", parameter)
    outcome.assert_refused("prepare", words, parent=through_main)
    assert not outcome.versions


def test_missing_table_under_mlflow_run(store):
    outcome = store.mlflow_run("data=no/such/table.csv")
    outcome.assert_refused("prepare", ["no/such/table.csv is not there", "project's root"])
    assert not outcome.versions
