"""The best trials together: what is added, what it may cost, and when one is as good alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelling.search.together import MOST_MEMBERS, choose_together

FOLDS, ROWS = 5, 40


def trials(*noise, shared=0.0, seed=0):
    """What trials predict whose errors have these sizes, a part of each error being everybody's."""
    rng = np.random.default_rng(seed)
    true = [rng.normal(size=ROWS) for _ in range(FOLDS)]
    common = [rng.normal(size=ROWS) * shared for _ in range(FOLDS)]

    def rmse(folds):
        pairs = zip(folds, true, strict=True)
        return [float(np.sqrt(np.mean((said - is_) ** 2))) for said, is_ in pairs]

    made = [
        [
            value + part + size * rng.normal(size=ROWS)
            for value, part in zip(true, common, strict=True)
        ]
        for size in noise
    ]
    made.sort(key=lambda folds: np.mean(rmse(folds)))
    return made, rmse


def test_errors_that_differ_cancel_each_other_out():
    candidates, rmse = trials(1, 1.1, 1.2)
    found = choose_together(candidates, rmse, False)
    assert {*found.shares} == {0, 1, 2}
    shares = [found.shares[place] for place in range(3)]
    mean = [np.average(fold, axis=0, weights=shares) for fold in zip(*candidates, strict=True)]
    assert found.scores == pytest.approx(rmse(mean))
    assert found.score < 0.75 * np.mean(rmse(candidates[0]))


def test_a_better_one_weighs_more_and_a_bad_one_nothing():
    candidates, rmse = trials(1, 1.6, 30)
    found = choose_together(candidates, rmse, False)
    assert found.shares[0] > found.shares[1] > 0
    assert 2 not in found.shares


def test_one_that_gains_nothing_stays_alone():
    candidates, rmse = trials(0.1, 3, 3)
    assert choose_together(candidates[:1], rmse, False) is None
    assert choose_together(candidates, rmse, False) is None
    assert choose_together([candidates[0]] * 3, rmse, False) is None


def test_a_gain_of_less_than_one_percent_is_not_worth_another_model():
    for gain, is_worth_it in ((0.008, False), (0.02, True)):
        one = [np.full(ROWS, 1.0)] * FOLDS
        other = [np.full(ROWS, -1.0)] * FOLDS

        def error(folds, gain=gain):
            return [1 - gain * (abs(fold).max() < 0.9) for fold in folds]

        found = choose_together([one, other], error, False)
        assert (found is not None) == is_worth_it


def test_where_more_is_better_the_gain_counts_and_not_the_distance_to_one():
    candidates, rmse = trials(1, 1.1, 1.2)
    for best in (1, 25, 1000):  # a share, or money
        found = choose_together(
            candidates, lambda folds, best=best: [best * (2 - one) for one in rmse(folds)], True
        )
        assert found is not None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.1, 5), min_size=1, max_size=8),
    st.floats(0, 2),
    st.integers(0, 1000),
    st.booleans(),
)
def test_it_is_better_than_the_best_alone_or_nothing(noise, shared, seed, greater_is_better):
    candidates, rmse = trials(*noise, shared=shared, seed=seed)
    sign = -1 if greater_is_better else 1

    def score(folds):
        return [sign * value for value in rmse(folds)]

    found = choose_together(candidates, score, greater_is_better)
    if found is not None:
        assert sign * found.score < np.mean(rmse(candidates[0]))
        assert 2 <= sum(found.shares.values()) <= MOST_MEMBERS
        assert {*found.shares} <= {*range(len(candidates))}
