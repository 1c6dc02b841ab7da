"""A bad table: one line that says what is wrong and where, FAILED runs, nothing registered."""

from pathlib import Path

import pandas as pd
import pytest

from common.errors import InputError
from modelling.files.table_file import read_table
from modelling.recipe import load_recipe
from modelling.tables.split import split_table
from modelling.tables.table import check_table

PROJECT = Path(__file__).parents[3]
HEADER = (PROJECT / "data/red-wine-quality.csv").read_text().splitlines()[0]


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


@pytest.fixture
def path(wines, tmp_path):
    """Writes one of these tables."""

    def write(name):
        content, path = TABLES[name][0], tmp_path / "table.csv"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(wines).to_csv(path, index=False)
        return path

    return write


@pytest.mark.parametrize("name", TABLES)
def test_bad_table(path, name):
    with pytest.raises(InputError) as caught:
        _prepare(path(name))
    message = str(caught.value)
    assert [word for word in TABLES[name][1] if word not in message] == []
    assert "\n" not in message


def _prepare(path):
    """Does what prepare does before it writes anything."""
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    checked = check_table(read_table(path), recipe, str(path))
    split_table(checked.frame, recipe.data.target, recipe.split, None)


def test_bad_table_through_main(make_store, path):
    outcome = make_store().main(f"data={path('text')}")
    outcome.assert_refused("prepare", TABLES["text"][1])
    assert not outcome.versions
