"""The sentence for the one who decides: how good, how sure, better than what, tested on what."""

import math
import sys
from dataclasses import replace

import pytest

from modelling.reporting.answer import Quality, say_quality, show_range

PRICES = Quality(
    model="ridge",
    metric="rmse",
    figure=43_215.3,
    low=37_012.2,
    high=49_342.8,
    baseline=55_404.2,
    greater_is_better=False,
    is_regression=True,
    target="price",
    rows=341,
)
CHURN = Quality(
    model="boosting",
    metric="roc_auc",
    figure=0.8598,
    low=0.8395,
    high=0.8786,
    baseline=0.5,
    greater_is_better=True,
    is_regression=False,
    target="churned",
    positive="yes",
    rows=2000,
    positives=521,
)


@pytest.mark.parametrize(
    ("quality", "sentence"),
    [
        (
            PRICES,
            "ridge is typically off by 43,000 (37,000 to 49,000) in price, 22% better than always "
            "saying the mean; tested on 341 rows",
        ),
        (
            replace(PRICES, baseline=40_000.0, latest=True),
            "ridge is typically off by 43,000 (37,000 to 49,000) in price, 8% worse than always "
            "saying the mean; tested on the 341 latest rows",
        ),
        (
            replace(PRICES, baseline=43_200.0, worst="year up to 1950"),
            "ridge is typically off by 43,000 (37,000 to 49,000) in price, no better than always "
            "saying the mean, worst for year up to 1950; tested on 341 rows",
        ),
        (
            replace(PRICES, figure=1.2, low=math.nan, high=math.nan, baseline=math.nan, rows=1),
            "ridge is typically off by 1.20 in price; tested on 1 row",
        ),
        (
            replace(PRICES, metric="r2", figure=0.37, low=0.28, high=0.45, greater_is_better=True),
            "ridge explains 37% (28 to 45%) of the differences in price; tested on 341 rows",
        ),
        (
            replace(PRICES, unit="€"),
            "ridge is typically off by 43,000\N{NO-BREAK SPACE}€ (37,000 to "
            "49,000\N{NO-BREAK SPACE}€) in price, 22% better than always saying the mean; tested "
            "on 341 rows",
        ),
        (
            replace(PRICES, unit="€", metric="r2", figure=0.37, low=0.28, high=0.45, baseline=-0.1),
            "ridge explains 37% (28 to 45%) of the differences in price; tested on 341 rows",
        ),
        (
            replace(CHURN, label="leaves"),
            "boosting scores a row of “leaves” above one of the rest in 86 (84 to 88) of 100 "
            "cases, and guessing does in 50; tested on 2,000 rows, 521 of them “leaves”",
        ),
        (
            CHURN,
            "boosting scores a row of churned = yes above one of the rest in 86 (84 to 88) of 100 "
            "cases, and guessing does in 50; tested on 2,000 rows, 521 of them churned = yes",
        ),
        (
            replace(CHURN, metric="accuracy", figure=0.804, low=0.787, high=0.8215, baseline=0.74),
            "boosting is right for 80 (79 to 82) of 100 rows, and always saying the most common "
            "class for 74; tested on 2,000 rows, 521 of them churned = yes",
        ),
        (
            replace(CHURN, metric="recall", figure=0.743, low=0.705, high=0.7793),
            "boosting finds 74 (70 to 78) of 100 rows of churned = yes; tested on 2,000 rows, 521 "
            "of them churned = yes",
        ),
        (
            replace(CHURN, metric="precision", figure=0.6, low=0.5657, high=0.6388),
            "boosting is right for 60 (57 to 64) of 100 rows that it takes for churned = yes; "
            "tested on 2,000 rows, 521 of them churned = yes",
        ),
        (
            replace(CHURN, metric="business_score", figure=2.585, low=2.2, high=3.0, baseline=-4.0),
            "boosting is worth 2.6 (2.2 to 3.0) a row, and always saying the most common class is "
            "worth \N{MINUS SIGN}4.0; tested on 2,000 rows, 521 of them churned = yes",
        ),
        (
            replace(CHURN, metric="own", figure=0.5, low=0.4, high=0.6, baseline=0.2, positive=""),
            "boosting reaches own 0.5 (0.4 to 0.6), and always saying the most common class "
            "0.2; tested on 2,000 rows",
        ),
        (
            replace(
                CHURN,
                metric="log_loss",
                figure=0.4,
                low=0.36,
                high=0.44,
                baseline=0.57,
                greater_is_better=False,
                takes_probabilities=True,
            ),
            "boosting reaches log_loss 0.40 (0.36 to 0.44), 30% better than always saying the "
            "share of each class; tested on 2,000 rows, 521 of them churned = yes",
        ),
    ],
)
def test_the_sentence_says_it_in_words(quality, sentence):
    assert say_quality(quality) == sentence


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((44_694.0066, 41_000.1, 48_222.9), ("45,000", "41,000", "48,000")),
        ((0.00021, 0.00019, 0.00024), ("0.00021", "0.00019", "0.00024")),
        ((12.0, 12.0, 12.0), ("12.0", "", "")),
        ((0.0, math.nan, math.nan), ("0.00", "", "")),
        ((math.inf, math.nan, math.nan), ("no number", "", "")),
        ((sys.float_info.max, math.nan, math.nan), ("no number", "", "")),
        ((-0.4, -40.0, 39.0), ("0", "\N{MINUS SIGN}40", "40")),
        ((3e-12, 1e-12, 5e-12), ("3e\N{MINUS SIGN}12", "1e\N{MINUS SIGN}12", "5e\N{MINUS SIGN}12")),
    ],
)
def test_figures_have_the_digits_that_the_test_can_tell(given, shown):
    assert show_range(*given) == shown
