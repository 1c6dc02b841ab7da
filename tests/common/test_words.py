"""Figures and counts are written so that they say something, and in whole words."""

import math

import pytest

from common.words import counted, show_figure


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (0.63, "0.6300"),
        (-0.0242, "-0.0242"),
        (1234.5, "1234.5000"),
        (0.0, "0.0000"),
        (0.00031234, "0.0003123"),
        (-0.00093, "-0.00093"),
        (1.5e-12, "1.5e-12"),
        (math.nan, "nan"),
        (math.inf, "inf"),
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


def test_a_difference_has_its_sign():
    assert [show_figure(one, "+") for one in (0.5, 2e-5, -2e-5)] == ["+0.5000", "+2e-05", "-2e-05"]


def test_one_is_no_plural():
    assert [counted(number, "row") for number in (0, 1.0, 2, 1258)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1,258 rows",
    ]
