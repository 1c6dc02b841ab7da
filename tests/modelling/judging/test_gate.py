"""The gate lets through what is finite and good enough, and nothing else."""

import math
import sys
from dataclasses import astuple
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from modelling.judging.answers import Answers
from modelling.judging.gate import (
    check_finite,
    check_slices,
    check_thresholds,
    compare_with_champion,
)
from modelling.judging.metrics import BINARY_METRICS, CUSTOM_METRICS, REGRESSION_METRICS
from modelling.judging.resampling import resample
from modelling.recipe import Promotion, Threshold

BAD = [math.nan, math.inf, -math.inf, sys.float_info.max, -sys.float_info.max]

limits = st.floats(-1e6, 1e6)
least = st.none() | st.floats(0, 1e6)
thresholds = st.builds(
    Threshold, threshold=limits, min_absolute_change=least, min_relative_change=least
)


METRICS = REGRESSION_METRICS


def passed(threshold, **figures):
    rows = check_thresholds({"rmse": Threshold(**threshold)}, figures, METRICS)
    return [row.passed for row in rows]


@pytest.mark.parametrize("bad", BAD)
def test_a_metric_that_is_not_finite_is_refused(bad):
    rows = check_finite(["rmse", "r2"], {"rmse": 0.5, "r2": bad})
    assert [row.passed for row in rows] == [True, False]
    assert "r2" in str(rows[1])
    assert "is not a finite number" in str(rows[1])


def test_figures_of_a_small_scale_are_told_apart():
    figures = {"rmse": 0.00021, "dummy_rmse": 0.00032}
    (row,) = check_thresholds({"rmse": Threshold(min_relative_change=0.5)}, figures, METRICS)
    assert str(row) == "rmse 0.00021 is not better than the baseline's 0.00032 by 50%"


def test_a_missing_metric_is_refused():
    assert [row.passed for row in check_finite(["rmse", "r2"], {"rmse": 0.5})] == [True, False]


@pytest.mark.parametrize("metric", ["rmse", "r2"])
@given(threshold=thresholds, bad=st.sampled_from([*BAD, None]), other=limits)
def test_a_figure_that_is_missing_or_not_finite_passes_no_threshold(metric, threshold, bad, other):
    metrics = {metric: bad, f"dummy_{metric}": other}
    found = {name: value for name, value in metrics.items() if value is not None}
    rows = check_thresholds({metric: threshold}, found, METRICS)
    assert rows
    assert not any(row.passed for row in rows)


@pytest.mark.parametrize("metric", ["rmse", "r2"])
@given(
    change=st.floats(0, 1e6),
    kind=st.sampled_from(["min_absolute_change", "min_relative_change"]),
    bad=st.sampled_from([*BAD, None]),
    other=limits,
)
def test_a_baseline_that_is_missing_or_not_finite_is_not_beaten(metric, change, kind, bad, other):
    metrics = {metric: other, f"dummy_{metric}": bad}
    found = {name: value for name, value in metrics.items() if value is not None}
    rows = check_thresholds({metric: Threshold(**{kind: change})}, found, METRICS)
    assert [row.passed for row in rows] == [False]


@pytest.mark.parametrize(
    ("threshold", "metrics", "outcome"),
    [
        ({"threshold": 0.5}, {"rmse": 0.5}, [True]),
        ({"threshold": 0.5}, {"rmse": 0.51}, [False]),
        ({"min_absolute_change": 0.25}, {"rmse": 0.5, "dummy_rmse": 0.75}, [True]),
        ({"min_absolute_change": 0.25}, {"rmse": 0.51, "dummy_rmse": 0.75}, [False]),
        ({"min_relative_change": 0.5}, {"rmse": 0.5, "dummy_rmse": 1.0}, [True]),
        ({"min_relative_change": 0.5}, {"rmse": 0.51, "dummy_rmse": 1.0}, [False]),
        ({"min_relative_change": 0}, {"rmse": 1.0, "dummy_rmse": 1.0}, [False]),
        ({"min_relative_change": 0}, {"rmse": 1.1, "dummy_rmse": 1.0}, [False]),
        ({"min_absolute_change": 0}, {"rmse": 1.1, "dummy_rmse": 1.0}, [False]),
        (
            {"threshold": 1, "min_absolute_change": 1},
            {"rmse": 1.0, "dummy_rmse": 1.5},
            [True, False],
        ),
    ],
)
def test_a_smaller_error_is_better(threshold, metrics, outcome):
    assert passed(threshold, **metrics) == outcome


