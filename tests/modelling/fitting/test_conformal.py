"""Intervals and sets of classes hold what is true as often as they promise."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelling.fitting.conformal import fit_intervals, fit_sets
from modelling.fitting.fit_model import fit_model
from modelling.models.row_details import class_sets, difficulty, interval
from modelling.models.sklearn_wrapper import apply_features
from modelling.models.training import fit_inputs, unfitted_pipeline

ROWS, NEW = 6_000, 20_000
NOISE = {
    "even": lambda rng, x: rng.normal(size=len(x)),
    "more where a is large": lambda rng, x: rng.normal(size=len(x)) * np.exp(x),
    "heavy tails": lambda rng, x: rng.standard_t(3, size=len(x)),
    "to one side": lambda rng, x: rng.exponential(size=len(x)),
    "in steps": lambda rng, x: rng.integers(-2, 3, size=len(x)) * 1.0,
}
CUTS = {"two": [0.5], "one in seven": [1.5], "three": [-1, 1], "four": [-1.5, 0, 1.5]}


def table(rng, rows):
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
    frame.loc[rng.random(rows) < 0.1, "c"] = np.nan
    return frame, (frame["a"] + frame["b"]).to_numpy()


def fit(recipe_with, frame, targets, estimator, weights=None, **said):
    columns = {name: {"missing": 1.0} for name in frame}
    recipe = recipe_with(
        data={"path": "t.csv", "target": "y", "columns": columns},
        models={"m": {"estimator": f"sklearn.linear_model.{estimator}"}},
        **{"intervals": 0.9, **said},
    )
    fitting = fit_inputs(recipe, frame)
    pipeline = unfitted_pipeline(recipe, "m", {}, fitting)
    fitted = fit_model(recipe, pipeline, fitting.inputs, pd.Series(targets), {}, weights)
    return fitted, fitting.features


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_intervals_hold_as_many_new_rows_as_they_promise(noise, coverage, recipe_with):
    rng = np.random.default_rng(0)
    frame, known = table(rng, ROWS)
    targets = known + NOISE[noise](rng, frame["a"].to_numpy())
    model, features = fit(recipe_with, frame, targets, "Ridge", intervals=coverage)
    new, known = table(rng, NEW)
    true = known + NOISE[noise](rng, new["a"].to_numpy())
    inputs = apply_features(new, features)
    low, high = interval(model.intervals, inputs, model.pipeline.predict(inputs))
    assert np.mean((low <= true) & (true <= high)) == pytest.approx(coverage, abs=0.02)
    if noise == "more where a is large":
        wide = (high - low)[new["a"] > 1].mean() / (high - low)[new["a"] < -1].mean()
        assert wide > 3


@pytest.mark.parametrize("cuts", CUTS)
def test_sets_hold_the_class_of_as_many_new_rows_as_they_promise_of_each_class(cuts, recipe_with):
    rng = np.random.default_rng(1)
    frame, known = table(rng, ROWS)
    targets = np.digitize(known + rng.normal(size=ROWS), CUTS[cuts])
    said = {"task": "classification", "intervals": 0.9}
    model, features = fit(recipe_with, frame, targets, "LogisticRegression", **said)
    new, known = table(rng, NEW)
    true = np.digitize(known + rng.normal(size=NEW), CUTS[cuts])
    probabilities = model.pipeline.predict_proba(apply_features(new, features))
    sets = class_sets(model.intervals, probabilities)
    holds = sets[np.arange(NEW), true]
    assert min(holds[true == label].mean() for label in np.unique(true)) > 0.87
    # The most probable class is always in the set: of a frequent one it holds more.
    assert holds.mean() < (0.92 if cuts != "one in seven" else 0.95)
    assert sets.any(axis=1).all()
    assert sets.sum(axis=1).mean() < sets.shape[1]


def test_rows_that_count_more_decide_more():
    rng = np.random.default_rng(2)
    quiet = np.arange(2_000) % 2 == 0
    errors = np.where(quiet, 0.1, 1.0) * rng.normal(size=2_000)
    inputs = pd.DataFrame({"a": np.zeros(2_000)})
    widths = []
    for weight in (1.0, 50.0):
        found = fit_intervals(0.9, inputs, np.zeros(2_000), errors, 0, np.where(quiet, weight, 1.0))
        low, high = interval(found, inputs.head(1), np.zeros(1))
        widths.append(float(high[0] - low[0]))
    assert widths[1] < 0.4 * widths[0]


def test_what_is_never_negative_has_no_negative_interval():
    rng = np.random.default_rng(3)
    true = rng.exponential(size=1_000)
    inputs = pd.DataFrame({"a": np.zeros(1_000)})
    low, _ = interval(fit_intervals(0.9, inputs, true * 0 + 1, true, 0), inputs, true * 0)
    assert low.min() == 0


def test_too_few_rows_for_a_coverage_are_told(refusal):
    few = np.arange(20.0)
    message = refusal(fit_intervals, 0.95, pd.DataFrame({"a": few}), few * 0, few, 0)
    assert message == (
        "intervals: such a coverage needs 39 training rows that are held out, got 20; ask for less"
    )
    sure = np.full((20, 2), 0.5)
    assert "needs 99 training rows" in refusal(fit_sets, 0.99, sure, few % 2)


@given(seed=st.integers(0, 1_000), gaps=st.floats(0, 0.5))
@settings(max_examples=20)
def test_the_difficulty_is_that_of_the_tree_of_scikit_learn(seed, gaps):
    from sklearn.tree import DecisionTreeRegressor

    from modelling.fitting import conformal
    from modelling.models.row_details import number_inputs

    rng = np.random.default_rng(seed)
    inputs = pd.DataFrame(rng.normal(size=(500, 2)), columns=["a", "b"])
    inputs = inputs.mask(rng.random(inputs.shape) < gaps).assign(text="words")
    predictions, errors = rng.normal(size=500), rng.exponential(size=500)
    tree = conformal._fit_difficulty(inputs, predictions, errors)
    assert tree["inputs"] == ["a", "b"]
    values = number_inputs(inputs, predictions, ["a", "b"])
    own = DecisionTreeRegressor(max_leaf_nodes=8, min_samples_leaf=50, random_state=0)
    expected = own.fit(values, errors).predict(values).clip(0.1 * errors.mean())
    np.testing.assert_allclose(difficulty(tree, inputs, predictions), expected)
