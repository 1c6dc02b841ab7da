"""What each check says of its facts, and what is shown of it."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from modelling.judging.checks import Facts, Finding, PlainModel, first_of_each, run_checks

SAME = PlainModel(figure=0.6, is_better=False, is_worse=False, seconds=0.02)
FACTS = Facts("rmse", False, test=0.6, train=0.5, naive=0.8, plain=SAME, seconds=0.01)


@pytest.fixture
def refuse_recipe(recipe_with):
    def refuse(**sections):
        with pytest.raises(ValidationError) as caught:
            recipe_with(**sections)
        return str(caught.value)

    return refuse


def said(facts):
    return {one.code: one.sentence for one in run_checks(facts) if one.sentence}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"seconds": 5.0}, ["slow"]),
        ({"seconds": 0.09}, []),  # more than ten times as slow, and nobody notices
        ({"seconds": 5.0, "plain": replace(SAME, is_worse=True)}, []),
        ({"plain": replace(SAME, figure=0.5, is_better=True)}, ["plain_model"]),
        ({"plain": replace(SAME, figure=0.599, is_better=True)}, []),
        ({"plain": replace(SAME, figure=0.5, is_better=True), "train": 0.1}, ["overfitting"]),
        (
            {
                "plain": replace(SAME, figure=0.5, is_better=True),
                "train": 0.1,
                "apart": {"a": 0.4},  # which may be why
            },
            ["plain_model", "drift"],
        ),
        ({"train": 0.1}, []),  # as a forest, which is good nevertheless
        ({"edges": ["alpha = 1 is near the highest value"]}, ["search_edge"]),
        ({"shared_rows": 2}, ["shared_rows"]),
        ({"explained": {"a": 0.96, "b": 0.1}}, ["leak"]),
        ({"importance": {"a": (0.1, 0.01), "b": (0.001, 0.002)}}, ["useless_columns"]),
        (
            {"constant": ["a"], "rows": 9, "duplicate_rows": 3},
            ["constant_columns", "duplicate_rows"],
        ),
        ({"left_out": {"data.where": 2, "split.gap": 0}}, ["left_out_rows"]),
    ],
)
def test_a_check_says_what_its_facts_show(changes, codes):
    found = said(replace(FACTS, **changes))
    assert list(found) == codes
    assert not any("  " in sentence for sentence in found.values())


def test_a_check_without_its_facts_says_nothing_at_all():
    assert [one.code for one in run_checks(Facts(few_rows=""))] == ["few_rows"]


def test_more_is_better_of_other_metrics():
    facts = replace(FACTS, greater_is_better=True, naive=0.5, test=0.6, train=0.99)
    better = PlainModel(figure=0.7, is_better=True, is_worse=False, seconds=0.02)
    assert list(said(replace(facts, plain=better))) == ["overfitting"]


def test_the_first_finding_of_a_code_is_shown_and_what_is_muted_is_not():
    findings = [
        Finding("drift", "Drift", "note", ""),
        Finding("slow", "Slow", "note", "slow"),
        Finding("leak", "Leak", "severe", "a tells"),
        Finding("drift", "Drift", "note", "of all columns"),
        Finding("few_rows", "Few", "severe", "2 rows"),
    ]
    shown = first_of_each(findings, mute=["few_rows"])
    assert [(one.code, one.sentence) for one in shown] == [
        ("leak", "a tells"),
        ("slow", "slow"),
        ("drift", ""),
    ]


def test_a_code_that_nobody_knows_cannot_be_muted(recipe_with, refuse_recipe):
    assert "did you mean 'leak'?" in refuse_recipe(checks={"mute": ["leek"]})
    assert recipe_with(checks={"mute": ["leak"]}).checks.mute == ("leak",)
    own = {"functions": {"fares": "taxi.fares"}, "mute": ["fares"]}
    assert recipe_with(checks=own).checks.mute == ("fares",)
    taken = {"functions": {"leak": "taxi.fares"}}
    assert "code of a check" in refuse_recipe(checks=taken)
