"""Why a row is given its answer: in columns of the table, and adding up to it."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.estimators.preprocessing import describe_inputs
from modelling.models import row_details
from modelling.models.features import column_kinds, fit_features
from modelling.models.sklearn_wrapper import SklearnWrapper, apply_features
from modelling.recipe import Features, Model

FORMULAS = {"share": "a / (b + 3)", "large": "log(b + 3)"}
REGRESSIONS = {
    "sklearn.linear_model.Ridge": {},
    "sklearn.linear_model.PoissonRegressor": {},
    "lightgbm.LGBMRegressor": {"n_estimators": 5, "min_child_samples": 5},
    "sklearn.ensemble.RandomForestRegressor": {"n_estimators": 3},
    "sklearn.svm.SVR": {},
}
CLASSIFICATIONS = {
    "sklearn.linear_model.LogisticRegression": {},
    "lightgbm.LGBMClassifier": {"n_estimators": 5, "min_child_samples": 5},
    "sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 3, "min_samples_leaf": 5},
    "sklearn.neighbors.KNeighborsClassifier": {},
}


def make_table(seed, rows=60):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "b": rng.integers(-2, 5, rows).astype(float),
            "colour": pd.Series(rng.choice(["red", "green", "blue"], rows)).astype("str"),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), "D"),
        }
    )
    is_red = (frame["colour"] == "red").astype(float)
    score = frame["a"].fillna(0) * frame["b"] + 2 * is_red + rng.normal(size=rows)
    return frame, score


def make_model(tmp_path, estimator, parameters, frame, targets, formulas=None, **said):
    """A loaded model, as a training logs it and a server loads it."""
    task = said.get("task", "regression")
    fitted = fit_features(frame, Features(formulas=formulas or {}), column_kinds(frame, {}), True)
    inputs = apply_features(frame, fitted)
    model = Model(estimator=estimator, parameters=parameters, scale=True)
    pipeline = build_pipeline(model, {}, 0, task, describe_inputs(inputs, fitted))
    wrapper = SklearnWrapper()
    wrapper.pipeline = fit_pipeline(pipeline, inputs, targets)
    fitted["decision"] = said.get("decision")
    fitted["reference"] = row_details.mean_inputs(wrapper.pipeline, inputs)
    wrapper.features = fitted
    wrapper._details_file = Path(row_details.__file__)
    wrapper._sample_file = tmp_path / "sample.parquet"
    wrapper._background = None
    frame.head(40).to_parquet(wrapper._sample_file)
    return wrapper


def explain(model, rows, reasons=0):
    return model.predict(None, rows, {"method": "explain", "reasons": reasons})


def contributions(told, columns):
    return told[[f"contribution_{name}" for name in columns]].set_axis(columns, axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@given(
    seed=st.integers(0, 10_000),
    estimator=st.sampled_from([*REGRESSIONS, *CLASSIFICATIONS]),
    with_formulas=st.booleans(),
    classes=st.integers(2, 3),
    is_binary=st.booleans(),
)
@settings(max_examples=25)
def test_contributions_are_of_the_columns_and_add_up(
    folder, seed, estimator, with_formulas, classes, is_binary
):
    frame, score = make_table(seed)
    formulas = FORMULAS if with_formulas else {}
    if estimator in REGRESSIONS:
        targets = np.exp(score.clip(-3, 3))
        model = make_model(folder, estimator, REGRESSIONS[estimator], frame, targets, formulas)
    else:
        targets = pd.qcut(score, classes, labels=False)
        decision = {"positive_class": 0, "threshold": 0.3} if is_binary and classes == 2 else None
        said = {"task": "classification", "decision": decision}
        parameters = CLASSIFICATIONS[estimator]
        model = make_model(folder, estimator, parameters, frame, targets, formulas, **said)
    rows = frame.tail(4)
    told = explain(model, rows)
    parts = contributions(told, list(frame))
    np.testing.assert_allclose(told["base"] + parts.sum(axis=1), told["value"], atol=1e-9)
    if estimator in REGRESSIONS:
        assert np.array_equal(told["value"], told["prediction"])
    elif decision:
        assert np.array_equal(told["value"], told["probability_0"])
    else:
        likely = told.filter(regex=r"^probability_").max(axis=1)
        assert np.array_equal(told["value"], likely)
    short = explain(model, rows, 3)
    named = short.filter(regex=r"^contribution_\d").sum(axis=1)
    np.testing.assert_allclose(short["base"] + named + short["others"], told["value"], atol=1e-9)
    alone = explain(model, rows.tail(1))
    np.testing.assert_allclose(contributions(alone, list(frame)).iloc[0], parts.iloc[-1], atol=1e-9)


def test_a_linear_model_is_explained_exactly_against_the_mean_of_its_training_rows(tmp_path):
    frame, score = make_table(1)
    model = make_model(tmp_path, "sklearn.linear_model.Ridge", {}, frame, score)
    told, parts = explain(model, frame), contributions(explain(model, frame), list(frame))
    assert (told.filter(like="error_") == 0).all(axis=None)
    assert told["base"].iloc[0] == pytest.approx(told["prediction"].mean())
    np.testing.assert_allclose(parts.mean(), 0, atol=1e-9)
    # One column changed: the answer moves by the change of this column's contribution alone.
    other = frame.assign(colour="red", day=frame["day"] + pd.Timedelta(days=30))
    moved = explain(model, other)
    moves = contributions(moved, list(frame)) - parts
    assert (moves[["a", "b"]].abs() < 1e-9).all(axis=None)
    np.testing.assert_allclose(
        moves["colour"] + moves["day"], moved["prediction"] - told["prediction"], atol=1e-9
    )
    assert moves["colour"].abs().max() > 0.1


def test_contributions_that_cancel_out_are_told_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    linear = "sklearn.linear_model.LinearRegression"
    model = make_model(tmp_path, linear, {}, frame, 3 * frame["a"] + 2 * frame["b"])
    row = frame.mean().to_frame().T.assign(a=lambda x: x["a"] + 2, b=lambda x: x["b"] - 3)
    told = explain(model, row)
    np.testing.assert_allclose(contributions(told, ["a", "b"]).iloc[0], [6, -6], rtol=1e-6)


@pytest.mark.parametrize(
    ("task", "positive"), [("regression", None), ("classification", 1), ("classification", 0)]
)
def test_lightgbm_says_its_contributions_itself(task, positive, tmp_path):
    frame, score = make_table(2, 300)
    kind = {"regression": "LGBMRegressor", "classification": "LGBMClassifier"}[task]
    targets = score if task == "regression" else (score > 1).astype(int)
    decision = None if task == "regression" else {"positive_class": positive, "threshold": 0.5}
    said = {"task": task, "decision": decision}
    parameters = {"n_estimators": 20}
    model = make_model(tmp_path, f"lightgbm.{kind}", parameters, frame, targets, **said)
    told = explain(model, frame)
    parts = contributions(told, list(frame)).to_numpy()
    before = model.pipeline[:-1].transform(apply_features(frame, model.features))
    own = model.pipeline[-1].predict(before, pred_contrib=True)
    names = row_details.find_sources(
        model.pipeline, list(apply_features(frame, model.features)), model.features
    )
    summed = pd.DataFrame(own[:, :-1], columns=names).T.groupby(level=0).sum().T[list(frame)]
    assert (told.filter(like="error_") == 0).all(axis=None)
    if task == "regression":
        np.testing.assert_allclose(parts, summed, atol=1e-9)
    else:  # each row's in one proportion
        share = (told["value"] - told["base"]).to_numpy() / summed.sum(axis=1).to_numpy()
        np.testing.assert_allclose(parts, summed.to_numpy() * share[:, None], atol=1e-9)
        assert (share > 0).all() if positive else (share < 0).all()


def shapley(answer, row, background):
    """By its definition: the mean over all orders and all rows of the background."""
    total = np.zeros(len(row))
    orders = list(permutations(range(len(row))))
    for start in background:
        for order in orders:
            now = start.copy()
            for column in order:
                before = answer(now[None])[0]
                now[column] = row[column]
                total[column] += answer(now[None])[0] - before
    return total / (len(orders) * len(background))


@pytest.mark.parametrize(
    ("is_of_pairs", "function"),
    [
        (True, lambda x: x[:, 0] * x[:, 1] + x[:, 2] ** 2),
        (False, lambda x: x[:, 0] * x[:, 1] * x[:, 2] + np.sin(x[:, 3] * x[:, 0])),
    ],
)
def test_the_sampled_estimate_is_as_near_to_shapley_values_as_it_says(is_of_pairs, function):
    rng = np.random.default_rng(0)
    background = rng.normal(size=(60, 4))
    rows = rng.normal(size=(5, 4)) * 2

    def known(values):
        frame = pd.DataFrame(values, columns=list("abcd"))
        return row_details.KnownRows(frame, function(values))

    found = row_details.explain_by_sampling(
        lambda frame: function(frame.to_numpy()), known(rows), known(background), None
    )
    exact = np.array([shapley(function, row, background) for row in rows])
    if is_of_pairs:  # each order and its reverse together leave nothing to chance
        np.testing.assert_allclose(found.contributions, exact, atol=1e-9)
    else:
        assert (np.abs(found.contributions - exact) < 4 * found.errors + 1e-9).all()
        assert (found.errors[:, :3] > 0).all()


def test_a_row_made_of_two_may_have_no_answer(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 3, 80) * 1.0, "b": rng.normal(size=80)})
    frame["c"] = np.where(frame["a"] == 1, 2.0, 1.0)  # no row has a - c = 0, a mixed one may
    model = make_model(
        tmp_path,
        "sklearn.neighbors.KNeighborsRegressor",
        {},
        frame,
        frame["a"] + frame["b"],
        {"f": "b / (a - c)"},
    )
    model.features["imputes"] = False
    told = explain(model, frame.head(5))
    parts = contributions(told, list(frame))
    np.testing.assert_allclose(told["base"] + parts.sum(axis=1), told["value"], atol=1e-9)


def test_reasons_are_told_the_strongest_first_as_the_row_has_them(tmp_path):
    frame, score = make_table(3)
    frame["flag"] = (frame["b"] > 0).astype(float)
    model = make_model(tmp_path, "sklearn.linear_model.Ridge", {}, frame, 5 * score)
    model.features["columns"]["flag"] = "boolean"
    row = frame.head(1).assign(a=np.nan, b="2.50", flag="yes", colour=" red ", day="2026-03-01")
    told = explain(model, row, 9).iloc[0]
    reasons = [told[f"reason_{number}"] for number in range(1, 6)]
    expected = ["a is missing", "b = 2.5", "flag = yes", "colour = red", "day = 2026-03-01"]
    assert sorted(reasons) == sorted(expected)
    strength = [abs(told[f"contribution_{number}"]) for number in range(1, 6)]
    assert strength == sorted(strength, reverse=True)
    assert told["others"] == pytest.approx(0, abs=1e-9)


def test_a_transformer_that_may_mix_its_columns_is_not_taken_apart(tmp_path):
    frame, score = make_table(4)
    said = {"mix": {"transformer": "sklearn.decomposition.PCA", "columns": ["b", "c"]}}
    frame = pd.DataFrame({"b": frame["b"], "c": frame["b"] ** 2, "d": score})
    features = Features.model_validate({"transformers": said})
    fitted = fit_features(frame, features, column_kinds(frame, {}))
    inputs = apply_features(frame, fitted)
    model = Model(estimator="sklearn.linear_model.Ridge")
    pipeline = build_pipeline(model, {}, 0, "regression", describe_inputs(inputs, fitted, features))
    fit_pipeline(pipeline, inputs, score)
    assert row_details.find_sources(pipeline, list(inputs), fitted) is None


def test_a_model_logged_before_says_that_it_cannot(tmp_path):
    frame, score = make_table(5)
    model = make_model(tmp_path, "sklearn.linear_model.Ridge", {}, frame, score)
    model._details_file = None
    with pytest.raises(MlflowException, match="cannot explain"):
        explain(model, frame.head(2))
    assert len(model.predict(None, frame.head(2))) == 2


def test_the_file_imports_nothing_of_the_project():
    source = Path(row_details.__file__).read_text(encoding="utf-8")
    assert "import modelling" not in source
    assert "from modelling" not in source


def test_a_model_says_how_sure_it_is_where_its_recipe_asked_for_it(tmp_path):
    frame, score = make_table(6)
    model = make_model(tmp_path, "sklearn.linear_model.Ridge", {}, frame, score)
    with pytest.raises(MlflowException, match="its recipe has no key `intervals`"):
        model.predict(None, frame, {"method": "interval"})
    model.features["intervals"] = {"low": -1.0, "high": 2.0, "least": None, "difficulty": None}
    told = model.predict(None, frame, {"method": "interval"})
    np.testing.assert_allclose(told["prediction_low"], told["prediction"] - 1)
    np.testing.assert_allclose(told["prediction_high"], told["prediction"] + 2)

    labels = pd.Series(np.where(score > 0, "yes", "no"))
    said = {"task": "classification"}
    linear = "sklearn.linear_model.LogisticRegression"
    model = make_model(tmp_path, linear, {}, frame, labels, **said)
    model.features["intervals"] = {"limits": [0.2, 0.7]}
    told = model.predict(None, frame, {"method": "interval"})
    for row in told.itertuples():
        is_in = {"no": row.probability_no > 0.5, "yes": row.probability_yes >= 0.3}
        assert row.prediction_set == [label for label, held in is_in.items() if held]
