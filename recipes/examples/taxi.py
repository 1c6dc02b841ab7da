"""What taxi_fares.yaml cannot say: which rows to use, times, a metric, a check and a plot."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

PICKUP, DROPOFF = "tpep_pickup_datetime", "tpep_dropoff_datetime"


def load(path: Path) -> pd.DataFrame:
    """Reads the trips, without those whose fare or distance cannot be."""
    trips = pd.read_parquet(path)
    is_trip = trips["fare_amount"].between(0, 1000, inclusive="neither")
    is_trip &= trips["trip_distance"].between(0, 400, inclusive="neither")
    return trips[is_trip]


def pickup_weekday(trips: pd.DataFrame) -> pd.Series:
    """Returns the day of the week from 0, Monday."""
    return trips[PICKUP].dt.day_of_week


def pickup_hour(trips: pd.DataFrame) -> pd.Series:
    """Returns the hour of the day, 0 to 23."""
    return trips[PICKUP].dt.hour


def trip_minutes(trips: pd.DataFrame) -> pd.Series:
    """Returns how long the trip takes, in minutes."""
    return (trips[DROPOFF] - trips[PICKUP]).dt.total_seconds() / 60


def weighted_mse(predictions: pd.Series, targets: pd.Series) -> float:
    """Returns the mean squared error, weighted by 1/prediction: a dear trip counts less."""
    return float(np.average((predictions - targets) ** 2, weights=1 / predictions))


def ends_after_it_begins(trips: pd.DataFrame) -> str | None:
    """Refuses a table of trips that end before they begin."""
    wrong = int((trips[DROPOFF] < trips[PICKUP]).sum())
    return f"{wrong} trips end before they begin" if wrong else None


def error_by_hour(trips: pd.DataFrame) -> Figure:
    """Draws how far off the predictions are, by the hour of the pickup."""
    errors = (trips["prediction"] - trips["fare_amount"]).abs()
    by_hour = errors.groupby(trips[PICKUP].dt.hour).median()
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.bar(by_hour.index, by_hour)
    axes.set(xlabel="hour of the pickup", ylabel="median error, dollars")
    return figure
