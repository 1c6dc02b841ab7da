"""How good a model is, in a sentence for the one who decides, without a word of the trade."""

import math
from dataclasses import dataclass

from common.words import MINUS, is_finite, with_minus

_MOST_PLACES = 6


@dataclass(frozen=True)
class Quality:
    """What a test says of a model.

    model: its name; metric: the one that decides, with its figure, its interval (NaN if nothing is
    known) and the figure of who always says the same; is_regression, target, positive: what is
    predicted, and the class to be found, if there is one; rows: that it was tested on; positives:
    those of that class; label: what that class is called; latest: whether they are the latest
    ones; worst: the part of them that it is worst for; unit: of the target, or of a business score;
    takes_probabilities: whether the metric is of these, and not of the classes that are said.
    """

    model: str
    metric: str
    figure: float
    low: float
    high: float
    baseline: float
    greater_is_better: bool
    is_regression: bool
    target: str
    positive: str = ""
    rows: float = math.nan
    positives: float = math.nan
    label: str = ""
    latest: bool = False
    worst: str = ""
    unit: str = ""
    takes_probabilities: bool = False

    @property
    def unit_of_figure(self) -> str:
        """The unit with a blank before it, of a metric that is in it; else empty."""
        is_in_it = self.unit and self.metric in ("rmse", "mae", "business_score")
        return f"\N{NO-BREAK SPACE}{self.unit}" if is_in_it else ""

    @property
    def of_class(self) -> str:
        """What the class to be found is called."""
        return f"\u201c{self.label}\u201d" if self.label else f"{self.target} = {self.positive}"

    @property
    def naive(self) -> str:
        """What it is compared with."""
        if self.is_regression:
            return "always saying the mean"
        what = "share of each class" if self.takes_probabilities else "most common class"
        return f"always saying the {what}"

    @property
    def gain(self) -> str:
        """How much less its error is than the naive one, in words; empty of other metrics."""
        if self.greater_is_better or not is_finite(self.baseline) or self.baseline <= 0:
            return ""
        share = round(100 * (self.baseline - self.figure) / self.baseline)
        if share == 0:
            return "no better"
        return f"{abs(share)}% {'better' if share > 0 else 'worse'}"


def say_quality(quality: Quality) -> str:
    """Returns the sentence: how good, how sure, better than what, tested on what."""
    worst = f", worst for {with_minus(quality.worst)}" if quality.worst else ""
    good = f"{quality.model} {_how_good(quality)}{_than_naive(quality)}{worst}"
    return f"{good}; tested on {_rows(quality)}"


def say_promise(quality: Quality, promised: float) -> str:
    """Returns the same of new rows, against what a test promised."""
    scale, _, unit = _way(quality)
    before = show_range(scale * promised, scale * quality.low, scale * quality.high)[0]
    good = f"{quality.model} {_how_good(quality)}; its test promised {before}{unit}"
    return f"{good}; measured on {_rows(quality)}"


def _way(quality: Quality) -> tuple[float, str, str]:
    """How a metric is said: times what, in which words, in which unit."""
    of_class = quality.of_class
    unit = quality.unit_of_figure
    ways = {
        "rmse": (1, f"is typically off by {{}} in {quality.target}", unit),
        "mae": (1, f"is typically off by {{}} in {quality.target}", unit),
        "r2": (100, f"explains {{}} of the differences in {quality.target}", "%"),
        "accuracy": (100, "is right for {} of 100 rows", ""),
        "business_score": (1, "is worth {} a row", unit),
    }
    if quality.positive:
        above = f"scores a row of {of_class} above one of the rest in {{}} of 100 cases"
        ways |= {
            "roc_auc": (100, above, ""),
            "precision": (100, f"is right for {{}} of 100 rows that it takes for {of_class}", ""),
            "recall": (100, f"finds {{}} of 100 rows of {of_class}", ""),
        }
    return ways.get(quality.metric, (1, f"reaches {quality.metric} {{}}", ""))


def _how_good(quality: Quality) -> str:
    scale, words, unit = _way(quality)
    figure, low, high = show_range(
        *(scale * x for x in (quality.figure, quality.low, quality.high))
    )
    ends = f" ({low} to {high}{unit})" if low else ""
    # Not by format: a name may hold a brace.
    return words.replace("{}", f"{figure}{unit}{ends}", 1)


def _than_naive(quality: Quality) -> str:
    """What comes of saying always the same; nothing of metrics for which that says nothing."""
    if quality.gain:
        return f", {quality.gain} than {quality.naive}"
    name = quality.metric
    if not is_finite(quality.baseline) or name in ("r2", "precision", "recall"):
        return ""
    if name == "roc_auc" and quality.positive:
        return ", and guessing does in 50"
    scale, _, unit = _way(quality)
    ends = scale * quality.low, scale * quality.high
    link = {"accuracy": " for", "business_score": " is worth"}.get(name, "")
    return f", and {quality.naive}{link} {show_range(scale * quality.baseline, *ends)[0]}{unit}"


def _rows(quality: Quality) -> str:
    if not math.isfinite(quality.rows):
        return "the test rows"
    noun = "row" if quality.rows == 1 else "rows"
    words = f"{'the ' if quality.latest else ''}{quality.rows:,.0f} {noun}"
    if quality.latest:
        words = words.replace(noun, f"latest {noun}")
    if quality.positive and math.isfinite(quality.positives):
        words += f", {quality.positives:,.0f} of them {quality.of_class}"
    return words


def show_range(
    figure: float, low: float = math.nan, high: float = math.nan
) -> tuple[str, str, str]:
    """Writes a figure and its interval as a person does: 43,000 with 37,000 and 49,000.

    All go to the first digit of half the interval; without one, the figure has three digits, and
    its ends are empty.
    """
    width = high - low
    if is_finite(width) and width > 0:
        places = -math.floor(math.log10(width / 2))
        return _rounded(figure, places), _rounded(low, places), _rounded(high, places)
    if not is_finite(figure):
        return "no number", "", ""
    return _rounded(figure, 2 - math.floor(math.log10(abs(figure) or 1))), "", ""


def _rounded(figure: float, places: int) -> str:
    if places > _MOST_PLACES:
        return f"{figure:.2g}".replace("-", MINUS)
    rounded = round(figure, places) + 0.0  # no zero has a minus
    return f"{rounded:,.{max(0, places)}f}".replace("-", MINUS)
