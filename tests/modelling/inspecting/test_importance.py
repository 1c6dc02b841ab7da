"""A column that matters is found, in a number of predictions that is known before."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from modelling.inspecting import importance
from modelling.inspecting.importance import compute_importance
from modelling.judging.answers import Answers
from modelling.judging.metrics import MULTICLASS_METRICS, REGRESSION_METRICS

RNG = np.random.default_rng(0)


def to_all(*answers):
    return Answers(*answers), np.arange(len(answers[0]))


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_the_one_column_that_matters_is_the_most_important(metric):
    features = pd.DataFrame(RNG.normal(size=(100, 3)), columns=["a", "b", "c"])
    targets = 2 * features["b"].to_numpy()
    table, how = compute_importance(
        lambda rows: to_all(2 * rows["b"].to_numpy()),
        features,
        targets,
        REGRESSION_METRICS[metric],
        0,
    )
    assert list(table) == ["column", "importance", "deviation"]
    assert table["column"].iloc[0] == "b"
    assert table["importance"].iloc[0] > 0.5
    assert list(table["importance"].iloc[1:]) == [0, 0]
    assert how == "5 shuffles of 100 rows"


def test_the_shuffles_are_those_of_scikit_learn():
    features = pd.DataFrame(RNG.normal(size=(120, 3)), columns=["a", "b", "c"])
    features["d"] = pd.Series(RNG.choice(["x", "y"], 120)).astype("str")
    targets = features["a"] + (features["d"] == "x")
    fitted = make_pipeline(
        FunctionTransformer(lambda rows: rows.replace({"x": 1, "y": 0})), Ridge()
    )
    fitted.fit(features, targets)
    rmse = REGRESSION_METRICS["rmse"]
    expected = permutation_importance(
        fitted, features, targets, scoring="neg_root_mean_squared_error", random_state=3
    )
    table, _ = compute_importance(
        lambda rows: to_all(fitted.predict(rows)), features, targets.to_numpy(), rmse, 3
    )
    table = table.set_index("column").loc[list(features)]
    assert np.allclose(table["importance"], expected.importances_mean, rtol=1e-12, atol=0)
    assert np.allclose(table["deviation"], expected.importances_std, rtol=1e-9, atol=1e-15)


def test_importance_is_the_same_for_the_same_seed():
    features = pd.DataFrame({"a": RNG.normal(size=50)})

    def measure(seed):
        answer = lambda rows: to_all(rows["a"].to_numpy())  # noqa: E731
        rmse = REGRESSION_METRICS["rmse"]
        return compute_importance(answer, features, features["a"].to_numpy(), rmse, seed)[0]

    assert measure(1).equals(measure(1))
    assert not measure(1).equals(measure(2))


@pytest.mark.parametrize(("columns", "shuffles"), [(50, 5), (51, 2)])
def test_many_columns_are_shuffled_less_often(columns, shuffles):
    features = pd.DataFrame(RNG.normal(size=(20, columns))).rename(columns=str)
    asked = []

    def answer(rows):
        asked.append(len(rows))
        return to_all(rows["0"].to_numpy())

    compute_importance(answer, features, features["0"].to_numpy(), REGRESSION_METRICS["rmse"], 0)
    assert len(asked) == 1 + columns * shuffles


def test_of_very_many_columns_those_that_matter_are_found_in_a_bounded_number_of_predictions(
    monkeypatch,
):
    monkeypatch.setattr(importance, "_MOST_CELLS", 500 * 2540 * 120)
    features = pd.DataFrame(RNG.normal(size=(40, 500))).rename(columns=lambda name: f"c{name}")
    targets = (features["c321"] + 0.5 * features["c17"]).to_numpy()
    asked = []

    def answer(rows):
        asked.append(1)
        return to_all((rows["c321"] + 0.5 * rows["c17"]).to_numpy())

    rmse = REGRESSION_METRICS["rmse"]
    table, how = compute_importance(answer, features, targets, rmse, 0)
    assert len(asked) <= 1 + 120
    assert list(table["column"].head(2)) == ["c321", "c17"]
    assert (table["importance"].iloc[2:] == 0).all()
    group = table["column"].iloc[-1]
    assert re.fullmatch(r"c\d+ … c\d+ \([\d,]+ columns\)", group)
    assert how == (
        "2 shuffles of 40 rows; 500 columns, in groups where they matter less, to take less than "
        "30 s"
    )
    again, _ = compute_importance(answer, features, targets, rmse, 0)
    assert again.equals(table)


def test_a_slow_model_is_asked_less_often(monkeypatch):
    features = pd.DataFrame(RNG.normal(size=(40, 12))).rename(columns=str)
    clock = iter([0.0, 1.0])  # a second for a prediction
    monkeypatch.setattr("modelling.inspecting.importance.time.process_time", lambda: next(clock))
    asked = []

    def answer(rows):
        asked.append(1)
        return to_all(rows["7"].to_numpy())

    rmse = REGRESSION_METRICS["rmse"]
    table, how = compute_importance(answer, features, features["7"].to_numpy(), rmse, 0)
    assert len(asked) <= 1 + 16
    assert table["column"].iloc[0] == "7"
    assert how.startswith("2 shuffles of 40 rows; 12 columns, in groups")


def test_of_many_rows_a_column_that_does_not_matter_has_no_importance():
    features = pd.DataFrame(RNG.normal(size=(2500, 2)), columns=["a", "b"])
    table, _ = compute_importance(
        lambda rows: to_all(rows["a"].to_numpy()),
        features,
        features["a"].to_numpy() + RNG.normal(size=2500),
        REGRESSION_METRICS["rmse"],
        0,
    )
    table = table.set_index("column")
    assert table.loc["b", "importance"] == 0
    assert table.loc["a", "importance"] > 0.5


def test_a_row_that_a_shuffle_makes_impossible_is_left_out():
    features = pd.DataFrame({"a": np.arange(50.0)}).assign(b=lambda rows: rows["a"] + 1)
    targets = 1 / (features["b"] - features["a"]).to_numpy()

    def answer(rows):
        places = np.flatnonzero(rows["a"] != rows["b"])
        said = 1 / (rows["b"] - rows["a"]).to_numpy()[places]
        return Answers(said), places

    table, _ = compute_importance(answer, features, targets, REGRESSION_METRICS["rmse"], 0)
    assert (table["importance"] > 0).all()


def test_of_many_rows_no_class_is_left_out():
    targets = np.zeros(30_000)
    targets[[100, 20_000]] = 1, 2
    seen = []

    def answer(rows):
        seen.append(len(rows))
        return to_all(targets[rows.index], np.full((len(rows), 3), 1 / 3))

    features = pd.DataFrame({"a": RNG.normal(size=30_000)})
    metric = MULTICLASS_METRICS["roc_auc"]
    table, _ = compute_importance(answer, features, targets, metric, 0, is_classes=True)
    assert table["importance"].tolist() == [0]
    assert set(seen) == {2000}
