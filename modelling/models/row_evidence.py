"""What a model says of single test rows: why, for some of them, and how sure it is, for all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from modelling.judging.answers import PREDICTION, PROBABILITY_PREFIX, Classes, Values
from modelling.models.sklearn_wrapper import apply_features

REASONS = 3
_WORST = 3
_QUANTILES = {"low": 0.1, "middle": 0.5, "high": 0.9}
_MOST_COLUMNS = 500  # of more, the explanation of six rows takes longer than all the rest


@dataclass(frozen=True)
class AnsweredRows:
    """(n, raw columns) rows, with the answers of a model, as `answer` gives them."""

    rows: pd.DataFrame
    answers: pd.DataFrame

    def at(self, places: npt.NDArray[np.intp]) -> "AnsweredRows":
        """Returns some of them."""
        rows = self.rows.iloc[places].reset_index(drop=True)
        return AnsweredRows(rows, self.answers.iloc[places].reset_index(drop=True))


def explain_some(
    model: Any, answered: AnsweredRows, errors: Values, positive: Any = None
) -> pd.DataFrame | None:
    """Says why the three worst of n rows, and three typical ones, are given their answers.

    Args:
        model: the wrapper that was logged.
        answered: the rows.
        errors: (n,) how far off each is.
        positive: the class to be found, if there is one.

    Returns:
        A row each: place (from 0), which (worst; low, middle or high, among all answers), and what
        the model's `explain` gives with three reasons, with the value and the largest standard
        error of a contribution. None of a model that cannot, or has too many columns.
    """
    if not hasattr(model, "explain") or len(model.features["columns"]) > _MOST_COLUMNS:
        return None
    chosen = _choose(answered.answers, errors, positive)
    places = np.array([place for place, _ in chosen])
    some = answered.at(places)
    inputs = apply_features(some.rows, model.features)
    told = model.explain(some.rows, inputs, some.answers, REASONS)
    whole = model.explain(some.rows, inputs, some.answers)
    table = pd.DataFrame({"place": places, "which": [which for _, which in chosen]})
    largest = whole.filter(regex="^error_").max(axis=1)
    return table.assign(value=whole["value"], error=largest).join(told)


def _choose(answers: pd.DataFrame, errors: Values, positive: Any) -> list[tuple[int, str]]:
    worst = np.argsort(-np.abs(errors), kind="stable")[:_WORST]
    chosen = [(int(place), "worst") for place in worst]
    said = answers[[name for name in answers if str(name).startswith(PROBABILITY_PREFIX)]]
    if positive is not None:
        values = answers[f"{PROBABILITY_PREFIX}{positive}"].to_numpy()
    else:
        values = said.max(axis=1).to_numpy() if said.shape[1] else answers[PREDICTION].to_numpy()
    order = np.argsort(values, kind="stable")
    order = order[~np.isin(order, worst)]
    for which, share in _QUANTILES.items() if len(order) else ():
        place = int(order[round(share * (len(order) - 1))])
        if place not in [known for known, _ in chosen]:
            chosen.append((place, which))
    return chosen


@dataclass(frozen=True)
class HeldIntervals:
    """Whether the interval or set of each of n rows holds what is true, and how large it is."""

    promised: float
    holds: npt.NDArray[np.bool_]
    sizes: Values


def hold_intervals(
    model: Any,
    inputs: pd.DataFrame,
    answers: pd.DataFrame,
    targets: Values,
    classes: Classes | None,
) -> HeldIntervals | None:
    """Holds the intervals, or sets, of a model against what is true.

    Args:
        model: the wrapper that was logged.
        inputs: (n, inputs) as `apply_features` gives them.
        answers: as `answer` gives them.
        targets: (n,) what is true, as `encode_targets` gives it.
        classes: of a classification.

    Returns:
        None of a model that has none.
    """
    fitted = model.features.get("intervals")
    if fitted is None:
        return None
    told = model.interval(inputs, answers)
    if classes is None:
        low, high = told["prediction_low"].to_numpy(), told["prediction_high"].to_numpy()
        return HeldIntervals(fitted["coverage"], (low <= targets) & (targets <= high), high - low)
    codes = dict(zip(classes.labels, classes.encode(classes.labels), strict=True))
    sets = [[codes[label] for label in row] for row in told["prediction_set"]]
    holds = np.array([true in row for true, row in zip(targets, sets, strict=True)])
    return HeldIntervals(fitted["coverage"], holds, np.array([len(row) for row in sets], float))