@pytest.mark.parametrize(
    ("threshold", "metrics", "outcome"),
    [
        ({"threshold": 0.5}, {"r2": 0.5}, True),
        ({"threshold": 0.5}, {"r2": 0.49}, False),
        ({"min_absolute_change": 0.5}, {"r2": 0.25, "dummy_r2": -0.25}, True),
        ({"min_absolute_change": 0.5}, {"r2": 0.2, "dummy_r2": -0.25}, False),
        ({"min_relative_change": 0.5}, {"r2": -0.125, "dummy_r2": -0.25}, True),
        ({"min_relative_change": 0.5}, {"r2": -0.5, "dummy_r2": -0.25}, False),
    ],
)
def test_a_greater_r2_is_better(threshold, metrics, outcome):
    (row,) = check_thresholds({"r2": Threshold(**threshold)}, metrics, METRICS)
    assert row.passed is outcome


@given(candidate=limits, baseline=limits, change=st.floats(0, 10))
def test_no_candidate_worse_than_the_baseline_passes(candidate, baseline, change):
    threshold = {"min_absolute_change": change, "min_relative_change": change}
    if candidate > baseline:
        assert passed(threshold, rmse=candidate, dummy_rmse=baseline) == [False, False]


@pytest.mark.parametrize(
    ("threshold", "sentence"),
    [
        ({"threshold": 0.5}, "rmse 0.7000 is not at most 0.5"),
        (
            {"min_absolute_change": 0.1},
            "rmse 0.7000 is better than the baseline's 0.8123 by 0.1",
        ),
        (
            {"min_relative_change": 0.5},
            "rmse 0.7000 is not better than the baseline's 0.8123 by 50%",
        ),
        (
            {"min_relative_change": 0.005},
            "rmse 0.7000 is better than the baseline's 0.8123 by 0.5%",
        ),
    ],
)
def test_a_row_says_what_was_asked_and_how_it_went(threshold, sentence):
    metrics = {"rmse": 0.7, "dummy_rmse": 0.8123}
    (row,) = check_thresholds({"rmse": Threshold(**threshold)}, metrics, METRICS)
    assert str(row) == sentence


SLICES = pd.DataFrame(
    [
        ("region = north", "named", 90, 0.6, 0.7, 0.1),
        ("region = south", "named", 60, 0.9, 0.4, 0.1),
        ("region = west", "named", 29, 5.0, 0.0, 0.1),
        ("age above 60", "found", 90, 6.0, 0.0, 0.1),
    ],
    columns=["slice", "how", "rows", "rmse", "accuracy", "difference"],
)


@pytest.mark.parametrize(
    ("metric", "allowed", "sentence"),
    [
        ("rmse", 0.3, "rmse 0.9000 is at most 30% worse than of all rows, for region = south"),
        ("rmse", 0.2, "rmse 0.9000 is not at most 20% worse than of all rows, for region = south"),
        ("accuracy", 0.1, "accuracy 0.4000 is not at most 10% worse than of all rows, for"),
    ],
)
def test_the_worst_slice_with_rows_enough_is_held_against_all(metric, allowed, sentence):
    gate = {metric: Threshold(slices={"max_relative_gap": allowed})}
    known = {"rmse": METRICS["rmse"], "accuracy": BINARY_METRICS["accuracy"]}
    (row,) = check_slices(gate, SLICES, {"rmse": 0.7, "accuracy": 0.5}, known)
    assert str(row).startswith(sentence)
    assert row.passed == (" not " not in sentence)


