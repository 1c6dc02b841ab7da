"""Declared features are fitted on the training rows, and mean the same afterwards."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.models.features import fit_features
from modelling.models.sklearn_wrapper import apply_features
from modelling.models.training import unseen_inputs
from modelling.recipe import Features

values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)
bins = st.integers(2, 20)


def score(training, rows, direction, bins):
    features = Features(quantile_scores={"score": {"bins": bins, "columns": {"x": direction}}})
    fitted = json.loads(json.dumps(fit_features(pd.DataFrame({"x": training}), features)))
    return apply_features(pd.DataFrame({"x": rows}), fitted)["score"].to_numpy()


@given(training=values, rows=values, direction=st.sampled_from(["rising", "falling"]), bins=bins)
def test_a_quantile_score_is_a_whole_number_from_1_to_bins(training, rows, direction, bins):
    assert set(score(training, rows, direction, bins)) <= set(range(1, bins + 1))


@given(training=values, rows=values, bins=bins)
def test_a_quantile_score_rises_or_falls_with_its_column(training, rows, bins):
    rows = sorted(rows)
    assert (np.diff(score(training, rows, "rising", bins)) >= 0).all()
    assert (np.diff(score(training, rows, "falling", bins)) <= 0).all()


@given(training=values, rows=values, bins=bins)
def test_falling_is_rising_turned_round(training, rows, bins):
    both = score(training, rows, "rising", bins) + score(training, rows, "falling", bins)
    assert (both == bins + 1).all()


@pytest.mark.parametrize("bins", [2, 4, 5, 10])
def test_quantile_scores_cut_the_training_rows_into_equal_parts(bins):
    training = np.random.default_rng(0).permutation(1000) * 1.0
    _, counts = np.unique(score(training, training, "rising", bins), return_counts=True)
    assert list(counts) == [1000 // bins] * bins


def test_scores_of_several_columns_are_added():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "z": [4.0, 3.0, 2.0, 1.0]})
    features = Features(
        quantile_scores={"body": {"bins": 4, "columns": {"x": "rising", "z": "falling"}}}
    )
    computed = apply_features(frame, fit_features(frame, features))
    assert list(computed["body"]) == [2, 4, 6, 8]


def test_a_missing_value_has_no_score_and_no_formula():
    features = Features(
        formulas={"double": "2 * x"},
        quantile_scores={"score": {"bins": 2, "columns": {"x": "rising"}}},
    )
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0]})
    computed = apply_features(frame, fit_features(frame, features))
    assert list(computed["double"].isna()) == list(computed["score"].isna()) == [False, True, False]


def test_quantiles_come_from_the_training_rows_only():
    features = Features(quantile_scores={"score": {"bins": 2, "columns": {"x": "rising"}}})
    fitted = fit_features(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), features)
    later = pd.DataFrame({"x": [100.0, 200.0, 300.0]})
    assert list(apply_features(later, fitted)["score"]) == [2, 2, 2]


def test_features_stand_behind_the_raw_columns_in_a_fixed_order(wines, wine_recipe):
    raw = wines.drop(columns="quality")
    fitted = fit_features(raw, wine_recipe.features)
    shuffled = apply_features(raw[list(raw)[::-1]].assign(unknown="text"), fitted)
    assert list(shuffled) == [*raw, "free sulfur share"]
    assert (shuffled.dtypes == "float64").all()
    share = raw["free sulfur dioxide"] / raw["total sulfur dioxide"]
    assert shuffled["free sulfur share"].equals(share.rename("free sulfur share"))


def test_a_formula_without_columns_is_the_same_in_every_row():
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    fitted = fit_features(frame, Features(formulas={"three": "1 + 2"}))
    assert list(apply_features(frame, fitted)["three"]) == [3, 3]


def test_without_features_the_raw_columns_come_back():
    frame = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0]})
    pd.testing.assert_frame_equal(apply_features(frame, fit_features(frame, Features())), frame)


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (
            {"formulas": {"f": "alcool / 2"}},
            "feature 'f': unknown column 'alcool', did you mean 'alcohol'? allowed: alcohol, pH",
        ),
        (
            {"quantile_scores": {"s": {"columns": {"ph": "rising"}}}},
            "feature 's': unknown column 'ph', did you mean 'pH'? allowed: alcohol, pH",
        ),
        ({"formulas": {"pH": "alcohol / 2"}}, "feature 'pH' has the name of a column"),
        (
            {"formulas": {"f": "1 / (pH - 3)"}},
            "feature 'f' = 1 / (pH - 3) has no finite value in 2 of 3 training rows: a division "
            "by zero?",
        ),
        ({"formulas": {"f": "pH ** 1000"}}, "feature 'f' = pH ** 1000 has no finite value in 3"),
        ({"formulas": {"f": "(0 - alcohol) ** 0.5"}}, "feature 'f' = (0 - alcohol) ** 0.5 has no"),
    ],
)
def test_what_cannot_be_computed_is_refused(features, says, refusal):
    frame = pd.DataFrame({"alcohol": [9.0, 10.0, 11.0], "pH": [3.0, 3.0, 4.0]})
    assert refusal(fit_features, frame, Features(**features)).startswith(says)


def test_a_row_without_a_value_of_a_formula_is_refused_before_it_is_predicted(refusal):
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 3.0, 5.0]})
    fitted = fit_features(frame, Features(formulas={"f": "1 / (b - a)"}))
    assert len(unseen_inputs(frame, fitted)) == 3
    assert refusal(unseen_inputs, frame.assign(b=[1.0, 1.0, 1.0]), fitted) == (
        "1 of 3 rows that are not trained on cannot be predicted: feature 'f' has no finite value: "
        "a division by zero?"
    )
