"""Figures and counts as a line of text has them."""

import re


def places_of(metric: str) -> int:
    """Returns how many decimal places a metric is shown with: two of money, else four."""
    return 2 if metric.endswith("business_score") else 4


def show_figure(figure: float, sign: str = "", metric: str = "") -> str:
    """Writes a metric with its places, or as many digits of one that is small: 0.6300, 0.0003123.

    Args:
        figure: the metric, or a difference of two.
        sign: `+` to write that of a positive one too.
        metric: its name.
    """
    places = places_of(metric)
    is_small = 0 < abs(figure) < 10 ** (1 - places)
    return f"{figure:{sign}.{places}{'g' if is_small else 'f'}}"


def with_brief_numbers(words: str) -> str:
    """Writes the numbers in words with four digits: 4.292460317 to 5 becomes 4.292 to 5."""
    return re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.4g}", words)


def counted(number: float, noun: str, several: str = "") -> str:
    """Writes how many there are: 1 row, 1,258 rows; 2 classes, where several is said."""
    return f"{number:,.0f} {noun if number == 1 else several or noun + 's'}"