def test_slices_that_say_nothing_are_refused_in_a_line(refusal):
    gate = {"rmse": Threshold(slices={"max_relative_gap": 0.3})}
    few = SLICES[SLICES["rows"] < 30]
    said = refusal(check_slices, gate, few, {"rmse": 0.7}, METRICS)
    assert said == "gate.rmse.slices: none of the recipe's slices has 30 test rows"
    unknown = SLICES.assign(rmse=math.nan)
    said = refusal(check_slices, gate, unknown, {"rmse": 0.7}, METRICS)
    assert said == "gate.rmse.slices: none of the recipe's slices has a figure of rmse"
    assert "cannot be held" in refusal(check_slices, gate, few.drop(columns="rmse"), {}, METRICS)
    assert check_slices({"rmse": Threshold(threshold=1)}, pd.DataFrame(), {}, METRICS) == []


RNG = np.random.default_rng(1)
TARGETS = RNG.normal(size=300)
NOISE = RNG.normal(size=300)
GOOD, FAIR = TARGETS + 0.3 * NOISE, TARGETS + 0.6 * NOISE
NEARLY_GOOD = TARGETS + 0.301 * RNG.normal(size=300)


def compare(candidate, champion, metric="rmse", seed=0, **promotion):
    promoted = Promotion(**{"resamples": 300, **promotion})
    answers = Answers(candidate), Answers(champion)
    return compare_with_champion(metric, METRICS[metric], TARGETS, *answers, promoted, seed)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
@pytest.mark.parametrize("rule", ["significant", "better"])
def test_a_much_better_model_wins_and_never_the_other_way(metric, rule):
    won, lost = compare(GOOD, FAIR, metric, rule=rule), compare(FAIR, GOOD, metric, rule=rule)
    assert (won.passed, lost.passed) == (True, False)
    assert won.candidate == lost.reference
    assert won.low <= won.candidate - won.reference <= won.high
    assert math.copysign(1, won.low) == math.copysign(1, won.high)


def test_slightly_better_is_better_but_not_significant():
    by_figure = compare(GOOD, NEARLY_GOOD, rule="better")
    candidate, champion = (GOOD, NEARLY_GOOD) if by_figure.passed else (NEARLY_GOOD, GOOD)
    assert compare(candidate, champion, rule="better").passed
    held = compare(candidate, champion, rule="significant")
    assert not held.passed
    assert held.low < 0 < held.high
    assert held.required == "better with 95% confidence"


@pytest.mark.parametrize("rule", ["significant", "better"])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_model_is_not_better_than_itself(rule, seed):
    row = compare(GOOD, GOOD.copy(), rule=rule, seed=seed)
    assert not row.passed
    assert row.low == row.high == 0


def test_the_same_seed_gives_the_same_interval():
    assert astuple(compare(GOOD, FAIR, seed=3)) == astuple(compare(GOOD, FAIR, seed=3))
    assert compare(GOOD, FAIR, seed=3).low != compare(GOOD, FAIR, seed=4).low


def test_more_confidence_asks_for_a_wider_interval():
    narrow, wide = compare(GOOD, FAIR, confidence=0.8), compare(GOOD, FAIR, confidence=0.995)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.required == "better with 99.5% confidence"


def test_the_bootstrap_is_paired():
    shifted = TARGETS + 0.5
    row = compare(shifted - 0.01, shifted, "mae")
    assert row.passed
    assert row.high - row.low < 1e-9


def test_rows_of_one_group_are_no_news_each():
    targets, good, nearly = (np.repeat(values, 10) for values in (TARGETS, GOOD, NEARLY_GOOD))
    given = "rmse", METRICS["rmse"], targets, Answers(good), Answers(nearly)
    promotion = Promotion(resamples=300)
    groups = np.repeat(np.arange(300.0), 10)
    alone, together = (
        compare_with_champion(*given, promotion, 0, names) for names in (None, groups)
    )
    few = compare(GOOD, NEARLY_GOOD)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.high - together.low == pytest.approx(few.high - few.low, rel=0.2)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1"])
def test_classifiers_are_compared_by_labels_or_by_probabilities(metric):
    targets = (TARGETS > 0).astype(float)

    def answers(noise):
        probability = 1 / (1 + np.exp(-3 * (TARGETS + noise * NOISE)))
        return Answers((probability >= 0.5).astype(float), probability)

    given = metric, BINARY_METRICS[metric], targets
    promotion = Promotion(resamples=100)
    won = compare_with_champion(*given, answers(0.3), answers(3.0), promotion, 0)
    lost = compare_with_champion(*given, answers(3.0), answers(0.3), promotion, 0)
    equal = compare_with_champion(*given, answers(0.3), answers(0.3), promotion, 0)
    assert (won.passed, lost.passed, equal.passed) == (True, False, False)
    assert equal.low == equal.high == 0


