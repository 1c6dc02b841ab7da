"""The threshold is tuned on folds of the training rows, for the metric that was named."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from modelling.estimators.estimators import build_pipeline
from modelling.estimators.preprocessing import Inputs
from modelling.fitting.decision import fit_with_threshold
from modelling.judging.answers import Answers, Classes
from modelling.judging.metrics import BINARY_METRICS, Metric, business_score
from modelling.recipe import BusinessScore, Model, Sampling

RNG = np.random.default_rng(0)
FEATURES = pd.DataFrame(RNG.normal(size=(600, 2)), columns=["a", "b"])
TRUE = FEATURES["a"] + RNG.normal(size=600) > 1
LABELS = pd.Series(np.where(TRUE, "churned", "active"))
CLASSES = Classes(("active", "churned"), "churned")


def fit(metric, labels=LABELS, classes=CLASSES, sampling=None, rows=None):
    features = FEATURES if rows is None else FEATURES.iloc[rows].reset_index(drop=True)
    targets = labels if rows is None else labels.iloc[rows].reset_index(drop=True)
    model = Model(estimator="sklearn.linear_model.LogisticRegression")
    pipeline = build_pipeline(model, {}, 0, "classification", Inputs(numbers=["a", "b"]))
    return fit_with_threshold(
        pipeline, features, targets, classes, metric, sampling or Sampling(), 0
    )


def worth(**outcomes):
    none = dict.fromkeys(
        ("true_positive", "false_positive", "true_negative", "false_negative"), 0.0
    )
    scale = BusinessScore(**none | outcomes)
    return Metric(lambda said, true: business_score(said, true, scale), True)


EVEN = worth(true_positive=1, false_positive=-1)


@cache
def fit_evenly():
    """Fits where a mistake costs what a hit brings, once for all tests that hold it against one."""
    return fit(EVEN)


def test_a_cheap_mistake_lowers_the_threshold_and_a_dear_one_raises_it():
    _, cheap = fit(worth(true_positive=20, false_positive=-1))
    _, dear = fit(worth(true_positive=1, false_positive=-2))
    assert 0 < cheap < 0.3 < 0.5 < dear < 1
    # The best threshold of a calibrated model is cost / (cost + gain).
    assert cheap == pytest.approx(1 / 21, abs=0.1)
    assert dear == pytest.approx(2 / 3, abs=0.2)


@pytest.mark.parametrize("metric", ["f1", "false_negatives"])
def test_which_way_is_better_is_minded(metric):
    _, threshold = fit(BINARY_METRICS[metric])
    assert threshold < 0.5 if metric == "f1" else threshold < 0.1


def test_the_other_class_may_be_the_positive_one():
    _, threshold = fit(
        worth(true_positive=20, false_positive=-1), classes=Classes(CLASSES.labels, "active")
    )
    pipeline, other = fit(worth(true_positive=1, false_positive=-20))
    assert threshold < 0.5 < other
    assert list(pipeline.classes_) == ["active", "churned"]


@pytest.mark.parametrize("method", ["class_weight", "over", "under"])
def test_sampling_goes_with_it(method):
    _, plain = fit_evenly()
    pipeline, sampled = fit(EVEN, sampling=Sampling(method=method))
    assert sampled > plain  # the probabilities of the rare class are higher
    assert list(pipeline.named_steps) == ["estimator"]


def test_the_same_rows_give_the_same_threshold():
    assert fit(EVEN)[1] == fit_evenly()[1]


def test_equal_rows_stay_in_one_fold():
    rows = np.repeat(np.arange(100), 6)
    seen = []

    def remember(said, true):
        seen.append(len(true))
        return float(np.mean(said == true))

    fit(Metric(remember, True), rows=rows)
    assert all(size % 6 == 0 for size in seen)


def test_folds_that_are_given_are_the_ones_that_it_is_tuned_on():
    seen = []

    def remember(said, true):
        seen.append(len(true))
        return float(np.mean(said == true))

    folds = [(np.arange(300), np.arange(300, 420)), (np.arange(420), np.arange(420, 600))]
    model = Model(estimator="sklearn.linear_model.LogisticRegression")
    pipeline = build_pipeline(model, {}, 0, "classification", Inputs(numbers=["a", "b"]))
    given = pipeline, FEATURES, LABELS, CLASSES, Metric(remember, True), Sampling(), 0, folds
    assert fit_with_threshold(*given)
    assert {*seen} == {120, 180}


def test_too_few_rows_of_a_class_are_said_in_a_line(refusal):
    labels = pd.Series(["active"] * 599 + ["churned"])
    assert refusal(fit, BINARY_METRICS["f1"], labels=labels)


def test_the_pipeline_is_fitted_on_all_rows():
    pipeline, _ = fit_evenly()
    alone = build_pipeline(
        Model(estimator="sklearn.linear_model.LogisticRegression"),
        {},
        0,
        "classification",
        Inputs(numbers=["a", "b"]),
    ).fit(FEATURES, LABELS)
    assert np.array_equal(pipeline.predict_proba(FEATURES), alone.predict_proba(FEATURES))
    assert Answers(CLASSES.encode(LABELS)).predictions.sum() == TRUE.sum()
