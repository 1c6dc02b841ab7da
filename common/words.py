"""Figures and counts as a line of text has them."""

import math
import re
import sys
from typing import Any

MINUS = "\N{MINUS SIGN}"
"""What stands before a figure below zero, where it is shown to a person."""
_LARGE = 1000
_MOST_PLACES = 6


def is_finite(figure: float) -> bool:
    """Says whether a figure is a finite one; MLflow's store keeps infinity as the largest float."""
    return abs(figure) < sys.float_info.max


def places_of(metric: str) -> int:
    """Returns how many decimal places a metric is shown with: two of money, else four."""
    return 2 if metric.endswith("business_score") else 4


def show_figure(figure: float, sign: str = "", metric: str = "") -> str:
    """Writes a metric with its places, or as it is large or small: 0.6300, 52,606, 0.0003123.

    Args:
        figure: the metric, or a difference of two.
        sign: `+` to write that of a positive one too.
        metric: its name.
    """
    if not is_finite(figure):
        return str(figure if math.isnan(figure) else math.copysign(math.inf, figure))
    if abs(figure) >= _LARGE:
        return f"{figure:{sign},.0f}"
    places = places_of(metric)
    is_small = 0 < abs(figure) < 10 ** (1 - places)
    return f"{figure:{sign}.{places}{'g' if is_small else 'f'}}"


def three_digits(figure: float) -> str:
    """Writes a number with three digits, as in a sentence: 52,600 and 0.630."""
    if not is_finite(figure):
        return show_figure(figure)
    places = 2 - math.floor(math.log10(abs(figure) or 1))
    return f"{round(figure, places):,.{max(0, places)}f}"


def show_number(value: Any, digits: int = 4) -> str:
    """Writes a number for a person: 1,258 and 0.6300, with a true minus; words as they are."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if math.isnan(value):
        return "not a number"
    if not is_finite(value):
        return "infinite" if value > 0 else f"{MINUS}infinite"
    value += 0  # so that no zero has a minus
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10):
        text = f"{value:,.0f}"
    elif abs(value) >= 1000:
        text = f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3e}"
    elif value and abs(value) < 10 ** (1 - digits):
        places = 1 - math.floor(math.log10(abs(value)))  # two digits that say something
        text = f"{value:.{places}f}" if places <= _MOST_PLACES else f"{value:.2e}"
    else:
        text = f"{value:.{digits if abs(value) < 100 else 1}f}"
    return text.replace("-", MINUS)


def show_brief(value: Any) -> str:
    """Writes a number of a table with four digits and no idle zero: 3, 46.5, 0.9967."""
    if not isinstance(value, float) or not is_finite(value) or abs(value) >= 10_000:
        return show_number(value)
    places = 4 if abs(value) < 1000 else 0
    text = f"{value:,.0f}" if places == 0 else f"{value:.4g}"
    return text.replace("-", MINUS)


def show_percent(share: float) -> str:
    """Writes a share: 12.3%, and a dash where nothing is known."""
    return f"{share:.1%}" if is_finite(share) else "\N{EN DASH}"


def with_brief_numbers(words: str) -> str:
    """Writes the numbers in words with four digits or none behind the point: 4.292 to 52606."""
    return re.sub(r"\d+\.\d+", lambda found: _brief(float(found[0])), words)


def _brief(figure: float) -> str:
    return f"{figure:.0f}" if figure >= _LARGE else f"{figure:.4g}"


def with_minus(words: str) -> str:
    """Writes the numbers below zero in words with a minus sign, and no hyphen."""
    return re.sub(r"(?<!\w)-(?=\d)", MINUS, words)


def counted(number: float, noun: str, several: str = "") -> str:
    """Writes how many there are: 1 row, 1,258 rows; 2 classes, where several is said."""
    return f"{number:,.0f} {noun if number == 1 else several or noun + 's'}"


def and_more(count: int, one: str = "row", several: str = "rows") -> str:
    """Writes, behind the first one, how many more there are: (and 2 more rows)."""
    return f" (and {count} more {several if count > 1 else one})" if count > 0 else ""
