"""Drift: how far rows are from those of the training."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.inspecting.drift import (
    DriftCounts,
    count_values,
    growing_columns,
    profile_rows,
    profiled_answers,
    sample_rows,
    stability_index,
)
from modelling.judging.plots import plot_drift

LIMIT = 0.2
some_counts = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)
some_values = st.lists(st.none() | st.floats(-1e6, 1e6) | st.integers(-2, 2), max_size=60)


def column(values):
    return pd.DataFrame({"x": np.array([np.nan if v is None else v for v in values], dtype=float)})


def compare(before, after, limit=LIMIT):
    counts = DriftCounts(json.loads(json.dumps(profile_rows(before))))
    counts.add(after)
    return counts.compare(limit).set_index("column")


def test_the_index_is_the_sum_of_the_differences_times_the_logarithm_of_the_ratio():
    expected, actual = np.array([500_000, 500_000]), np.array([800_000, 200_000])
    by_hand = 0.3 * np.log(0.8 / 0.5) + -0.3 * np.log(0.2 / 0.5)
    assert stability_index(expected, actual) == pytest.approx(by_hand, rel=1e-4)


@given(some_counts, some_counts)
def test_the_index_is_never_negative_always_finite_and_the_same_both_ways(first, second):
    size = min(len(first), len(second))
    a, b = np.array(first[:size]), np.array(second[:size])
    if a.sum() and b.sum():
        index = stability_index(a, b)
        assert np.isfinite(index)
        assert index >= -1e-12
        assert index == pytest.approx(stability_index(b, a))


@given(some_counts)
def test_equal_counts_have_not_drifted(counts):
    values = np.array(counts)
    if values.sum():
        assert stability_index(values, values) == pytest.approx(0)


@given(some_values, some_values)
def test_every_row_is_counted_once(training, others):
    bins = profile_rows(column(training))["x"]
    assert sum(bins["counts"]) == len(training)
    counts = count_values(column(others)["x"], bins)
    assert counts.sum() == len(others)
    assert (counts >= 0).all()
    assert counts[-1] == column(others)["x"].isna().sum()


@given(some_values, st.integers(1, 7))
def test_batches_count_as_the_whole_does(values, size):
    frame = column(values)
    profile = profile_rows(column(range(20)))
    whole, parts = DriftCounts(profile), DriftCounts(profile)
    whole.add(frame)
    for start in range(0, len(frame), size):
        parts.add(frame.iloc[start : start + size])
    pd.testing.assert_frame_equal(whole.compare(LIMIT), parts.compare(LIMIT))


def test_few_rows_of_the_same_kind_give_no_alarm():
    rng = np.random.default_rng(0)
    training = pd.DataFrame(rng.normal(size=(2000, 10))).add_prefix("c")
    alarms = [
        compare(training, pd.DataFrame(rng.normal(size=(rows, 10))).add_prefix("c"))[
            "drifted"
        ].sum()
        for rows in (5, 20, 100, 1000)
        for _ in range(5)
    ]
    assert sum(alarms) <= 1


@pytest.mark.parametrize(
    ("after", "where", "now"),
    [
        (np.linspace(1, 3, 500), "above 2", 0.498),
        (np.full(500, np.nan), "missing", 1.0),
        (np.full(500, -7.0), "below", 1.0),
    ],
)
def test_numbers_that_moved_are_found_and_the_bin_is_told(after, where, now):
    table = compare(column(np.linspace(0, 2, 1000)), pd.DataFrame({"x": after}))
    assert table.loc["x", "drifted"]
    assert where in table.loc["x", "bin"]
    assert table.loc["x", "now"] == pytest.approx(now, abs=0.01)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (np.linspace(0, 2, 1000), -7.0, "below 0"),
        (np.linspace(0, 2, 1000), 0.1, "0 to 0.1981981982"),
        (np.linspace(5, 6, 1000), 5.001, "5 to 5.099099099"),
        ([0.0] * 900 + [20240115.0] * 100, 0.0, "0 to 20240115"),
        ([0.0] * 100 + [20240115.0] * 900, 5.0, "0"),
        ([7.0] * 1000, 6.9, "below 7"),
    ],
)
def test_a_bin_is_named_by_the_values_that_it_counts(before, after, name):
    assert compare(column(before), column([after] * 500)).loc["x", "bin"] == name


def test_a_constant_column_drifts_when_it_changes_and_only_then():
    constant = column([7.0] * 300)
    assert not compare(constant, column([7.0] * 200)).loc["x", "drifted"]
    for other in (6.9, 7.1, None):
        assert compare(constant, column([other] * 200)).loc["x", "drifted"]


def test_a_column_without_a_value_in_training_drifts_when_it_has_some():
    assert compare(column([None] * 300), column([1.0] * 200)).loc["x", "drifted"]


def test_text_is_counted_by_its_frequent_values_the_others_and_the_missing():
    training = pd.DataFrame({"x": pd.Series(["a"] * 70 + ["b"] * 30 + [None] * 5, dtype="str")})
    bins = profile_rows(training)["x"]
    assert bins == {"values": ["a", "b"], "counts": [70, 30, 0, 5]}
    others = pd.Series(["b", "new", None, "a", "b"], dtype="str")
    assert count_values(others, bins).tolist() == [1, 2, 1, 1]
    table = compare(training, pd.DataFrame({"x": pd.Series(["new"] * 100, dtype="str")}))
    assert table.loc["x", "bin"] == "another value"
    assert table.loc["x", "drifted"]


def test_the_limit_is_the_recipes_where_the_rows_are_many():
    training, moved = column(np.linspace(0, 2, 5000)), column(np.linspace(0.3, 2.3, 5000))
    psi = compare(training, moved).loc["x", "psi"]
    assert not compare(training, moved, psi + 0.01).loc["x", "drifted"]
    assert compare(training, moved, psi - 0.01).loc["x", "drifted"]


def test_of_a_binary_classification_the_probability_is_watched_of_many_classes_the_class():
    answers = pd.DataFrame({"prediction": [0, 1], "probability_0": [1, 0], "probability_1": [0, 1]})
    watched = profiled_answers(answers, {"decision": {"positive_class": 1, "threshold": 0.5}})
    assert watched.to_dict("list") == {"(probability of 1)": [0, 1]}
    watched = profiled_answers(answers, {"decision": None})
    assert watched.to_dict("list") == {"(prediction)": ["0", "1"]}
    assert profile_rows(watched)["(prediction)"]["values"] == ["0", "1"]


def test_a_sample_is_spread_over_all_rows():
    frame = pd.DataFrame({"x": np.arange(250_000)})
    sample = sample_rows(frame)
    assert 50_000 < len(sample) <= 100_000
    assert sample["x"].iloc[-1] > 249_990
    assert sample_rows(frame.head(7)).equals(frame.head(7))


def test_the_plot_shows_a_bar_a_column_and_the_limit():
    table = compare(
        pd.DataFrame({"same": np.arange(500.0), "moved": np.arange(500.0)}),
        pd.DataFrame({"same": np.arange(500.0), "moved": np.arange(500.0) + 400}),
    ).reset_index()
    axes = plot_drift(table, LIMIT).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["same", "moved"]
    colours = {patch.get_facecolor() for patch in axes.patches}
    assert len(colours) == 2
    assert axes.lines[0].get_xdata()[0] == LIMIT
    assert not axes.collections


def test_the_plot_shows_the_limit_of_a_column_that_has_a_higher_one():
    table = compare(column(np.arange(500.0)), column(np.arange(5.0))).reset_index()
    applied = table.loc[0, "limit"]
    assert applied > LIMIT
    (marks,) = plot_drift(table, LIMIT).axes[0].collections
    assert marks.get_offsets().tolist() == [[applied, 0]]


def test_a_number_that_never_falls_in_time_can_only_grow():
    """By a date of the rows, or a rank; whatever order the rows have."""
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(40.0), 25)
    rows = pd.DataFrame(
        {
            "meter": np.cumsum(rng.uniform(0, 2, 1000)),
            "year": 2019 + day // 10,
            "late": np.where(day == 20, 5.0, day),
            "gaps": np.where(rng.uniform(size=1000) < 0.1, np.nan, day),
            "noise": rng.normal(size=1000),
            "trend": day + rng.normal(0, 3, 1000),
            "same": 1.0,
            "text": "a",
        }
    ).sample(frac=1, random_state=0)
    times = pd.Series(day, index=range(1000)).loc[rows.index]
    found = growing_columns(rows, [rows["noise"].sort_values(), times], 1000)
    assert found == ["meter", "year", "gaps"]
    assert growing_columns(rows, [], 1000) == []
    assert growing_columns(rows, [times // 10], 1000) == []  # four times show nothing


@pytest.mark.parametrize(
    ("values", "is_counter"),
    [
        (np.arange(5000, 6000), True),
        (np.arange(5000, 7000, 2), True),
        (np.arange(5000, 8000, 3), False),
        (np.arange(5000, 5090), False),
        (np.arange(1000) // 2, False),
        (np.arange(1000) + 0.5, False),
    ],
)
def test_the_rows_own_numbers_can_only_grow(values, is_counter):
    rows = pd.DataFrame({"x": values.astype(float)}).sample(frac=1, random_state=0)
    assert (growing_columns(rows, [], len(rows)) == ["x"]) is is_counter
    sample = rows.head(len(rows) // 2)
    assert (growing_columns(sample, [], len(rows)) == ["x"]) is (is_counter and len(rows) > 100)


@pytest.mark.parametrize(
    ("after", "is_alarm"),
    [
        (np.arange(1000, 1500), False),
        (np.arange(950, 1050), False),
        (np.arange(-500, 0), True),
        (np.arange(100), True),
        ([*range(1000, 1500), *range(300)], True),
        ([*range(1000, 1500), 3], False),
        ([*range(1000, 1500), *[None] * 400], True),
    ],
    ids=["after", "the end", "before", "the beginning", "again", "one late", "many missing"],
)
def test_what_can_only_grow_gives_no_alarm_by_growing(after, is_alarm):
    before, now = column(range(1000)), column(after)
    assert compare(before, now).loc["x", "drifted"]
    for profile, dates in (
        (profile_rows(before, ["x"]), []),
        (profile_rows(before), ["x"]),
    ):
        counts = DriftCounts(json.loads(json.dumps(profile)), dates)
        counts.add(now)
        (row,) = counts.compare(LIMIT).to_dict("records")
        assert (row["drifted"], row["grown"]) == (is_alarm, not is_alarm)
        assert counts.grown(LIMIT)["column"].tolist() == ([] if is_alarm else ["x"])


def compare_weighted(before, weights, after, others):
    profile = profile_rows(before, weights=np.array(weights, dtype=float))
    counts = DriftCounts(json.loads(json.dumps(profile)), weighted=True)
    for part in np.array_split(np.arange(len(after)), 3):
        counts.add(after.iloc[part], np.array(others, dtype=float)[part])
    return counts.compare(LIMIT).set_index("column")


@given(some_values, some_values)
def test_what_each_weighs_one_is_how_many_there_are(training, others):
    text = pd.DataFrame({"t": [None if v is None else str(v) for v in others]}, dtype="str")
    for frame, bins in (
        (column(others)["x"], profile_rows(column(training))["x"]),
        (text["t"], {"values": ["1", "0"]}),
    ):
        weighed = count_values(frame, bins, np.ones(len(others)))
        assert weighed.tolist() == count_values(frame, bins).tolist()


def test_rows_that_all_weigh_the_same_drift_as_rows_do():
    before, after = column(range(300)), column(range(60, 360))
    plain = compare(before, after)
    pd.testing.assert_frame_equal(
        compare_weighted(before, [2.5] * 300, after, [7] * 300), plain, check_exact=False
    )
    assert plain["drifted"].all()


def test_drift_is_of_what_rows_weigh_where_the_training_knows_it():
    rows = column([0, 1] * 200)
    even, odd = [1] * 400, [3, 1] * 200
    assert not compare_weighted(rows, even, rows, even)["drifted"].any()
    assert compare_weighted(rows, even, rows, odd)["drifted"].all()
    nothing = column([5] * 400)
    both = pd.concat([rows, nothing], ignore_index=True)
    assert compare_weighted(rows, even, both, [*even, *[0] * 400]).loc["x", "psi"] < 0.01
    few = compare_weighted(rows, even, rows, [1e6, 1, *[0] * 398])  # that tell as little as one
    assert not few["drifted"].any()
    counts = DriftCounts(profile_rows(rows), weighted=True)  # of a model of before
    counts.add(rows, np.array(odd, dtype=float))
    assert not counts.compare(LIMIT)["drifted"].any()


def test_both_sides_of_a_distribution_are_of_what_rows_weigh():
    rows, weights = column([0] * 50 + [1] * 50), np.repeat([9.0, 1.0], 50)
    counts = DriftCounts(profile_rows(rows, weights=weights), weighted=True)
    counts.add(rows, weights)
    (shown,) = counts.shares().to_dict("records")
    assert shown["now"] == pytest.approx([0, 0.9, 0.1, 0])
    assert shown["in training"] == pytest.approx(shown["now"])


def test_no_column_is_no_drift():
    assert DriftCounts({}).compare(0.25)["psi"].empty
