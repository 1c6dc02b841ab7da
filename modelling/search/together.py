"""Which trials are best together: a greedy selection by what they predicted for the folds.

Each step adds the trial that makes the mean of all best, one that is there already included, so
that a good one weighs more (Caruana et al. 2004, Ensemble selection from libraries of models).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelling.judging.answers import Values
from modelling.recipe import Model

MOST_MEMBERS = 10
_COST_OF_A_MODEL = 0.01

Folds = Sequence[Values]
"""What a trial predicted: for the rows of each fold (n,) numbers or (n, classes) probabilities."""


@dataclass(frozen=True)
class Together:
    """Some trials whose weighted mean is better than any of them.

    shares: how often each was taken, by its place among the candidates; scores: of the mean, one a
    fold.
    """

    shares: Mapping[int, int]
    scores: tuple[float, ...]

    @property
    def score(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.scores))


def choose_together(
    candidates: Sequence[Folds],
    score: Callable[[Folds], Sequence[float]],
    greater_is_better: bool,
) -> Together | None:
    """Returns the trials that are best together, or None if the first is as good alone.

    Each model more costs one percent of the error of the best alone. The error is the score, or how
    far it is from 1 where more is better.

    Args:
        candidates: the best alone first.
        score: gives the score of predictions for all folds, one a fold.
        greater_is_better: of the scores.
    """
    sign = 1 if greater_is_better else -1
    alone = _Selection((0,), candidates[0], tuple(score(candidates[0])))
    steps = [alone]
    while len(steps) < MOST_MEMBERS:
        options = [steps[-1].with_one(place, one, score) for place, one in enumerate(candidates)]
        best = max(options, key=lambda option: sign * option.mean)
        if sign * best.mean <= sign * steps[-1].mean:
            break
        steps.append(best)
    error = abs(1 - alone.mean) if greater_is_better else abs(alone.mean)
    chosen = max(
        steps, key=lambda one: sign * one.mean - one.cost(error)
    )  # of equal ones, the first
    return None if chosen is alone else Together(Counter(chosen.places), chosen.scores)


def members_of(members: Mapping[str, Model], shares: Sequence[int]) -> dict[str, Any]:
    """Returns models by name, and the share of each, as the parameters of what holds them."""
    said = {"estimator", "parameters", "scale", "preprocess"}
    stopped = {*said, "early_stopping"}
    return {
        "estimators": {
            name: model.model_dump(mode="json", include=stopped if model.early_stopping else said)
            for name, model in members.items()
        },
        "weights": [*shares],
    }


@dataclass(frozen=True)
class _Selection:
    """Places of candidates, the mean of what they predicted, and its scores."""

    places: tuple[int, ...]
    predicted: Folds
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    def cost(self, error: float) -> float:
        """What each model more than one costs."""
        return _COST_OF_A_MODEL * error * (len(set(self.places)) - 1)

    def with_one(
        self, place: int, one: Folds, score: Callable[[Folds], Sequence[float]]
    ) -> "_Selection":
        count = len(self.places)
        predicted = [
            (count * before + new) / (count + 1)
            for before, new in zip(self.predicted, one, strict=True)
        ]
        return _Selection((*self.places, place), predicted, tuple(score(predicted)))
