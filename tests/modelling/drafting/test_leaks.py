"""What each column says of the target: looked into only where it may be much."""

import numpy as np
import pandas as pd
import pytest

from modelling.drafting import leaks

ROWS = 400
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, ROWS))
SIGNS = RNG.choice([-1.0, 1.0], ROWS)
SKEWED = pd.Series(np.exp(3 * A))
COLUMNS = {
    **{f"noise {scale}": pd.Series(A + scale * B) for scale in (0.05, 0.3, 9)},
    "line": 2 * SKEWED,
    "both ways": pd.Series(A * SIGNS),
    "gaps": pd.Series(A).where(B > -1),
    "code": pd.Series([f"v{round(5 * value)}" for value in A], dtype="str"),
    "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(pd.Series(1000 * A).round(), "D"),
}
TARGETS = {
    "number": pd.Series(A),
    "skewed": SKEWED,
    "two": pd.Series(A > 0.5),
    "three": pd.Series(np.select([A < -1, A < 1], ["low", "middle"], "high"), dtype="str"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_column_that_says_much_is_never_passed_over(name, monkeypatch):
    frame, targets = pd.DataFrame(COLUMNS), TARGETS[name]
    kinds = dict.fromkeys(frame, "number") | {"code": "category", "day": "date"}
    task = "regression" if targets.dtype.kind == "f" else "classification"
    found = leaks.score_each(frame, kinds, targets, task, iter)
    monkeypatch.setattr(leaks, "_LITTLE", -np.inf)
    whole = leaks.score_each(frame, kinds, targets, task, iter)
    passed = {column for column, score in found.items() if np.isnan(score.value)}
    assert passed
    assert max(whole[column].value for column in passed) < 0.9
    for column in found.keys() - passed:
        assert found[column] == whole[column]


@pytest.mark.parametrize(("columns", "rows"), [(10, 10_000), (1000, 3000), (5000, 2000)])
def test_of_many_columns_fewer_rows_are_looked_at(columns, rows):
    targets = pd.Series(np.resize(["yes", "no", "no"], 12_000))
    assert len(leaks.sample_rows(targets, "classification", columns)) == rows


def test_of_one_row_too_many_none_is_left_out():
    """Each class would have to be among those that are."""
    targets = pd.Series(np.resize(["yes", "no", "no"], 10_001))
    assert len(leaks.sample_rows(targets, "classification", 10)) == 10_001


def test_a_class_that_has_gaps_in_each_row_is_no_sum():
    targets = pd.Series(np.resize(["yes", "no"], 200))
    refund = pd.Series(np.arange(200.0)).where(targets == "yes")
    frame = pd.DataFrame({"refund": refund, "a": np.arange(200.0) % 7})
    kinds = dict.fromkeys(frame, "number")
    assert leaks.find_sum(frame, kinds, targets, "classification", 0.9)[0] == []
