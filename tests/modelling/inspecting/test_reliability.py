"""Whether intervals and probabilities hold is measured, with what chance may do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from modelling.inspecting.reliability import (
    calibration_table,
    measure_coverage,
    share_with_interval,
)


@given(rows=st.integers(1, 500), share=st.floats(0, 1))
def test_the_interval_of_a_share_is_wilsons(rows, share):
    count = round(share * rows)
    holds = np.arange(rows) < count
    expected = binomtest(count, rows).proportion_ci(method="wilson")
    found = share_with_interval(holds)
    assert found == pytest.approx((count / rows, expected.low, expected.high), abs=1e-5)
    # Each row twice as heavy: as many rows as before.
    assert share_with_interval(holds, np.full(rows, 2.0)) == pytest.approx(found)


@given(
    holds=st.lists(st.booleans(), min_size=1, max_size=100),
    copies=st.integers(1, 50),
    weight=st.sampled_from([1.0, 0.3]),
)
def test_rows_of_a_group_that_are_all_the_same_tell_no_more_than_one(holds, copies, weight):
    each, groups = np.array(holds), np.arange(len(holds))
    given_all = np.repeat(each, copies), np.full(len(holds) * copies, weight)
    found = share_with_interval(*given_all, np.repeat(groups, copies))
    assert found == pytest.approx(share_with_interval(each))


def test_groups_whose_rows_are_drawn_each_by_itself_tell_as_much_as_these():
    holds = np.random.default_rng(0).random(20_000) < 0.8
    groups = np.arange(20_000) // 10
    found = share_with_interval(holds, groups=groups)
    assert found == pytest.approx(share_with_interval(holds), abs=0.001)


def test_a_planted_part_whose_intervals_are_too_narrow_is_found_and_no_other():
    rng = np.random.default_rng(0)
    part = rng.random(4_000) < 0.15
    holds = rng.random(4_000) < np.where(part, 0.7, 0.93)
    others = {f"quarter {number}": np.arange(4_000) % 4 == number for number in range(4)}
    empty = {"nobody": np.zeros(4_000, dtype=bool)}
    table = measure_coverage(holds, rng.random(4_000), 0.9, {"old": part, **others, **empty}, None)
    assert table.loc[table["broken"], "rows_of"].tolist() == ["old"]
    assert table["rows_of"].tolist() == ["all", "old", *others]
    assert table["rows"].tolist()[:2] == [4_000, part.sum()]
    assert table.loc[1, "coverage"] == holds[part].mean()


def test_weights_say_how_much_a_row_counts():
    holds, weights = np.array([True, False]), np.array([3.0, 1.0])
    table = measure_coverage(holds, np.array([1.0, 2.0]), 0.5, {}, weights)
    assert table.loc[0, "coverage"] == 0.75


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_probabilities_that_hold_are_told_from_those_that_do_not(power):
    rng = np.random.default_rng(1)
    said = rng.random(10_000)
    came = (rng.random(10_000) < said**power).astype(float)
    table = calibration_table(said, came)
    assert len(table) == 10
    assert table["rows"].tolist() == [1_000] * 10
    inside = (table["low"] <= table["said"]) & (table["said"] <= table["high"])
    assert inside.sum() >= 8 if power == 1 else inside.sum() <= 3


def test_few_rows_and_few_values_have_few_bins():
    assert len(calibration_table(np.array([0.2, 0.4]), np.array([0.0, 1]))) == 1
    same = calibration_table(np.repeat([0.1, 0.9], 500), np.repeat([0.0, 1], 500))
    assert same["said"].tolist() == pytest.approx([0.1, 0.9])
    assert same["came"].tolist() == [0, 1]
