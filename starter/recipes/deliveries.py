"""What deliveries.yaml cannot say: one function or class of each sort. Keep those that you need."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge

LINES_BEFORE_THE_TABLE = 2
FIRST_TEST_DAY = pd.Timestamp("2026-05-11")
RUSH = (18, 20)  # o'clock
LATE = 5  # minutes


def load(path: Path) -> pd.DataFrame:
    """Reads an export of the shop, which begins with two lines about itself."""
    return pd.read_csv(path, skiprows=LINES_BEFORE_THE_TABLE)


def is_delivered(orders: pd.DataFrame) -> pd.Series:
    """Says which rows count: a cancelled order has no time."""
    return orders["status"] == "delivered"


def split(orders: pd.DataFrame) -> pd.Series:
    """Says which side a row is on: the last two weeks are for the test."""
    return (orders["ordered_at"] >= FIRST_TEST_DAY).map({True: "test", False: "train"})


def no_order_at_night(orders: pd.DataFrame) -> str | None:
    """Refuses a table whose clock is wrong."""
    at_night = int((orders["ordered_at"].dt.hour < 6).sum())
    return f"{at_night} orders are of the night, when nobody cooks" if at_night else None


def is_rush(orders: pd.DataFrame) -> pd.Series:
    """Returns 1 for an order of the evening's rush hours, else 0. It sees one row, or many."""
    return orders["ordered_at"].dt.hour.between(*RUSH).astype(float)


class Clipped(TransformerMixin, BaseEstimator):
    """Brings what is rarer than `share` of the training rows, on both sides, to their limit."""

    def __init__(self, share: float = 0.01) -> None:
        self.share = share

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns the limits of (n, columns) training rows."""
        values = np.asarray(X, dtype=float)
        self.limits_ = np.quantile(values, [self.share, 1 - self.share], axis=0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Returns (n, columns) within the limits."""
        return np.clip(np.asarray(X, dtype=float), *self.limits_)


class NeverBefore(Ridge):
    """A ridge regression that promises nothing quicker than the quickest delivery so far."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fits (n, features) to (n,) minutes."""
        self.quickest_ = float(np.min(y))
        return super().fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Returns (n,) minutes."""
        return np.maximum(super().predict(X), self.quickest_)


def late_share(predictions: pd.Series, targets: pd.Series) -> float:
    """Returns the share of deliveries that come more than five minutes later than was said."""
    return float((targets - predictions > LATE).mean())


def error_by_district(orders: pd.DataFrame) -> Figure:
    """Draws how many minutes the predictions are off, by district."""
    errors = (orders["prediction"] - orders["minutes"]).abs().groupby(orders["district"]).median()
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.bar(errors.index, errors)
    axes.set(ylabel="median error, minutes")
    return figure
