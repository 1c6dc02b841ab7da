"""What the logged model says of a row does not depend on the rows beside it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from modelling import sklearn_wrapper
from modelling.sklearn_wrapper import SklearnWrapper, answer, apply_features, find_problems

COLUMNS = [f"c{number}" for number in range(11)]
FITTED = {
    "columns": dict.fromkeys(COLUMNS, "number"),
    "imputes": False,
    "formulas": {},
    "quantile_scores": {},
    "decision": None,
}
ESTIMATORS = {
    "elastic net": ElasticNet(alpha=0.01),
    "logistic regression": LogisticRegression(),
    "boosted trees": HistGradientBoostingClassifier(max_iter=5),
}


@pytest.fixture(scope="module")
def rows():
    values, labels = make_classification(1500, 11, n_informative=6, n_classes=3, random_state=0)
    return pd.DataFrame(values, columns=COLUMNS), labels


@pytest.fixture(scope="module", params=ESTIMATORS)
def pipeline(request, rows):
    return make_pipeline(StandardScaler(), ESTIMATORS[request.param]).fit(*rows)


@pytest.mark.parametrize("size", [1, 3, 64, 65, 100, 777])
def test_a_row_has_the_same_digits_alone_and_among_any_others(pipeline, rows, size):
    inputs = rows[0]
    together = answer(pipeline, inputs, FITTED)
    parts = [
        answer(pipeline, inputs.iloc[start : start + size], FITTED)
        for start in range(0, min(len(inputs), 40 * size), size)
    ]
    apart = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(apart, together.head(len(apart)), check_exact=True)


def test_blas_has_its_threads_again_when_the_last_of_many_predictions_is_done():
    def threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    before = threads()
    together = threading.Barrier(2)

    def predict(rows):
        together.wait(10)
        assert set(threads()) == {1}
        together.wait(10)
        return np.zeros(len(rows))

    rows = pd.DataFrame({"a": np.zeros(64)})
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(sklearn_wrapper._by_blocks, [predict, predict], [rows, rows]))
    assert threads() == before


def test_of_some_rows_the_valid_ones_are_predicted_and_the_others_have_a_reason(pipeline, rows):
    model = SklearnWrapper()
    model.features, model.pipeline = FITTED, pipeline
    frame = rows[0].head(6).astype(object)
    frame.iloc[1, 2], frame.iloc[3, 0], frame.iloc[4, 1] = "much", None, float("inf")
    inputs, answers, problems = model.predict_valid(frame)
    assert problems == {
        1: "column 'c2': 'much' is no number",
        3: "column 'c0' is missing",
        4: "column 'c1': 'inf' is no number",
    }
    assert len(inputs) == 6
    expected = model.predict(None, rows[0].iloc[[0, 2, 5]], {"method": "predict_all"})
    pd.testing.assert_frame_equal(answers, expected, check_exact=True)
    with pytest.raises(MlflowException, match=r"row 2: column 'c2'.*and 2 more rows"):
        model.predict(None, frame)
    _, none, problems = model.predict_valid(frame.iloc[[1, 3]])
    assert len(none) == 0
    assert set(problems) == {0, 1}


def test_a_list_or_a_mapping_is_no_value():
    kinds = {"n": "number", "c": "category", "d": "date"}
    fitted = {**FITTED, "columns": kinds, "imputes": True}
    values = {
        "n": [1, [1, 2], 2, None],
        "c": ["x", "y", {"a": 1}, None],
        "d": ["2026-01-01", None, None, [1]],
    }
    frame = pd.DataFrame(values)
    problems = find_problems(frame, apply_features(frame, fitted), fitted)
    assert problems == {
        1: "column 'n': '[1, 2]' is no number",
        2: "column 'c': \"{'a': 1}\" is no category",
        3: "column 'd': '[1]' is no date",
    }
