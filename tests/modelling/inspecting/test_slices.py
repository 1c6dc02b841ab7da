"""For whom a model is good: named parts of the test rows, and the bad one found without a name."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.errors import InputError
from modelling.inspecting import slices
from modelling.inspecting.slices import EvaluatedRows, find_slices, measure_slices
from modelling.judging import intervals
from modelling.judging.answers import Answers
from modelling.judging.metrics import BINARY_METRICS, REGRESSION_METRICS, Metric

ROWS = 2000


def evaluated(is_bad, seed):
    """Errors of 1, and of 3 in the bad part."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": rng.integers(18, 90, ROWS).astype(float),
            "region": rng.choice(["north", "south", "west"], ROWS),
            "income": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(40, 5, ROWS)),
        }
    )
    scale = np.where(is_bad(rows), 3, 1) if is_bad else np.ones(ROWS)
    targets = rng.normal(size=ROWS)
    answers = Answers(targets + scale * rng.normal(size=ROWS))
    return EvaluatedRows(rows, answers, targets, "rmse", REGRESSION_METRICS["rmse"], seed)


def found(given):
    return find_slices(given, given.answers.predictions - given.targets)


def test_named_slices_are_measured_with_their_interval():
    given = evaluated(lambda rows: rows["age"] > 60, 0)
    table = measure_slices(given, ("region", "age > 60", "missing(income)", "income"))
    assert list(table["slice"])[3:5] == ["age > 60", "missing(income)"]
    assert set(table["slice"][:3]) == {"region = north", "region = south", "region = west"}
    assert len(table) == 3 + 2 + 4
    assert table["rows"][:3].sum() == ROWS
    old = table.set_index("slice").loc["age > 60"]
    mask = given.rows["age"] > 60
    errors = (given.answers.predictions - given.targets)[mask]
    assert old["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert old["low"] < old["rmse"] < old["high"]
    assert old["difference"] == pytest.approx(
        old["rmse"] - given.metric(given.answers, given.targets)
    )
    assert table.loc[table["worse"], "slice"].tolist() == ["age > 60"]


@pytest.mark.parametrize(
    ("is_bad", "words"),
    [
        (lambda rows: rows["age"] > 75, "age above 7"),
        (lambda rows: rows["region"] == "south", "region = south"),
    ],
)
def test_a_bad_slice_is_found_without_its_name(is_bad, words):
    for seed in range(5):
        table = found(evaluated(is_bad, seed))
        (name,) = table["slice"]
        assert name.startswith(words)
        assert table["difference"][0] > 0.8


def test_where_there_is_none_none_is_found():
    assert sum(len(found(evaluated(None, seed))) for seed in range(20)) <= 1


def test_a_class_that_a_slice_lacks_leaves_its_figure_unknown():
    rng = np.random.default_rng(0)
    targets = (np.arange(300) < 150).astype(float)
    rows = pd.DataFrame({"half": np.where(targets == 1, "a", "b")})
    answers = Answers(targets, rng.random(300))
    given = EvaluatedRows(rows, answers, targets, "roc_auc", BINARY_METRICS["roc_auc"], 0)
    table = measure_slices(given, ("half",))
    assert table["roc_auc"].isna().all()
    assert not table["worse"].any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("regoin", "region"),
        ("missing(incom)", "income"),
        ("agee > 60", "age"),
        ("region > 3", "slices"),
    ],
)
def test_a_slice_that_cannot_be_is_refused_by_name(text, words):
    with pytest.raises(InputError, match=words):
        measure_slices(evaluated(None, 0), (text,))


@pytest.mark.parametrize("seed", range(4))
def test_a_column_with_hardly_a_value_is_no_obstacle(seed):
    given = evaluated(None, seed)
    note = pd.Series([None] * ROWS, dtype="str")
    note[7] = "call back"
    assert len(found(replace(given, rows=given.rows.assign(note=note)))) <= 1


def test_no_group_is_in_both_halves():
    groups = np.repeat(np.arange(50), 40)
    order, half = slices._halves(replace(evaluated(None, 3), groups=groups))
    assert sorted(order) == list(range(ROWS))
    assert not {*groups[order[:half]]} & {*groups[order[half:]]}
    assert abs(half - ROWS / 2) <= 40


def test_what_is_found_is_confirmed_by_other_groups():
    """Else what a group has is taken for what a column says."""
    wrongly = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(30), 20)
        rows = pd.DataFrame(rng.normal(size=(30, 4))[groups], columns=list("abcd"))
        answers = Answers(rng.normal(size=600) * (rng.random(30) * 3)[groups])
        metric = REGRESSION_METRICS["rmse"]
        given = EvaluatedRows(rows, answers, np.zeros(600), "rmse", metric, seed, groups)
        wrongly += len(found(given)) > 0
    assert wrongly <= 2


def test_of_one_group_nothing_is_told():
    given = evaluated(lambda rows: rows["age"] > 60, 0)
    groups = (given.rows["age"] > 60).to_numpy().astype(int)
    table = measure_slices(replace(given, groups=groups), ("age > 60",))
    assert table["low"].isna().all()
    assert not table["worse"].any()


@pytest.mark.parametrize("share", [None, 0.5])
def test_a_metric_that_fails_on_a_part_has_no_figure_there(share, monkeypatch):
    given = evaluated(None, 0)
    if share:  # as of very many rows
        monkeypatch.setattr(intervals, "rows_to_draw", lambda targets, is_classes: len(targets) / 2)

    def fails(_predictions, targets):
        if len(targets) < ROWS / 2:
            raise ZeroDivisionError
        return float(np.mean(np.abs(targets)))

    own = replace(given, metric=Metric(fails, greater_is_better=False))
    table = measure_slices(own, ("age > 60",))
    assert table["rmse"].isna().all()
    assert not table["worse"].any()
