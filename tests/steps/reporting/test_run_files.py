"""The tables of a run are read as they were written."""

import pandas as pd
import pytest

from steps.reporting.run_files import RunFiles


@pytest.fixture
def read(tmp_path):
    """Writes a table as MLflow does, and reads it again."""

    def write_and_read(table, text=()):
        table.to_csv(tmp_path / "table.csv", index=False)
        return RunFiles(tmp_path.as_uri()).table("table", text)

    return write_and_read


@pytest.mark.parametrize(
    "values",
    [
        ["None", "NA", "null", None],
        ["007", "7"],
        ["nan", "nan"],
        ["1.50", "2"],
        ["True", "False"],
        [7, 8],
        [0.1 + 0.2, 1e-7, None],
        [7.0, None],
        [1e300, -2.5],
    ],
)
def test_a_value_is_read_as_it_was_written(read, values):
    column = read(pd.DataFrame({"x": values, "y": "a"}))["x"]
    assert [None if pd.isna(value) else value for value in column] == values


def test_a_column_of_text_may_look_like_numbers(read):
    table = pd.DataFrame({"zip": ["75001", "10115"], "rooms": [3, 4]})
    found = read(table, ["zip"])
    assert found["zip"].tolist() == ["75001", "10115"]
    assert found["rooms"].tolist() == [3, 4]
