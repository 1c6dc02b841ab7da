"""Rows count as they weigh: as scikit-learn's own sample_weight has it, everywhere."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression, Ridge

from modelling.estimators.estimators import Inputs, build_pipeline, fit_pipeline
from modelling.fitting.fit_model import fit_model
from modelling.judging.answers import Answers, Classes
from modelling.judging.intervals import compute_intervals
from modelling.judging.metrics import (
    BINARY_METRICS,
    CUSTOM_METRICS,
    MULTICLASS_METRICS,
    REGRESSION_METRICS,
    metrics_of,
)
from modelling.judging.plots import (
    plot_calibration,
    plot_error_by_target,
    plot_predictions,
    plot_residuals,
    worst_predictions,
)
from modelling.recipe import Model, Sampling, Split
from modelling.search.cross_validation import CrossValidation
from modelling.tables.split import split_table
from modelling.tables.table import check_table

RNG = np.random.default_rng(0)
ROWS = 120
WEIGHTS = RNG.integers(0, 4, ROWS).astype(float)
TWICE = np.repeat(np.arange(ROWS), WEIGHTS.astype(int))
FEATURES = pd.DataFrame(RNG.normal(size=(ROWS, 2)), columns=["a", "b"])
NUMBERS = FEATURES["a"] + RNG.normal(size=ROWS)
LABELS = NUMBERS > 0.5
CLASSES = Classes((False, True), True)

SKLEARN = {
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "r2": "r2_score",
    "accuracy": "accuracy_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "f1": "f1_score",
    "roc_auc": "roc_auc_score",
    "average_precision": "average_precision_score",
    "log_loss": "log_loss",
    "brier_score": "brier_score_loss",
}


def of_values():
    return Answers(NUMBERS.to_numpy() + RNG.normal(size=ROWS), weights=WEIGHTS), NUMBERS.to_numpy()


def of_two():
    sure = np.clip(LABELS * 0.4 + RNG.random(ROWS) * 0.6, 0, 1).to_numpy().round(2)
    return Answers((sure > 0.5) * 1.0, sure, WEIGHTS), LABELS.to_numpy(dtype=float)


def of_three():
    sure = RNG.dirichlet((1, 1, 1), ROWS)
    return Answers(sure.argmax(axis=1) * 1.0, sure, WEIGHTS), RNG.integers(0, 3, ROWS) * 1.0


@pytest.mark.parametrize(
    ("known", "make"),
    [(REGRESSION_METRICS, of_values), (BINARY_METRICS, of_two), (MULTICLASS_METRICS, of_three)],
)
def test_a_metric_is_scikit_learns_with_sample_weight(known, make):
    answers, targets = make()
    averages = {"average": "macro"} if known is MULTICLASS_METRICS else {}
    for name, metric in known.items():
        if name not in SKLEARN:
            continue
        function = getattr(sklearn.metrics, SKLEARN[name])
        given = metric.given(answers)
        if known is MULTICLASS_METRICS and name in ("roc_auc", "average_precision"):
            expected = np.mean(
                [function(targets == k, given[:, k], sample_weight=WEIGHTS) for k in range(3)]
            )
        else:
            more = averages if name in ("precision", "recall", "f1") else {}
            expected = function(targets, given, sample_weight=WEIGHTS, **more)
        assert metric(answers, targets) == pytest.approx(expected, rel=1e-12), name


@pytest.mark.parametrize(
    ("known", "make"),
    [
        (REGRESSION_METRICS | CUSTOM_METRICS, of_values),
        (BINARY_METRICS, of_two),
        (MULTICLASS_METRICS, of_three),
    ],
)
def test_a_row_that_weighs_three_is_a_row_that_stands_there_three_times(known, make):
    answers, targets = make()
    repeated = Answers(
        answers.predictions[TWICE],
        None if answers.probabilities is None else answers.probabilities[TWICE],
    )
    for name, metric in known.items():
        assert metric(answers, targets) == pytest.approx(metric(repeated, targets[TWICE])), name


def test_an_interval_is_of_what_the_rows_weigh():
    answers, targets = of_values()
    targets = np.where(WEIGHTS == 0, 1e6, targets)
    found = compute_intervals(REGRESSION_METRICS, answers, targets, 0)
    figure = REGRESSION_METRICS["rmse"](answers, targets)
    assert 0.5 * figure < found["rmse_low"] < figure < found["rmse_high"] < 2 * figure


def fit(estimator, targets, task, sampling=None, weights=WEIGHTS):
    model = Model(estimator=estimator)
    pipeline = build_pipeline(model, {}, 0, task, Inputs(numbers=["a", "b"]))
    count = pd.Series(weights, targets.index)
    return fit_pipeline(pipeline, FEATURES, targets, sampling, weights=count)["estimator"]


def test_an_estimator_is_fitted_as_with_its_own_sample_weight():
    ours = fit("sklearn.linear_model.Ridge", NUMBERS, "regression")
    theirs = Ridge().fit(FEATURES, NUMBERS, sample_weight=WEIGHTS)
    np.testing.assert_allclose(ours.coef_, theirs.coef_)


def test_classes_are_balanced_by_what_their_rows_weigh():
    path, sampling = "sklearn.linear_model.LogisticRegression", Sampling(method="class_weight")
    ours = fit(path, LABELS, "classification", sampling)
    theirs = LogisticRegression(class_weight="balanced")
    theirs.fit(FEATURES.iloc[TWICE], LABELS.iloc[TWICE])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3)


def test_an_estimator_without_weights_is_refused(refusal):
    says = refusal(fit, "sklearn.neighbors.KNeighborsRegressor", NUMBERS, "regression")
    assert says == (
        "KNeighborsRegressor takes no weights; data.weight needs an estimator that does"
    )


def test_a_transformed_target_hands_the_weights_on():
    model = Model(estimator="sklearn.linear_model.Ridge")
    inputs, count = Inputs(numbers=["a", "b"]), pd.Series(WEIGHTS)
    pipeline = build_pipeline(model, {}, 0, "regression", inputs, target_transform="log1p")
    positive = NUMBERS.abs()
    fitted = fit_pipeline(pipeline, FEATURES, positive, weights=count)["estimator"]
    theirs = Ridge().fit(FEATURES, np.log1p(positive), sample_weight=WEIGHTS)
    np.testing.assert_allclose(fitted.regressor_.coef_, theirs.coef_)


def test_a_threshold_is_tuned_as_if_the_rows_stood_there_as_often_as_they_weigh(recipe_with):
    recipe = recipe_with(
        task="classification",
        data={"path": "t", "target": "y", "positive_class": "1", "columns": {"a": {}, "b": {}}},
        models={"m": {"estimator": "sklearn.linear_model.LogisticRegression"}},
        decision={"threshold": "tuned", "metric": "f1"},
    )
    labels = LABELS.astype(int)
    count = np.where(labels, 4, 1)

    def tune(rows, weights):
        model, inputs = Model(estimator=recipe.models["m"].estimator), Inputs(numbers=["a", "b"])
        pipeline = build_pipeline(model, {}, 0, "classification", inputs)
        known = (part.iloc[rows].reset_index(drop=True) for part in (FEATURES, labels))
        given = None if weights is None else pd.Series(weights)
        # Equal rows stay in one fold, and so the folds are the same.
        return fit_model(recipe, pipeline, *known, {}, given).decision["threshold"]

    places = np.arange(ROWS)
    weighted, often = tune(places, count), tune(np.repeat(places, count), None)
    assert weighted == pytest.approx(often, abs=0.02)
    assert weighted != pytest.approx(tune(places, None), abs=0.02)


def test_rows_that_weigh_nothing_change_no_fold(recipe_with):
    recipe = recipe_with(data={"path": "t", "target": "y", "weight": "w"})
    scores = []
    for outlier in (0.0, 1e6):
        targets = NUMBERS + outlier * (WEIGHTS == 0)
        folds = CrossValidation(recipe, FEATURES, targets, 3, weights=pd.Series(WEIGHTS))
        scores.append(list(folds.scores("ridge", {})))
    np.testing.assert_allclose(*scores)


def table(weights=WEIGHTS):
    return FEATURES.assign(y=NUMBERS, w=weights)


@pytest.fixture
def recipe(recipe_with):
    return recipe_with(data={"path": "t", "target": "y", "weight": "w", "duplicates": "drop"})


def test_the_weight_is_no_feature_and_leaves_a_row_where_it_was(recipe, recipe_with):
    checked = check_table(table(), recipe, "t")
    assert list(checked.frame) == ["a", "b", "y"]
    assert checked.left_out == []
    assert checked.weights.tolist() == WEIGHTS.tolist()
    split = split_table(checked.frame, "y", Split(), weights=checked.weights)
    plain = split_table(checked.frame, "y", Split())
    assert {*split.test_rows} == {*plain.test_rows}
    assert not {*split.train["row_key"]} & {*plain.train["row_key"]}
    # Where nothing is declared either.
    open_recipe = recipe_with(data={"path": "t", "target": "y", "weight": "w"})
    assert list(check_table(table(), open_recipe, "t").frame) == ["a", "b", "y"]


def test_equal_rows_of_another_weight_are_other_rows_in_any_order(recipe):
    rows = pd.concat([table(), table(WEIGHTS + 1)], ignore_index=True)
    keys = []
    for given in (rows, rows.iloc[::-1].reset_index(drop=True)):
        checked = check_table(given, recipe, "t")
        assert len(checked.frame) == 2 * ROWS
        split = split_table(checked.frame, "y", Split(), weights=checked.weights)
        weights = checked.weights.to_numpy()[split.train_rows]
        keys.append(dict(zip(split.train["row_key"], weights, strict=True)))
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("row", "value", "says"),
    [
        (3, -1.0, "table t: data.weight 'w', row 4 is -1; a weight is a number from 0 on"),
        (3, np.nan, "table t: data.weight 'w', row 4 is missing; a weight is a number from 0 on"),
        (0, np.inf, "table t: data.weight 'w', row 1 is inf; a weight is a number from 0 on"),
        (5, "much", "table t: column 'w', row 6: 'much' is not a number"),
        (slice(None), 0.0, "table t: data.weight 'w' is 0 in every row"),
    ],
)
def test_a_weight_that_is_none_is_told_in_a_line(row, value, says, recipe, refusal):
    weights = pd.Series(WEIGHTS).astype(object)
    weights[row] = value
    assert refusal(check_table, table(weights), recipe, "t") == says


def test_a_side_that_weighs_nothing_is_told(refusal):
    frame = FEATURES.assign(y=NUMBERS)
    test = split_table(frame, "y", Split()).test_rows
    weights = pd.Series(1.0, frame.index, name="w")
    weights.iloc[test] = 0
    says = refusal(split_table, frame, "y", Split(), None, weights)
    assert says == "data.weight 'w' is 0 in all test rows"


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"data": {"columns": {"w": {}}}}, "the weight 'w' cannot be a feature"),
        ({"data": {"weight": "y"}}, "the weight 'y' cannot be the target"),
        (
            {"task": "classification", "sampling": {"method": "over"}},
            "sampling.method: over draws rows, and data.weight weighs them; take class_weight",
        ),
    ],
)
def test_a_recipe_that_cannot_be_weighed_is_refused(sections, says, recipe_with):
    data = {"path": "t", "target": "y", "weight": "w", **sections.pop("data", {})}
    with pytest.raises(ValidationError, match=says):
        recipe_with(data=data, **sections)


@pytest.mark.parametrize("third", ["", ", sample_weight"])
def test_a_metric_of_ones_own_is_given_the_weights_if_it_takes_them(third, recipe_with, tmp_path):
    (tmp_path / "own.py").write_text(
        f"def worst(predictions, targets{third}):\n"
        "    return abs(predictions - targets)[sample_weight > 0].max()\n"
    )
    recipe = recipe_with(
        data={"path": "t", "target": "y", "weight": "w"},
        code={"own.py": (tmp_path / "own.py").read_text()},
        metrics={"functions": {"worst": {"function": "own.worst", "greater_is_better": False}}},
    )
    if not third:
        with pytest.raises(ValueError, match="'worst' takes no weights"):
            metrics_of(recipe)
        return
    answers, targets = of_values()
    errors = np.abs(answers.predictions - targets)
    assert metrics_of(recipe)["worst"](answers, targets) == errors[WEIGHTS > 0].max()


def drawn(axes):
    """The places of all lines."""
    return [np.array(line.get_data()).round(9).tolist() for line in axes.lines]


def test_a_calibration_is_of_what_the_rows_weigh():
    answers, targets = of_two()
    scores = {"y": (targets, answers.probabilities)}
    repeated = {"y": (targets[TWICE], answers.probabilities[TWICE])}
    weighed = plot_calibration(scores, "y", WEIGHTS).axes[0]
    assert drawn(weighed) == drawn(plot_calibration(repeated, "y", np.ones(len(TWICE))).axes[0])
    assert drawn(weighed) != drawn(plot_calibration(scores, "y").axes[0])


def test_the_spread_of_errors_is_of_what_the_rows_weigh():
    answers, _ = of_values()
    values = RNG.integers(3, 6, ROWS) * 1.0
    weighed = plot_error_by_target(values, answers.predictions, "y", WEIGHTS).axes[0]
    repeated = plot_error_by_target(values[TWICE], answers.predictions[TWICE], "y").axes[0]
    assert drawn(weighed) == drawn(repeated)
    assert drawn(weighed) != drawn(plot_error_by_target(values, answers.predictions, "y").axes[0])


@pytest.mark.parametrize("plot", [plot_predictions, plot_residuals])
def test_a_dot_is_as_large_as_its_row_weighs(plot):
    answers, targets = of_values()
    dots = plot(targets, answers.predictions, "y", WEIGHTS).axes[0].collections[0]
    shown = dict(zip(dots.get_offsets()[:, 0].tolist(), dots.get_sizes().tolist(), strict=True))
    counted = WEIGHTS > 0
    assert shown.keys() == {*answers.predictions[counted].tolist()}
    sizes = np.array([shown[said] for said in answers.predictions[counted]])
    assert np.allclose(sizes / sizes.sum(), WEIGHTS[counted] / WEIGHTS.sum())


def test_a_row_without_weight_is_none_of_the_worst():
    test = pd.DataFrame({"row_key": np.arange(4, dtype="uint64"), "y": 0.0})
    error = np.array([9.0, 1.0, 8.0, 2.0])
    answers = pd.DataFrame({"prediction": error})
    worst = worst_predictions(test, answers, error, "y", np.array([0.0, 1, 3, 1]))
    assert worst["error"].tolist() == [8, 2, 1]
