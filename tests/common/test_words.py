"""Figures and counts are written so that they say something, and in whole words."""

import math
import sys

import pytest

from common.words import (
    MINUS,
    counted,
    show_brief,
    show_figure,
    show_number,
    show_percent,
    three_digits,
    with_brief_numbers,
    with_minus,
)


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (0.63, "0.6300"),
        (-0.0242, "-0.0242"),
        (999.5, "999.5000"),
        (52606.0905, "52,606"),
        (-1234.7, "-1,235"),
        (0.0, "0.0000"),
        (0.00031234, "0.0003123"),
        (-0.00093, "-0.00093"),
        (1.5e-12, "1.5e-12"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-sys.float_info.max, "-inf"),  # as a store of MLflow keeps it
    ],
)
def test_a_figure_keeps_what_it_says_on_a_small_scale(figure, shown):
    assert show_figure(figure) == shown


@pytest.mark.parametrize(
    ("figure", "shown"), [(0.5312, "0.53"), (-12.0, "-12.00"), (0.0312, "0.031"), (0.0, "0.00")]
)
@pytest.mark.parametrize("metric", ["business_score", "dummy_business_score"])
def test_money_has_two_places(metric, figure, shown):
    assert show_figure(figure, metric=metric) == shown


def test_a_number_below_zero_has_a_minus_and_a_word_keeps_its_hyphen():
    said = with_minus("x-1 from -0.5 to -2, at 2024-01-05: -1e-05 of well-known")
    assert said == f"x-1 from {MINUS}0.5 to {MINUS}2, at 2024-01-05: {MINUS}1e-05 of well-known"


def test_a_difference_has_its_sign():
    assert [show_figure(one, "+") for one in (0.5, 2e-5, -2e-5)] == ["+0.5000", "+2e-05", "-2e-05"]


def test_one_is_no_plural():
    assert [counted(number, "row") for number in (0, 1.0, 2, 1258)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1,258 rows",
    ]


@pytest.mark.parametrize(
    ("figure", "shown"),
    [(52606.09, "52,600"), (0.63, "0.630"), (0.0, "0.00"), (-12.34, "-12.3"), (math.nan, "nan")],
)
def test_a_figure_in_a_sentence_has_three_digits(figure, shown):
    assert three_digits(figure) == shown


def test_a_share_has_a_place_and_an_unknown_one_a_dash():
    shown = [show_percent(share) for share in (0.12345, 1.0, math.nan)]
    assert shown == ["12.3%", "100.0%", "\N{EN DASH}"]


def test_ranges_have_four_digits():
    assert with_brief_numbers("4.292460317 to 5") == "4.292 to 5"
    assert with_brief_numbers("'a' or 12") == "'a' or 12"
    assert with_brief_numbers("9999.99 to 52606.0905") == "10000 to 52606"
    assert with_brief_numbers("below 1.234567e-07") == "below 1.235e-07"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.63, "0.6300"),
        (-0.0242, "\N{MINUS SIGN}0.0242"),
        (1258, "1,258"),
        (977.5, "977.5"),
        (float("nan"), "not a number"),
        (None, "\N{EN DASH}"),
        (-0.000926, "\N{MINUS SIGN}0.00093"),
        (3.2e-7, "3.20e\N{MINUS SIGN}07"),
    ],
)
def test_numbers_are_written_for_people(value, shown):
    assert show_number(value) == shown


def test_numbers_of_tables_are_brief():
    assert [show_brief(value) for value in (3.0, 46.5, 0.99668)] == ["3", "46.5", "0.9967"]
