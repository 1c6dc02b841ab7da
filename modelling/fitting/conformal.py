"""How sure a model is of one row: an interval, or a set of classes, that holds what is true.

Split conformal prediction (Vovk, Gammerman, Shafer: Algorithmic learning in a random world, 2005)
on training rows that were held out, normalised by how difficult a row is (Papadopoulos, Vovk,
Gammerman: Regression conformal prediction with nearest neighbours, 2011; here by a small tree).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import InputError
from modelling.judging.answers import Values
from modelling.models.row_details import difficulty, number_inputs

_FEWEST_FOR_DIFFICULTY = 400
_MOST_FOR_DIFFICULTY = 20_000
_FEWEST_OF_A_LEAF = 50
_MOST_LEAVES = 8
_LEAST_DIFFICULTY = 0.1  # of the mean
_FEWEST_OF_A_CLASS = 100


def fit_intervals(
    coverage: float,
    inputs: pd.DataFrame,
    predictions: Values,
    targets: Values,
    seed: int,
    weights: Values | None = None,
) -> dict[str, Any]:
    """Fits the intervals of a regression.

    One half of the rows says how difficult a row is, the other one how far off the model is for
    its difficulty. Of fewer than 400 rows, all are as difficult.

    Args:
        coverage: which share of new rows the intervals are to hold.
        inputs: (n, inputs) rows that were held out, as `apply_features` gives them.
        predictions: (n,) what a model said that was not fitted on them.
        targets: (n,) what is true.
        seed: of the halves.
        weights: (n,) how much each row counts, if not the same.

    Returns:
        What `row_details.interval` needs, as plain JSON values.

    Raises:
        InputError: there are too few rows for this coverage.
    """
    errors, rows = targets - predictions, np.arange(len(targets))
    tree = None
    if len(rows) >= _FEWEST_FOR_DIFFICULTY:
        order = np.random.default_rng(seed).permutation(rows)
        known, rows = order[: len(order) // 2], order[len(order) // 2 :]
        some = known[:_MOST_FOR_DIFFICULTY]
        tree = _fit_difficulty(inputs.iloc[some], predictions[some], np.abs(errors[some]))
    scaled = errors[rows] / difficulty(tree, inputs.iloc[rows], predictions[rows])
    count = None if weights is None else weights[rows]
    tail = (1 - coverage) / 2
    return {
        "coverage": coverage,
        "low": -_quantile(-scaled, 1 - tail, count),
        "high": _quantile(scaled, 1 - tail, count),
        "least": 0.0 if targets.min() >= 0 else None,
        "difficulty": tree,
    }


def fit_sets(
    coverage: float, probabilities: Values, classes: Values, weights: Values | None = None
) -> dict[str, Any]:
    """Fits the sets of classes of a classification.

    Each class has a limit of its own, so that a rare one is in the sets of its rows as often as a
    frequent one; of fewer than 100 rows, that of all rows (Vovk: Conditional validity of inductive
    conformal predictors, 2012).

    Args:
        coverage: which share of new rows of each class the sets are to hold.
        probabilities: (n, classes) what a model said of rows that it was not fitted on.
        classes: (n,) the number of the class that is true.
        weights: (n,) how much each row counts, if not the same.

    Returns:
        What `row_details.class_sets` needs, as plain JSON values.

    Raises:
        InputError: there are too few rows for this coverage.
    """
    places = classes.astype(int)
    doubts = 1 - probabilities[np.arange(len(places)), places]
    of_all = _quantile(doubts, coverage, weights)
    limits = []
    for number in range(probabilities.shape[1]):
        own = places == number
        is_rare = own.sum() < max(_FEWEST_OF_A_CLASS, 2 / (1 - coverage))
        count = None if weights is None else weights[own]
        limits.append(of_all if is_rare else _quantile(doubts[own], coverage, count))
    return {"coverage": coverage, "limits": limits}


def _quantile(values: Values, share: float, weights: Values | None) -> float:
    """The value that a new one is below with this probability: of n, the (n + 1) share-th."""
    order = np.argsort(values)
    count = np.ones(len(values)) if weights is None else weights
    reached = np.cumsum(count[order]) / (count.sum() + count.mean())
    if reached[-1] < share:
        needed = int(np.ceil(share / (1 - share)))
        raise InputError(
            f"intervals: such a coverage needs {needed:,} training rows that are held out, got "
            f"{len(values):,}; ask for less"
        )
    return float(values[order][np.searchsorted(reached, share - 1e-12)])


def _fit_difficulty(
    inputs: pd.DataFrame, predictions: Values, errors: Values
) -> dict[str, Any] | None:
    """A small tree that says how far off the model is for such a row; None if it is off nowhere."""
    from sklearn.tree import DecisionTreeRegressor

    least = _LEAST_DIFFICULTY * float(errors.mean())
    if least <= 0:
        return None
    names = [str(name) for name in inputs.columns if inputs[name].dtype == np.float64]
    leaf = max(_FEWEST_OF_A_LEAF, len(errors) // 10)
    fitted = DecisionTreeRegressor(
        max_leaf_nodes=_MOST_LEAVES, min_samples_leaf=leaf, random_state=0
    ).fit(number_inputs(inputs, predictions, names), errors)
    tree = fitted.tree_
    return {
        "inputs": names,
        "feature": _plain(tree.feature),
        "threshold": _plain(tree.threshold),
        "left": _plain(tree.children_left),
        "right": _plain(tree.children_right),
        "value": _plain(np.maximum(tree.value[:, 0, 0], least)),
    }


def _plain(values: npt.NDArray[Any]) -> list[Any]:
    return list(values.tolist())
