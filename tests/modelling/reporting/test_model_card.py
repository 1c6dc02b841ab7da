"""What a fitted Pipeline tells of itself."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.estimators.preprocessing import Inputs
from modelling.recipe import Model
from modelling.reporting.model_card import describe_pipeline

ROWS = 120
RANDOM = np.random.default_rng(0)
NUMBERS = pd.DataFrame(RANDOM.normal(size=(ROWS, 2)), columns=["a", "b"])


def test_weights_bear_names_that_a_person_knows():
    table = pd.DataFrame(
        {
            "age": np.where(RANDOM.random(ROWS) < 0.2, np.nan, RANDOM.normal(size=ROWS)),
            "vip": RANDOM.integers(0, 2, ROWS).astype(float),
            "plan": [*RANDOM.choice(["basic", "gold_2", None], ROWS - 2), "old", "older"],
        }
    )
    model = Model(estimator="sklearn.linear_model.Ridge", scale=True, parameters={"alpha": 2.0})
    inputs = Inputs(numbers=["age"], flags=["vip"], categories={"plan": 4}, may_miss=True)
    pipeline = build_pipeline(model, {}, 0, "regression", inputs)
    card = describe_pipeline(fit_pipeline(pipeline, table, table["vip"]))
    assert [name for name, _ in card["weights"]["values"]] == [
        "age",
        "age is missing",
        "vip",
        "plan = basic",
        "plan = gold_2",
        "plan is missing",
        "plan is rare",
    ]
    assert card["chosen"] == ["alpha", "random_state"]
    assert card["weights"]["unit"] == (
        "change of the prediction for one standard deviation of a number more, or a flag that is "
        "set, or a category that is there"
    )


def weights(name, targets, positive=None, table=NUMBERS, task="classification", **parameters):
    model = Model(estimator=f"sklearn.{name}", parameters=parameters)
    pipeline = build_pipeline(model, {}, 0, task)
    card = describe_pipeline(fit_pipeline(pipeline, table, pd.Series(targets)), positive)
    return dict(card["weights"]["values"]), card["weights"]["unit"]


IS_LARGE = np.where(NUMBERS["a"] > 0, "large", "small")


@pytest.mark.parametrize(("positive", "sign"), [("large", 1), ("small", -1)])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("linear_model.LogisticRegression", "log-odds"),
        ("discriminant_analysis.LinearDiscriminantAnalysis", "log-odds"),
    ],
)
def test_coefficients_are_of_the_positive_class(name, what, positive, sign):
    values, unit = weights(name, IS_LARGE, positive)
    assert sign * values["a"] > 1
    assert unit == f"change of the {what} of the class {positive} for one unit of the column more"


def test_a_score_that_is_no_log_odds_is_not_called_so():
    parameters = {"loss": "modified_huber"}
    _, unit = weights("linear_model.SGDClassifier", IS_LARGE, "small", **parameters)
    assert unit.startswith("change of the score of the class small for ")


@pytest.mark.parametrize(
    ("name", "parameters", "what"),
    [
        ("Ridge", {}, "prediction"),
        ("PoissonRegressor", {}, "logarithm of the prediction"),
        ("GammaRegressor", {}, "logarithm of the prediction"),
        ("TweedieRegressor", {"power": 1.5}, "logarithm of the prediction"),
        ("TweedieRegressor", {"power": 0}, "prediction"),
        ("TweedieRegressor", {"power": 0, "link": "log"}, "logarithm of the prediction"),
    ],
)
def test_coefficients_behind_a_log_link_are_of_the_logarithm(name, parameters, what):
    targets = np.exp(NUMBERS["a"])
    _, unit = weights(f"linear_model.{name}", targets, task="regression", **parameters)
    assert unit == f"change of the {what} for one unit of the column more"


@pytest.mark.parametrize("flags", [[], ["x__b"]])
def test_columns_keep_the_underscores_of_their_names(flags):
    names = ["x__a", "y__a", "x__b"]
    table = pd.DataFrame(RANDOM.integers(0, 2, (ROWS, 3)).astype(float), columns=names)
    inputs = Inputs(numbers=[name for name in names if name not in flags], flags=flags)
    model = Model(estimator="sklearn.linear_model.Ridge", scale=True)
    pipeline = build_pipeline(model, {}, 0, "regression", inputs)
    card = describe_pipeline(fit_pipeline(pipeline, table, table["x__a"]))
    assert [name for name, _ in card["weights"]["values"]] == names


@pytest.mark.parametrize("importance_type", ["split", "gain"])
def test_importance_in_trees_is_the_gain_and_no_number_of_splits(importance_type):
    targets = 10.0 * (NUMBERS["a"] > 0) + NUMBERS["b"]
    estimator = LGBMRegressor(n_estimators=20, importance_type=importance_type, verbose=-1)
    fitted = estimator.fit(NUMBERS, targets)
    found = dict(describe_pipeline(Pipeline([("estimator", fitted)]))["weights"]["values"])
    gains = fitted.booster_.feature_importance("gain")
    assert list(found.values()) == pytest.approx(gains / gains.sum())
    assert fitted.importance_type == importance_type


class Nameless(TransformerMixin, BaseEstimator):
    """As a transformer of one's own may be."""

    def fit(self, X, y=None):  # noqa: N803 - scikit-learn's name
        return self

    def transform(self, X):  # noqa: N803
        return np.asarray(X)


def test_what_gives_no_names_has_no_weights_shown():
    columns = ColumnTransformer([("own nameless", Nameless(), list(NUMBERS))])
    pipeline = Pipeline([("columns", columns), ("estimator", Ridge())])
    card = describe_pipeline(pipeline.fit(NUMBERS, NUMBERS.iloc[:, 0]))
    assert card["weights"] is None
