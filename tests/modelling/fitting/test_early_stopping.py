"""Boosted estimators end their rounds by rows that are held out as the table was split."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor, early_stopping
from pydantic import ValidationError
from sklearn.ensemble import HistGradientBoostingRegressor

from modelling.estimators.estimators import fit_pipeline
from modelling.fitting import early_stopping as module
from modelling.fitting.early_stopping import find_rounds
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.recipe import Model
from modelling.search import cross_validation
from modelling.search.cross_validation import CrossValidation
from modelling.tables.folds import hold_out

LIGHTGBM = "lightgbm.LGBMRegressor"
HIST = "sklearn.ensemble.HistGradientBoostingRegressor"
PATIENCE = 5


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    raw = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
    return raw, raw["a"] ** 2 + rng.normal(size=400)


@pytest.fixture
def boosted(recipe_with):
    """Builds a recipe with one model that stops early."""

    def build(estimator=LIGHTGBM, parameters=None, early_stopping=PATIENCE, scale=False, **more):
        name = "max_iter" if estimator == HIST else "n_estimators"
        model = {
            "estimator": estimator,
            "early_stopping": early_stopping,
            "scale": scale,
            "parameters": parameters or {name: 200},
        }
        return recipe_with(models={"m": model}, **more)

    return build


@pytest.fixture
def seen(monkeypatch):
    """What the estimator was fitted on, and what it was held against."""
    given = []

    def count(_estimator, fitted, others, _patience):
        given[:] = fitted, others
        return 3

    monkeypatch.setattr(module, "count_rounds", count)
    return given


def groups_of(raw):
    return pd.Series(np.arange(len(raw)) % 20)


@pytest.mark.parametrize("way", ["content", "groups", "times"])
def test_lightgbm_stops_where_a_plain_script_does_on_the_same_rows(way, rows, boosted):
    raw, targets = rows
    given = {
        "content": {},
        "groups": {"groups": groups_of(raw)},
        "times": {"times": pd.Series(np.arange(len(raw))), "gap": 10.0},
    }[way]
    found = find_rounds(boosted(), "m", {}, raw, targets, None, given)
    fit, held = hold_out(raw, targets, 0, False, **given)
    plain = LGBMRegressor(
        n_estimators=200, random_state=0, deterministic=True, force_col_wise=True, verbosity=-1
    ).fit(
        raw.iloc[fit].to_numpy(),
        targets.iloc[fit],
        eval_X=raw.iloc[held].to_numpy(),
        eval_y=targets.iloc[held],
        callbacks=[early_stopping(PATIENCE, verbose=False)],
    )
    assert 1 < found.best == plain.best_iteration_ < found.most == 200
    assert found.parameters == {"n_estimators": found.best}


def test_hist_gradient_boosting_stops_by_those_rows_and_is_then_fitted_on_all(rows, boosted):
    raw, targets = rows
    recipe = boosted(HIST)
    found = find_rounds(recipe, "m", {}, raw, targets, None, {})
    fit, held = hold_out(raw, targets, 0, False)
    plain = HistGradientBoostingRegressor(
        max_iter=200, early_stopping=True, n_iter_no_change=PATIENCE, random_state=0
    ).fit(raw.iloc[fit], targets.iloc[fit], X_val=raw.iloc[held], y_val=targets.iloc[held])
    assert found.best == np.argmax(plain.validation_score_) > 1
    fitting = fit_inputs(recipe, raw)
    pipeline = unfitted_pipeline(recipe, "m", found.parameters, fitting)
    fitted = fit_pipeline(pipeline, fitting.inputs, targets)["estimator"]
    assert fitted.n_iter_ == found.best
    assert fitted.train_score_.size == 0  # nothing is held out any more


@pytest.mark.parametrize("estimator", ["lightgbm.LGBM", "sklearn.ensemble.HistGradientBoosting"])
def test_labels_may_be_text_with_weights_of_their_own(estimator, rows, boosted):
    raw, _ = rows
    noise = np.random.default_rng(2).normal(size=400)
    labels = pd.Series(np.where(raw["a"] + noise > 0.5, "yes", "no"))
    rounds = "max_iter" if "Hist" in estimator else "n_estimators"
    parameters = {rounds: 200, "class_weight": {"no": 1, "yes": 3}}
    recipe = boosted(f"{estimator}Classifier", parameters, task="classification")
    found = find_rounds(recipe, "m", {}, raw, labels, None, {})
    assert 1 <= found.best < 200
    assert found.parameters[rounds] == found.best


def test_the_latest_rows_are_held_out_whole_groups_or_as_much_of_each_class(rows):
    raw, targets = rows
    times = pd.Series(np.random.default_rng(1).permutation(400) / 2)
    fit, held = hold_out(raw, targets, 0, False, times=times, gap=5)
    assert times[held].max() == times.max()
    assert times[fit].max() == times[held].min() - 5
    groups = groups_of(raw)
    fit, held = hold_out(raw, targets, 0, False, groups=groups)
    assert len(fit) + len(held) == 400
    assert not {*groups[fit]} & {*groups[held]}
    labels = pd.Series([0] * 350 + [1] * 50)
    assert labels[hold_out(raw, labels, 0, True)[1]].sum() == 10


def test_what_stands_before_the_estimator_is_fitted_without_the_held_out_rows(rows, boosted, seen):
    raw, targets = rows
    found = find_rounds(boosted(scale=True), "m", {}, raw, targets, None, {})
    fitted, others = seen
    assert found.best == 3
    assert (len(fitted.inputs), len(others.inputs)) == (320, 80)
    assert np.allclose(fitted.inputs.mean(axis=0), 0)
    assert np.allclose(fitted.inputs.std(axis=0), 1)
    assert abs(others.inputs.mean(axis=0)).min() > 0.001


def test_the_held_out_rows_count_as_the_recipe_says(rows, boosted, seen):
    raw, targets = rows
    weights = pd.Series(np.arange(1.0, 401))
    find_rounds(boosted(), "m", {}, raw, targets, weights, {})
    fit, held = hold_out(raw, targets, 0, False)
    assert np.array_equal(seen[0].weights, weights[fit])
    assert np.array_equal(seen[1].weights, weights[held])


@pytest.mark.parametrize("method", ["class_weight", "over", "under"])
def test_the_classes_weigh_as_in_the_fit(method, rows, boosted, seen):
    raw, _ = rows
    labels = pd.Series(np.where(raw["a"] > 1, "yes", "no"))
    recipe = boosted("lightgbm.LGBMClassifier", task="classification", sampling={"method": method})
    find_rounds(recipe, "m", {}, raw, labels, None, {})
    for side in seen:
        weight = [side.weights[side.targets == label].sum() for label in ("no", "yes")]
        assert weight[0] == pytest.approx(weight[1])


def test_the_estimator_sees_the_target_as_the_fit_does(rows, boosted, seen):
    raw, targets = rows
    targets = targets.abs()
    find_rounds(boosted(target={"transform": "log1p"}), "m", {}, raw, targets, None, {})
    fit, held = hold_out(raw, targets, 0, False)
    assert np.allclose(seen[0].targets, np.log1p(targets[fit]))
    assert np.allclose(seen[1].targets, np.log1p(targets[held]))


def test_lightgbm_may_have_its_rounds_by_another_name(rows, boosted):
    raw, targets = rows
    found = find_rounds(boosted(parameters={"nrounds": 150}), "m", {}, raw, targets, None, {})
    assert found.most == 150
    assert found.parameters == {"n_estimators": found.best, "nrounds": found.best}


def test_a_fold_of_a_sweep_is_stopped_by_its_own_rows_alone(rows, boosted, monkeypatch):
    raw, targets = rows
    groups, asked = groups_of(raw), []

    def find(recipe, model, hyperparameters, *given):
        asked.append(given)
        return find_rounds(recipe, model, hyperparameters, *given)

    monkeypatch.setattr(cross_validation, "find_rounds", find)
    validation = CrossValidation(boosted(), raw, targets, 4, groups=groups)
    with_rounds = list(validation.scores("m", {"learning_rate": 0.2}))
    assert len(asked) == 4
    for own, known, weights, respected in asked:
        assert weights is None
        assert len(own) == len(known) == len(respected["groups"]) == 300
        assert respected["groups"].nunique() == 15  # those of the scored fold are not there
    scored = [set(groups) - {*given[3]["groups"]} for given in asked]
    assert set().union(*scored) == set(groups)
    plain = CrossValidation(boosted(early_stopping=None), raw, targets, 4, groups=groups)
    for fold, given in enumerate(asked):
        rounds = find_rounds(boosted(), "m", {"learning_rate": 0.2}, *given).parameters
        alone = list(plain.scores("m", {"learning_rate": 0.2, **rounds}))
        assert alone[fold] == with_rounds[fold]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            {"estimator": "sklearn.linear_model.Ridge", "parameters": {"alpha": 1}},
            "early_stopping: Ridge does not stop by held-out rows; those of LightGBM and XGBoost "
            "do, and HistGradientBoosting",
        ),
        (
            {"parameters": {"n_estimators": 9, "early_stopping_rounds": 3}, "early_stopping": None},
            "early_stopping_rounds needs rows that are held out: write early_stopping beside the "
            "parameters",
        ),
        (
            {"parameters": {"boosting_type": "dart", "n_estimators": 9}},
            "early_stopping: LGBMRegressor says of no round it is best",
        ),
    ],
)
def test_what_cannot_be_stopped_is_told_so(model, says, rows, boosted, refusal):
    recipe, (raw, targets) = boosted(**model), rows
    fitting = fit_inputs(recipe, raw)

    def train():
        rounds = find_rounds(recipe, "m", {}, raw, targets, None, {})
        unfitted_pipeline(recipe, "m", rounds.parameters, fitting)

    assert refusal(train) == says


def test_too_few_rows_to_hold_some_out_are_told(rows, boosted, refusal):
    raw, _ = rows
    labels = pd.Series(["a"] * 397 + ["b"] * 3)
    recipe = boosted("lightgbm.LGBMClassifier", task="classification")
    assert refusal(find_rounds, recipe, "m", {}, raw, labels, None, {}) == (
        "early_stopping: 5 folds need as many different rows of class b among the training rows, "
        "got 3"
    )


@pytest.mark.parametrize("value", [True, 0, 2.5])
def test_it_is_a_number_of_rounds(value):
    with pytest.raises(ValidationError, match="early_stopping"):
        Model(estimator=LIGHTGBM, early_stopping=value)
