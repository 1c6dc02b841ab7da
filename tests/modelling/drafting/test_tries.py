"""A draft has tried its models: on folds of the training rows, within a time, the best first."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error

from modelling.drafting import draft as drafting
from modelling.drafting import tries
from modelling.drafting.draft import choose_best, draft_recipe, render_draft
from modelling.drafting.tries import Tries, Try, reachable
from modelling.judging.metrics import REGRESSION_METRICS
from modelling.kinds import ROW_KEY
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.recipe import TOGETHER, Model, Recipe, Threshold, load_recipe
from modelling.search import cross_validation
from modelling.tables.split import split_table

ROWS = 300
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(RNG.normal(size=(ROWS, 3)), columns=["a", "b", "c"])
NOISE = pd.Series(RNG.normal(size=ROWS))
TREE = Model(estimator="sklearn.tree.DecisionTreeRegressor", parameters={"max_depth": 3})
LINE = Model(estimator="sklearn.linear_model.Ridge", scale=True)
BROKEN = Model(estimator="sklearn.linear_model.Ridge", parameters={"alpha": -1})


@pytest.fixture
def models(monkeypatch):
    """Two quick models, to which a test may add."""
    found = {"line": LINE, "tree": TREE}
    monkeypatch.setattr(drafting, "usual_models", lambda rows, task: found)
    return found


def draft(target):
    return draft_recipe(TABLE.assign(y=target), "y", "small", "t.csv", seconds=60)


def choose(target, seconds=60, table=TABLE, **models):
    recipe = {
        "name": "small",
        "task": "regression",
        "data": {"path": "t.csv", "target": "y"},
        "models": models or {"line": LINE, "tree": TREE},
        "gate": {"rmse": {"min_relative_change": 0.05}},
    }
    return choose_best(Recipe.model_validate(recipe), table.assign(y=target), None, seconds)


@pytest.mark.parametrize(
    ("target", "best"),
    [(TABLE["a"] + NOISE / 9, "line"), ((TABLE["a"].abs() > 1) * 5 + NOISE / 9, "tree")],
)
def test_the_best_is_the_default_and_stands_first(target, best, models, tmp_path):
    drafted = draft(target)
    assert drafted.recipe.default_model == best
    assert drafted.tried[0].startswith("rmse on 3 folds of 2")
    shown = [part.rpartition(" ")[0] for part in drafted.tried[1].split(", ")]
    assert shown[0] == best
    assert shown[-1] == "naive"
    path = tmp_path / "recipe.yaml"
    path.write_text(render_draft(drafted, "t.csv", "mlflow run ."), encoding="utf-8")
    assert load_recipe(path) == drafted.recipe
    assert f"# {drafted.tried[1]}\ndefault_model: {best}" in path.read_text(encoding="utf-8")


def test_the_order_of_the_rows_and_the_test_rows_do_not_count():
    target = TABLE["a"] + NOISE / 9
    recipe, first = choose(target)
    split = split_table(TABLE.assign(y=target), "y", recipe.split)
    is_test = TABLE["a"].isin(split.test["a"])
    assert choose(target.where(~is_test, 99.0))[1] == first
    shuffled = TABLE.sample(frac=1, random_state=1)
    assert choose(target[shuffled.index], table=shuffled)[1] == first


def test_noise_is_called_noise_and_asked_for_nothing():
    recipe, tried = choose(NOISE)
    assert tried[-1] == "none is better than the naive baseline by more than chance"
    assert recipe.gate["rmse"].min_relative_change == 0


def test_half_of_a_small_gain_is_asked_for():
    assert 0 < choose(TABLE["a"] / 2 + NOISE)[0].gate["rmse"].min_relative_change < 0.05
    assert choose(TABLE["a"] + NOISE / 9)[0].gate["rmse"].min_relative_change == 0.05


@pytest.mark.parametrize(("best", "is_said"), [([1.0, 2.0, 3.4], True), ([1.0, 2.0, 3.0], False)])
def test_a_line_is_said_to_be_enough(best, is_said):
    tree = Try("tree", "none", {"rmse": best})
    line = Try("line", "none", {"rmse": [1.2, 2.2, 3.2]})
    naive = Try("naive", "none", {"rmse": [4.0, 5.0, 6.0]})
    tries = Tries({"rmse": REGRESSION_METRICS["rmse"]}, "rmse", ROWS, [tree, line], naive)
    said = [*tries.words("line")][-1]
    assert (said == "none is better than a line (line) by more than chance") == is_said


def test_a_target_with_a_long_tail_is_tried_as_its_logarithm(models, tmp_path):
    drafted = draft(np.expm1(4 + TABLE["a"] + NOISE / 9))
    assert drafted.recipe.target.transform == "log1p"
    assert "line of log1p " in drafted.tried[1]
    path = tmp_path / "recipe.yaml"
    path.write_text(render_draft(drafted, "t.csv", "mlflow run ."), encoding="utf-8")
    assert load_recipe(path) == drafted.recipe


def test_who_fails_is_named_and_no_time_is_no_reason_to_fail():
    target = TABLE["a"] + NOISE
    _, tried = choose(target, line=LINE, broken=BROKEN)
    (failed,) = (line for line in tried if "broken" in line)
    assert failed.startswith("broken failed: The 'alpha' parameter of Ridge must be a float")
    recipe, tried = choose(target, seconds=1e-9)
    assert (recipe.default_model, tried) == ("", ["none could be tried: no time"])
    _, tried = choose(target, broken=BROKEN)
    assert tried[0].startswith("none could be tried: The 'alpha' parameter")


def test_classes_are_told_by_their_own_metric(monkeypatch):
    parameters = {"max_depth": 3}
    found = {
        "line": Model(estimator="sklearn.linear_model.LogisticRegression", scale=True),
        "tree": Model(estimator="sklearn.tree.DecisionTreeClassifier", parameters=parameters),
    }
    monkeypatch.setattr(drafting, "usual_models", lambda rows, task: found)
    drafted = draft(np.where(TABLE["a"].abs() > 1.2, "yes", "no"))
    assert drafted.recipe.default_model == "tree"
    assert "naive 0.5000" in drafted.tried[1]


@pytest.mark.slow
def test_a_real_table_is_told_as_well_as_by_boosted_trees_out_of_the_box():
    """A part of benchmarks/quality.py."""
    table = load_diabetes(as_frame=True).frame
    recipe = draft_recipe(table, "target", "diabetes", "t.csv", seconds=60).recipe
    split = split_table(table, "target", recipe.split)
    train, test = split.train.drop(columns=ROW_KEY), split.test.drop(columns=ROW_KEY)
    targets, true = train.pop("target"), test.pop("target")
    fitting = fit_inputs(recipe, train)
    chosen = unfitted_pipeline(recipe, recipe.default_model, {}, fitting)
    chosen.fit(fitting.inputs, targets)
    others = [HistGradientBoostingRegressor(random_state=0), LGBMRegressor(verbosity=-1, n_jobs=1)]
    errors = [
        root_mean_squared_error(true, one.fit(train, targets).predict(test)) for one in others
    ]
    assert root_mean_squared_error(true, chosen.predict(test)) < 0.95 * min(errors)


@pytest.mark.parametrize(
    ("asked", "gained", "found"),
    [(0.05, [0.05, 0.07, 0.06], 0.03), (0.05, [-0.05, 0.01, 0.0], 0.0), (0.2, [0.1] * 3, 0.2)],
    ids=["half of it", "nothing", "but what is against chance"],
)
def test_a_gate_asks_for_half_of_what_is_gained(asked, gained, found):
    naive = SimpleNamespace(mean=lambda _metric: 0.5)
    tries = SimpleNamespace(naive=naive, gains=lambda _naive, _metric: np.array(gained))
    threshold = reachable(Threshold(min_absolute_change=asked), tries, "roc_auc")
    assert threshold.min_absolute_change == found


def test_the_default_may_be_the_mean_of_several_and_can_be_trained(models, tmp_path):
    """Of a line with a step in it, both know a half."""
    drafted = draft(TABLE["a"] + (TABLE["b"] > 0) * 2.0 + (TABLE["c"] > 0) * 2.0 + NOISE / 9)
    recipe = drafted.recipe
    assert recipe.default_model == TOGETHER
    assert [*recipe.sweep.models] == ["line", "tree"]
    said = recipe.models[TOGETHER].parameters
    assert {*said["estimators"]} == {"line", "tree"}
    assert said["estimators"]["line"]["scale"] is True
    assert said["estimators"]["tree"]["parameters"] == TREE.parameters
    assert drafted.tried[1].startswith("together (tree x 1 + line x 1) 0.")
    path = tmp_path / "recipe.yaml"
    path.write_text(render_draft(drafted, "t.csv", "mlflow run ."), encoding="utf-8")
    assert load_recipe(path) == recipe
    fitting = fit_inputs(recipe, TABLE)
    assert len(unfitted_pipeline(recipe, TOGETHER, {}, fitting)["estimator"].estimators) == 2


def test_the_folds_are_prepared_once_for_all_models(monkeypatch):
    prepared = []

    def fit(recipe, raw):
        prepared.append(len(raw))
        return fit_inputs(recipe, raw)

    monkeypatch.setattr(cross_validation, "fit_inputs", fit)
    choose(TABLE["a"] + NOISE)
    assert len(prepared) == 3


def test_no_model_is_begun_whose_first_fold_would_come_too_late(monkeypatch):
    clock = [0.0]

    def predict(self, model, _):
        for _, rows in self._rows:
            clock[0] += 0 if model == "naive" else 10
            yield self._targets.iloc[rows].to_numpy(dtype=float) * (model != "naive")

    monkeypatch.setattr(cross_validation.CrossValidation, "predict", predict)
    monkeypatch.setattr(tries, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    _, tried = choose(TABLE["a"] + NOISE, seconds=35)
    assert "no time for tree: more with -P seconds=" in tried
    assert clock == [30]
