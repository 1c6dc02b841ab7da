"""What a sweep begins with, which trials leave what they predicted, and what wins together."""

import json
from dataclasses import replace

import numpy as np
import pytest

from common.errors import InputError
from common.tags import CACHE_KEY
from modelling.recipe import TOGETHER
from modelling.search.search import TrialResult, find_bar
from modelling.search.space import Choices, Point, Reals, Space
from steps.sweeping.loop import (
    MOST_OF_A_MODEL,
    POINT,
    PREPARED,
    TRIALS_KEY,
    Plan,
    best_before,
    find_known,
)
from steps.sweeping.together import find_ensemble
from tests.steps.sweeping.test_sweep_loop import PLAN

SPACE = Space(
    {"ridge": {"alpha": Reals(0.1, 10, True)}, "elastic_net": {"l1_ratio": Choices((0,))}}
)


def _sweep_before(client, scores, status="FINISHED", prepared="rows"):
    sweep = client.create_run("0").info.run_id
    for alpha, score in scores.items():
        key = Point("ridge", {"alpha": alpha}).key
        tags = {POINT: key, PREPARED: prepared, "mlflow.parentRunId": sweep}
        trial = client.create_run("0", tags=tags).info.run_id
        client.log_metric(trial, "rmse", score)
        client.set_terminated(trial)
    client.set_terminated(sweep, status)


def test_a_sweep_begins_with_the_best_of_finished_sweeps_on_the_same_table(client):
    own = Point("ridge", {"alpha": 1.0})
    plan = replace(PLAN, space=SPACE, prepared="rows", first=(own,))
    assert best_before(plan, ["0"]) == []
    _sweep_before(client, {1.0: 0.1, 2.0: 0.5, 3.0: 0.3, 4.0: 0.4, 5.0: 0.6, 20.0: 0.2})
    _sweep_before(client, {3.0: 0.3, 6.0: 0.1}, "KILLED")
    _sweep_before(client, {7.0: 0.1}, prepared="other rows")
    # Not its own first point, nor one outside of the space; the best first, each once.
    expected = [Point("ridge", {"alpha": alpha}) for alpha in (3.0, 4.0, 2.0)]
    assert best_before(plan, ["0"]) == expected
    worst_first = replace(plan, greater_is_better=True)
    assert best_before(worst_first, ["0"])[0] == Point("ridge", {"alpha": 5.0})


def _tried(number, model, score, values=None):
    point = Point(model, {"alpha": values if values is not None else float(number)})
    return TrialResult(number, point, "complete", score, (score,), f"run {number}")


@pytest.mark.parametrize("greater_is_better", [True, False])
def test_the_best_of_a_model_pass_the_bar_whenever_they_come(greater_is_better):
    rng = np.random.default_rng(0)
    tried = [_tried(number, "ridge", float(rng.normal())) for number in range(30)]
    sign = 1 if greater_is_better else -1
    kept = []
    for number, one in enumerate(tried):
        bar = find_bar("ridge", tried[:number], greater_is_better, MOST_OF_A_MODEL)
        if bar is None or sign * one.score >= sign * bar:
            kept.append(one)
    best = sorted(tried, key=lambda one: -sign * one.score)[:MOST_OF_A_MODEL]
    assert len(kept) < 20
    assert all(one in kept for one in best)
    assert find_bar("elastic_net", tried, greater_is_better, MOST_OF_A_MODEL) is None


def test_a_point_that_was_chosen_twice_is_one_of_the_best():
    tried = [_tried(number, "ridge", 1.0, values=1.0) for number in range(MOST_OF_A_MODEL)]
    assert find_bar("ridge", tried, False, MOST_OF_A_MODEL) is None
    tried += [_tried(number, "ridge", float(number)) for number in range(10, 14)]
    assert find_bar("ridge", tried, False, MOST_OF_A_MODEL) == 13


