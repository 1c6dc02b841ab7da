"""Which points are chosen: the same ones, from the same seed and the same trials."""

import math

import pytest

from common.errors import InputError
from modelling.search.pruning import is_hopeless
from modelling.search.search import (
    Search,
    TrialResult,
    best_of,
    choose_sampler,
    count_trials,
    find_rival,
    has_stalled,
)
from modelling.search.space import Choices, Integers, Point, Reals, Space

REALS = Space({"m": {"x": Reals(1e-4, 1, True), "y": Reals(0, 1, False)}})
MIXED = Space(
    {
        "a": {"x": Reals(0, 1, False), "c": Choices(([1, 2], None, "t"))},
        "b": {"n": Integers(2, 12, 2)},
    }
)
LISTS = Space({"m": {"x": Choices((1, 2, 3)), "y": Choices(("a", "b"))}})


def _score(point):
    return sum((float(value) - 0.3) ** 2 for value in point.hyperparameters.values())


def _sweep(space, sampler, trials, seed=42, score=_score, before=()):
    search = Search(space, sampler, trials, seed, False, [one.point for one in before])
    tried = list(before)
    for number in range(len(tried), trials):
        point = search.choose(number, tried, [])
        value = score(point)
        tried.append(TrialResult(number, point, "complete", value, (value,) * 3))
    return tried


def test_auto_is_the_grid_of_lists_and_tpe_of_ranges():
    assert choose_sampler(LISTS, "auto") == "grid"
    assert choose_sampler(REALS, "auto") == "tpe"
    with pytest.raises(InputError, match="no end"):
        choose_sampler(REALS, "grid")


def test_the_grid_is_whole_unless_fewer_trials_are_asked_for():
    assert count_trials(LISTS, "grid", None) == 6
    assert count_trials(LISTS, "grid", 4) == 4
    assert count_trials(LISTS, "grid", 100) == 6
    assert count_trials(REALS, "tpe", None) == 20
    whole = [one.point.key for one in _sweep(LISTS, "grid", 6, score=lambda _: 0.0)]
    assert whole == [point.key for point in LISTS.grid()]
    some = [one.point.key for one in _sweep(LISTS, "grid", 4, score=lambda _: 0.0)]
    assert len(set(some)) == 4
    assert set(some) <= set(whole)


@pytest.mark.parametrize("trials", [4, 5, 6])
@pytest.mark.parametrize("lost", [None, 1])
def test_a_grid_that_goes_on_with_more_trials_tries_no_point_twice(trials, lost):
    fewer = [one for one in _sweep(LISTS, "grid", 3, score=lambda _: 0.0) if one.number != lost]
    search = Search(LISTS, "grid", trials, 42, False, [one.point for one in fewer])
    known = {one.number for one in fewer}
    others = [search.choose(number, [], []) for number in range(trials) if number not in known]
    assert len({point.key for point in [*others, *(one.point for one in fewer)]}) == trials


@pytest.mark.parametrize("space", [REALS, MIXED], ids=["reals", "mixed"])
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_the_same_seed_chooses_the_same_and_another_others(space, sampler):
    def points(seed):
        sweep = _sweep(space, sampler, 15, seed, score=lambda point: len(str(point)))
        return [one.point.key for one in sweep]

    assert points(42) == points(42)
    assert points(42) != points(43)


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_the_choice_does_not_depend_on_the_scores(sampler):
    one = _sweep(REALS, sampler, 12)
    other = _sweep(REALS, sampler, 12, score=lambda _: 0.0)
    assert [a.point for a in one] == [b.point for b in other]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_search_that_goes_on_chooses_as_if_it_had_not_been_cut_off(sampler):
    whole = _sweep(REALS, sampler, 20)
    assert _sweep(REALS, sampler, 20, before=whole[:13]) == whole


def test_tpe_comes_nearer_than_chance():
    tpe, chance = (
        [one.score for one in _sweep(REALS, sampler, 60)][30:] for sampler in ("tpe", "random")
    )
    assert sum(tpe) < 0.7 * sum(chance)


def test_points_are_in_their_ranges_and_belong_to_their_model():
    for one in _sweep(MIXED, "random", 40, score=lambda _: 0.0):
        ranges = MIXED.models[one.point.model]
        assert one.point.hyperparameters.keys() == ranges.keys()
        if one.point.model == "b":
            assert one.point.hyperparameters["n"] in ranges["n"].values
        else:
            assert one.point.hyperparameters["c"] in ranges["c"].values
            assert 0 <= one.point.hyperparameters["x"] <= 1


