"""For whom a model is good: its figures on parts of the test rows, named or found."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import InputError, unknown_name
from modelling.formulas import check_kinds, columns_in, is_condition, parse_condition
from modelling.judging.answers import Answers, Values
from modelling.judging.intervals import FEW_ROWS, compute_intervals
from modelling.judging.metrics import HIGH, LOW, Metric
from modelling.judging.resampling import figure_if_any, no_warnings
from modelling.kinds import kind_of_values

Mask = npt.NDArray[np.bool_]
Bounds = Mapping[str, tuple[float, float]]
"""By column, above what and up to what its values are."""

_MISSING = re.compile(r"missing\(\s*`?(.+?)`?\s*\)")
_MOST_VALUES = 12
_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_SAMPLED = 20_000
_DEPTH = 2
_LEAST_SHARE = 0.05
_MARGIN_OF_FOUND = 1.3  # of the interval's reach: the worst of six nodes is soon worse by chance


@dataclass(frozen=True)
class EvaluatedRows:
    """Test rows without their target, what a model says of them, what is true, and the metric.

    groups: (n,) of rows that belong together.
    """

    rows: pd.DataFrame
    answers: Answers
    targets: Values
    name: str
    metric: Metric
    seed: int
    groups: npt.NDArray[Any] | None = None

    def of_rows(self, places: npt.NDArray[np.intp]) -> "EvaluatedRows":
        """Returns the same of some of the rows."""
        rows = self.rows.iloc[places].reset_index(drop=True)
        answers, targets = self.answers.of_rows(places), self.targets[places]
        groups = None if self.groups is None else self.groups[places]
        return EvaluatedRows(rows, answers, targets, self.name, self.metric, self.seed, groups)


def measure_slices(tested: EvaluatedRows, slices: tuple[str, ...]) -> pd.DataFrame:
    """Measures the slices that are named.

    Args:
        tested: the test rows.
        slices: columns (by value, or by quarter of a number), conditions, and missing(column).

    Returns:
        A row a slice: slice, rows, the metric, low, high, difference (from all rows), and worse:
        whether its whole interval is on the bad side of the figure of all.

    Raises:
        InputError: a slice names no column, or compares what cannot be compared.
    """
    named = [part for text in slices for part in parts_of(text, tested.rows)]
    return _measure(tested, tested, dict(named), "named")


def find_slices(tested: EvaluatedRows, errors: Values) -> pd.DataFrame:
    """Finds where a model is worse than elsewhere, with nobody saying where to look.

    A shallow tree explains the errors of one half of the rows; what it found is kept if it holds on
    the other half, which says how bad it is.

    Args:
        tested: the test rows, of which at most 20,000 are taken.
        errors: (n,) how far off each row is.

    Returns:
        As `measure_slices`, the worst first, only what is worse; nothing of fewer than 120 rows.
    """
    order, half = _halves(tested)
    if min(half, len(order) - half) < 2 * FEW_ROWS:
        return _measure(tested, tested, {}, "found")
    seen, other = tested.of_rows(order[:half]), tested.of_rows(order[half:])
    nodes = list(_nodes(seen.rows, np.abs(errors[order[:half]]), other.rows))
    table = _measure(other, tested, {name: mask for name, mask, _ in nodes}, "found")
    parents = {name: parent for name, _, parent in nodes}
    worst = _most_telling(table[table["worse"]], parents, tested)
    return worst.sort_values("difference", key=abs, ascending=False).reset_index(drop=True)


def _halves(tested: EvaluatedRows) -> tuple[npt.NDArray[np.intp], int]:
    """Some rows in an order by chance, and where their second half begins: with another group."""
    rng, rows = np.random.default_rng(tested.seed), len(tested.targets)
    if tested.groups is None:
        order = rng.permutation(rows)[:_MOST_SAMPLED]
        return order, len(order) // 2
    groups = np.unique(tested.groups, return_inverse=True)[1]
    place = rng.permutation(groups.max() + 1)[groups]
    order = np.argsort(place, kind="stable")[:_MOST_SAMPLED]
    middle = place[order[len(order) // 2]]
    return order, int(np.searchsorted(place[order], middle))


def _most_telling(
    worse: pd.DataFrame, parents: Mapping[str, str], tested: EvaluatedRows
) -> pd.DataFrame:
    """Leaves out what is inside of another slice, or that one, if its part is clearly worse."""
    by_name = worse.set_index("slice")
    left_out = set()
    for name in by_name.index:
        parent = parents[name]
        if parent in by_name.index:
            of_parent, part = by_name.loc[parent, tested.name], by_name.loc[name]
            greater = tested.metric.greater_is_better
            is_clear = part["high"] < of_parent if greater else part["low"] > of_parent
            left_out.add(parent if is_clear else name)
    return worse[~worse["slice"].isin(left_out)]


def _measure(
    part: EvaluatedRows, whole: EvaluatedRows, masks: Mapping[str, Mask], how: str
) -> pd.DataFrame:
    of_all = whole.metric(whole.answers, whole.targets)
    rows = []
    for name, mask in masks.items():
        chosen = part.of_rows(np.flatnonzero(mask))
        figure = low = high = math.nan
        if len(chosen.targets) >= 2:
            metrics = {part.name: part.metric}
            with no_warnings():
                figure = figure_if_any(part.metric, chosen.answers, chosen.targets)
            ends = compute_intervals(
                metrics, chosen.answers, chosen.targets, part.seed, chosen.groups
            )
            low, high = (ends.get(part.name + end, math.nan) for end in (LOW, HIGH))
        margin = _MARGIN_OF_FOUND if how == "found" else 1
        best = figure + margin * (high - figure)
        if not part.metric.greater_is_better:
            best = figure - margin * (figure - low)
        is_worse = best < of_all if part.metric.greater_is_better else best > of_all
        is_told = bool(is_worse) and len(chosen.targets) >= FEW_ROWS
        rows.append((name, how, len(chosen.targets), figure, low, high, figure - of_all, is_told))
    columns = ("slice", "how", "rows", part.name, "low", "high", "difference", "worse")
    return pd.DataFrame(rows, columns=columns).astype({"worse": bool})


def parts_of(text: str, rows: pd.DataFrame) -> Iterator[tuple[str, Mask]]:
    """Gives the parts of n rows that a slice of a recipe names: in words, and (n,) which they are.

    Raises:
        InputError: it names no column, or compares what cannot be compared.
    """
    if is_condition(text):
        yield text, _holds(text, rows)
        return
    asked = _MISSING.fullmatch(text)
    column = rows[_known(asked[1] if asked else text.strip("`"), text, rows)]
    if asked:
        yield text, column.isna().to_numpy()
    elif pd.api.types.is_numeric_dtype(column) and column.nunique() > _MOST_VALUES:
        ends = np.unique(column.astype(float).quantile(_QUARTILES).to_numpy())
        for low, high in pairwise(ends):
            above = column >= low if low == ends[0] else column > low
            name = f"{column.name} {low:.4g} to {high:.4g}"
            yield name, (above & (column <= high)).fillna(False).to_numpy(dtype=bool)
    else:
        for value in column.value_counts().index[:_MOST_VALUES]:
            yield f"{column.name} = {value}", (column == value).fillna(False).to_numpy(dtype=bool)


def _known(name: str, text: str, rows: pd.DataFrame) -> str:
    if name not in rows.columns:
        raise InputError(f"slices: {text}: " + unknown_name("column", name, rows.columns))
    return name


def _holds(text: str, rows: pd.DataFrame) -> Mask:
    tree = parse_condition(text)
    used = {name: rows[_known(name, text, rows)] for name in columns_in(tree)}
    try:
        check_kinds(tree, {name: kind_of_values(column.dtype) for name, column in used.items()})
    except ValueError as error:
        raise InputError(f"slices: {error}") from error
    cells = {name: column.to_numpy() for name, column in used.items()}
    # Here, since skops, which it needs, takes a while to import, and a report needs none.
    from modelling.models.sklearn_wrapper import evaluate

    return np.asarray(evaluate(tree, cells, len(rows)) == 1, dtype=bool)


def _nodes(
    seen: pd.DataFrame, errors: Values, other: pd.DataFrame
) -> Iterator[tuple[str, Mask, str]]:
    """Gives the nodes of a tree on the errors: in words, which other rows are there, its parent."""
    from sklearn.tree import DecisionTreeRegressor

    levels = {name: _levels(seen[name], errors) for name in seen.columns}
    numbers = pd.DataFrame({name: _numbers(seen[name], levels[name]) for name in levels})
    others = pd.DataFrame({name: _numbers(other[name], levels[name]) for name in levels})
    least = max(FEW_ROWS, math.ceil(_LEAST_SHARE * len(seen)))
    fitted = DecisionTreeRegressor(max_depth=_DEPTH, min_samples_leaf=least, random_state=0)
    tree = fitted.fit(numbers.fillna(numbers.median()).fillna(0), errors).tree_

    def walk(node: int, bounds: Bounds, parent: str) -> Iterator[tuple[str, Mask, str]]:
        words = _in_words(bounds, levels)
        if bounds:
            yield words, _inside(others, bounds), parent
        if tree.children_left[node] < 0:
            return
        name, cut = numbers.columns[tree.feature[node]], float(tree.threshold[node])
        low, high = bounds.get(name, (-math.inf, math.inf))
        yield from walk(tree.children_left[node], {**bounds, name: (low, cut)}, words)
        yield from walk(tree.children_right[node], {**bounds, name: (cut, high)}, words)

    return walk(0, {}, "")


def _levels(column: pd.Series, errors: Values) -> list[Any]:
    """The values of a column that is no number, those with small errors first."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return []
    means = pd.Series(errors).groupby(column.astype(object).to_numpy()).mean()
    return list(means.sort_values().index)


