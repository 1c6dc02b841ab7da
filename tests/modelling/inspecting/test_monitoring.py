"""New rows against a promise: an alarm needs a drop that is large, and larger than chance."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from modelling.inspecting.monitoring import check_classes, hold_against, promise_for
from modelling.judging.answers import Answers, Classes
from modelling.judging.metrics import BINARY_METRICS, CUSTOM_METRICS, REGRESSION_METRICS
from modelling.recipe import Promotion
from modelling.tables.targets import read_targets

PROMOTION = Promotion(resamples=400)


def held(rows, promised, noise=1.0, metric="rmse", max_drop=0.1):
    rng = np.random.default_rng(1)
    targets = rng.normal(size=rows)
    answers = Answers(targets + noise * rng.normal(size=rows))
    score = REGRESSION_METRICS[metric]
    return hold_against(metric, score, answers, targets, promised, max_drop, PROMOTION, 0)


def test_a_kept_promise_is_no_alarm():
    kept = held(1000, promised=1.0)
    assert not kept.is_broken
    assert kept.low < kept.now < kept.high
    assert kept.limit == pytest.approx(1.1)


def test_a_large_drop_on_many_rows_is_an_alarm():
    assert held(1000, promised=0.8).is_broken


def test_a_drop_within_the_limit_is_no_alarm_however_sure():
    kept = held(20_000, promised=0.95)
    assert kept.low > kept.promised
    assert not kept.is_broken


def test_a_large_drop_that_chance_may_have_made_is_no_alarm():
    kept = held(5, promised=0.4)
    assert kept.now > kept.limit
    assert kept.low < kept.promised
    assert not kept.is_broken


def test_a_figure_of_a_small_scale_is_written_with_what_it_says():
    kept = replace(held(100, promised=1.0), now=0.00021, low=0.000198765, high=0.25)
    assert str(kept) == "rmse 0.00021 [0.0001988, 0.2500]"


def test_the_limit_is_on_the_bad_side_of_a_negative_figure_too():
    assert held(100, promised=-0.5, metric="r2").limit == pytest.approx(-0.55)
    assert held(100, promised=0.5, metric="r2", noise=0.1).limit == pytest.approx(0.45)
    assert not held(100, promised=0.5, metric="r2", noise=0.1).is_broken
    assert held(1000, promised=0.9, metric="r2", noise=2.0).is_broken


@pytest.mark.parametrize(
    ("metric", "error", "is_broken"),
    [
        ("squared_diff_plus_one", 1.0, False),
        ("rmse", 1.0, False),
        ("squared_diff_plus_one", 1.5, True),
        ("rmse", 1.5, True),
    ],
)
def test_a_sum_over_the_rows_is_promised_for_as_many_rows(metric, error, is_broken):
    rng = np.random.default_rng(0)
    score = (REGRESSION_METRICS | CUSTOM_METRICS)[metric]

    def measured(rows, error):
        targets = rng.normal(size=rows)
        return Answers(targets + error * rng.normal(size=rows)), targets

    before = measured(20_000, 1.0)
    for rows in (1_000, 40_000):  # the second, more than are drawn at a time
        now = measured(rows, error)
        promised = promise_for(score, *now, score(*before), 20_000)
        kept = hold_against(metric, score, *now, promised, 0.1, PROMOTION, 0)
        assert kept.is_broken == is_broken
        assert kept.low < kept.now < kept.high


def test_rows_of_a_group_are_drawn_together_and_prove_no_more_than_it_does():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 100)
    errors = rng.normal(size=10)[groups]
    answers, targets = Answers(errors), np.zeros(1_000)
    score, promised = REGRESSION_METRICS["rmse"], 0.75 * float(np.sqrt(np.mean(errors**2)))
    given = "rmse", score, answers, targets, promised, 0.1, PROMOTION, 0
    assert hold_against(*given).is_broken
    kept = hold_against(*given, groups)
    assert not kept.is_broken
    each = hold_against(*given[:2], Answers(errors[::100]), targets[::100], *given[4:])
    assert kept.low == pytest.approx(each.low)
    assert kept.high == pytest.approx(each.high)


def test_a_metric_that_these_rows_do_not_have_is_an_alarm():
    ones = np.ones(20)
    answers = Answers(ones, ones / 2)
    with pytest.warns(match="one class"):
        kept = hold_against(
            "roc_auc", BINARY_METRICS["roc_auc"], answers, ones, 0.8, 0.1, PROMOTION, 0
        )
    assert math.isnan(kept.now)
    assert kept.is_broken


BINARY, THREE = Classes(("no", "yes"), "no"), Classes(("a", "b", "c"))


@pytest.mark.parametrize(
    ("metric", "classes", "targets", "lacking"),
    [
        ("roc_auc", BINARY, ["yes", "yes"], "no"),
        ("roc_auc", BINARY, ["no", "no"], "yes"),
        ("average_precision", BINARY, ["yes"], "no"),
        ("recall", BINARY, ["yes"], "no"),
        ("f1", THREE, ["a", "c"], "b"),
    ],
)
def test_a_metric_of_a_class_without_a_row_cannot_be_measured(
    refusal, metric, classes, targets, lacking
):
    targets = classes.encode(targets)
    assert refusal(check_classes, metric, targets, classes, "new.csv") == (
        f"table new.csv has no row of the class {lacking}: {metric} cannot be measured"
    )


@pytest.mark.parametrize(
    ("metric", "classes", "targets"),
    [
        ("roc_auc", BINARY, ["no", "yes"]),
        ("precision", BINARY, ["no"]),
        ("log_loss", BINARY, ["yes"]),
        ("accuracy", THREE, ["a"]),
        ("roc_auc", THREE, ["a", "b", "c"]),
    ],
)
def test_a_metric_that_has_its_classes_can_be_measured(metric, classes, targets):
    check_classes(metric, classes.encode(targets), classes, "new.csv")


@pytest.mark.parametrize(
    ("labels", "given", "expected"),
    [
        ([0, 1], [1.0, 0.0, None], [1, 0, None]),
        ([False, True], [True, False], [True, False]),
        (["no", "yes"], ["yes", " ", "no"], ["yes", None, "no"]),
    ],
)
def test_targets_are_the_labels_that_the_model_knows(labels, given, expected):
    read = read_targets(pd.Series(given, name="y"), Classes(tuple(labels)), "new.csv")
    assert [None if pd.isna(value) else value for value in read] == expected


def test_a_target_that_cannot_be_read_is_refused_by_its_row(refusal):
    column = pd.Series(["1", "x"], name="y")
    assert refusal(read_targets, column, None, "new.csv") == (
        "table new.csv: target 'y', row 2: 'x' is no number"
    )
    message = refusal(
        read_targets, pd.Series(["yes", "yess"], name="y"), Classes(("no", "yes")), ""
    )
    assert "row 2: unknown class 'yess', did you mean 'yes'? allowed: no, yes" in message
