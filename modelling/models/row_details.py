"""What a logged model tells of a row beyond its answer: why it is so, and how sure it is.

MLflow keeps this file with each model, and the wrapper beside it imports it by its path when it is
asked. It must not import anything of this project.

A contribution says by how much a column moves an answer away from the base, which is the mean
answer: Shapley values (Lundberg, Lee: A unified approach to interpreting model predictions, 2017),
always of the columns of the table, whatever the model makes of them.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import OneToOneFeatureMixin, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

Answering = Callable[[pd.DataFrame], np.ndarray]
"""What a model says of n rows of columns that were read: (n,) numbers or (n, classes)
probabilities; NaN where it has no answer."""

_MOST_PAIRS = 100
_FEWEST_PAIRS = 10
_ANSWERS_A_ROW = 4_000  # where there are many columns, fewer walks
_CELLS_AT_ONCE = 2_000_000
_SEED = 0
_CLOSE = 1e-5  # XGBoost counts in 32 bits
_STILL = 1e-3
_LONGEST_VALUE = 40
_OWN_TRANSFORMER = "own "  # as the wrapper has it


@dataclass(frozen=True)
class Explanation:
    """Why n rows have their values: base + the sum of the contributions is the value.

    columns: of the table; values, base: (n,); contributions: (n, columns), in the values' unit;
    errors: (n, columns) their standard errors, 0 where they are exact.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    base: np.ndarray
    contributions: np.ndarray
    errors: np.ndarray

    def as_frame(self) -> pd.DataFrame:
        """Returns value, base, and for each column contribution_<column> and error_<column>."""
        named = {"value": self.values, "base": self.base}
        for place, name in enumerate(self.columns):
            named[f"contribution_{name}"] = self.contributions[:, place]
        for place, name in enumerate(self.columns):
            named[f"error_{name}"] = self.errors[:, place]
        return pd.DataFrame(named)

    def strongest(self, read: pd.DataFrame, kinds: Mapping[str, str], count: int) -> pd.DataFrame:
        """Returns base, reason_1, contribution_1, … and others: what all other columns add.

        Args:
            read: (n, columns) the rows, read as their kinds.
            kinds: of the columns.
            count: of reasons, the strongest first.
        """
        count = min(count, len(self.columns))
        order = np.argsort(-np.abs(self.contributions), axis=1, kind="stable")[:, :count]
        told = np.take_along_axis(self.contributions, order, axis=1)
        named: dict[str, Any] = {"base": self.base}
        for place in range(count):
            named[f"reason_{place + 1}"] = [
                describe_cell(self.columns[column], read.iat[row, column], kinds)
                for row, column in enumerate(order[:, place])
            ]
            named[f"contribution_{place + 1}"] = told[:, place]
        named["others"] = self.values - self.base - told.sum(axis=1)
        return pd.DataFrame(named)


def describe_cell(name: str, value: Any, kinds: Mapping[str, str]) -> str:
    """Writes a cell as a person reads it: age = 44, age is missing.

    Args:
        name: of its column.
        value: as it is read.
        kinds: of the columns.
    """
    kind = kinds[name]
    if pd.isna(value):
        return f"{name} is missing"
    if kind == "number":
        return f"{name} = {value:.10g}"
    if kind == "boolean":
        return f"{name} = {'yes' if value else 'no'}"
    text = str(value).removesuffix(" 00:00:00") if kind == "date" else str(value)
    short = f"{text[: _LONGEST_VALUE - 1]}…" if len(text) > _LONGEST_VALUE else text
    return f"{name} = {short}"


# By sampling, for any model.


@dataclass(frozen=True)
class KnownRows:
    """(n, columns) rows, read as their kinds, and what the model says of them, as Answering."""

    rows: pd.DataFrame
    values: np.ndarray

    def spread(self, count: int) -> "KnownRows":
        """Returns so many of them, evenly spread."""
        places = np.linspace(0, len(self.rows) - 1, count).round().astype(int)
        return KnownRows(self.rows.iloc[places], self.values[places])


