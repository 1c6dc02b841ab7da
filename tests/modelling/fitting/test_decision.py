"""The threshold is tuned on folds of the training rows, for the metric that was named."""

import numpy as np
import pandas as pd
import pytest

from common.errors import InputError
from modelling.estimators.estimators import build_pipeline
from modelling.estimators.preprocessing import Inputs
from modelling.fitting import fit_model as fitting
from modelling.judging.metrics import Metric
from modelling.recipe import Model

RNG = np.random.default_rng(0)
FEATURES = pd.DataFrame(RNG.normal(size=(600, 2)), columns=["a", "b"])
TRUE = FEATURES["a"] + RNG.normal(size=600) > 1
LABELS = pd.Series(np.where(TRUE, "churned", "active"))
ESTIMATOR = "sklearn.linear_model.LogisticRegression"
EVEN = {"true_positive": 1, "false_positive": -1}
OUTCOMES = ("true_positive", "false_positive", "true_negative", "false_negative")


def pipeline():
    inputs = Inputs(numbers=["a", "b"])
    return build_pipeline(Model(estimator=ESTIMATOR), {}, 0, "classification", inputs)


@pytest.fixture
def tune(recipe_with):
    """Fits a model whose threshold is tuned for a metric, or for what outcomes are worth."""

    def tune(metric=EVEN, labels=LABELS, rows=None, positive="churned", given=None, **sections):
        places = np.arange(len(FEATURES)) if rows is None else rows
        name, metrics = metric, {}
        if not isinstance(metric, str):
            name = "business_score"
            metrics = {name: dict.fromkeys(OUTCOMES, 0) | metric}
        columns = {"a": {}, "b": {}}
        recipe = recipe_with(
            task="classification",
            data={"path": "t", "target": "y", "positive_class": positive, "columns": columns},
            models={"m": {"estimator": ESTIMATOR}},
            metrics=metrics,
            decision={"threshold": "tuned", "metric": name},
            **sections,
        )
        known = (part.iloc[places].reset_index(drop=True) for part in (FEATURES, labels))
        return fitting.fit_model(recipe, pipeline(), *known, given or {}, None)

    return tune


@pytest.fixture
def folds(monkeypatch):
    """The predictions and the truth that thresholds are tuned on, as they are asked for."""
    seen = []

    def remember(said, true):
        seen.append((said, true))
        return float(np.mean(said == true))

    monkeypatch.setattr(fitting, "threshold_metric", lambda _recipe: Metric(remember, True))
    return seen


def threshold(fitted):
    return fitted.decision["threshold"]


def test_a_cheap_mistake_lowers_the_threshold_and_a_dear_one_raises_it(tune):
    cheap = threshold(tune({"true_positive": 20, "false_positive": -1}))
    dear = threshold(tune({"true_positive": 1, "false_positive": -2}))
    assert 0 < cheap < 0.3 < 0.5 < dear < 1
    # The best threshold of a calibrated model is cost / (cost + gain).
    assert cheap == pytest.approx(1 / 21, abs=0.1)
    assert dear == pytest.approx(2 / 3, abs=0.2)


@pytest.mark.parametrize("metric", ["f1", "false_negatives"])
def test_which_way_is_better_is_minded(tune, metric):
    assert threshold(tune(metric)) < (0.5 if metric == "f1" else 0.1)


def test_the_other_class_may_be_the_positive_one(tune):
    fitted = tune({"true_positive": 20, "false_positive": -1}, positive="active")
    other = tune({"true_positive": 1, "false_positive": -20})
    assert threshold(fitted) < 0.5 < threshold(other)
    assert fitted.decision["positive_class"] == "active"
    assert list(fitted.pipeline.classes_) == ["active", "churned"]


@pytest.mark.parametrize("method", ["class_weight", "over", "under"])
def test_sampling_goes_with_it(tune, method):
    sampled = tune(sampling={"method": method})
    # The probabilities of the rare class are higher.
    assert threshold(sampled) > threshold(tune())
    assert list(sampled.pipeline.named_steps) == ["estimator"]


def test_the_same_rows_give_the_same_threshold(tune):
    assert threshold(tune()) == threshold(tune())


def test_it_is_tuned_on_each_row_once_by_models_that_have_not_seen_it(tune, folds, monkeypatch):
    rows = np.repeat(np.arange(120), 5)
    fits = []
    given = fitting.predict_held_out

    def remember(model, method, inputs, targets, parts, *others):
        fits.extend(
            len(pd.merge(inputs.iloc[fit].drop_duplicates(), inputs.iloc[held_out]))
            for fit, held_out in parts
        )
        return given(model, method, inputs, targets, parts, *others)

    monkeypatch.setattr(fitting, "predict_held_out", remember)
    tune(rows=rows)
    assert fits == [0] * 5  # equal rows stay in one fold
    _, true = folds[0]
    assert len(true) == 600
    assert true.sum() == TRUE.iloc[rows].sum()


def test_folds_keep_to_the_split(tune, folds):
    groups = pd.Series(np.arange(600) // 200)
    with pytest.raises(InputError, match="5 folds need as many groups"):
        tune(given={"groups": groups})
    tune(given={"times": pd.Series(np.arange(600.0))})
    _, true = folds[0]
    assert len(true) == 500  # there is no model yet for the first sixth


def test_intervals_are_of_the_same_folds(tune, monkeypatch):
    asked = []
    given = fitting.predict_held_out
    monkeypatch.setattr(
        fitting, "predict_held_out", lambda *every: asked.append(every) or given(*every)
    )
    fitted = tune(intervals=0.9)
    assert fitted.intervals["coverage"] == 0.9
    assert threshold(fitted) == threshold(tune())
    assert len(asked) == 2  # once for each model


def test_too_few_rows_of_a_class_are_said_in_a_line(tune, refusal):
    labels = pd.Series(["active"] * 599 + ["churned"])
    assert "different rows of class churned" in refusal(tune, "f1", labels=labels)


def test_the_pipeline_is_fitted_on_all_rows(tune):
    alone = pipeline().fit(FEATURES, LABELS)
    fitted = tune().pipeline
    assert np.array_equal(fitted.predict_proba(FEATURES), alone.predict_proba(FEATURES))
