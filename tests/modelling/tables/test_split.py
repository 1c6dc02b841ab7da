"""Rows are sent to one side by their content, wherever they stand in the file."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.errors import InputError
from modelling.kinds import ROW_KEY
from modelling.recipe import Split
from modelling.tables.split import split_table

METHODS = ["hash", "random", "stratified"]

NEGATIVE_NAN = np.array([0xFFF8000000000001], dtype=np.uint64).view(np.float64)[0]
cells = st.sampled_from([0.0, -0.0, 1.0, 2.5, np.nan, NEGATIVE_NAN])
tables = st.lists(
    st.tuples(cells, cells, st.sampled_from([1.0, 2.0])), min_size=12, max_size=60
).map(lambda rows: pd.DataFrame(rows, columns=["a", "b", "y"]))
seeds = st.integers(0, 2**32 - 1)


GIVEN = {
    "time": {"time_column": "g"},
    "group": {"column": "g"},
    "column": {"column": "g"},
    "own": {"function": "own.side"},
}


def given_for(method, sides):
    """What says the side of each row, for the methods that need it: (n,) or nothing."""
    if method not in GIVEN:
        return None
    numbers = pd.Series(sides)
    return {"time": numbers, "group": numbers.map("G{}".format)}.get(
        method, numbers.mod(2).map({0: "train", 1: "test"})
    )


def split_or_skip(frame, given=None, **settings):
    """The split, for a random table that is large enough to have one."""
    try:
        return split_table(frame, "y", Split(test_size=0.4, **settings), given)
    except InputError:
        assume(False)


def contents(side):
    """The rows of a side as a sorted list, equal for equal rows: -0.0 as 0.0, NaN as text."""
    return sorted(map(str, (side.drop(columns=ROW_KEY) + 0.0).itertuples(index=False, name=None)))


def many(rows=2000, seed=0):
    numbers = np.random.default_rng(seed)
    values = numbers.normal(size=(rows, 2))
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "y": numbers.integers(3, 9, rows)})


@pytest.mark.parametrize("method", METHODS)
@given(frame=tables, seed=seeds)
def test_every_row_is_on_one_side(method, frame, seed):
    split = split_or_skip(frame, method=method, seed=seed)
    both = pd.concat([split.train, split.test])
    assert contents(both) == contents(frame.assign(row_key=0))
    assert both[ROW_KEY].is_unique


@given(frame=tables, seed=seeds)
def test_equal_feature_rows_are_on_the_same_side(frame, seed):
    split = split_or_skip(frame, seed=seed)
    train, test = (set(contents(side.drop(columns="y"))) for side in (split.train, split.test))
    assert not train & test
    assert split.duplicates_across_split == 0


@pytest.mark.parametrize("method", [*METHODS, *GIVEN])
@given(frame=tables, seed=seeds, order=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(method, frame, seed, order):
    frame["given"] = [order.randrange(4) for _ in range(len(frame))]
    rows = list(range(len(frame)))
    order.shuffle(rows)
    split, again = (
        split_or_skip(
            table.drop(columns="given"),
            given_for(method, table["given"]),
            method=method,
            seed=seed,
            **GIVEN.get(method, {}),
        )
        for table in (frame, frame.iloc[rows].reset_index(drop=True))
    )
    pd.testing.assert_frame_equal(split.train, again.train)
    pd.testing.assert_frame_equal(split.test, again.test)
    assert split.duplicate_rows == again.duplicate_rows


@given(frame=tables, more=tables, seed=seeds)
def test_a_grown_table_leaves_its_rows_where_they_were(frame, more, seed):
    split = split_or_skip(frame, seed=seed)
    grown = split_or_skip(pd.concat([frame, more], ignore_index=True), seed=seed)
    assert set(split.train[ROW_KEY]) <= set(grown.train[ROW_KEY])
    assert set(split.test[ROW_KEY]) <= set(grown.test[ROW_KEY])


@given(frame=tables, seed=seeds)
def test_the_order_of_the_columns_changes_nothing(frame, seed):
    split = split_or_skip(frame, seed=seed)
    again = split_or_skip(frame[["y", "b", "a"]], seed=seed)
    assert list(split.test[ROW_KEY]) == list(again.test[ROW_KEY])


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(test_size=st.floats(0.05, 0.95), seed=seeds)
def test_the_size_is_near_the_one_asked_for(method, test_size, seed):
    frame = many()
    split = split_table(frame, "y", Split(method=method, test_size=test_size, seed=seed))
    share = len(split.test) / len(frame)
    assert abs(share - test_size) < (0.06 if method == "hash" else 0.001)


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_is_another_split(method):
    frame = many(200)
    first, second = (
        split_table(frame, "y", Split(method=method, seed=seed)).test[ROW_KEY] for seed in (0, 1)
    )
    assert set(first) != set(second)


def test_stratified_keeps_the_shares_of_the_target():
    frame = many().assign(y=[0.0] * 1500 + [1.0] * 500)
    split = split_table(frame, "y", Split(method="stratified"))
    assert split.test["y"].mean() == split.train["y"].mean() == 0.25


def test_time_sends_the_latest_rows_to_the_test_side():
    frame = many(100)
    days = pd.Series(np.random.default_rng(1).permutation(100))
    settings = Split(method="time", time_column="day", test_size=0.25)
    split = split_table(frame, "y", settings, days)
    assert len(split.test) == 25
    assert set(split.test["a"]) == set(frame["a"][days >= 75])


@pytest.mark.parametrize("start", [0, pd.Timestamp("2026-01-01")])
def test_a_gap_in_time_is_on_neither_side(start):
    frame = many(100)
    numbers = np.random.default_rng(1).permutation(100)
    days = pd.Series(numbers if start == 0 else start + pd.to_timedelta(numbers, unit="D"))
    settings = Split(method="time", time_column="day", test_size=0.25, gap=7)
    split = split_table(frame, "y", settings, days)
    assert set(split.test["a"]) == set(frame["a"][numbers >= 75])
    assert set(split.train["a"]) == set(frame["a"][numbers <= 75 - 7])
    assert split.rows_in_gap == 6


def test_a_gap_that_leaves_nothing_is_told(refusal):
    settings = Split(method="time", time_column="day", test_size=0.25, gap=99)
    says = refusal(split_table, many(100), "y", settings, pd.Series(np.arange(100.0)))
    assert "0 training and 25 test rows" in says
    assert says.endswith("; 75 rows in split.gap 99")


def test_groups_that_are_all_on_one_side_are_told(refusal):
    groups = pd.Series(["a"] + ["b"] * 99)
    says = refusal(split_table, many(100), "y", Split(method="group", column="g", seed=3), groups)
    assert says.startswith("split.column 'g': the groups that are drawn leave ")
    assert says.endswith("use another split.seed, or split.test_size")


def test_groups_are_drawn_as_many_of_each_class_in_any_order():
    rng = np.random.default_rng(0)
    frame = many(1000)
    groups = pd.Series(rng.integers(0, 60, 1000)).map("G{}".format)
    is_rare = groups.isin([f"G{number}" for number in range(10)])
    frame["y"] = np.where(is_rare, "rare", "often")
    for seed in range(5):
        settings = Split(method="group", column="g", stratify=True, seed=seed)
        split = split_table(frame, "y", settings, groups)
        tested = {*groups.iloc[split.test_rows]}
        assert not tested & {*groups.iloc[split.train_rows]}
        assert len(tested & {*groups[is_rare]}) == 2
        assert len(tested) == 12
        back = frame.iloc[::-1].reset_index(drop=True)
        again = split_table(back, "y", settings, groups.iloc[::-1].reset_index(drop=True))
        assert {*again.test[ROW_KEY]} == {*split.test[ROW_KEY]}


def test_time_with_a_missing_value_is_refused(refusal):
    days = pd.Series([1.0, np.nan] * 50)
    settings = Split(method="time", time_column="day")
    message = refusal(split_table, many(100), "y", settings, days)
    assert message == "split.time_column 'day' has missing values"


def test_duplicates_are_counted_and_so_is_their_leak():
    frame = pd.concat([many(100)] * 2, ignore_index=True)
    by_content = split_table(frame, "y", Split())
    at_random = split_table(frame, "y", Split(method="random"))
    assert by_content.duplicate_rows == at_random.duplicate_rows == 100
    assert by_content.duplicates_across_split == 0
    leaks = np.isin(at_random.test["a"], at_random.train["a"]).sum()
    assert at_random.duplicates_across_split == leaks > 0


def test_equal_rows_of_other_groups_are_duplicates_still():
    frame = pd.concat([many(100)] * 2, ignore_index=True)
    who = pd.Series(np.arange(200) % 50 + np.arange(200) // 100).map("P{}".format)
    assert split_table(frame, "y", GROUPED, who).duplicate_rows == 100


def test_the_wines_have_240_duplicates_and_none_crosses(wines):
    split = split_table(wines, "quality", Split(seed=0))
    assert (split.duplicate_rows, split.duplicates_across_split) == (240, 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_table_too_small_to_split_is_refused(method, rows, refusal):
    frame = pd.DataFrame({"a": np.arange(rows) * 1.0, "y": 1.0})
    assert "split" in refusal(split_table, frame, "y", Split(method=method))


def test_too_small_says_how_many_rows_each_side_would_have(refusal):
    frame = pd.DataFrame({"a": [1.0] * 5, "y": [1.0, 2.0, 3.0, 4.0, 5.0]})
    message = refusal(split_table, frame, "y", Split(test_size=0.01))
    assert message == (
        "a table of 5 rows is too small to split: 5 training and 0 test rows at split.test_size "
        "0.01, at least 2 each are needed"
    )


def test_a_class_too_rare_to_stratify_is_refused(refusal):
    frame = many(500).assign(y=np.arange(500) * 1.0)
    message = refusal(split_table, frame, "y", Split(method="stratified"))
    assert "cannot be split by method 'stratified'" in message
    assert "least populated class" in message


def test_a_column_with_the_name_of_the_key_is_refused(refusal):
    message = refusal(split_table, many(50).rename(columns={"a": ROW_KEY}), "y", Split())
    assert message == "no column may be named 'row_key': the split gives each row its key there"


def test_a_column_may_have_the_name_of_a_parameter():
    frame = many().rename(columns={"a": "self", "b": "func"})
    split = split_table(frame, "y", Split())
    assert {"self", "func"} < set(split.train.columns)


def test_a_wide_table_is_split_without_a_warning():
    columns = {f"c{number}": pd.Series([1.0, 2, 3, number]) for number in range(200)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = split_table(
            pd.DataFrame(columns, copy=False), "c0", Split(method="random", test_size=0.5)
        )
    assert list(split.rows) == [ROW_KEY, *columns]


GROUPED = Split(method="group", column="who", test_size=0.3)


def test_all_rows_of_a_group_are_on_one_side_and_stay_there_when_the_table_grows():
    frame = many(300)
    who = pd.Series([f"P{number % 60:02}" for number in range(300)])
    split = split_table(frame, "y", GROUPED, who)
    tested = {*who[split.test_rows]}
    assert not tested & {*who[split.train_rows]}
    assert 9 <= len(tested) <= 27
    shorter = split_table(frame.head(150), "y", GROUPED, who.head(150))
    assert {*who[shorter.test_rows]} <= tested
    assert set(shorter.test[ROW_KEY]) <= set(split.test[ROW_KEY])


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (["a"] * 100, "split.column 'who' is 'a' in all rows; at least two groups are needed"),
        (["a", None] * 50, "split.column 'who' has missing values"),
    ],
)
def test_no_groups_are_refused(who, says, refusal):
    assert refusal(split_table, many(100), "y", GROUPED, pd.Series(who, dtype="str")) == says


SAID = Split(method="column", column="fold")


def test_a_column_may_say_the_side():
    frame = many(100)
    fold = pd.Series(["train", "Test", "training", "TESTING"] * 25)
    split = split_table(frame, "y", SAID, fold)
    assert sorted(split.test_rows) == [*range(1, 100, 2)]


def test_a_side_that_is_none_is_told(refusal):
    fold = pd.Series(["train", "test", "x", "b"] * 25)
    says = "split.column 'fold' is 'b' in 50 rows; it says train or test"
    assert refusal(split_table, many(100), "y", SAID, fold) == says
