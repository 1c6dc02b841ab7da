"""From a recipe's model to a fitted Pipeline, or one line that says which part is wrong."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from modelling.estimators import threads
from modelling.estimators.estimators import (
    build_pipeline,
    check_hyperparameter,
    estimator_parameters,
    fit_pipeline,
)
from modelling.estimators.preprocessing import Inputs, describe_inputs, known_categories
from modelling.models.features import column_kinds, fit_features
from modelling.models.sklearn_wrapper import apply_features
from modelling.recipe import Features, Model, Sampling

RNG = np.random.default_rng(0)
FEATURES = pd.DataFrame(RNG.normal(size=(60, 3)), columns=["a", "b", "c"])
TARGETS = pd.Series(FEATURES["a"] * 2 + RNG.normal(size=60) * 0.1)

RIDGE = "sklearn.linear_model.Ridge"
BOOSTING = "sklearn.ensemble.HistGradientBoostingRegressor"
FOREST = "sklearn.ensemble.RandomForestRegressor"
LIGHTGBM = "lightgbm.LGBMRegressor"


def build(estimator=RIDGE, impute=False, seed=7, hyperparameters=None, **settings):
    model = Model(estimator=estimator, **settings)
    inputs = Inputs(numbers=list(FEATURES), may_miss=impute)
    return build_pipeline(model, hyperparameters or {}, seed, inputs=inputs)


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
        ("sklearn.linear_model._ridge.Rdge", "sklearn.linear_model.Ridge"),
        ("lightgbm.LGBMRegresor", LIGHTGBM),
    ],
)
def test_unknown_estimator_names_the_nearest_five(estimator, nearest, refusal):
    message = refusal(build, estimator)
    start = f"unknown estimator of a regression {estimator!r}, did you mean {nearest!r}? "
    assert message.startswith(start + "the nearest are ")
    assert message.count(", ") == 5  # one of them before the question


@pytest.mark.parametrize(
    ("estimator", "task", "instead"),
    [
        ("sklearn.ensemble.RandomForestClassifier", "regression", FOREST),
        (LIGHTGBM, "classification", "lightgbm.LGBMClassifier"),
    ],
)
def test_an_estimator_of_the_other_task_is_told_so(estimator, task, instead, refusal):
    other = "classification" if task == "regression" else "regression"
    assert refusal(build_pipeline, Model(estimator=estimator), {}, 0, task) == (
        f"{estimator} is for a {other}, and the task is {task}; did you mean {instead}?"
    )


@pytest.mark.parametrize(
    "estimator",
    [
        "",
        ".",
        "Ridge",
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


def test_every_estimator_that_a_message_names_is_one(refusal):
    message = refusal(build, "nothing")
    named = message.partition("the nearest are ")[2].split(", ")
    assert len(named) == 5
    for estimator in named:
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
    filled = pipeline["impute"].transform(gaps)
    assert np.array_equal(filled[:, :3], gaps.fillna(gaps.median()).fillna(0))
    assert np.array_equal(filled[:, 3:], gaps.isna())  # the estimator is told where the gaps were
    assert np.isfinite(pipeline.predict(gaps)).all()


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


@pytest.mark.parametrize("estimator", [RIDGE, BOOSTING])
def test_a_fit_does_not_depend_on_the_number_of_threads(estimator, monkeypatch):
    features = pd.DataFrame(RNG.normal(size=(20_000, 12))).rename(columns=str)
    targets = pd.Series(features.to_numpy() @ np.arange(12.0) + RNG.normal(size=20_000))
    monkeypatch.setattr(threads, "_FEW_CELLS", 0)
    predictions = []
    for number in (1, 2):
        monkeypatch.setattr(threads, "free_cores", lambda number=number: number)
        with threadpool_limits(limits=number):
            fitted = fit_pipeline(build(estimator, scale=True), features, targets)
        predictions.append(fitted.predict(features))
    assert np.array_equal(*predictions)


ROWS = 300
MIXED = pd.DataFrame(
    {
        "amount": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(size=ROWS)),
        "active": RNG.integers(0, 2, ROWS).astype(float),
        "city": pd.Series(RNG.choice(["Lyon", "Nantes", "Été"], ROWS)).astype("str"),
        "shop": pd.Series([f"shop {number}" for number in RNG.integers(0, 90, ROWS)]).astype("str"),
        "since": pd.Series(
            pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 999, ROWS), "D")
        ),
    }
)
MIXED.loc[::7, ["city", "shop", "since"]] = None
LABELS = pd.Series(np.where(MIXED["amount"].fillna(0) + RNG.normal(size=ROWS) > 1, "yes", "no"))
CLASSIFIERS = [
    "sklearn.linear_model.LogisticRegression",
    "sklearn.ensemble.RandomForestClassifier",
    "sklearn.ensemble.GradientBoostingClassifier",
    "sklearn.ensemble.HistGradientBoostingClassifier",
]
QUICK = {
    "sklearn.ensemble.RandomForestClassifier": {"n_estimators": 20},
    "sklearn.ensemble.GradientBoostingClassifier": {"n_estimators": 20},
    "sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 20},
}


def fit_mixed(estimator, targets=LABELS, sampling=None, **settings):
    kinds = column_kinds(MIXED, {})
    fitted = fit_features(MIXED, Features(), kinds, may_miss=True)
    inputs = apply_features(MIXED, fitted)
    task = "regression" if targets.dtype.kind == "f" else "classification"
    settings = {"parameters": QUICK.get(estimator, {}), **settings}
    model = Model(estimator=estimator, scale=True, **settings)
    pipeline = build_pipeline(model, {}, 0, task, describe_inputs(inputs, fitted))
    return fit_pipeline(pipeline, inputs, targets, sampling, 0), fitted, inputs


@cache
def fit_plainly(estimator):
    """The classifier without a word about its classes, fitted once for all tests that read it."""
    return fit_mixed(estimator)


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_text_dates_and_gaps_are_the_pipelines_business(estimator):
    pipeline, fitted, inputs = fit_plainly(estimator)
    assert list(pipeline.classes_) == ["no", "yes"]
    unseen = MIXED.head(3).assign(city="Paris", shop="a new shop", since=None, amount=np.nan)
    probabilities = pipeline.predict_proba(apply_features(unseen, fitted))
    assert np.isfinite(probabilities).all()
    assert np.array_equal(
        pipeline.predict_proba(inputs.sample(frac=1, random_state=1).sort_index()),
        pipeline.predict_proba(inputs),
    )


def test_all_values_of_a_category_are_known():
    known = known_categories(fit_plainly(CLASSIFIERS[0])[0])
    for name in ("city", "shop"):
        assert set(known[name]) == set(MIXED[name].dropna())
    plain = build_pipeline(Model(estimator=CLASSIFIERS[0]), {}, 0, "classification")
    assert known_categories(plain) == {}


def test_a_category_with_many_values_becomes_one_column():
    pipeline, _, inputs = fit_plainly(CLASSIFIERS[0])
    names = pipeline["columns"].transformers
    assert {name: columns for name, _, columns in names} == {
        "numbers": ["amount", "active", "since (days)", "since (month)", "since (weekday)"],
        "few": ["city"],
        "many": ["shop"],
    }
    assert pipeline["columns"].transform(inputs).shape[1] < 20


@pytest.mark.parametrize(
    ("targets", "columns"),
    [
        (RNG.integers(100_000, 900_000, ROWS).astype(float), 1),
        (RNG.integers(1, 4, ROWS), 3),
        (RNG.choice(["low", "middle", "high"], ROWS), 3),
        (RNG.choice([0.0, 1.0], ROWS), 1),
    ],
    ids=["whole numbers", "three numbered classes", "three classes", "two numbers"],
)
def test_a_category_has_a_column_of_means_or_one_for_each_class(targets, columns):
    estimator = RIDGE if targets.dtype.kind == "f" else CLASSIFIERS[0]
    pipeline, _, inputs = fit_mixed(estimator, pd.Series(targets))
    many = pipeline["columns"].named_transformers_["many"]
    assert many.transform(inputs[["shop"]]).shape[1] == columns
    if estimator == RIDGE:  # in the target's own units, drawn towards the mean of all
        means = many["mean"].transform(inputs[["shop"]])
        assert targets.min() <= means.min() < targets.mean() < means.max() <= targets.max()


def test_a_category_helps_a_regression_too():
    targets = MIXED["city"].map({"Lyon": 1.0, "Nantes": 2.0}).fillna(3.0)
    pipeline, _, inputs = fit_mixed("sklearn.linear_model.LinearRegression", targets)
    assert np.abs(pipeline.predict(inputs) - targets).max() < 0.6


@pytest.mark.parametrize("method", ["class_weight", "over", "under"])
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_sampling_makes_the_rare_class_more_probable(estimator, method):
    plain = fit_plainly(estimator)[0]
    pipeline, _, inputs = fit_mixed(estimator, sampling=Sampling(method=method))
    assert "sample" not in pipeline.named_steps
    assert type(pipeline).__module__ == "sklearn.pipeline"
    rare = list(pipeline.classes_).index("yes")
    means = [one.predict_proba(inputs)[:, rare].mean() for one in (plain, pipeline)]
    assert means[1] > means[0]


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        ([0, 1], [0, 1]),
        ([0, 1], ["0", "1"]),
        ([False, True], ["false", "true"]),
        (["no", "yes"], ["no", "yes"]),
    ],
)
@pytest.mark.parametrize("what", ["class_weight", "sampling_strategy"])
def test_classes_are_named_by_their_label_or_its_text(labels, keys, what):
    targets = LABELS.map({"no": labels[0], "yes": labels[1]})
    plain, _, inputs = fit_mixed(CLASSIFIERS[0], targets)
    if what == "class_weight":
        changed = {"parameters": {what: dict(zip(keys, [1, 9], strict=True))}}
    else:
        counts = dict(zip(keys, [ROWS, ROWS], strict=True))
        changed = {"sampling": Sampling(method="over", sampling_strategy=counts)}
    weighted = fit_mixed(CLASSIFIERS[0], targets, **changed)[0]
    means = [one.predict_proba(inputs)[:, 1].mean() for one in (plain, weighted)]
    assert means[1] > means[0]


def test_a_ratio_that_cannot_be_is_refused_in_a_line(refusal):
    sampling = Sampling(method="over", sampling_strategy=0.01)
    message = refusal(fit_mixed, CLASSIFIERS[0], sampling=sampling)
    assert "ratio" in message


def test_an_estimator_without_weights_is_refused(refusal):
    weights = Sampling(method="class_weight")
    message = refusal(fit_mixed, "sklearn.neighbors.KNeighborsClassifier", sampling=weights)
    assert message == (
        "KNeighborsClassifier takes no weights; set sampling.method to over or under"
    )


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        ("sklearn.linear_model.Ridge", "sklearn.linear_model.Ridge is for a regression"),
        ("sklearn.linear_model.RidgeClassifier", "RidgeClassifier gives no probabilities"),
        ("sklearn.svm.SVC", "SVC gives no probabilities with these parameters"),
    ],
)
def test_a_classifier_must_give_probabilities(estimator, says, refusal):
    model = Model(estimator=estimator)
    assert says in refusal(build_pipeline, model, {}, 0, "classification")


def test_a_package_that_is_not_installed_is_told_so(refusal):
    assert refusal(build, "ngboost.NGBRegressor") == (
        "ngboost is not installed here; estimator ngboost.NGBRegressor needs it where the "
        "pipeline runs"
    )
    assert "did you mean 'sklearn.linear_model.Ridge'" in refusal(build, "sklern.linear_model.Ridg")


def test_what_is_none_of_scikit_learns_is_told_so(refusal, monkeypatch):
    assert refusal(build, "catboost.CatBoostRegressor") == (
        "catboost.CatBoostRegressor cannot be used: CatBoost's classes derive from none of "
        "scikit-learn's, and need a pickle; take lightgbm.LGBMRegressor"
    )
    other = type("Other", (), {"fit": print, "predict": print})
    monkeypatch.setattr("sklearn.linear_model.Other", other, raising=False)
    assert refusal(build, "sklearn.linear_model.Other") == (
        "sklearn.linear_model.Other is no estimator of scikit-learn: it does not derive from "
        "sklearn.base.BaseEstimator"
    )


def test_lightgbm_takes_what_it_says_that_it_takes(refusal):
    parameters = estimator_parameters(build(LIGHTGBM, parameters={"max_bin": 15, "verbose": "1"}))
    assert (parameters["max_bin"], parameters["verbose"]) == (15, 1)
    assert "verbosity" not in parameters  # two names of one parameter
    assert "'lerning_rate', did you mean 'learning_rate'?" in refusal(
        build, LIGHTGBM, hyperparameters={"lerning_rate": "0.1"}
    )
    check_hyperparameter(Model(estimator=LIGHTGBM), "num_leaves", 7, "regression")


@pytest.mark.parametrize(
    ("name", "value"), [("num_leaves", 1), ("learning_rate", 0), ("colsample_bytree", 1.06)]
)
def test_a_value_that_lightgbm_refuses_is_refused_before_anything_runs(name, value, refusal, capfd):
    message = refusal(check_hyperparameter, Model(estimator=LIGHTGBM), name, value, "regression")
    assert message.startswith("Check failed: (")
    assert "/" not in message
    assert capfd.readouterr() == ("", "")


def test_a_value_that_others_must_go_with_is_no_mistake():
    check_hyperparameter(Model(estimator=LIGHTGBM), "boosting_type", "rf", "regression")


def test_what_lightgbm_refuses_in_a_fit_is_told_in_a_line(refusal):
    model = Model(estimator=LIGHTGBM, parameters={"boosting_type": "rf"})
    pipeline = build_pipeline(model, {}, 0)
    message = refusal(fit_pipeline, pipeline, pd.DataFrame({"a": range(40)}), pd.Series(range(40)))
    assert message.startswith("Check failed: (config->bagging_freq > 0")


def test_lightgbm_is_quiet_and_takes_columns_of_any_name(capfd):
    names = {"a": "a b", "b": "a_b", "c": "price, [net]: €"}
    inputs = FEATURES.rename(columns=names)
    pipeline = build(LIGHTGBM, hyperparameters={"n_estimators": 3, "min_child_samples": 5})
    fitted = fit_pipeline(pipeline, inputs, TARGETS)
    assert np.ptp(fitted.predict(inputs)) > 0
    assert capfd.readouterr() == ("", "")


def test_lightgbm_fits_the_same_with_any_number_of_threads():
    rows = np.random.default_rng(1).normal(size=(5000, 4))
    inputs, targets = pd.DataFrame(rows, columns=list("abcd")), pd.Series(np.sin(rows.sum(axis=1)))
    trees = []
    for count in (1, 2):
        with threadpool_limits(limits=count):
            fitted = build(LIGHTGBM, hyperparameters={"n_estimators": 20}).fit(inputs, targets)
        trees.append(fitted["estimator"].booster_.model_to_string())
    assert trees[0] == trees[1]
