"""What a comparison with the champion is told by."""

from types import SimpleNamespace

from modelling.gate import Comparison
from steps.register import _compared


def test_figures_of_a_small_scale_are_told_apart():
    row = Comparison(
        "rmse", "champion", 0.0002, 0.00031, "better", True, low=-0.00012346, high=-0.00009
    )
    assert _compared(row, SimpleNamespace(version="3")).reason == (
        "better than the champion: rmse 0.0002 against 0.00031 of the champion, version 3: "
        "-0.00011, interval [-0.0001235, -9e-05]"
    )
