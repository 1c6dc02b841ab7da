"""What is planted in a table is found by its check, and nothing else is."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from modelling.estimators.estimators import fit_pipeline
from modelling.inspecting.importance import compute_importance
from modelling.inspecting.slices import EvaluatedRows, find_slices
from modelling.judging.answers import PREDICTION, read_answers
from modelling.judging.checks import run_checks
from modelling.judging.metrics import (
    BASELINE_PREFIX,
    TRAINING_PREFIX,
    compute_metrics,
    metrics_of,
)
from modelling.models import evidence
from modelling.models.evidence import ModelOnTest, TrainingRows, collect_facts
from modelling.models.sklearn_wrapper import answer, apply_features
from modelling.models.training import fit_inputs, unfitted_pipeline

ROWS = 1500
TREE = {"estimator": "sklearn.tree.DecisionTreeRegressor"}


def make_table(seed):
    """A target that is a line through four columns, and noise."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(ROWS, 4)), columns=["age", "income", "tenure", "visits"])
    table["y"] = table.sum(axis=1) + rng.normal(size=ROWS)
    return table, rng


def found(recipe_with, table, model=None, cut=1000):
    """Fits a line, or the given model, and returns the codes of what the checks find."""
    columns = {name: {} for name in table.columns if name != "y"}
    model = model or {"estimator": "sklearn.linear_model.LinearRegression"}
    data = {"path": "table.csv", "target": "y", "columns": columns}
    recipe = recipe_with(data=data, models={"model": model})
    train, test = table[:cut].reset_index(drop=True), table[cut:].reset_index(drop=True)
    fitting = fit_inputs(recipe, train.drop(columns="y"))
    pipeline = unfitted_pipeline(recipe, "model", {}, fitting)
    fit_pipeline(pipeline, fitting.inputs, train["y"])
    features = {**fitting.features, "decision": None}

    def answers_for(rows):
        given = answer(pipeline, apply_features(rows, features), features)
        return read_answers(given, None), np.arange(len(rows))

    raw, targets = test.drop(columns="y"), test["y"].to_numpy()
    answers, metrics = answers_for(raw)[0], metrics_of(recipe)
    naive = DummyRegressor().fit(train[["y"]], train["y"]).predict(test)
    said = read_answers(pd.DataFrame({PREDICTION: naive}), None)
    known = answers_for(train.drop(columns="y"))[0]
    figures = {
        **compute_metrics(metrics, answers, targets),
        **compute_metrics(metrics, said, targets, BASELINE_PREFIX),
        **compute_metrics(metrics, known, train["y"].to_numpy(), TRAINING_PREFIX),
    }
    rmse = metrics["rmse"]
    importance, _ = compute_importance(answers_for, raw, targets, rmse, 0)
    slices = find_slices(
        EvaluatedRows(raw, answers, targets, "rmse", rmse, 0), answers.predictions - targets
    )
    tested = ModelOnTest(pipeline, features, test, "y", answers, targets)
    training = TrainingRows(train, len(train), None)
    facts = collect_facts(tested, training, "rmse", rmse, figures, importance, slices, 0)
    return {one.code: one.sentence for one in run_checks(facts) if one.sentence}


def test_of_a_good_model_nothing_is_found(recipe_with):
    for seed in range(2):
        assert found(recipe_with, make_table(seed)[0]) == {}


def plant_leak(table, _rng):
    return table.assign(paid=2 * table["y"] + 1)


def plant_drift(table, _rng):
    return table.assign(age=table["age"] + 1.5 * (table.index >= 1000))


def plant_bad_slice(table, rng):
    noise = 4 * rng.normal(size=ROWS) * (table["income"] > 0.8)
    return table.assign(y=table["y"] + noise)


def plant_noise(table, rng):
    return table.assign(moon=rng.normal(size=ROWS))


@pytest.mark.parametrize(
    ("plant", "code", "words"),
    [
        (plant_leak, "leak", "paid alone explains"),
        (plant_drift, "drift", "age ("),
        (plant_bad_slice, "bad_slice", "income above 0."),
    ],
)
def test_what_is_planted_is_found_and_nothing_else_is(recipe_with, plant, code, words):
    said = found(recipe_with, plant(*make_table(1)))
    said.pop("useless_columns", None) if code == "leak" else None  # the others are, beside it
    assert list(said) == [code]
    assert said[code].startswith(words)


def test_a_column_of_chance_is_useless(recipe_with):
    said = found(recipe_with, plant_noise(*make_table(1)))
    assert said == {"useless_columns": "moon: without it rmse is no worse"}


def test_a_tree_that_learned_the_rows_by_heart_is_overfitted(recipe_with):
    said = found(recipe_with, make_table(1)[0], TREE)
    assert list(said) == ["overfitting"]
    assert "rmse is 0.00 on the training rows" in said["overfitting"]


def test_a_forest_that_is_good_is_not_overfitted(recipe_with):
    forest = {
        "estimator": "sklearn.ensemble.ExtraTreesRegressor",
        "parameters": {"n_estimators": 50, "min_samples_leaf": 1},
    }
    assert "overfitting" not in found(recipe_with, make_table(1)[0], forest)


def test_a_plain_model_that_is_better_is_told(recipe_with):
    table, rng = make_table(1)
    table["y"] = table["age"] * table["income"] + table["visits"] + 0.3 * rng.normal(size=ROWS)
    said = found(recipe_with, table)
    assert "plain_model" in said
    assert "overfitting" not in said


def test_few_test_rows_are_told(recipe_with):
    said = found(recipe_with, make_table(1)[0], cut=ROWS - 20)
    assert said["few_rows"].startswith("only 20 test rows")


def test_a_plain_model_sees_rows_of_each_class():
    targets = pd.Series(["often"] * 1000)
    targets[1:7] = "rare"
    targets[500] = "once"
    places = evidence._evenly(targets, 7, is_of_each=True)
    counts = targets.iloc[places].value_counts()
    assert counts["often"] == 142
    assert counts["rare"] == 2
    assert counts["once"] == 1
    assert evidence._evenly(targets, 7, is_of_each=False).tolist() == list(range(0, 1000, 7))
