"""The metrics, each against a figure worked out by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from modelling.judging.answers import Answers
from modelling.judging.metrics import (
    BINARY_METRICS,
    CUSTOM_METRICS,
    MULTICLASS_METRICS,
    REGRESSION_METRICS,
    Metric,
    _scorers,
    business_score,
    check_gate,
    compute_metrics,
    find_metric,
    metrics_of,
    threshold_metric,
)
from modelling.recipe import BusinessScore

METRICS = REGRESSION_METRICS | CUSTOM_METRICS

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
    figure = METRICS[name](PREDICTIONS, TARGETS)
    assert figure == pytest.approx(value)
    assert type(figure) is float


def test_half_a_point_is_within_half_a_point():
    targets = np.array([5.0, 5.0, 5.0])
    assert METRICS["within_half_point"](np.array([5.5, 4.5, 5.75]), targets) == 2 / 3


@given(figures)
def test_builtin_metrics_are_their_definitions(rows):
    predictions, targets = rows.T
    error = predictions - targets
    figures = compute_metrics(REGRESSION_METRICS, Answers(predictions), targets)
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert figures["mae"] == pytest.approx(np.mean(np.abs(error)))


@pytest.mark.parametrize("name", [*REGRESSION_METRICS, "within_half_point"])
@given(rows=figures)
def test_nothing_is_better_than_the_truth(name, rows):
    predictions, targets = rows.T
    metric = METRICS[name]
    best, other = metric(targets, targets), metric(predictions, targets)
    assert best >= other if metric.greater_is_better else best <= other


def test_prefix_goes_before_each_name():
    chosen = {name: METRICS[name] for name in ("rmse", "within_half_point")}
    found = compute_metrics(chosen, Answers(PREDICTIONS), TARGETS, "dummy_")
    assert list(found) == ["dummy_rmse", "dummy_within_half_point"]


def test_names_are_the_builtin_ones_and_the_recipes(recipe_with):
    recipe = recipe_with(metrics={"custom": ["within_half_point"]})
    assert list(metrics_of(recipe)) == ["rmse", "mae", "r2", "within_half_point"]
    for builtin in (REGRESSION_METRICS, BINARY_METRICS, MULTICLASS_METRICS):
        assert set(CUSTOM_METRICS).isdisjoint(builtin)


def test_metrics_and_gate_of_a_recipe_that_exist_pass(wine_recipe, recipe_with):
    for recipe in (wine_recipe, recipe_with(), recipe_with(metrics={"primary": "r2"})):
        check_gate(recipe)


SKLEARNS = (
    "d2_absolute_error_score, explained_variance, max_error, mean_absolute_error, "
    "mean_absolute_percentage_error, mean_gamma_deviance, mean_poisson_deviance, "
    "mean_squared_error, mean_squared_log_error, median_absolute_error, root_mean_squared_error, "
    "root_mean_squared_log_error"
)


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        (
            {"primary": "rsme"},
            "unknown metric in metrics.primary 'rsme', did you mean 'rmse'? allowed: rmse, mae, "
            "r2, " + SKLEARNS,
        ),
        (
            {"custom": ["within_half_pint"]},
            "unknown metric in metrics.custom 'within_half_pint', did you mean 'within_half_point'?"
            " allowed: rmse, mae, r2, squared_diff_plus_one, sum_on_target_divided_by_two, "
            "within_half_point, " + SKLEARNS,
        ),
        (
            {"primary": "within_half_point"},
            "unknown metric in metrics.primary 'within_half_point'; allowed: rmse, mae, r2, "
            + SKLEARNS,
        ),
    ],
)
def test_unknown_metric_names_the_nearest(metrics, says, recipe_with, refusal):
    assert refusal(metrics_of, recipe_with(metrics=metrics)) == says


def test_a_metric_of_the_gate_that_is_not_computed_is_told(recipe_with, refusal):
    says = refusal(check_gate, recipe_with(gate={"mape": {"threshold": 1}}))
    assert says == "gate: 'mape' is not computed; name it in metrics.custom"


WEIGHTS = np.array([1.0, 3.0, 2.0, 0.0])
OF_VALUES = {
    "mape": (sklearn.metrics.mean_absolute_percentage_error, {}, False),
    "mean_poisson_deviance": (sklearn.metrics.mean_poisson_deviance, {}, False),
    "pinball_0.9": (sklearn.metrics.mean_pinball_loss, {"alpha": 0.9}, False),
    "median_absolute_error": (sklearn.metrics.median_absolute_error, {}, False),
    "explained_variance": (sklearn.metrics.explained_variance_score, {}, True),
}


@pytest.mark.parametrize(("name", "expected"), OF_VALUES.items())
def test_a_metric_of_scikit_learn_by_its_name_may_be_the_primary_one(name, expected, recipe_with):
    function, given, greater_is_better = expected
    metric = metrics_of(recipe_with(metrics={"primary": name}))[name]
    assert metric.greater_is_better is greater_is_better
    assert metric(PREDICTIONS, TARGETS) == function(TARGETS, PREDICTIONS, **given)
    weighed = function(TARGETS, PREDICTIONS, sample_weight=WEIGHTS, **given)
    assert metric(Answers(PREDICTIONS, weights=WEIGHTS), TARGETS) == weighed


def test_the_largest_error_is_of_the_rows_that_count(recipe_with):
    metric = metrics_of(recipe_with(metrics={"custom": ["max_error"]}))["max_error"]
    weights = np.array([1.0, 1.0, 0.0, 1.0])
    assert metric(PREDICTIONS, TARGETS) == 2
    assert metric(Answers(PREDICTIONS, weights=weights), TARGETS) == 0.5


def test_what_scikit_learn_cannot_compute_is_told_in_a_line(recipe_with, refusal):
    metric = metrics_of(recipe_with(metrics={"primary": "mean_gamma_deviance"}))
    says = refusal(metric["mean_gamma_deviance"], PREDICTIONS - 9, TARGETS)
    assert says.startswith("mean_gamma_deviance: Mean Tweedie deviance error with power=2 can only")


@pytest.mark.parametrize(("positive", "classes"), [(1, 2), (None, 3)])
def test_every_scorer_of_classes_gives_a_number(positive, classes, recipe_with):
    rng = np.random.default_rng(0)
    sure = rng.dirichlet(np.ones(classes), 60)
    answers = Answers(sure.argmax(axis=1) * 1.0, sure if classes > 2 else sure[:, 1])
    targets = rng.integers(0, classes, 60) * 1.0
    data = {"path": "t", "target": "y", "positive_class": positive}
    recipe = recipe_with(task="classification", data=data)
    names = ["balanced_accuracy", "matthews_corrcoef", "roc_auc_ovr_weighted", "jaccard_macro"]
    assert {*names} <= {*_scorers("classification", positive is not None)}
    for name, metric in _scorers("classification", positive is not None).items():
        if name not in (BINARY_METRICS if positive else MULTICLASS_METRICS):
            assert math.isfinite(metric(answers, targets)), name
    assert find_metric("max_error", recipe) is None


def test_unknown_metric_of_the_gate_names_the_nearest(recipe_with, refusal):
    recipe = recipe_with(gate={"mae": {"threshold": 1}, "rsme": {"threshold": 1}})
    assert refusal(check_gate, recipe) == (
        "unknown metric in gate 'rsme', did you mean 'rmse'? allowed: rmse, mae, r2"
    )


TRUE = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
SAID = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
PROBABLE = np.array([0.9, 0.7, 0.4, 0.6, 0.3, 0.2, 0.1, 0.1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 6 / 8),
        ("precision", 2 / 3),
        ("recall", 2 / 3),
        ("f1", 2 / 3),
        ("roc_auc", 14 / 15),
        ("average_precision", (1 + 1 + 3 / 4) / 3),
        ("log_loss", -np.mean(np.log(np.where(TRUE == 1, PROBABLE, 1 - PROBABLE)))),
        ("brier_score", np.mean((PROBABLE - TRUE) ** 2)),
        ("true_positives", 2),
        ("false_positives", 1),
        ("true_negatives", 4),
        ("false_negatives", 1),
    ],
)
def test_figure_of_a_binary_classification_worked_out_by_hand(name, value):
    figure = BINARY_METRICS[name](Answers(SAID, PROBABLE), TRUE)
    assert figure == pytest.approx(value)
    assert type(figure) is float


def binary(recipe_with, **sections):
    data = {"path": "p", "target": "y", "positive_class": 1, "columns": {"a": {}}}
    return recipe_with(task="classification", data=data, **sections)


def test_the_business_score_is_money_per_row(recipe_with):
    worth = {"true_positive": 20, "false_positive": -10, "true_negative": 1, "false_negative": -50}
    recipe = binary(recipe_with, metrics={"primary": "business_score", "business_score": worth})
    metrics = metrics_of(recipe)
    assert list(metrics) == [*BINARY_METRICS, "business_score"]
    expected = (2 * 20 - 10 + 4 - 50) / 8
    assert metrics["business_score"](Answers(SAID, PROBABLE), TRUE) == expected
    assert metrics["business_score"].greater_is_better


def test_nobody_found_is_no_precision_and_no_warning(recwarn):
    answers = Answers(np.zeros(8), np.zeros(8))
    assert BINARY_METRICS["precision"](answers, TRUE) == 0
    assert BINARY_METRICS["f1"](answers, TRUE) == 0
    assert not recwarn.list


@pytest.mark.parametrize("name", MULTICLASS_METRICS)
def test_nothing_is_better_than_the_true_class(name):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, 100).astype(float)
    truth = np.eye(4)[targets.astype(int)]
    guess = rng.dirichlet(np.ones(4), 100)
    metric = MULTICLASS_METRICS[name]
    best = metric(Answers(targets, truth), targets)
    other = metric(Answers(guess.argmax(axis=1).astype(float), guess), targets)
    assert best > other if metric.greater_is_better else best < other


def test_classes_count_the_same_whatever_their_size():
    targets = np.array([0.0] * 8 + [1.0, 2.0])
    answers = Answers(np.zeros(10), np.full((10, 3), 1 / 3))
    assert MULTICLASS_METRICS["recall"](answers, targets) == pytest.approx(1 / 3)
    assert MULTICLASS_METRICS["accuracy"](answers, targets) == 0.8
    assert MULTICLASS_METRICS["roc_auc"](answers, targets) == 0.5


def test_money_needs_the_worth_of_each_outcome(recipe_with, refusal):
    message = refusal(metrics_of, binary(recipe_with, metrics={"primary": "business_score"}))
    assert message.startswith("unknown metric in metrics.primary 'business_score'")


def test_a_threshold_is_tuned_for_what_it_makes_a_difference_to(recipe_with, refusal):
    def tuned_for(name):
        return binary(recipe_with, decision={"threshold": "tuned", "metric": name})

    assert threshold_metric(tuned_for("f1")) is BINARY_METRICS["f1"]
    message = refusal(threshold_metric, tuned_for("roc_auc"))
    assert message.startswith("unknown metric in decision.metric (one that the threshold makes a ")
    assert "'roc_auc'" in message


def test_a_metric_of_numbers_is_none_of_classes(recipe_with, refusal):
    recipe = binary(recipe_with, metrics={"custom": ["within_half_point"]})
    assert "unknown metric in metrics.custom 'within_half_point'" in refusal(metrics_of, recipe)


@given(worth=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), rows=st.integers(1, 50))
def test_the_business_score_is_the_mean_worth(worth, rows):
    rng = np.random.default_rng(rows)
    said, true = rng.integers(0, 2, (2, rows)).astype(float)
    names = ("true_positive", "false_positive", "true_negative", "false_negative")
    score = business_score(said, true, BusinessScore(**dict(zip(names, worth, strict=True))))
    each = [
        worth[{(1, 1): 0, (1, 0): 1, (0, 0): 2, (0, 1): 3}[pair]]
        for pair in zip(said, true, strict=True)
    ]
    assert score == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros(3), "an array of shape (3,)"),
        ([1.0, 2.0], "an array of shape (2,)"),
        (None, "nothing"),
        ("0.5", "'0.5'"),
    ],
)
def test_a_metric_that_gives_no_number_is_named(given, says, refusal):
    def my_metric(predictions, targets):
        return given

    message = refusal(Metric(my_metric, True), Answers(PREDICTIONS), TARGETS)
    assert message == f"my_metric gave {says}; a metric gives one number"
