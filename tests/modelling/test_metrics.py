"""The metrics, each against a figure worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.metrics import (
    BUILTIN_METRICS,
    CUSTOM_METRICS,
    check_gate,
    check_metrics,
    compute_metrics,
    get_metric,
    metric_names,
    missing_metrics,
)

TARGETS = np.array([1.0, 2.0, 3.0, 6.0])
PREDICTIONS = np.array([1.5, 2.0, 1.0, 6.0])

figures = st.lists(
    st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=20
).map(np.array)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rmse", math.sqrt(4.25 / 4)),
        ("mae", 2.5 / 4),
        ("r2", 1 - 4.25 / 14),
        ("squared_diff_plus_one", 1.5**2 + 1 + 1 + 1),
        ("sum_on_target_divided_by_two", 6.0),
        ("within_half_point", 0.75),
    ],
)
def test_figure_worked_out_by_hand(name, value):
    figure = get_metric(name)(PREDICTIONS, TARGETS)
    assert figure == pytest.approx(value)
    assert type(figure) is float


def test_half_a_point_is_within_half_a_point():
    targets = np.array([5.0, 5.0, 5.0])
    assert get_metric("within_half_point")(np.array([5.5, 4.5, 5.75]), targets) == 2 / 3


@given(figures)
def test_builtin_metrics_are_their_definitions(rows):
    predictions, targets = rows.T
    error = predictions - targets
    figures = compute_metrics(BUILTIN_METRICS, predictions, targets)
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert figures["mae"] == pytest.approx(np.mean(np.abs(error)))


@pytest.mark.parametrize("name", [*BUILTIN_METRICS, "within_half_point"])
@given(rows=figures)
def test_nothing_is_better_than_the_truth(name, rows):
    predictions, targets = rows.T
    metric = get_metric(name)
    best, other = metric(targets, targets), metric(predictions, targets)
    assert best >= other if metric.greater_is_better else best <= other


def test_prefix_goes_before_each_name():
    found = compute_metrics(["rmse", "within_half_point"], PREDICTIONS, TARGETS, "dummy_")
    assert list(found) == ["dummy_rmse", "dummy_within_half_point"]


def test_names_are_the_builtin_ones_and_the_recipes():
    assert metric_names(["within_half_point"]) == ["rmse", "mae", "r2", "within_half_point"]
    assert set(CUSTOM_METRICS).isdisjoint(BUILTIN_METRICS)


def test_unknown_metric_has_no_function():
    with pytest.raises(KeyError, match="rsme"):
        get_metric("rsme")


def test_metrics_and_gate_of_a_recipe_that_exist_pass(wine_recipe, recipe_with):
    for recipe in (wine_recipe, recipe_with(), recipe_with(metrics={"primary": "r2"})):
        check_metrics(recipe)
        check_gate(recipe)


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        (
            {"primary": "rsme"},
            "unknown metric in metrics.primary 'rsme', did you mean 'rmse'? allowed: rmse, mae, r2",
        ),
        (
            {"custom": ["within_half_pint"]},
            "unknown metric in metrics.custom 'within_half_pint', did you mean 'within_half_point'?"
            " allowed: squared_diff_plus_one, sum_on_target_divided_by_two, within_half_point",
        ),
        (
            {"primary": "within_half_point"},
            "unknown metric in metrics.primary 'within_half_point'; allowed: rmse, mae, r2",
        ),
    ],
)
def test_unknown_metric_names_the_nearest(metrics, says, recipe_with, refusal):
    assert refusal(check_metrics, recipe_with(metrics=metrics)) == says


def test_unknown_metric_of_the_gate_names_the_nearest(recipe_with, refusal):
    recipe = recipe_with(gate={"mae": {"threshold": 1}, "rsme": {"threshold": 1}})
    assert refusal(check_gate, recipe) == (
        "unknown metric in gate 'rsme', did you mean 'rmse'? allowed: rmse, mae, r2"
    )


def test_missing_metrics_are_named_in_order():
    assert missing_metrics(["r2", "mae", "rmse"], {"mae": 1.0, "other": 2.0}) == ["r2", "rmse"]
    assert missing_metrics(["mae"], {"mae": 1.0}) == []
