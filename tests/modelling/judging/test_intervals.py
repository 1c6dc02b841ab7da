"""The interval of every metric is the bootstrap's, computed for all metrics at once."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from modelling.judging.answers import Answers, Classes
from modelling.judging.intervals import compute_intervals, few_rows
from modelling.judging.metrics import (
    BINARY_METRICS,
    CUSTOM_METRICS,
    MULTICLASS_METRICS,
    OUTCOMES,
    REGRESSION_METRICS,
    Metric,
)
from modelling.judging.resampling import difference_interval, resample, resample_groups
from modelling.recipe import Promotion

ROWS = 60


def regression(rng, rows=ROWS):
    targets = rng.normal(100, 5, rows)
    return Answers(targets + rng.normal(0, 2, rows)), targets


def binary(rng, rows=ROWS):
    targets = (rng.random(rows) < 0.4).astype(float)
    scores = np.round(np.clip(0.3 * targets + 0.7 * rng.random(rows), 0.01, 0.99), 1)  # with ties
    return Answers((scores >= 0.5).astype(float), scores), targets


def multiclass(rng, rows=ROWS):
    targets = rng.integers(0, 3, rows).astype(float)
    scores = rng.random((rows, 3)) + 0.5 * np.eye(3)[targets.astype(int)]
    scores /= scores.sum(axis=1, keepdims=True)
    return Answers(scores.argmax(axis=1).astype(float), scores), targets


TASKS = [
    (regression, REGRESSION_METRICS | {"own": CUSTOM_METRICS["within_half_point"]}),
    (binary, BINARY_METRICS),
    (multiclass, MULTICLASS_METRICS),
]


@pytest.mark.parametrize(("make", "metrics"), TASKS)
def test_a_metric_of_weights_is_the_metric_of_the_rows_that_were_drawn(make, metrics):
    rng = np.random.default_rng(1)
    answers, targets = make(rng)
    drawn = rng.integers(ROWS, size=(5, ROWS))
    weights = np.array([np.bincount(rows, minlength=ROWS) for rows in drawn], dtype=float)
    for name, metric in metrics.items():
        if name == "own":
            continue
        found = metric.of_weights(metric.given(answers), targets, weights)
        expected = [metric(answers.of_rows(rows), targets[rows]) for rows in drawn]
        assert found == pytest.approx(expected, rel=1e-9), name


@pytest.mark.parametrize(("make", "metrics"), TASKS)
def test_intervals_are_those_of_the_bootstrap(make, metrics):
    answers, targets = make(np.random.default_rng(2))
    found = compute_intervals(metrics, answers, targets, seed=3)
    assert len(found) == 2 * len(metrics)
    name = next(iter(metrics))

    def figure(rows):
        return metrics[name](answers.of_rows(rows), targets[rows])

    low, high, _ = resample(partial(map, figure), ROWS, Promotion(), seed=3)
    assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx((low, high), rel=1e-9)
    assert all(found[f"{name}_low"] < found[f"{name}_high"] for name in metrics)


@pytest.mark.parametrize("groups", [None, np.arange(ROWS) // 3])
@pytest.mark.parametrize(("make", "metrics"), TASKS)
def test_a_difference_is_the_same_of_all_resamples_at_once_and_one_by_one(make, metrics, groups):
    (one, targets), (other, _) = (make(np.random.default_rng(seed)) for seed in (11, 12))
    promotion = Promotion(resamples=100)
    sums = {name: metric for name, metric in metrics.items() if name == "true_positives"}
    for name, metric in {**dict(list(metrics.items())[:2]), **sums}.items():
        slow = replace(metric, of_weights=None)
        at_once, one_by_one = (
            difference_interval(each, targets, one, other, promotion, 13, groups)
            for each in (metric, slow)
        )
        assert at_once == pytest.approx(one_by_one, rel=1e-9, abs=1e-12, nan_ok=True), name


def test_rows_of_a_group_are_drawn_together():
    answers, targets = regression(np.random.default_rng(4))
    groups = np.arange(ROWS) // 6
    answers = Answers(targets + np.random.default_rng(5).normal(0, 2, ROWS // 6)[groups])
    metrics = {"rmse": REGRESSION_METRICS["rmse"]}
    found = compute_intervals(metrics, answers, targets, seed=6, groups=groups)

    def figure(rows):
        return metrics["rmse"](answers.of_rows(rows), targets[rows])

    low, high, _ = resample_groups(partial(map, figure), groups, Promotion(), seed=6)
    assert (found["rmse_low"], found["rmse_high"]) == pytest.approx((low, high), rel=1e-9)


def test_of_many_rows_a_bag_gives_the_same_interval():
    answers, targets = binary(np.random.default_rng(7), rows=40_000)
    names = ("accuracy", "roc_auc", "true_positives")
    found = compute_intervals({name: BINARY_METRICS[name] for name in names}, answers, targets, 8)
    right = answers.predictions == targets
    error = 1.96 * right.std() / np.sqrt(len(right))
    width = found["accuracy_high"] - found["accuracy_low"]
    assert width == pytest.approx(2 * error, rel=0.15)
    for name in names:
        figure = BINARY_METRICS[name](answers, targets)
        assert found[f"{name}_low"] < figure < found[f"{name}_high"]


def test_a_figure_that_nobody_knows_has_no_interval():
    answers, targets = Answers(np.ones(40), np.full(40, 0.9)), np.ones(40)
    found = compute_intervals(BINARY_METRICS, answers, targets, seed=0)
    assert "roc_auc_low" not in found
    assert found["accuracy_low"] == found["accuracy_high"] == 1


def test_an_own_metric_that_fails_on_a_resample_leaves_that_one_out():
    def moody(_predictions, targets):
        if not (targets == 1).any():
            raise ValueError("no row of the class")
        return float(targets.mean())

    targets = np.repeat([0.0, 1.0], [40, 3])
    found = compute_intervals({"moody": Metric(moody, True)}, Answers(targets), targets, seed=0)
    assert 0 < found["moody_low"] < found["moody_high"]


@pytest.mark.parametrize(
    ("targets", "classes", "words"),
    [
        (np.zeros(2), None, "only 2 test rows: the figures may well be chance"),
        (np.zeros(400), None, ""),
        (
            np.repeat([0.0, 1.0], [340, 17]),
            Classes(("no", "yes"), "yes"),
            "only 17 of the 357 test rows are of the class yes: figures of so few may well be "
            "chance",
        ),
        (
            np.repeat([0.0, 1.0, 2.0], [340, 17, 5]),
            Classes(("a", "b", "c")),
            "only 5 of the 362 test rows are of the class c (and few of 1 other class): figures "
            "of so few may well be chance",
        ),
        (np.repeat([0.0, 1.0], [340, 170]), Classes(("no", "yes"), "yes"), ""),
    ],
)
def test_too_few_rows_are_told(targets, classes, words):
    assert few_rows(targets, classes) == words


def test_counts_are_of_all_rows():
    answers, targets = binary(np.random.default_rng(7), rows=30_000)
    metrics = {name: BINARY_METRICS[name] for name in OUTCOMES}
    found = compute_intervals(metrics, answers, targets, seed=0)
    assert found["true_negatives_high"] > 10_000
