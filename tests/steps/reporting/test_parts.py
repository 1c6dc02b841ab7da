"""The parts of a report, from what a run left."""

from types import SimpleNamespace

import pandas as pd
import pytest

from steps.reporting.parts import read_gate, read_worst
from steps.reporting.run_files import RunFiles

CLASSES = [f"class {number}" for number in range(8)]


@pytest.fixture
def worst(tmp_path):
    """The worst predictions of an evaluation that left these, and this importance."""

    def write_and_read(table, importance):
        table.to_csv(tmp_path / "worst_predictions.csv", index=False)
        importance.to_csv(tmp_path / "importance.csv", index=False)
        files = {"evaluate": RunFiles(tmp_path.as_uri())}
        return read_worst(SimpleNamespace(files=files.get, recipe=None))

    return write_and_read


@pytest.mark.parametrize(("weighed", "shown"), [({}, 1), ({"test_weight": 2.5}, 0.75)])
def test_what_counts_rows_is_whole_and_what_sums_weights_is_not(weighed, shown):
    figures = {f"{side}true_positives": 0.75 for side in ("", "dummy_", "train_")}
    figures |= {"true_positives_low": 0.75, "true_positives_high": 0.75, **weighed}
    runs = SimpleNamespace(
        files=lambda _: None,
        steps={"evaluate": None},
        metrics={"evaluate": figures, "evaluate_champion": {}}.get,
    )
    (row,) = read_gate(runs)
    found = row.candidate, row.baseline, row.train, *row.interval
    assert found == (shown,) * 5


def test_of_many_classes_the_error_is_shown_and_what_is_left_out_is_counted(worst):
    row = {"row_key": "0123", "y": "class 0", "prediction": "class 1"}
    row |= {f"probability_{name}": 0.125 for name in CLASSES} | {"error": 0.875, "a": 1.0}
    importance = pd.DataFrame({"column": ["a"], "importance": [1.0], "deviation": [0.0]})
    found = worst(pd.DataFrame([row]), importance)
    assert found.columns[:4] == ("row_key", "y", "prediction", "error")
    assert found.columns[-1] == "a"
    assert found.rows[0][:4] == ("0123", "class 0", "class 1", 0.875)
    assert "3 are left out" in found.note
    del row["probability_class 0"], row["probability_class 1"]
    assert "1 is left out" in worst(pd.DataFrame([row]), importance).note


def test_columns_that_are_called_na_or_by_a_number_keep_their_place(worst):
    row = {"row_key": "0123", "y": 1.0, "prediction": 2.0, "error": 1.0, "a": 0, "7": 1, "NA": 2}
    importance = pd.DataFrame({"column": ["NA", "7", "a"], "importance": [3.0, 2.0, 1.0]})
    found = worst(pd.DataFrame([row]), importance)
    assert found.columns[-3:] == ("NA", "7", "a")
