"""How good a model is, in a sentence for the one who decides, without a word of the trade."""

import math
from dataclasses import dataclass

_MOST_PLACES = 6
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Quality:
    """What a test says of a model.

    model: its name; metric: the one that decides, with its figure, its interval (NaN if nothing is
    known) and the figure of who always says the same; is_regression, target, positive: what is
    predicted, and the class to be found, if there is one; rows: that it was tested on; positives:
    those of that class; latest: whether they are the latest ones.
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
    latest: bool = False

    @property
    def naive(self) -> str:
        """What it is compared with."""
        what = "mean" if self.is_regression else "most common class"
        return f"always saying the {what}"

    @property
    def gain(self) -> str:
        """How much less its error is than the naive one, in words; empty of other metrics."""
        if self.greater_is_better or not math.isfinite(self.baseline) or self.baseline <= 0:
            return ""
        share = round(100 * (self.baseline - self.figure) / self.baseline)
        if share == 0:
            return "no better"
        return f"{abs(share)}% {'better' if share > 0 else 'worse'}"


def say_quality(quality: Quality) -> str:
    """Returns the sentence: how good, how sure, better than what, tested on what."""
    return f"{quality.model} {_how_good(quality)}; tested on {_rows(quality)}"


def _how_good(quality: Quality) -> str:
    name, positive = quality.metric, quality.positive
    of_class = f"{quality.target} = {positive}"
    if name in ("rmse", "mae"):
        return f"is typically off by {_range(quality)} in {quality.target}{_than_naive(quality)}"
    if name == "r2":
        return f"explains {_range(quality, 100, '%')} of the differences in {quality.target}"
    if name == "accuracy":
        naive = show_range(100 * quality.baseline, *_ends(quality, 100))[0]
        right = f"is right for {_range(quality, 100)} of 100 rows"
        return f"{right}, and {quality.naive} for {naive}"
    if name == "roc_auc" and positive:
        return (
            f"scores a row of {of_class} above one of the rest in {_range(quality, 100)} of 100 "
            "cases, and guessing does in 50"
        )
    if name == "precision" and positive:
        return f"is right for {_range(quality, 100)} of 100 rows that it takes for {of_class}"
    if name == "recall" and positive:
        return f"finds {_range(quality, 100)} of 100 rows of {of_class}"
    if name == "business_score":
        naive = show_range(quality.baseline, *_ends(quality))[0]
        return f"is worth {_range(quality)} a row, and {quality.naive} is worth {naive}"
    return f"reaches {name} {_range(quality)}{_than_naive(quality)}"


def _than_naive(quality: Quality) -> str:
    if quality.gain:
        return f", {quality.gain} than {quality.naive}"
    if not math.isfinite(quality.baseline):
        return ""
    return f", and {quality.naive} {show_range(quality.baseline, *_ends(quality))[0]}"


def _ends(quality: Quality, scale: float = 1) -> tuple[float, float]:
    return scale * quality.low, scale * quality.high


def _range(quality: Quality, scale: float = 1, unit: str = "") -> str:
    figure, low, high = show_range(scale * quality.figure, *_ends(quality, scale))
    ends = f" ({low} to {high}{unit})" if low else ""
    return f"{figure}{unit}{ends}"


def _rows(quality: Quality) -> str:
    if not math.isfinite(quality.rows):
        return "the test rows"
    noun = "row" if quality.rows == 1 else "rows"
    words = f"{'the ' if quality.latest else ''}{quality.rows:,.0f} {noun}"
    if quality.latest:
        words = words.replace(noun, f"latest {noun}")
    if quality.positive and math.isfinite(quality.positives):
        words += f", {quality.positives:,.0f} of them {quality.target} = {quality.positive}"
    return words


def show_range(
    figure: float, low: float = math.nan, high: float = math.nan
) -> tuple[str, str, str]:
    """Writes a figure and its interval as a person does: 43,000 with 37,000 and 49,000.

    All go to the first digit of half the interval; without one, the figure has three digits, and
    its ends are empty.
    """
    width = high - low
    if math.isfinite(width) and width > 0:
        places = -math.floor(math.log10(width / 2))
        return _rounded(figure, places), _rounded(low, places), _rounded(high, places)
    if not math.isfinite(figure):
        return "no number", "", ""
    return _rounded(figure, 2 - math.floor(math.log10(abs(figure) or 1))), "", ""


def _rounded(figure: float, places: int) -> str:
    if places > _MOST_PLACES:
        return f"{figure:.2g}".replace("-", _MINUS)
    rounded = round(figure, places) + 0.0  # no zero has a minus
    return f"{rounded:,.{max(0, places)}f}".replace("-", _MINUS)
