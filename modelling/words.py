"""Figures and counts as a line of text has them."""


def show_figure(figure: float, sign: str = "") -> str:
    """Writes a metric with four places, or four digits of one that is small: 0.6300, 0.0003123.

    Args:
        figure: the metric, or a difference of two.
        sign: `+` to write that of a positive one too.
    """
    is_small = 0 < abs(figure) < 1e-3
    return f"{figure:{sign}{'.4g' if is_small else '.4f'}}"


def counted(number: float, noun: str) -> str:
    """Writes how many there are: 1 row, 1,258 rows."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"