def _numbers(column: pd.Series, levels: list[Any]) -> pd.Series:
    if levels:
        return column.astype(object).map({value: place for place, value in enumerate(levels)})
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.year + column.dt.dayofyear / 366
    if not pd.api.types.is_numeric_dtype(column):  # which has no value among the rows looked at
        return pd.Series(np.nan, column.index)
    return pd.Series(pd.to_numeric(column).to_numpy(dtype=float, na_value=np.nan))


def _inside(numbers: pd.DataFrame, bounds: Bounds) -> Mask:
    inside = [numbers[name].between(*ends, inclusive="right") for name, ends in bounds.items()]
    return np.logical_and.reduce(inside)


def _in_words(bounds: Bounds, levels: Mapping[str, list[Any]]) -> str:
    words = []
    for name, (low, high) in bounds.items():
        if levels[name]:
            values = [str(value) for place, value in enumerate(levels[name]) if low < place <= high]
            more = f" or {len(values) - 3} more" if len(values) > 3 else ""
            words.append(f"{name} = {' or '.join(values[:3])}{more}")
        elif math.isinf(low):
            words.append(f"{name} up to {high:.4g}")
        elif math.isinf(high):
            words.append(f"{name} above {low:.4g}")
        else:
            words.append(f"{name} {low:.4g} to {high:.4g}")
    return ", ".join(words)
