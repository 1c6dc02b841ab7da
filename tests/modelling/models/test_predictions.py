"""What the logged model says of a row does not depend on the rows beside it."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from sklearn.base import is_classifier
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from modelling.models import sklearn_wrapper
from modelling.models.sklearn_wrapper import SklearnWrapper, answer, apply_features, find_problems

COLUMNS = [f"c{number}" for number in range(11)]
FITTED = {
    "columns": dict.fromkeys(COLUMNS, "number"),
    "imputes": False,
    "formulas": {},
    "quantile_scores": {},
    "decision": None,
}
ESTIMATORS = {  # of each way in which they are called
    "elastic net": ElasticNet(alpha=0.01),
    "logistic regression": LogisticRegression(),
    "boosted trees": HistGradientBoostingClassifier(max_iter=5),
    "bagged trees": BaggingClassifier(n_estimators=3, random_state=0),
    "neural network": MLPClassifier(max_iter=2, random_state=0),
}


@pytest.fixture(scope="module")
def rows():
    values, labels = make_classification(1500, 11, n_informative=6, n_classes=3, random_state=0)
    return pd.DataFrame(values, columns=COLUMNS), labels


@pytest.fixture(scope="module", params=ESTIMATORS)
def pipeline(request, rows):
    return make_pipeline(StandardScaler(), ESTIMATORS[request.param]).fit(*rows)


@given(st.data())
def test_a_row_has_the_same_digits_alone_and_among_any_others(pipeline, rows, data):
    size = data.draw(st.one_of(st.integers(1, 130), st.integers(700, 1500)))
    first, step = data.draw(st.integers(0, 1499)), data.draw(st.sampled_from([1, 7, 1499, 0]))
    places = (first + step * np.arange(size)) % 1500
    together = answer(pipeline, apply_features(rows[0], FITTED), FITTED)
    among_others = answer(pipeline, apply_features(rows[0].iloc[places], FITTED), FITTED)
    expected = together.iloc[places].reset_index(drop=True)
    pd.testing.assert_frame_equal(among_others, expected, check_exact=True)


def test_the_digits_are_those_of_a_whole_block(pipeline, rows):
    """As models gave them that were logged before: of 64 rows, with one thread of BLAS."""
    block = apply_features(rows[0].head(64), FITTED)
    with threadpool_limits(limits=1, user_api="blas"):
        expected = pipeline.predict_proba(block) if is_classifier(pipeline) else None
        expected = pipeline.predict(block)[:, None] if expected is None else expected
    for row in (0, 5, 63):
        alone = answer(pipeline, apply_features(rows[0].iloc[[row]], FITTED), FITTED)
        numbers = alone.select_dtypes("float")
        assert np.array_equal(numbers.to_numpy()[:, -expected.shape[1] :], expected[[row]])


def test_libraries_that_come_later_are_limited_too(monkeypatch):
    sklearn_wrapper._look_through.cache_clear()
    looked = []
    real = sklearn_wrapper.ThreadpoolController

    def look():
        looked.append(1)
        return real()

    monkeypatch.setattr(sklearn_wrapper, "ThreadpoolController", look)
    for modules in (["a"], [], ["b"]):
        for name in modules:
            monkeypatch.setitem(sys.modules, f"a_module_of_this_test_{name}", sys)
        with sklearn_wrapper._one_blas_thread():
            pass
    assert len(looked) == 2


def test_blas_has_its_threads_again_when_the_last_of_many_predictions_is_done():
    def threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    before = threads()
    together = threading.Barrier(2)

    def predict(_number):
        with sklearn_wrapper._one_blas_thread():
            together.wait(10)
            assert set(threads()) == {1}
            together.wait(10)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(predict, range(2)))
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


def test_a_row_at_the_threshold_is_of_the_positive_class():
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [0.76, 0.24]])
    decision = {"positive_class": "yes", "threshold": 0.25}
    labels = sklearn_wrapper.decide(probabilities, np.array(["no", "yes"]), decision)
    assert labels.tolist() == ["yes", "yes", "no"]
