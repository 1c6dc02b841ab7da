"""What a comparison with the champion is told by."""

from types import SimpleNamespace

import pytest

from modelling.gate import Comparison
from steps.register import _compared


def test_figures_of_a_small_scale_are_told_apart():
    row = Comparison(
        "rmse", "champion", 0.0002, 0.00031, "better", True, low=-0.00012346, high=-0.00009
    )
    assert _compared(row, False, SimpleNamespace(version="3")).reason == (
        "better than the champion: rmse 0.0002 against 0.00031 of the champion, version 3: "
        "-0.00011 (better), interval [-0.0001235, -9e-05]"
    )


@pytest.mark.parametrize(
    ("greater_is_better", "low", "high", "says"),
    [
        (False, 0.01, 0.09, "worse with 95% confidence: rmse 0.65 against 0.6 "),
        (False, -0.01, 0.09, "not better with 95% confidence: rmse 0.65 against 0.6 "),
        (True, -0.01, 0.09, "not better with 95% confidence: rmse 0.65 against 0.6 "),
    ],
)
def test_a_challenger_is_told_whether_it_is_worse(greater_is_better, low, high, says):
    required = "better with 95% confidence"
    row = Comparison("rmse", "champion", 0.65, 0.6, required, False, low=low, high=high)
    reason = _compared(row, greater_is_better, SimpleNamespace(version="3")).reason
    assert says in reason.replace("0.6500", "0.65").replace("0.6000", "0.6")
    assert f"({'better' if greater_is_better else 'worse'})" in reason