@pytest.mark.parametrize("sampler", ["grid", "random", "qmc", "tpe"])
def test_choices_that_are_one_to_python_are_tried_each(sampler):
    values = (1, 1.0, True, "1", None)  # max_features=1 is one column, 1.0 is all
    space = Space({"m": {"x": Choices(values)}})
    tried = _sweep(space, sampler, 5 if sampler == "grid" else 40, score=lambda _: 0.0)
    assert {repr(one.point.hyperparameters["x"]) for one in tried} == set(map(repr, values))


def test_tpe_takes_failed_and_pruned_trials():
    point = Point("m", {"x": 0.1, "y": 0.5})
    before = [
        TrialResult(0, point, "failed"),
        TrialResult(1, point, "pruned", None, (1.0, 2.0)),
        *(TrialResult(n, point, "complete", 1.0, (1.0,)) for n in range(2, 14)),
    ]
    assert len(_sweep(REALS, "tpe", 16, before=before)) == 16


def _all(*scores):
    point = Point("m", {"x": 0.1, "y": 0.5})
    return [
        TrialResult(n, point, "failed" if math.isnan(score) else "complete",
              None if math.isnan(score) else score, (score,) * 5)
        for n, score in enumerate(scores)
    ]  # fmt: skip


def test_of_equal_scores_the_first_wins():
    tried = _all(2.0, 1.0, 1.0)
    assert best_of(tried, greater_is_better=False).number == 1
    assert best_of(tried[::-1], greater_is_better=False).number == 1
    assert best_of(tried, greater_is_better=True).number == 0
    with pytest.raises(InputError):
        best_of(_all(math.nan), greater_is_better=False)


def test_patience_counts_the_trials_since_the_best():
    assert not has_stalled(_all(3.0, 2.0, 1.0), 2, greater_is_better=False)
    assert not has_stalled(_all(1.0, 2.0), 2, greater_is_better=False)
    assert has_stalled(_all(1.0, 2.0, math.nan), 2, greater_is_better=False)
    assert not has_stalled(_all(math.nan, math.nan, math.nan), 2, greater_is_better=False)


def test_of_halving_a_trial_is_held_against_all_that_have_a_score_of_the_sample():
    point = Point("line", {})
    tried = [
        *(TrialResult(n, point, "pruned", samples=(float(n),)) for n in range(4)),
        *(TrialResult(n, point, "complete", 1.0, (1.0,), samples=(float(n), 9.0)) for n in (4, 5)),
        TrialResult(6, point, "complete", 1.0, (1.0,)),  # of a sweep that took no samples
        TrialResult(7, point, "complete", 0.0, (0.0,), samples=(-9.0, -9.0)),
    ]
    assert find_rival("halving", 14, tried, greater_is_better=False) == [2.5]
    assert find_rival("halving", 16, tried, greater_is_better=False) == [2.0, 9.0]
    assert find_rival("halving", 4, tried, greater_is_better=False) == []


@pytest.mark.parametrize("greater_is_better", [True, False])
def test_of_halving_what_is_worse_than_half_on_a_sample_stops(greater_is_better):
    sign = 1 if greater_is_better else -1
    rival = [sign * 1.0, sign * 2.0]

    def hopeless(*samples):
        return is_hopeless("halving", rival, [sign * one for one in samples], greater_is_better)

    assert hopeless(0.9)
    assert not hopeless(1.1)
    assert hopeless(1.1, 1.9)
    assert not hopeless(1.1, 2.1)


@pytest.mark.parametrize("pruner", ["median", "wilcoxon"])
def test_a_trial_is_held_against_the_first_half_of_those_before_it(pruner):
    tried = _all(*range(1, 21))
    rival = find_rival(pruner, 10, tried, greater_is_better=False)
    assert rival == find_rival(pruner, 10, tried[:5], greater_is_better=False)
    assert rival == [1.0 if pruner == "wilcoxon" else 3.0] * 5
    assert find_rival(pruner, 4, tried, greater_is_better=False) == []
    assert find_rival("none", 10, tried, greater_is_better=False) == []


@pytest.mark.parametrize("greater_is_better", [False, True])
def test_a_hopeless_trial_stops_after_its_first_folds(greater_is_better):
    sign = -1 if greater_is_better else 1
    rival = [sign * score for score in (1.0, 1.1, 0.9, 1.0, 1.05)]

    def hopeless(pruner, *folds):
        return is_hopeless(pruner, rival, [sign * one for one in folds], greater_is_better)

    assert not hopeless("median", 2.0)
    assert hopeless("median", 2.0, 2.1)
    assert not hopeless("median", 0.9, 1.0)
    assert not hopeless("wilcoxon", 2.0, 2.1)
    assert hopeless("wilcoxon", 2.0, 2.1, 2.2)
    assert not hopeless("wilcoxon", 2.0, 2.1, 0.1)
    assert not is_hopeless("median", [], [9.0, 9.0], greater_is_better)
