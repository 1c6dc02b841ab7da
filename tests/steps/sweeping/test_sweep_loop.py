"""The loop of a sweep: whatever ends when, wherever it is cut off, the same trials come of it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import mlflow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from engine.trials.trial import TrialEnd
from modelling.recipe import load_recipe
from modelling.search.pruning import is_hopeless
from modelling.search.search import TrialResult, has_stalled
from modelling.search.space import Choices, Point, Reals, Space
from steps.sweeping.loop import KnownTrials, Plan, SweepLoop
from steps.sweeping.run import _best

PROJECT = Path(__file__).parents[3]
FOLDS = 5
TRIALS = 16

# Few values, so that samplers try points again, and none twice.
FEW = Space({"ridge": {"alpha": Choices((1, 2, 3))}, "elastic_net": {"l1_ratio": Choices((0, 1))}})
GRID = Space({"ridge": {"alpha": Choices(tuple(range(TRIALS)))}})
MANY = Space({"ridge": {"alpha": Reals(1e-4, 1, True)}})


@pytest.fixture(scope="module", autouse=True)
def _sweep_run(tmp_path_factory, make_database):
    """The loop looks there for what a lost trial left."""
    mlflow.set_tracking_uri(make_database(tmp_path_factory.mktemp("store")))
    with mlflow.start_run(experiment_id="0"):
        yield
    mlflow.set_tracking_uri(None)


class Executor:
    """Takes some trials at a time and ends them as it is told: each point has its one result."""

    def __init__(self, plan, jobs, choose, is_lost=lambda _: False):
        """Takes what chooses the numbers that end now, and whether a given attempt is lost."""
        self._plan, self._jobs, self._choose, self._is_lost = plan, jobs, choose, is_lost
        self.running = {}
        self.written = {}
        self.submitted = Counter()

    def free(self):
        return self._jobs - len(self.running)

    def submit(self, trial):
        assert self.free() > 0
        assert trial.number not in self.running
        self.running[trial.number] = trial
        self.submitted[trial.number] += 1

    def wait(self, _seconds):
        return [self.end(number) for number in self._choose(sorted(self.running))]

    def end(self, number):
        trial = self.running.pop(number)
        if self._is_lost(self.submitted[number]):
            return TrialEnd(number, None, error="it was killed", lost=True)
        tried = self.written[number] = _result(trial, self._plan)
        if tried.state == "failed":
            return TrialEnd(number, tried.run_id, error=tried.reason)
        names = ("state", "score", "folds", "samples")
        result = {name: getattr(tried, name) for name in names}
        return TrialEnd(number, tried.run_id, result)


def _result(trial, plan):
    """What the run of a trial tells of it."""
    point, rival = Point(trial.work["model"], trial.work["hyperparameters"]), trial.work["rival"]
    known = trial.number, point
    run_id, chance = f"run {trial.number}", Random(point.key)  # noqa: S311
    scores = tuple(chance.random() for _ in range(FOLDS))
    if chance.random() < 0.2:
        return TrialResult(*known, "failed", run_id=run_id, reason=f"no {point}")
    if plan.pruner == "halving":
        return _halved(known, scores, rival, plan, run_id)
    for done in range(1, FOLDS):
        folds = scores[:done]
        if rival and is_hopeless(plan.pruner, rival, list(folds), plan.greater_is_better):
            return TrialResult(*known, "pruned", folds=folds, run_id=run_id)
    return TrialResult(*known, "complete", sum(scores) / FOLDS, scores, run_id)


def _halved(known, scores, rival, plan, run_id):
    """The same of a trial that is held against others on two samples first."""
    better = plan.greater_is_better
    for done in (1, 2):
        samples = scores[:done]
        if len(rival) >= done and is_hopeless("halving", rival, list(samples), better):
            return TrialResult(*known, "pruned", samples=samples, run_id=run_id)
    mean = sum(scores) / FOLDS
    return TrialResult(*known, "complete", mean, scores, run_id, samples=scores[:2])


class Nobody:
    """Watches a sweep, and shows nothing."""

    def show(self, *_):
        pass


def _run(plan, executor, known=None, is_interrupted=lambda: False):
    known = known or KnownTrials({}, {})
    return SweepLoop(plan, executor, known, {}, Nobody(), is_interrupted).run()


def _one_after_the_other(plan):
    return _run(plan, Executor(plan, 1, lambda running: running))


PLAN = Plan(
    recipe=load_recipe("recipes/wine_quality.yaml", PROJECT),
    space=GRID,
    sampler="grid",
    pruner="none",
    trials=TRIALS,
    folds=FOLDS,
    seed=7,
    patience=None,
    greater_is_better=False,
    trials_key="key",
)


@st.composite
def plans(draw):
    """Sweeps whose choices do not depend on scores: any number of jobs makes the same of them."""
    kinds = [(GRID, "grid"), (FEW, "random"), (MANY, "random"), (FEW, "qmc"), (MANY, "qmc")]
    space, sampler = draw(st.sampled_from(kinds))
    return replace(
        PLAN,
        space=space,
        sampler=sampler,
        pruner=draw(st.sampled_from(["none", "median", "wilcoxon", "halving"])),
        trials=draw(st.sampled_from([TRIALS, 5, 1])),
        seed=draw(st.integers(0, 1000)),
        patience=draw(st.sampled_from([None, None, 1, 4])),
        greater_is_better=draw(st.booleans()),
    )


@st.composite
def courses(draw):
    """What makes executors that end trials in any order, some of them lost on the way."""
    jobs, chance = draw(st.integers(1, 4)), Random(draw(st.integers(0, 10**6)))  # noqa: S311
    newest_first = draw(st.booleans())  # the first one ends last of all

    def choose(running):
        return (
            running[-1:]
            if newest_first
            else chance.sample(running, chance.randint(1, len(running)))
        )

    return lambda plan: Executor(
        plan, jobs, choose, lambda attempt: attempt < 3 and chance.random() < 0.2
    )


repeatable = settings(deadline=None, derandomize=True, max_examples=100)


@repeatable
@given(plan=plans(), course=courses())
def test_neither_jobs_nor_order_nor_losses_change_the_trials(plan, course):
    assert _run(plan, course(plan)) == _one_after_the_other(plan)


@repeatable
@given(plan=plans())
def test_patience_leaves_out_what_follows_a_stall_and_nothing_else(plan):
    whole = _one_after_the_other(replace(plan, patience=None))
    assert [one.number for one in whole] == list(range(plan.trials))
    expected = whole
    if plan.patience:
        lengths = range(1, len(whole) + 1)
        better = plan.greater_is_better
        stalls = [n for n in lengths if has_stalled(whole[:n], plan.patience, better)]
        expected = whole[: min(stalls, default=len(whole))]
    assert _one_after_the_other(plan) == expected


@repeatable
@given(plan=plans(), course=courses(), looks=st.integers(1, 2 * TRIALS), ending=st.integers(0, 4))
def test_what_was_cut_off_goes_on_as_if_it_had_not_been(plan, course, looks, ending):
    left = iter([False] * looks)
    cut_off = course(plan)
    _run(plan, cut_off, is_interrupted=lambda: next(left, True))
    # Of those that were under way, some had written how they ended.
    for number in sorted(cut_off.running)[:ending]:
        cut_off.end(number)
    tried = cut_off.written
    answers = {plan.key(one.point): one for one in tried.values() if one.state == "complete"}
    again = course(plan)
    assert _run(plan, again, KnownTrials(tried, answers)) == _one_after_the_other(plan)
    assert not again.submitted.keys() & tried.keys()


@settings(repeatable, max_examples=20)
@given(course=courses())
def test_tpe_makes_each_trial_whatever_ends_when(course):
    plan = replace(PLAN, space=MANY, sampler="tpe")
    executor = course(plan)
    assert [one.number for one in _run(plan, executor)] == list(range(TRIALS))
    assert executor.submitted.keys() == set(range(TRIALS))


def test_a_trial_that_is_lost_three_times_has_failed():
    executor = Executor(PLAN, 2, lambda running: running[-1:], is_lost=lambda _: True)
    tried = _run(PLAN, executor)
    assert {(one.state, one.reason) for one in tried} == {("failed", "it was killed")}
    assert executor.submitted == dict.fromkeys(range(TRIALS), 3)


def test_the_first_points_come_first_and_the_sampler_after_them():
    first = [Point("elastic_net", {"l1_ratio": 1}), Point("ridge", {"alpha": 2})]
    for sampler in ("random", "tpe", "qmc"):
        plan = replace(PLAN, space=FEW, sampler=sampler, trials=8, first=first)
        tried = _one_after_the_other(plan)
        assert [one.point for one in tried[:2]] == first
        assert len(tried) == 8
        assert plan.facts != replace(plan, first=()).facts


def test_a_sweep_in_which_all_fail_says_why():
    tried = [TrialResult(n, Point("ridge", {"alpha": n}), "failed", reason="no") for n in range(2)]
    with pytest.raises(InputError, match=r"all 2 trials failed: no"):
        _best(PLAN, tried)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_in_a_time_ends_when_each_point_has_been_tried(sampler):
    plan = replace(PLAN, space=FEW, sampler=sampler, trials=10_000, seconds=60)
    tried = _one_after_the_other(plan)
    assert {one.point.key for one in tried} == {point.key for point in FEW.grid()}
    assert len(tried) < 200


def test_a_search_whose_points_are_all_known_ends_with_its_time():
    plan = replace(PLAN, space=FEW, sampler="random", trials=10_000)
    looks = iter(range(200))
    tried = _run(plan, Executor(plan, 1, list), is_interrupted=lambda: next(looks) > 100)
    assert len(tried) < 200
