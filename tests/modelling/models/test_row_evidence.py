"""The rows that a report explains, and whether what was said of each row holds."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from modelling.judging.answers import Classes
from modelling.models.row_evidence import AnsweredRows, explain_some, hold_intervals
from tests.modelling.models.test_row_details import make_model, make_table


def test_the_worst_rows_and_a_low_a_middling_and_a_high_answer_are_explained(tmp_path):
    frame, score = make_table(1, 100)
    model = make_model(tmp_path, "sklearn.linear_model.Ridge", {}, frame, score)
    answers = pd.DataFrame({"prediction": model.predict(None, frame)})
    errors = (answers["prediction"] - score).to_numpy()
    table = explain_some(model, AnsweredRows(frame, answers), errors)
    assert table["which"].tolist() == ["worst"] * 3 + ["low", "middle", "high"]
    worst = np.argsort(-np.abs(errors))[:3]
    assert table["place"].tolist()[:3] == worst.tolist()
    values = table["value"].tolist()[3:]
    assert values == sorted(values)
    assert np.array_equal(table["value"], answers["prediction"].iloc[table["place"]])
    named = table.filter(regex=r"^contribution_\d").sum(axis=1)
    np.testing.assert_allclose(table["base"] + named + table["others"], table["value"])


def test_few_rows_are_each_explained_once(tmp_path):
    frame, score = make_table(1, 60)
    model = make_model(tmp_path, "sklearn.linear_model.Ridge", {}, frame, score)
    answers = pd.DataFrame({"prediction": model.predict(None, frame.head(4))})
    table = explain_some(model, AnsweredRows(frame.head(4), answers), np.arange(4.0))
    assert sorted(table["place"]) == [0, 1, 2, 3]


def test_a_model_logged_before_is_not_asked():
    old = SimpleNamespace(features={"columns": {"a": "number"}})
    rows = AnsweredRows(pd.DataFrame({"a": [1.0]}), pd.DataFrame({"prediction": [1.0]}))
    assert explain_some(old, rows, np.zeros(1)) is None
    assert hold_intervals(old, rows.rows, rows.answers, np.zeros(1), None) is None


def test_sets_hold_the_class_that_is_true():
    sets = pd.DataFrame({"prediction_set": [["no"], ["no", "yes"], ["yes"], ["no"]]})
    model = SimpleNamespace(features={"intervals": {"coverage": 0.9}}, interval=lambda *_: sets)
    true = np.array([0.0, 1, 0, 1])
    held = hold_intervals(model, sets, sets, true, Classes(("no", "yes"), "yes"))
    assert held.holds.tolist() == [True, True, False, False]
    assert held.sizes.tolist() == [1, 2, 1, 1]
    assert held.promised == 0.9
