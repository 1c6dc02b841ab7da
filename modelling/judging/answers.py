"""What a model says of rows, in the numbers that metrics take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import InputError, unknown_name
from modelling.recipe import Recipe

Values = npt.NDArray[np.float64]

PREDICTION = "prediction"
PROBABILITY_PREFIX = "probability_"


@dataclass(frozen=True)
class Answers:
    """What a model says of n rows, and how much each counts.

    predictions: (n,) values; of a binary classification 1 for the positive class and 0 for the
    other; of one with more classes the number of the class, in sorted order. probabilities: of the
    positive class (n,), or of every class (n, classes); None for a regression. weights: (n,), none
    below 0; None where all rows count the same.
    """

    predictions: Values
    probabilities: Values | None = None
    weights: Values | None = None

    def of_rows(self, rows: npt.NDArray[np.intp]) -> "Answers":
        """Returns the answers for some of the rows."""
        given = (self.probabilities, self.weights)
        chosen = (None if values is None else values[rows] for values in given)
        return Answers(self.predictions[rows], *chosen)

    def equals(self, other: "Answers") -> bool:
        """Says whether these are the same answers."""
        if self.probabilities is None or other.probabilities is None:
            return np.array_equal(self.predictions, other.predictions)
        return np.array_equal(self.predictions, other.predictions) and np.array_equal(
            self.probabilities, other.probabilities
        )


@dataclass(frozen=True)
class Classes:
    """The labels of a classification, sorted, and the positive one if it is a binary one."""

    labels: tuple[Any, ...]
    positive: Any = None

    def encode(self, labels: Any) -> Values:
        """Turns (n,) labels into numbers, as Answers has them."""
        given = np.asarray(labels)
        if self.positive is not None:
            return (given == self.positive).astype(float)
        return np.searchsorted(np.asarray(self.labels), given).astype(float)

    @property
    def columns(self) -> list[str]:
        """The columns of probabilities that a model gives."""
        return [f"{PROBABILITY_PREFIX}{label}" for label in self.labels]


def find_classes(recipe: Recipe, labels: Iterable[Any]) -> Classes | None:
    """Returns the classes of a recipe's target; None for a regression.

    Args:
        recipe: says whether it is a classification, and which class is positive.
        labels: of rows among which every class is.

    Raises:
        InputError: the positive class is not among them.
    """
    if recipe.task == "regression":
        return None
    known = tuple(pd.Series(labels).drop_duplicates().sort_values().tolist())
    positive = recipe.data.positive_class
    return Classes(known, None if positive is None else find_class(known, positive))


def find_class(classes: Sequence[Any], name: object) -> Any:
    """Returns the class that a recipe names, as the table writes it.

    Raises:
        InputError: there is none; the nearest is named.
    """
    known = {str(label): label for label in classes}
    text = str(name).strip()  # as the labels are
    if text not in known:
        raise InputError("data.positive_class: " + unknown_name("class", name, known))
    return known[text]


def encode_targets(targets: Any, classes: Classes | None) -> Values:
    """Turns (n,) targets into the numbers that metrics take."""
    return np.asarray(targets, dtype=float) if classes is None else classes.encode(targets)


def read_answers(
    table: pd.DataFrame, classes: Classes | None, weights: pd.Series | None = None
) -> Answers:
    """Turns a model's output into the numbers that metrics take.

    Args:
        table: n rows with `prediction` and, of a classification, `probability_<class>`.
        classes: of the target; None for a regression.
        weights: (n,) how much each row counts, if not the same.

    Raises:
        InputError: the model knows other classes.
    """
    predictions = encode_targets(table[PREDICTION], classes)
    count = None if weights is None else weights.to_numpy(dtype=float)
    if classes is None:
        return Answers(predictions, weights=count)
    given = [name for name in map(str, table) if name.startswith(PROBABILITY_PREFIX)]
    if set(given) != set(classes.columns):
        raise InputError(
            f"the model knows the classes {', '.join(_labels(given))}; the table has "
            f"{', '.join(_labels(classes.columns))}"
        )
    if classes.positive is None:
        return Answers(predictions, table[classes.columns].to_numpy(), count)
    of_positive = table[f"{PROBABILITY_PREFIX}{classes.positive}"].to_numpy()
    return Answers(predictions, of_positive, count)


def _labels(columns: Iterable[str]) -> list[str]:
    return [name.removeprefix(PROBABILITY_PREFIX) for name in columns]
