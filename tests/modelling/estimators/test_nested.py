"""Estimators that hold others: said in a recipe, set and swept by scikit-learn's names, saved."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline

from modelling.estimators.estimators import (
    build_pipeline,
    check_hyperparameter,
    estimator_parameters,
    fit_pipeline,
)
from modelling.estimators.preprocessing import Inputs, known_categories
from modelling.models.model_files import check_trusted, model_digest
from modelling.models.sklearn_wrapper import answer, load_pipeline
from modelling.recipe import TOGETHER, Model, Recipe, Sampling
from modelling.reporting.model_card import describe_pipeline

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=list("abc"))
NUMBERS = np.exp(ROWS["a"])
LABELS = (ROWS["a"] > 0).map({True: "yes", False: "no"})

RIDGE = {"estimator": "sklearn.linear_model.Ridge"}
TREE = {"estimator": "sklearn.tree.DecisionTreeRegressor", "parameters": {"max_depth": "2"}}
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression"}
BOOSTING = {"estimator": "lightgbm.LGBMClassifier", "parameters": {"n_estimators": 3}}
BOTH = {"estimators": {"one": RIDGE, "two": TREE}}
CLASSES = {"estimators": {"one": LOGISTIC, "two": BOOSTING}}

CASES = [
    ("ensemble.VotingRegressor", BOTH, {"one__alpha": "3"}),
    ("ensemble.StackingRegressor", {**BOTH, "final_estimator": RIDGE}, {"two__max_depth": 3}),
    ("ensemble.VotingClassifier", {**CLASSES, "voting": "soft"}, {"one__C": 2}),
    ("ensemble.StackingClassifier", CLASSES, {"two__num_leaves": 5}),
    (
        "calibration.CalibratedClassifierCV",
        {"estimator": {"estimator": "sklearn.svm.LinearSVC"}},
        {"estimator__C": 2},
    ),
    ("multiclass.OneVsRestClassifier", {"estimator": LOGISTIC}, {"estimator__C": 2}),
    (
        "compose.TransformedTargetRegressor",
        {
            "regressor": RIDGE,
            "transformer": {"estimator": "sklearn.preprocessing.StandardScaler"},
        },
        {"regressor__alpha": 2},
    ),
    (
        "pipeline.Pipeline",
        {"steps": {"pca": {"estimator": "sklearn.decomposition.PCA"}, "ridge": RIDGE}},
        {"pca__n_components": 2},
    ),
]


def build(estimator, parameters, hyperparameters=None, task="regression", transform="none"):
    model = Model(estimator=f"sklearn.{estimator}", parameters=parameters)
    inputs = Inputs(numbers=list(ROWS))
    return build_pipeline(model, hyperparameters or {}, 7, task, inputs, None, transform)


@pytest.mark.parametrize(("estimator", "parameters", "given"), CASES, ids=[one[0] for one in CASES])
def test_it_is_built_fitted_and_saved_without_pickle(estimator, parameters, given, tmp_path):
    task = "classification" if "Class" in estimator else "regression"
    pipeline = build(estimator, parameters, given, task)
    [(name, value)] = given.items()
    assert pipeline["estimator"].get_params()[name] == int(value)
    assert estimator_parameters(pipeline)[name] == int(value)
    fitted = fit_pipeline(pipeline, ROWS, NUMBERS if task == "regression" else LABELS)
    path = tmp_path / "pipeline.skops"
    skops.io.dump(fitted, path)
    check_trusted(path)
    before, after = (answer(one, ROWS, {"decision": None}) for one in (fitted, load_pipeline(path)))
    assert before.equals(after)


def test_the_seed_is_that_of_each_that_takes_one():
    parameters = estimator_parameters(build("ensemble.VotingRegressor", BOTH))
    assert (parameters["one__random_state"], parameters["two__random_state"]) == (7, 7)
    assert parameters["two__max_depth"] == 2  # its text is read as the value that it spells
    assert not any(hasattr(value, "fit") for value in parameters.values())


@pytest.mark.parametrize(
    ("estimator", "parameters", "given", "says"),
    [
        ("ensemble.VotingRegressor", {}, {}, "holds other estimators: give estimators under its"),
        ("ensemble.VotingRegressor", BOTH, {"one__alhpa": 1}, "did you mean 'one__alpha'?"),
        ("ensemble.VotingRegressor", BOTH, {"weihgts": 1}, "did you mean 'weights'?"),
        ("pipeline.Pipeline", {"steps": {"one": LOGISTIC}}, {}, "Pipeline is not for a regression"),
        (
            "ensemble.VotingRegressor",
            {"estimators": {"one": {**RIDGE, "params": {"alpha": 2}}}},
            {},
            "unknown key of an inner model 'params', did you mean 'parameters'?",
        ),
        (
            "ensemble.VotingRegressor",
            {"estimators": {"one": {**RIDGE, "early_stopping": 5}}},
            {},
            "; it goes with preprocess",
        ),
        (
            "ensemble.VotingRegressor",
            {"estimators": {"one": RIDGE, "two": "sklearn.linear_model.Lasso"}},
            {},
            "two: an inner model is written {estimator: its path, parameters: {…}}, got: sklearn.",
        ),
        (
            "ensemble.VotingRegressor",
            {"estimators": {"two": "sklearn.linear_model.Lasso"}},
            {},
            "estimators: an inner model is written",
        ),
        (
            "ensemble.BaggingRegressor",
            {"estimator": {"estimator": "sklearn.linear_model.Rdge"}},
            {},
            "there is no sklearn.linear_model.Rdge",
        ),
        (
            "ensemble.BaggingRegressor",
            {"estimator": {"estimator": "os.getcwd"}},
            {},
            "no estimator",
        ),
    ],
)
def test_what_cannot_be_built_is_told(estimator, parameters, given, says, refusal):
    assert says in refusal(build, estimator, parameters, given)


def test_a_mapping_that_holds_no_estimators_is_handed_on():
    grid = {"estimator": RIDGE, "param_grid": {"alpha": [0.1, 1]}}
    fitted = fit_pipeline(build("model_selection.GridSearchCV", grid), ROWS, NUMBERS)
    assert fitted["estimator"].best_params_["alpha"] in (0.1, 1)


def test_where_one_has_columns_of_its_own_each_has():
    spread = {**RIDGE, "preprocess": "spread"}
    pipeline = build("ensemble.VotingRegressor", {"estimators": {"one": spread, "two": TREE}})
    fitted = fit_pipeline(pipeline, ROWS, NUMBERS)
    assert all(isinstance(each, Pipeline) for each in fitted["estimator"].estimators_)
    assert len(fitted.predict(ROWS)) == len(ROWS)


def test_a_value_of_an_inner_one_is_checked_before_a_sweep(refusal):
    model = Model(estimator="sklearn.ensemble.VotingRegressor", parameters=BOTH)
    check_hyperparameter(model, "one__alpha", 2, "regression")
    message = refusal(check_hyperparameter, model, "one__alpha", -1, "regression")
    assert message.startswith("The 'alpha' parameter of Ridge must be")


def test_a_transformed_target_is_predicted_in_its_own_units(tmp_path):
    plain, logged = (
        fit_pipeline(
            build("linear_model.LinearRegression", {}, {}, "regression", how), ROWS, NUMBERS
        )
        for how in ("none", "log1p")
    )
    errors = [np.abs(one.predict(ROWS) - NUMBERS).mean() for one in (plain, logged)]
    assert errors[1] < errors[0]
    assert estimator_parameters(logged) == estimator_parameters(plain)
    skops.io.dump(logged, tmp_path / "pipeline.skops")
    check_trusted(tmp_path / "pipeline.skops")


def test_a_class_has_no_transformed_target(refusal):
    content = {
        "name": "a",
        "task": "classification",
        "data": {"path": "t.csv", "target": "y"},
        "target": {"transform": "log1p"},
        "models": {"one": LOGISTIC},
    }
    with pytest.raises(ValueError, match="target is for task: regression only"):
        Recipe.model_validate(content)


MIXED = ROWS.assign(d=np.where(ROWS["b"] > 0, "x", "y"))
MEMBERS = {
    "regression": {
        "line": {"estimator": "sklearn.linear_model.Ridge", "scale": True, "preprocess": "spread"},
        "trees": {
            "estimator": "lightgbm.LGBMRegressor",
            "parameters": {"n_estimators": 5, "num_leaves": 4},
            "preprocess": "auto",
        },
    },
    "classification": {
        "line": {
            "estimator": "sklearn.linear_model.LogisticRegression",
            "parameters": {"class_weight": {"yes": 3, "no": 1}},
            "preprocess": "auto",
        },
        "forest": {
            "estimator": "sklearn.ensemble.RandomForestClassifier",
            "parameters": {"n_estimators": 5, "n_jobs": 2},
            "preprocess": "one_hot",
        },
    },
}
OVER = {"method": "over", "sampling_strategy": {"yes": 150, "no": 140}}
WEIGHTS = pd.Series(np.linspace(0.1, 2, len(ROWS)))


@pytest.mark.parametrize(
    ("task", "transform", "sampling", "weights"),
    [
        ("regression", "none", {}, WEIGHTS),
        ("regression", "log1p", {}, None),
        ("classification", "none", OVER, None),
        ("classification", "none", {"method": "class_weight"}, WEIGHTS),
    ],
)
def test_models_together_are_the_mean_of_each_alone(task, transform, sampling, weights, tmp_path):
    """Each with its own columns, transformed target, sampling, class weights and row weights."""
    recipe = Recipe.model_validate(
        {"name": "r", "task": task, "data": {"path": "t", "target": "y"}, "models": {"a": RIDGE}}
    ).with_together(TOGETHER)
    targets = NUMBERS if task == "regression" else LABELS
    inputs = Inputs(numbers=[*"abc"], categories={"d": 2}, may_miss=True)

    def fitted(model, given):
        pipeline = build_pipeline(model, given, 7, task, inputs, None, transform)
        return fit_pipeline(pipeline, MIXED, targets, Sampling(**sampling), 7, weights)

    def said(pipeline, rows=MIXED):
        return answer(pipeline, rows, {"decision": None}).select_dtypes("number")

    given = {"estimators": json.dumps(MEMBERS[task]), "weights": "[1, 3]"}
    both = fitted(recipe.models[TOGETHER], given)
    first, second = (said(fitted(Model(**one), {})) for one in MEMBERS[task].values())
    assert np.allclose(said(both), (first + 3 * second) / 4, rtol=1e-12)
    alone = [said(both, MIXED.iloc[[row]]) for row in range(5)]
    assert pd.concat(alone, ignore_index=True).equals(said(both).head(5))

    paths = [tmp_path / f"{name}.skops" for name in "ab"]
    for path, pipeline in zip(paths, (both, fitted(recipe.models[TOGETHER], given)), strict=True):
        skops.io.dump(pipeline, path)
        check_trusted(path)
    assert said(load_pipeline(paths[0])).equals(said(both))
    assert model_digest(paths[0], {}) == model_digest(paths[1], {})
    assert {type(one) for one in both["estimator"].estimators_} == {Pipeline}
    assert "line__alpha" in estimator_parameters(both) or "line__C" in estimator_parameters(both)
    assert known_categories(both) == {"d": ["x", "y"]}
    (title, unit, shares) = describe_pipeline(both)["weights"].values()
    assert (title, unit) == ("Models together", "share of the mean")
    assert dict(shares) == dict(zip(MEMBERS[task], (0.25, 0.75), strict=True))