def test_what_is_known_from_before_keeps_its_deviation(client):
    point = Point("ridge", {"alpha": 1.0})
    tags = {TRIALS_KEY: "of before", CACHE_KEY: "equal", "pipeline.trial": "3", POINT: point.key}
    run_id = client.create_run("0", tags=tags).info.run_id
    for name, value in (("rmse", 0.5), ("rmse_std", 0.07)):
        client.log_metric(run_id, name, value)
    client.set_terminated(run_id)
    plan = replace(PLAN, space=SPACE, trials_key="of before")
    known = find_known(plan, ["0"], [], True).by_key["equal"]
    assert (known.score, known.deviation) == (0.5, 0.07)


class _Folds:
    """Scores the mean error of predictions, whose truth is 0."""

    def score(self, folds):
        return [float(np.mean(np.abs(fold))) for fold in folds]

    def predict(self, model, _hyperparameters):
        return [np.ones(4) if model == "ridge" else np.full(4, -1.1)] * 5


def _find(plan, tried, predicted):
    def read(run_id):
        number = int(run_id.split()[1])
        if number not in predicted:
            raise InputError("it left nothing")
        return predicted[number]

    return find_ensemble(plan, tried, _Folds(), read)


def test_the_winner_is_one_model_with_a_preprocessing_for_each_member():
    plan = replace(PLAN, ensemble=True)
    tried = [_tried(0, "ridge", 1.0), _tried(1, "elastic_net", 1.1), _tried(2, "ridge", 5.0)]
    predicted = {0: [np.ones(4)] * 5, 1: [np.full(4, -1.1)] * 5, 2: [np.full(4, 5)] * 5}
    found = _find(plan, tried, predicted)
    shares = {one.number: share for one, share in found.members}
    assert {*shares} == {0, 1}
    assert found.score < 0.1
    given = found.hyperparameters(plan)
    assert [*given["estimators"]] == [f"{one.point.model}_{one.number}" for one, _ in found.members]
    ridge = given["estimators"]["ridge_0"]
    own = plan.recipe.models["ridge"]
    assert ridge["estimator"] == own.estimator
    assert (ridge["preprocess"], ridge["scale"]) == (own.preprocess, own.scale)
    assert ridge["parameters"]["alpha"] == 0.0
    assert given["weights"] == [share for _, share in found.members]
    assert json.loads(json.dumps(given)) == given
    assert found.words(plan, tried[0]).startswith("the best together: 2 models, rmse 0.0")
    assert list(found.table()["trial"]) == [one.number for one, _ in found.members]


def test_where_none_was_asked_for_or_the_others_left_nothing_it_stays_alone():
    plan = replace(PLAN, ensemble=True)
    tried = [_tried(0, "ridge", 1.0), _tried(1, "elastic_net", 1.1)]
    predicted = {0: [np.ones(4)] * 5, 1: [np.full(4, -1.1)] * 5}
    assert _find(plan, tried, predicted)
    assert _find(PLAN, tried, predicted) is None
    assert _find(plan, tried, {0: predicted[0]}) is None
    assert _find(plan, tried, {1: predicted[1]})  # the best alone is asked again
    own = plan.recipe.models["ridge"]
    models = {**plan.recipe.models, TOGETHER: own}
    theirs = replace(plan, recipe=plan.recipe.model_copy(update={"models": models}))
    assert _find(theirs, tried, predicted) is None
    pickled = own.model_copy(update={"serialization": "cloudpickle"})
    models = {**plan.recipe.models, "ridge": pickled}
    no_skops = replace(plan, recipe=plan.recipe.model_copy(update={"models": models}))
    assert _find(no_skops, tried, predicted) is None


def test_the_plan_says_what_a_trial_needs(client):
    plan: Plan = replace(PLAN, ensemble=True, prepared="rows")
    done = [_tried(number, "ridge", float(number)) for number in range(6)]
    trial = plan.trial(6, Point("ridge", {"alpha": 1.0}), done, {})
    assert trial.work["bar"] == 4.0
    assert trial.tags[PREPARED] == "rows"