def explain_by_sampling(
    answer: Answering, known: KnownRows, background: KnownRows, chosen: np.ndarray | None
) -> Explanation:
    """Estimates the contributions to a model's answers for n rows.

    Each of up to 100 rows of the background is turned into the row column by column, in a random
    order and in the reverse one (Castro, Gómez, Tejada: Polynomial calculation of the Shapley value
    based on sampling, 2009; Mitchell et al.: Sampling permutations for Shapley value estimation,
    2022); a column's contribution is the mean of the steps that it makes. Where a step has no
    answer, it stays where it was. The same rows and orders are taken for all, so that a row alone
    is given what it is given among others.

    Args:
        answer: the model.
        known: the n rows.
        background: training rows.
        chosen: (n,) which class is explained; None of a regression.
    """
    rows = known.rows
    count, most = len(rows.columns), min(len(background.rows), _MOST_PAIRS)
    pairs = min(most, max(_FEWEST_PAIRS, _ANSWERS_A_ROW // (2 * count)))
    background = background.spread(pairs)
    rng = np.random.default_rng(_SEED)
    turns = np.array([rng.permutation(count) for _ in range(pairs)])
    turns = np.concatenate([turns, count - 1 - turns])  # by column, when it turns into the row's
    at_start = _of_class(background.values, chosen, np.arange(len(rows))[:, None])
    at_end = _of_class(known.values[:, None], chosen, np.arange(len(rows))[:, None])
    at_once = max(1, _CELLS_AT_ONCE // (len(turns) * count * count))
    contributions, errors = [], []
    for first in range(0, len(rows), at_once):
        part = np.arange(first, min(first + at_once, len(rows)))
        steps = _walk(answer, rows.iloc[part], background.rows, turns, chosen, part)
        ends = np.concatenate([at_start[part]] * 2, axis=1), np.repeat(at_end[part], len(turns), 1)
        path = _without_gaps(np.concatenate([ends[0][..., None], steps, ends[1][..., None]], 2))
        moves = np.take_along_axis(np.diff(path, axis=2), turns[None], axis=2)
        of_pair = (moves[:, :pairs] + moves[:, pairs:]) / 2
        contributions.append(of_pair.mean(axis=1))
        errors.append(of_pair.std(axis=1, ddof=min(1, pairs - 1)) / np.sqrt(pairs))
    return Explanation(
        tuple(rows.columns),
        at_end[:, 0],
        at_start.mean(axis=1),
        np.concatenate(contributions),
        np.concatenate(errors),
    )


def _walk(
    answer: Answering,
    rows: pd.DataFrame,
    background: pd.DataFrame,
    turns: np.ndarray,
    chosen: np.ndarray | None,
    part: np.ndarray,
) -> np.ndarray:
    """The (n, walks, columns - 1) answers between a background row and the row."""
    count, pairs = len(rows.columns), len(background)
    if count == 1:
        return np.empty((len(rows), len(turns), 0))
    is_own = turns[:, None, :] < np.arange(1, count)[:, None]  # (walks, steps, columns)
    start = (np.arange(len(turns)) % pairs)[:, None]
    cells = {}
    for column, name in enumerate(rows.columns):
        pool = pd.concat([background[name], rows[name]], ignore_index=True)
        taken = np.where(is_own[:, :, column], pairs + np.arange(len(rows))[:, None, None], start)
        cells[name] = pool.take(taken.ravel()).array
    mixed = pd.DataFrame(cells, copy=False)
    pieces = range(0, len(mixed), max(1, _CELLS_AT_ONCE // count))
    given = np.concatenate([answer(mixed[at : at + pieces.step]) for at in pieces])
    shape = (len(rows), len(turns), count - 1)
    of_walk = given.reshape(*shape, *given.shape[1:])
    return _of_class(of_walk, chosen, part[:, None, None])


def _of_class(values: np.ndarray, chosen: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Of each row the numbers, or the probabilities of its class; one for all is one for each."""
    if chosen is None:
        return np.broadcast_to(values, np.broadcast_shapes(values.shape, rows.shape))
    of_row = chosen[rows]
    shape = np.broadcast_shapes(values.shape[:-1], of_row.shape)
    spread = np.broadcast_to(values, (*shape, values.shape[-1]))
    return np.take_along_axis(spread, np.broadcast_to(of_row, shape)[..., None], axis=-1)[..., 0]


def _without_gaps(path: np.ndarray) -> np.ndarray:
    """Paths whose steps without an answer stay where they were."""
    if np.isfinite(path).all():
        return path
    known = np.where(np.isfinite(path), np.arange(path.shape[2]), 0)
    return np.take_along_axis(path, np.maximum.accumulate(known, axis=2), axis=2)


# Exactly, where the estimator is a sum of parts and each input of it is of one column.


def explain_exactly(
    pipeline: Any, inputs: pd.DataFrame, fitted: Mapping[str, Any], values: np.ndarray, sign: Any
) -> Explanation | None:
    """Takes the contributions from a linear model, or from LightGBM or XGBoost, which know them.

    Those of a classification are of log-odds. They are told in the probability, which is what a
    person reads: each in the same proportion, so that their sum is right and their order and signs
    stay.

    Args:
        pipeline: fitted.
        inputs: (n, inputs) as the wrapper's `apply_features` gives them.
        fitted: the fitted features; of a linear model with `reference`.
        values: (n,) what is explained: the numbers, or the probabilities of one of two classes.
        sign: (n,) 1 where that is the second class, -1 where it is the first; 1 of a regression.

    Returns:
        None where the model is another, or a formula reads several columns.
    """
    columns = list(fitted["columns"])
    sources = find_sources(pipeline, list(inputs.columns), fitted)
    if sources is None or (found := _parts(pipeline, inputs, fitted, len(sources))) is None:
        return None
    is_probability = is_classifier(pipeline)
    sign = np.broadcast_to(sign, len(values))
    parts, base = sign[:, None] * found[0], sign * found[1]
    total, size = base + parts.sum(axis=1), np.abs(base) + np.abs(parts).sum(axis=1)
    said = expit(total) if is_probability else total
    if (np.abs(said - values) > _CLOSE * size + 1e-9).any():
        return None  # it makes something else of the sum, as a loss with a link does
    start = expit(base) if is_probability else base
    is_still = np.abs(total - base) < _STILL * size  # where a proportion would be one of errors
    slope = start * (1 - start) if is_probability else np.ones(len(values))
    scale = np.where(is_still, slope, (values - start) / np.where(is_still, 1.0, total - base))
    scaled = parts * scale[:, None]
    contributions = np.zeros((len(values), len(columns)))
    for place, name in enumerate(columns):
        own = [number for number, source in enumerate(sources) if source == name]
        contributions[:, place] = scaled[:, own].sum(axis=1)
    # What rounding left is told with the strongest.
    strongest = np.arange(len(values)), np.argmax(np.abs(contributions), axis=1)
    contributions[strongest] += values - start - contributions.sum(axis=1)
    errors = np.zeros_like(contributions)
    return Explanation(tuple(columns), values, start, contributions, errors)


def mean_inputs(pipeline: Pipeline, inputs: pd.DataFrame) -> list[float] | None:
    """Returns the mean of what a linear estimator sees of training rows; None of another.

    Args:
        pipeline: fitted.
        inputs: (n, inputs) the training rows.
    """
    if not hasattr(pipeline[-1], "coef_"):
        return None
    return np.asarray(_transform(pipeline, inputs).mean(axis=0), dtype=float).tolist()


def _transform(pipeline: Pipeline, inputs: pd.DataFrame) -> Any:
    given: Any = pipeline[:-1].transform(inputs) if len(pipeline) > 1 else inputs
    return given.toarray() if hasattr(given, "toarray") else given


def _parts(
    pipeline: Pipeline, inputs: pd.DataFrame, fitted: Mapping[str, Any], count: int
) -> tuple[np.ndarray, float] | None:
    """The (n, count) parts of a sum, and what it starts from."""
    estimator, reference = pipeline[-1], fitted.get("reference")
    if hasattr(estimator, "voting") and len(estimator.estimators_) == 1:
        (estimator,) = estimator.estimators_  # whose classes the vote numbers, and no more
    module = type(estimator).__module__
    given = _transform(pipeline, inputs)
    if module.startswith("lightgbm."):
        parts = np.asarray(estimator.predict(given, pred_contrib=True))
    elif module.startswith("xgboost."):
        matrix = import_module("xgboost").DMatrix(given)
        parts = estimator.get_booster().predict(matrix, pred_contribs=True, validate_features=False)
    elif reference is not None and np.size(estimator.coef_) == len(reference) == count:
        start = np.ravel(estimator.coef_) @ np.array(reference) + np.ravel(estimator.intercept_)[0]
        return (np.asarray(given) - np.array(reference)) * np.ravel(estimator.coef_), float(start)
    else:
        return None
    if parts.shape != (len(inputs), count + 1):  # of several classes
        return None
    return parts[:, :-1].astype(float), float(parts[0, -1])


def find_sources(
    pipeline: Any, inputs: Sequence[str], fitted: Mapping[str, Any]
) -> list[str] | None:
    """Names the column of the table that each input of the estimator is made of.

    Args:
        pipeline: fitted.
        inputs: the names of the columns that it takes.
        fitted: the fitted features.

    Returns:
        None where one is made of several, or that is not known.
    """
    of_input = _columns_of_inputs(fitted)
    names: list[str] | None = list(inputs)
    for _, step in pipeline.steps[:-1] if isinstance(pipeline, Pipeline) else ():
        names = names and _follow(step, names)
    sources = [of_input.get(name) for name in names or [""]]
    return None if None in sources else sources  # type: ignore[return-value]


def _columns_of_inputs(fitted: Mapping[str, Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, kind in fitted["columns"].items():
        parts = [f"{name} ({part})" for part in ("days", "month", "weekday", "hour")]
        found |= dict.fromkeys(parts if kind == "date" else [name], name)
    read = {name: _read_by(tree) for name, tree in fitted["formulas"].items()}
    for name, score in fitted["quantile_scores"].items():
        read[name] = {part["column"] for part in score}
    found |= {name: next(iter(names)) if len(names) == 1 else None for name, names in read.items()}
    return found


def _read_by(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        return {tree["column"]} if "column" in tree else set()
    return set().union(*map(_read_by, tree[1:])) if isinstance(tree, list) else set()


def _follow(step: Any, names: list[str]) -> list[str] | None:
    """What each column after a step is made of, by the names of those before; None if unknown."""
    if isinstance(step, ColumnTransformer):
        return _follow_parts(step)
    if isinstance(step, Pipeline):
        known: list[str] | None = names
        for _, each in step.steps:
            known = known and _follow(each, known)
        return known
    if isinstance(step, OneHotEncoder):
        named = copy(step)
        named.feature_name_combiner = lambda column, _value: column
        return list(named.get_feature_names_out(names))
    if isinstance(step, SimpleImputer):
        empty = pd.isna(step.statistics_) & (not step.keep_empty_features)
        kept = [name for name, is_empty in zip(names, empty, strict=True) if not is_empty]
        added = step.indicator_.features_ if step.add_indicator else ()
        return [*kept, *(names[place] for place in added)]
    is_one_to_one = isinstance(step, OneToOneFeatureMixin | FunctionTransformer)
    return names if is_one_to_one else None


def _follow_parts(columns: ColumnTransformer) -> list[str] | None:
    found: list[str] = []
    for name, part, taken in columns.transformers_:
        place = columns.output_indices_[name]
        of_part = [taken] if isinstance(taken, str) else list(taken)
        if width := place.stop - place.start:
            is_own = str(name).startswith(_OWN_TRANSFORMER)  # which may mix its columns
            several = None if is_own else _follow(part, of_part)
            sources = of_part * width if len(of_part) == 1 else several
            if sources is None or len(sources) != width:
                return None
            found += sources
    return found


# How sure it is: an interval, or a set of classes, as modelling/fitting/conformal.py has fitted it.

_A_GAP = -1e30  # below all numbers, in 32 bits too


def interval(
    fitted: Mapping[str, Any], inputs: pd.DataFrame, predictions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both (n,) ends of the intervals of a regression.

    Args:
        fitted: as `fit_intervals` gives it.
        inputs: (n, inputs) as the wrapper's `apply_features` gives them.
        predictions: (n,) of the model.
    """
    scale = difficulty(fitted["difficulty"], inputs, predictions)
    low, high = predictions + fitted["low"] * scale, predictions + fitted["high"] * scale
    least = fitted["least"]
    return (low, high) if least is None else (np.maximum(low, least), np.maximum(high, least))


def class_sets(fitted: Mapping[str, Any], probabilities: np.ndarray) -> np.ndarray:
    """Says which classes are in the sets of n rows: (n, classes) booleans.

    The most probable one always is: a set without a class helps nobody.

    Args:
        fitted: as `fit_sets` gives it.
        probabilities: (n, classes) of the model.
    """
    inside = 1 - probabilities <= np.array(fitted["limits"]) + 1e-12
    inside[np.arange(len(inside)), np.argmax(probabilities, axis=1)] = True
    return inside


def difficulty(
    tree: Mapping[str, Any] | None, inputs: pd.DataFrame, predictions: np.ndarray
) -> np.ndarray:
    """Returns how far off a model is for such rows, (n,); 1 for all without a tree."""
    node = np.zeros(len(predictions), dtype=int)
    if tree is None:
        return np.ones(len(predictions))
    values = number_inputs(inputs, predictions, tree["inputs"])
    feature, threshold, left, right, value = (
        np.array(tree[name]) for name in ("feature", "threshold", "left", "right", "value")
    )
    while (inner := left[node] >= 0).any():
        cell = values[np.arange(len(node)), np.where(inner, feature[node], 0)]
        below = np.where(cell <= threshold[node], left[node], right[node])
        node = np.where(inner, below, node)
    return value[node]


def number_inputs(
    inputs: pd.DataFrame, predictions: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Returns (n, 1 + names) numbers: the predictions, and these inputs; a gap is below all."""
    values = np.column_stack([predictions, *(inputs[name].to_numpy() for name in names)])
    return np.where(np.isnan(values), _A_GAP, values.clip(-1e30, 1e30)).astype(np.float32)
