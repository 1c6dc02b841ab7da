"""Drift: how far the rows that a model is used on are from those that it was trained on.

A profile, kept with the model, counts the training rows in a few bins of each column. The
population stability index compares it with the counts of other rows.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtri

from modelling.judging.answers import PREDICTION, PROBABILITY_PREFIX
from modelling.kinds import KINDS

Counts = npt.NDArray[np.int64 | np.float64]
"""Of rows; where these do not count the same, what they weigh, as so many rows as tell as much:
(sum w)² / sum w² in all (Kish: Survey Sampling, 1965)."""

_DECILES = np.linspace(0.1, 1, 10)
_MOST_VALUES = 20
_MOST_ROWS = 100_000
_SMOOTHING = 0.5
_COMPARED = ["column", "psi", "limit", "drifted", "grown", "bin", "in training", "now"]
_CHANCE = 0.001
_FEWEST_TIMES = 10
_FEWEST_ROWS = 100
_IN_ORDER = 0.99
_LATE = 0.01


def sample_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns at most 100,000 rows, evenly spread: more tell a profile nothing new."""
    return frame.iloc[:: max(1, -(-len(frame) // _MOST_ROWS))]


def profiled_columns(fitted: Mapping[str, Any]) -> list[str]:
    """Returns the raw columns, under the names that `apply_features` gives to numbers and text."""
    kinds = ((name, KINDS[kind]) for name, kind in fitted["columns"].items())
    return [kind.watched.format(name) for name, kind in kinds if kind.watched]


def dated_columns(fitted: Mapping[str, Any]) -> list[str]:
    """Returns those of the profiled columns that are dates."""
    dates = {name: kind for name, kind in fitted["columns"].items() if KINDS[kind].limit is date}
    return profiled_columns({"columns": dates})


def profiled_answers(answers: pd.DataFrame, fitted: Mapping[str, Any]) -> pd.DataFrame:
    """Returns what is watched of a model's answers for n rows, as one column.

    That is the number, the probability of the positive class, or the most probable of many classes.
    """
    decision = fitted.get("decision")
    if decision:
        positive = decision["positive_class"]
        values = answers[f"{PROBABILITY_PREFIX}{positive}"]
        return pd.DataFrame({f"(probability of {positive})": values})
    predictions = answers[PREDICTION]
    is_class = any(str(name).startswith(PROBABILITY_PREFIX) for name in answers)
    return pd.DataFrame({"(prediction)": predictions.astype("str") if is_class else predictions})


def growing_columns(frame: pd.DataFrame, times: Sequence[pd.Series], rows: int) -> list[str]:
    """Names the columns of numbers that can only grow, as far as the training rows show it.

    These are counters, of which the next rows always lie above those of the training:

    - a number that never falls while one of the times goes on: the values at each time lie at or
      above those at all times before, for 99% of at least 10 times;
    - whole numbers of which none comes twice, and at least every other one between the lowest and
      the highest is there: the rows' own numbers (at least 100).

    A date can only grow too, whatever its values are (see `DriftCounts`).

    Args:
        frame: n training rows, as `apply_features` gives them.
        times: (n,) each: dates as numbers, or ranks in time.
        rows: of how many rows these are a sample.
    """
    numbers = frame.select_dtypes("number")
    following = {name for time in times for name in _names_that_follow(numbers, time)}
    return [
        name
        for name in numbers.columns
        if name in following or _numbers_rows(numbers[name].dropna().to_numpy(), rows)
    ]


def _names_that_follow(numbers: pd.DataFrame, time: pd.Series) -> list[str]:
    """The columns whose values never fall while the time goes on, and are not all the same."""
    grouped = numbers.groupby(time.to_numpy(), dropna=True)
    lowest, highest = grouped.min(), grouped.max()
    if len(lowest) < _FEWEST_TIMES:
        return []
    before, after = highest.cummax().shift().iloc[1:], lowest.iloc[1:]
    in_order = (after >= before).astype(float).where(before.notna() & after.notna())
    share = in_order.mean().where(highest.max() > lowest.min(), 0)
    return share.index[share >= _IN_ORDER].tolist()


def _numbers_rows(values: npt.NDArray[np.float64], rows: int) -> bool:
    if len(values) < _FEWEST_ROWS or np.any(values != np.floor(values)):
        return False
    return bool(np.ptp(values) < 2 * rows) and len(np.unique(values)) == len(values)


def profile_rows(
    frame: pd.DataFrame,
    growing: Collection[str] = (),
    weights: npt.NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Counts n rows in bins of their own.

    Args:
        frame: columns of numbers (deciles, what lies outside the range, and missing) or of text
            (the 20 most frequent values, all others, and missing).
        growing: names of those that can only grow.
        weights: (n,) how much each row counts, if not the same.

    Returns:
        By column its bins, `edges` or `values`, and the `counts` of rows; `weighted`, those of
        what they weigh; `grows`, if it can only grow; plain JSON values.
    """
    return {
        str(name): _profile(frame[name], weights) | ({"grows": True} if name in growing else {})
        for name in frame.columns
    }


def _profile(column: pd.Series, weights: npt.NDArray[np.float64] | None) -> dict[str, Any]:
    if not pd.api.types.is_numeric_dtype(column):
        bins: dict[str, Any] = {"values": column.value_counts().index[:_MOST_VALUES].tolist()}
    else:
        bins = {"edges": _edges(column.dropna().to_numpy(dtype=float))}
    bins["counts"] = count_values(column, bins).tolist()
    if weights is not None and weights.any():
        weighed = count_values(column, bins, weights)
        bins["weighted"] = (weighed * weights.sum() / (weights @ weights)).tolist()
    return bins


def _edges(known: npt.NDArray[np.float64]) -> list[float]:
    """Just below the lowest value, the deciles, and the highest one."""
    if not len(known):
        return []
    deciles = np.quantile(known, _DECILES, method="inverted_cdf")
    return np.unique([np.nextafter(known.min(), -np.inf), *deciles]).tolist()


def count_values(
    column: pd.Series, bins: Mapping[str, Any], weights: npt.NDArray[np.float64] | None = None
) -> Counts:
    """Counts (n,) values in the bins of a profile, or adds up what they weigh.

    Returns:
        (bins,): of numbers those up to the first edge, between each two, and above the last; of
        text each value and the others; then the missing ones.
    """
    if weights is not None:
        return _weigh_values(column, bins, weights)
    if "values" in bins:
        counts = column.value_counts()
        known = counts.reindex(bins["values"], fill_value=0).to_numpy()
        present = int(column.notna().sum())
        return np.array([*known, present - known.sum(), len(column) - present], dtype=np.int64)
    values = column.to_numpy(dtype=float)
    # One comparison an edge is several times as fast as a search for the bin of each value.
    up_to = [np.count_nonzero(values <= edge) for edge in bins["edges"]]
    present = len(values) - int(np.count_nonzero(np.isnan(values)))
    return np.array([*np.diff([0, *up_to, present]), len(values) - present], dtype=np.int64)


def _weigh_values(
    column: pd.Series, bins: Mapping[str, Any], weights: npt.NDArray[np.float64]
) -> Counts:
    if "values" in bins:
        places = pd.Index(bins["values"]).get_indexer(column)
        others = len(bins["values"])
        places = np.where(places < 0, others, places)
    else:
        others = len(bins["edges"])
        places = np.searchsorted(bins["edges"], column.to_numpy(dtype=float))
    places = np.where(column.isna(), others + 1, places)
    return np.bincount(places, weights, minlength=others + 2)


class DriftCounts:
    """Counts rows batch by batch in the bins of a profile, or adds up what they weigh."""

    def __init__(
        self, profile: Mapping[str, Any], growing: Collection[str] = (), weighted: bool = False
    ) -> None:
        """Takes what `profile_rows` gave.

        Args:
            profile: of the training rows.
            growing: the names of more columns that can only grow.
            weighted: whether rows count as they weigh, if the profile knows what those of the
                training did.
        """
        self._profile = profile
        self._key = "counts"
        if weighted and all("weighted" in bins for bins in profile.values()):
            self._key = "weighted"
        self._growing = {*growing, *(name for name, bins in profile.items() if bins.get("grows"))}
        self._counts = {name: np.zeros(len(bins["counts"])) for name, bins in profile.items()}
        self._sums = {name: np.zeros(2) for name in profile}  # of weights, and of their squares

    def add(self, frame: pd.DataFrame, weights: npt.NDArray[np.float64] | None = None) -> None:
        """Counts n rows of some of the profile's columns; others do not matter.

        Args:
            frame: the rows.
            weights: (n,) how much each counts; needed if they are to count so.
        """
        if self._key == "counts" or weights is None:
            weights, sums = None, np.full(2, len(frame))
        else:
            sums = np.array([weights.sum(), weights @ weights])
        for name, bins in self._profile.items():
            if name in frame.columns:
                self._counts[name] += count_values(frame[name], bins, weights)
                self._sums[name] += sums

    def values(self, column: str) -> list[str]:
        """Returns the most frequent values of a column of text in training."""
        return list(self._profile.get(column, {}).get("values", []))

    def compare(self, limit: float) -> pd.DataFrame:
        """Compares the counts with the profile's.

        A column has drifted if its index is above the limit, and above what chance alone would give
        once in 1,000 times with as many rows (Yurdakul, Naranjo: Statistical properties of the
        population stability index, Journal of Risk Model Validation, 2020: the index of equal
        populations is about (1/n + 1/m) times chi-square with bins - 1 degrees of freedom).

        A column that can only grow, a date or a counter, has not drifted where it has but grown: up
        to each edge there is no larger share of the known values than in training (by more than 1%
        of them, which may be late), and the missing ones alone are within the limit.

        Args:
            limit: 0.1 is usually called a small change, 0.25 a large one.

        Returns:
            A row a column, the largest index first: column, psi, limit (that was applied), drifted,
            grown (it would have drifted, but can only grow); the bin that contributes most, with
            its share of the rows in training and now.
        """
        rows = [
            _compare(
                name,
                bins,
                np.array(bins[self._key]),
                self._counts[name] * self._scale(name),
                limit,
                name in self._growing,
            )
            for name, bins in self._profile.items()
        ]
        table = pd.DataFrame(rows, columns=_COMPARED)
        return table.sort_values("psi", ascending=False, kind="stable", ignore_index=True)

    def _scale(self, name: str) -> float:
        """What makes weights counts of as many rows as tell as much."""
        weight, squares = self._sums[name]
        return float(weight / squares) if squares else 1.0

    def shares(self) -> pd.DataFrame:
        """Returns how the rows are distributed over the bins of each column.

        Returns:
            A row a column: column, bins (their names), in training and now (the share of the rows
            in each); missing values are the last bin, if there are any.
        """
        rows = []
        for name, bins in self._profile.items():
            sides = np.array([bins[self._key], self._counts[name]])
            used = slice(None) if sides[:, -1].any() else slice(0, -1)
            names = [_bin_name(bins, number) for number in range(sides.shape[1])][used]
            parts = (sides / np.maximum(sides.sum(axis=1, keepdims=True), 1))[:, used]
            rows.append((name, names, *parts.tolist()))
        return pd.DataFrame(rows, columns=["column", "bins", "in training", "now"])

    def grown(self, limit: float) -> pd.DataFrame:
        """Returns the rows of `compare` of the columns that would have drifted, but only grew."""
        table = self.compare(limit)
        return table[table["grown"].astype(bool)] if len(table) else table


def stability_index(expected: Counts, actual: Counts) -> float:
    """Returns the population stability index of (bins,) counts against others.

    The sum over bins of (a - e) ln(a / e), a and e being shares of rows (Siddiqi: Credit Risk
    Scorecards, 2006). Half a row is added to each bin, so that an empty one is no infinity; bins
    that are empty on both sides do not count.
    """
    return float(_contributions(expected, actual).sum())


def _contributions(expected: Counts, actual: Counts) -> npt.NDArray[np.float64]:
    used = (expected + actual) > 0
    e, a = (np.where(used, side + _SMOOTHING, 1.0) for side in (expected, actual))
    e, a = e / e[used].sum(), a / a[used].sum()
    return np.where(used, (a - e) * np.log(a / e), 0.0)


def _compare(
    name: str,
    bins: Mapping[str, Any],
    expected: Counts,
    actual: Counts,
    limit: float,
    can_only_grow: bool,
) -> dict[str, Any]:
    psi = stability_index(expected, actual)
    used = int(((expected + actual) > 0).sum())
    rows = max(expected.sum(), 1), max(actual.sum(), 1)
    chance = chdtri(max(used - 1, 1), _CHANCE) * (1 / rows[0] + 1 / rows[1])
    applied = max(limit, float(chance))
    grown = psi > applied and can_only_grow and _has_grown(expected, actual, applied)
    most = int(np.argmax(_contributions(expected, actual)))
    return {
        "column": name,
        "psi": psi,
        "limit": applied,
        "drifted": psi > applied and not grown,
        "grown": grown,
        "bin": _bin_name(bins, most),
        "in training": expected[most] / rows[0],
        "now": actual[most] / rows[1],
    }


def _has_grown(expected: Counts, actual: Counts, limit: float) -> bool:
    """Whether the known values lie higher than they did, and no more are missing than may be."""
    before, now = (np.cumsum(side[:-1]) / max(side[:-1].sum(), 1) for side in (expected, actual))
    missing = (np.array([side[:-1].sum(), side[-1]]) for side in (expected, actual))
    return bool(np.all(now <= before + _LATE)) and stability_index(*missing) <= limit


def _bin_name(bins: Mapping[str, Any], number: int) -> str:
    if number == len(bins["counts"]) - 1:
        return "missing"
    if "values" in bins:
        values = bins["values"]
        return repr(values[number]) if number < len(values) else "another value"
    if not bins["edges"]:
        return "a value"
    below, *others = bins["edges"]
    lowest = np.nextafter(below, np.inf) + 0.0  # not -0
    edges = [f"{edge:.10g}" for edge in (lowest, *others)]
    if number == 0:
        return f"below {edges[0]}"
    if number == len(edges):
        return f"above {edges[-1]}"
    low, high = edges[number - 1], edges[number]
    return high if low == high else f"{low} to {high}"