@given(seed=st.integers(0, 2**32 - 1), confidence=st.floats(0.6, 0.99))
@settings(max_examples=10)
def test_the_interval_of_few_rows_is_the_percentile_interval(seed, confidence):
    def difference(rows):
        ours, theirs = (np.abs(given - TARGETS)[rows].mean() for given in (GOOD, FAIR))
        return ours - theirs

    row = compare(GOOD, FAIR, "mae", seed=seed, confidence=confidence, resamples=100)
    expected = bootstrap(
        (np.arange(len(TARGETS)),),
        difference,
        n_resamples=100,
        vectorized=False,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    assert (row.low, row.high) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("metric", ["mae", "squared_diff_plus_one", "rmse"])
def test_of_many_rows_the_interval_is_as_wide_as_theory_says(metric):
    rows = 90_000
    rng = np.random.default_rng(1)
    targets = rng.normal(size=rows)
    ours, theirs = (targets + scale * rng.normal(size=rows) for scale in (0.3, 0.31))
    per_row = {
        "mae": lambda given: np.abs(given - targets) / rows,
        "squared_diff_plus_one": lambda given: (given - targets + 1) ** 2,
        # By the delta method.
        "rmse": lambda given: (
            (given - targets) ** 2 / (2 * rows * np.sqrt(np.mean((given - targets) ** 2)))
        ),
    }[metric]
    deviation = np.std(per_row(ours) - per_row(theirs)) * math.sqrt(rows)
    row = compare_with_champion(
        metric,
        {**METRICS, **CUSTOM_METRICS}[metric],
        targets,
        Answers(ours),
        Answers(theirs),
        Promotion(resamples=500),
        0,
    )
    assert row.high - row.low == pytest.approx(2 * 1.96 * deviation, rel=0.15)
    middle = (row.high + row.low) / 2
    assert middle == pytest.approx(row.candidate - row.reference, abs=0.3 * deviation)


def test_a_resample_of_many_rows_shows_a_rare_class():
    rows = 20_000
    targets = (np.arange(rows) == 0).astype(float)  # most resamples of 10,000 rows have none of it
    rng = np.random.default_rng(0)
    good, fair = (Answers(targets, targets + scale * rng.normal(size=rows)) for scale in (1, 3))
    given = "roc_auc", BINARY_METRICS["roc_auc"], targets
    row = compare_with_champion(*given, good, fair, Promotion(resamples=100), 0)
    assert math.isfinite(row.low)
    assert math.isfinite(row.high)


def test_resamples_without_a_row_of_the_rare_class_do_not_save_the_champion():
    targets = np.repeat([0.0, 1.0], [97, 3])  # one resample in twenty has no row of it
    rng = np.random.default_rng(0)
    good, fair = (Answers(targets, targets + scale * rng.normal(size=100)) for scale in (0.1, 5))
    given = "roc_auc", BINARY_METRICS["roc_auc"], targets
    promotion = Promotion(resamples=100)
    assert compare_with_champion(*given, good, fair, promotion, 0).passed
    assert not compare_with_champion(*given, fair, good, promotion, 0).passed


def test_where_most_resamples_have_no_figure_nothing_is_known():
    def statistic(rows):
        return 1.0 if 0 in rows and 1 in rows else math.nan  # of four resamples in ten

    low, high, values = resample(partial(map, statistic), 1000, Promotion(resamples=200), 0)
    assert math.isnan(low)
    assert math.isnan(high)
    assert 0 < len(values) < 100


@pytest.mark.parametrize("rule", ["better", "significant"])
def test_nobody_is_better_by_the_last_digits_of_a_sum(rule):
    shifted = TARGETS + np.where(np.arange(len(TARGETS)) % 2, 0.3, -0.3)
    nearly = compare(shifted * (1 - 1e-16) + 1e-16, shifted, "mae", rule=rule)
    assert not nearly.passed
    assert nearly.low == nearly.high == 0
