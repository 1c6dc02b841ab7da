"""Whether groups are treated alike, by counts that a person can do by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from modelling.inspecting.fairness import largest_gaps, measure_fairness
from modelling.inspecting.slices import EvaluatedRows
from modelling.judging.answers import Answers
from modelling.judging.metrics import BINARY_METRICS


def evaluated(town, said, true, weights=None):
    rows = pd.DataFrame({"town": town})
    answers = Answers(np.array(said, float), np.array(said, float), weights)
    metric = BINARY_METRICS["accuracy"]
    return EvaluatedRows(rows, answers, np.array(true, float), "accuracy", metric, 0)


def test_rates_are_shares_of_the_rows_of_each_group():
    given = evaluated(list("aaaabbb"), [1, 1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 1, 0, 0])
    table = measure_fairness(given, ("town",)).set_index("group")
    assert table.loc["town = a", "selection_rate"] == 0.5
    assert table.loc["town = a", "true_positive_rate"] == 0.5
    assert table.loc["town = b", "selection_rate"] == pytest.approx(1 / 3)
    assert table.loc["town = b", "true_positive_rate"] == 1
    assert table["positives"].tolist() == [2, 1]


def test_rows_count_as_their_weights_say():
    weights = np.array([3.0, 1.0, 1.0])
    given = evaluated(list("aaa"), [1, 0, 0], [1, 1, 0], weights)
    row, _ = measure_fairness(given, ("town",)).to_dict("records")
    assert (row["selection_rate"], row["true_positive_rate"]) == (0.6, 0.75)


def test_a_condition_stands_against_the_others():
    given = evaluated(list("aab"), [1, 1, 0], [0, 0, 1])
    table = measure_fairness(given, ('town == "a"',))
    assert table["group"].tolist() == ['town == "a"', 'not town == "a"']
    assert math.isnan(table["true_positive_rate"][0])


def test_the_largest_gap_is_between_groups_of_one_slice_with_rows_enough():
    town = ["a"] * 40 + ["b"] * 40 + ["c"] * 5
    said = [1] * 20 + [0] * 20 + [1] * 10 + [0] * 30 + [0] * 5
    gaps = largest_gaps(measure_fairness(evaluated(town, said, [1] * 85), ("town",)))
    assert gaps["selection_rate"] == ("town = b", "town = a", 0.25)
    assert gaps["true_positive_rate"] == ("town = b", "town = a", 0.25)
    alike = measure_fairness(evaluated(["a"] * 40, [1] * 40, [1] * 40), ("town",))
    assert largest_gaps(alike) == {}
