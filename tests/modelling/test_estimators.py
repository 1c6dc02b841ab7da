"""From a recipe's model to a fitted Pipeline, or one line that says which part is wrong."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from modelling.estimators import build_pipeline, estimator_parameters, fit_pipeline
from modelling.recipe import Model

RNG = np.random.default_rng(0)
FEATURES = pd.DataFrame(RNG.normal(size=(60, 3)), columns=["a", "b", "c"])
TARGETS = pd.Series(FEATURES["a"] * 2 + RNG.normal(size=60) * 0.1)

RIDGE = "sklearn.linear_model.Ridge"
FOREST = "sklearn.ensemble.RandomForestRegressor"


def build(estimator=RIDGE, impute=False, seed=7, hyperparameters=None, **settings):
    model = Model(estimator=estimator, **settings)
    return build_pipeline(model, hyperparameters or {}, seed, impute)


@pytest.mark.parametrize(
    ("impute", "scale", "steps"),
    [
        (False, False, ["estimator"]),
        (True, False, ["impute", "estimator"]),
        (False, True, ["scale", "estimator"]),
        (True, True, ["impute", "scale", "estimator"]),
    ],
)
def test_the_steps_are_those_that_were_asked_for(impute, scale, steps):
    assert list(build(impute=impute, scale=scale).named_steps) == steps


def test_hyperparameters_override_the_recipe_and_text_is_its_value():
    built = build(
        FOREST,
        parameters={"n_estimators": 5, "max_depth": 2, "max_features": "0.5"},
        hyperparameters={"n_estimators": "30", "max_depth": "null"},
    )
    parameters = estimator_parameters(built)
    assert parameters["n_estimators"] == 30
    assert parameters["max_depth"] is None
    assert parameters["max_features"] == 0.5


def test_the_seed_is_the_random_state_unless_somebody_set_it():
    assert estimator_parameters(build(FOREST))["random_state"] == 7
    assert estimator_parameters(build(FOREST, parameters={"random_state": 1}))["random_state"] == 1
    assert "random_state" not in estimator_parameters(build("sklearn.svm.SVR"))


@pytest.mark.parametrize(
    ("estimator", "nearest"),
    [
        ("sklearn.linear_model.Rigde", "sklearn.linear_model.Ridge"),
        ("sklearn.ensemble.GradientBosting", "sklearn.ensemble.GradientBoostingRegressor"),
        ("sklearn.ensemble.RandomForestClassifier", FOREST),
        ("sklearn.linear_model._ridge.Rdge", "sklearn.linear_model.Ridge"),
    ],
)
def test_unknown_estimator_names_the_nearest(estimator, nearest, refusal):
    message = refusal(build, estimator)
    assert message.startswith(
        f"unknown estimator of a regression {estimator!r}, did you mean {nearest!r}? allowed: "
    )


@pytest.mark.parametrize(
    "estimator",
    [
        "",
        ".",
        "Ridge",
        "nowhere.Ridge",
        "sklearn.linear_model",
        "os.getcwd",
        "builtins.input",
        "sys.exit",
        "sklearn.preprocessing.StandardScaler",
        "sklearn.base.BaseEstimator",
    ],
)
def test_what_is_no_regressor_is_refused_without_being_called(estimator, refusal):
    assert f"unknown estimator of a regression {estimator!r}" in refusal(build, estimator)


def test_every_estimator_that_the_message_allows_is_one(refusal):
    message = refusal(build, "nothing")
    allowed = message.partition("allowed: ")[2].split(", ")
    assert {RIDGE, FOREST, "sklearn.ensemble.HistGradientBoostingRegressor"} <= set(allowed)
    for estimator in allowed:
        build(estimator)


def test_unknown_hyperparameter_names_the_nearest_and_all(refusal):
    message = refusal(build, hyperparameters={"alhpa": "1"})
    assert message == (
        "unknown hyperparameter of Ridge 'alhpa', did you mean 'alpha'? allowed: alpha, copy_X, "
        "fit_intercept, max_iter, positive, random_state, solver, tol"
    )
    assert "hyperparameter of Ridge 'l1_ratio'" in refusal(build, parameters={"l1_ratio": 1})


@pytest.mark.parametrize(
    ("estimator", "name", "value", "says"),
    [
        (RIDGE, "alpha", "-1", "The 'alpha' parameter of Ridge must be a float in the range [0.0"),
        (RIDGE, "alpha", "abc", "The 'alpha' parameter of Ridge must be a float"),
        (RIDGE, "solver", "quick", "The 'solver' parameter of Ridge must be a str among"),
        (FOREST, "n_estimators", "1e3", "The 'n_estimators' parameter of RandomForestRegressor"),
        (FOREST, "max_depth", "9" * 30, "Python int too large to convert to C"),
    ],
)
def test_a_value_that_scikit_learn_refuses_is_named(estimator, name, value, says, refusal):
    pipeline = build(estimator, hyperparameters={name: value})
    assert says in refusal(fit_pipeline, pipeline, FEATURES, TARGETS)


def test_missing_values_are_refused_by_an_estimator_that_cannot_have_them(refusal):
    gaps = FEATURES.mask(FEATURES > 1)
    assert "Input X contains NaN" in refusal(fit_pipeline, build(), gaps, TARGETS)


def test_missing_values_are_replaced_by_the_median():
    gaps = FEATURES.mask(FEATURES > 1).assign(b=np.nan)
    pipeline = fit_pipeline(build(impute=True), gaps, TARGETS)
    filled = gaps.fillna(gaps.median()).fillna(0)
    assert np.array_equal(pipeline.predict(gaps), pipeline.predict(filled))


def test_the_pipeline_is_scikit_learns_own():
    pipeline = fit_pipeline(build(parameters={"alpha": 3}), FEATURES, TARGETS)
    expected = Ridge(alpha=3).fit(FEATURES, TARGETS).predict(FEATURES)
    assert np.array_equal(pipeline.predict(FEATURES), expected)
    assert list(pipeline.feature_names_in_) == ["a", "b", "c"]


def test_the_same_seed_fits_the_same_forest():
    parameters = {"n_estimators": 5}
    first, same, other = (
        fit_pipeline(build(FOREST, seed=seed, parameters=parameters), FEATURES, TARGETS).predict(
            FEATURES
        )
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_it_predicts_with_one_thread_whatever_it_was_fitted_with():
    pipeline = build(FOREST, parameters={"n_estimators": 5, "n_jobs": 2})
    assert estimator_parameters(pipeline)["n_jobs"] == 2
    assert estimator_parameters(fit_pipeline(pipeline, FEATURES, TARGETS))["n_jobs"] is None


def test_a_fit_does_not_depend_on_the_number_of_threads():
    features = pd.DataFrame(RNG.normal(size=(60_000, 12))).rename(columns=str)
    targets = pd.Series(features.to_numpy() @ np.arange(12.0) + RNG.normal(size=60_000))
    coefficients = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            fitted = fit_pipeline(build(scale=True), features, targets)
        coefficients.append(fitted["estimator"].coef_)
    assert np.array_equal(*coefficients)
