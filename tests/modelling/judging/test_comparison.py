"""Two runs held against each other: what counts as the same, and where the first difference is."""

import math

import numpy as np
import pandas as pd
import pytest

from modelling.judging.comparison import (
    CLOSE,
    DIFFERENT,
    IDENTICAL,
    TOLERANCE,
    compare_keys,
    compare_metrics,
    compare_models,
    compare_predictions,
    compare_texts,
    judge,
)


def predictions(values, keys=None):
    keys = range(len(values)) if keys is None else keys
    return pd.DataFrame({"row_key": np.array(keys, dtype="uint64"), "prediction": values})


def test_equal_predictions_are_identical_in_any_order():
    row = compare_predictions(predictions([1.0, 2.0], [5, 9]), predictions([2.0, 1.0], [9, 5]))
    assert (row.outcome, row.difference) == (IDENTICAL, 0.0)


@pytest.mark.parametrize(
    ("gap", "outcome"), [(TOLERANCE / 2, CLOSE), (TOLERANCE * 2, DIFFERENT), (math.nan, DIFFERENT)]
)
def test_numbers_may_differ_by_the_tolerance_of_the_largest(gap, outcome):
    row = compare_predictions(predictions([1.0, 1000.0]), predictions([1.0 + 1000 * gap, 1000.0]))
    assert row.outcome == outcome
    assert row.now.endswith("1 of them not the same")
    if outcome == CLOSE:
        assert row.difference == pytest.approx(gap, rel=1e-6)


def test_missing_predictions_are_equal_to_missing_ones_only():
    missing = predictions([math.nan, 1.0])
    assert compare_predictions(missing, missing).outcome == IDENTICAL
    assert compare_predictions(missing, predictions([1.0, 1.0])).outcome == DIFFERENT


def test_labels_are_equal_or_different():
    yes = predictions(["yes", "no"])
    assert compare_predictions(yes, yes).outcome == IDENTICAL
    assert compare_predictions(yes, predictions(["yes", "yes"])).outcome == DIFFERENT


def test_other_rows_or_columns_are_different():
    one = predictions([1.0, 2.0])
    assert compare_predictions(one, predictions([1.0, 2.0], [0, 7])).outcome == DIFFERENT
    assert compare_predictions(one, predictions([1.0])).outcome == DIFFERENT
    assert compare_predictions(one, one.assign(probability=0.5)).outcome == DIFFERENT


def test_keys_are_compared_in_any_order():
    assert compare_keys("rows", pd.Series([1, 2]), pd.Series([2, 1])).outcome == IDENTICAL
    row = compare_keys("rows", pd.Series([1, 2]), pd.Series([2, 3, 4]))
    assert (row.outcome, row.now) == (DIFFERENT, "3 rows, 1 of them the same")


def test_metrics_are_compared_by_name():
    then = {"rmse": 1.0, "r2": 0.5, "gone": 1.0, "nan": math.nan, "zero": 0.0}
    now = {"rmse": 1.0, "r2": 0.5 * (1 + TOLERANCE / 2), "nan": math.nan, "zero": 1e-17, "new": 1.0}
    outcomes = {row.what: row.outcome for row in compare_metrics(then, now)}
    assert outcomes == {
        "gone": DIFFERENT,
        "nan": IDENTICAL,
        "new": DIFFERENT,
        "r2": CLOSE,
        "rmse": IDENTICAL,
        "zero": CLOSE,
    }


def test_a_model_of_another_content_is_as_equal_as_its_predictions():
    same = compare_predictions(predictions([1.0]), predictions([1.0]))
    other = compare_predictions(predictions([1.0]), predictions([2.0]))
    assert compare_models("a", "a", None).outcome == IDENTICAL
    assert compare_models("a", "b", same).outcome == CLOSE
    assert compare_models("a", "b", other).outcome == DIFFERENT
    assert compare_models("a", "b", None).outcome == DIFFERENT


def test_verdict_names_the_first_step_that_differs():
    same, other = compare_texts("data", "sha256", "a", "a"), compare_texts("train", "m", "a", "b")
    close = compare_metrics({"r2": 1.0}, {"r2": 1.0 + TOLERANCE / 2})
    assert judge([same]) == (IDENTICAL, None, 0.0)
    word, step, largest = judge([same, *close])
    assert (word, step) == (CLOSE, None)
    assert largest == pytest.approx(TOLERANCE / 2, rel=1e-3)
    assert judge([same, other, *close])[:2] == (DIFFERENT, "train")
    assert compare_texts("data", "sha256", None, None).outcome == DIFFERENT
