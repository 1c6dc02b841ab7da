"""Which of a draft's models is best: each is scored on folds of the training rows."""

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from common.errors import InputError
from common.words import counted, show_figure
from modelling.drafting.leaks import Progress
from modelling.estimators.preprocessing import is_skewed
from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import Metric, metrics_of
from modelling.recipe import TOGETHER, Model, Recipe, Target, Threshold
from modelling.search.cross_validation import CrossValidation
from modelling.search.together import Folds, choose_together, members_of
from modelling.tables.split import sample_by_content

_NAIVE = "naive"
_DUMMY = {
    "regression": "sklearn.dummy.DummyRegressor",
    "classification": "sklearn.dummy.DummyClassifier",
}
_FOLDS = 3
_MOST_ROWS = 20_000
_MOST_CELLS = 1_000_000
_FEWEST_ROWS = 1000
_GRACE = 1.0  # second, for the last fold of a model that is nearly done
_LONGEST_REASON = 120
_LOG = "log1p"

Scores = Mapping[str, Sequence[float]]
"""By metric, the score on each fold."""


@dataclass(frozen=True)
class Try:
    """A model of the recipe on the folds, with the target transformed or not.

    predicted: for each fold; shares: by name, of the models that it is the mean of, if it is.
    """

    model: str
    transform: str
    scores: Scores
    predicted: Folds = field(default=(), repr=False, compare=False)
    shares: Mapping[str, int] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """Returns the mean over the folds."""
        return float(np.mean(self.scores[metric]))

    def __str__(self) -> str:
        shares = " + ".join(f"{name} x {share}" for name, share in self.shares.items())
        name = f"{self.model} ({shares})" if shares else self.model
        return name if self.transform == "none" else f"{name} of log1p"


@dataclass(frozen=True)
class Tries:
    """What became of a recipe's models on folds of its training rows.

    metrics: by name, the recipe's; name: of the primary one; rows: of how many rows; tried: the
    best first; naive: the baseline; untried: for which there was no time; failed: why, by name.
    """

    metrics: Mapping[str, Metric]
    name: str
    rows: int
    tried: Sequence[Try]
    naive: Try | None
    untried: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def gains(self, other: Try, metric: str) -> Values:
        """Returns by how much the best is better than another on each fold."""
        sign = 1 if self.metrics[metric].greater_is_better else -1
        best, others = (np.asarray(one.scores[metric]) for one in (self.tried[0], other))
        return sign * (best - others)

    def is_no_better_than(self, other: Try) -> bool:
        """Says whether the best is better by chance only: by no more than the standard error."""
        gains = self.gains(other, self.name)
        return bool(gains.mean() <= gains.std(ddof=1) / math.sqrt(len(gains)))

    def words(self, line: str) -> Iterator[str]:
        """Says what was tried and what came of it; `line` is the linear model."""
        if not self.tried:
            yield f"none could be tried: {next(iter(self.failed.values()), 'no time')}"
            return
        figures = [one for one in (*self.tried, self.naive) if one]
        shown = [f"{one} {show_figure(one.mean(self.name), metric=self.name)}" for one in figures]
        yield f"{self.name} on {_FOLDS} folds of {counted(self.rows, 'training row')}, best first:"
        yield ", ".join(shown)
        for name, why in self.failed.items():
            yield f"{name} failed: {why}"
        if self.untried:
            yield f"no time for {', '.join(self.untried)}: more with -P seconds="
        lines = [one for one in self.tried if one.model == line]
        if self.naive and self.is_no_better_than(self.naive):
            yield "none is better than the naive baseline by more than chance"
        elif lines and self.tried[0].model != line and self.is_no_better_than(lines[0]):
            yield f"none is better than a line ({line}) by more than chance"


def try_models(
    recipe: Recipe,
    rows: pd.DataFrame,
    seconds: float,
    progress: Progress = iter,
    groups: pd.Series | None = None,
) -> Tries:
    """Scores the recipe's models on folds, one after the other in their order.

    The scores depend on the rows, and not on the time: that only says how many are tried. Of a
    large table, it is a sample by content.

    Args:
        recipe: its split says which rows the folds keep together.
        rows: (n, columns and target) the training rows.
        seconds: no model is begun whose first fold would end after these if it took as long as the
            slowest before it, nor gone on with that would take longer.
        progress: goes through the names, and shows how far it is.
        groups: (n,) of a split by group.
    """
    deadline = time.monotonic() + seconds
    most = max(_FEWEST_ROWS, min(_MOST_ROWS, _MOST_CELLS // rows.shape[1]))
    sample = sample_by_content(rows, most)
    recipe = recipe.model_copy(
        update={"models": {_NAIVE: Model(estimator=_DUMMY[recipe.task]), **recipe.models}}
    )
    tried: list[Try] = []
    untried: list[str] = []
    failed: dict[str, str] = {}
    candidates = _candidates(recipe, sample)
    validations: dict[str, CrossValidation] = {}
    slowest = 0.0  # seconds of a fold
    for one, _ in zip(candidates, progress([*map(str, candidates)]), strict=True):
        try:
            if one.transform not in validations:  # its folds are prepared for the first model
                changed = {"target": Target.model_validate({"transform": one.transform})}
                validations[one.transform] = _validation(
                    recipe.model_copy(update=changed), sample, groups
                )
            started = time.monotonic()
            if started + slowest > deadline:
                untried.append(str(one))
                continue
            done = _try(one, recipe, validations[one.transform], deadline)
            if one.model != _NAIVE:  # which has prepared the folds
                folds = _FOLDS if done else 1  # what was given up had done one, or few more
                slowest = max(slowest, (time.monotonic() - started) / folds)
        except (InputError, ValueError, ArithmeticError) as error:
            failed[str(one)] = " ".join(str(error).split())[:_LONGEST_REASON]
            continue
        if done:
            tried.append(done)
        else:
            untried.append(str(one))
    name, metrics = recipe.metrics.primary, metrics_of(recipe)
    ranked = _ranked(tried, metrics[name], name)
    naive = next((one for one in ranked if one.model == _NAIVE), None)
    others = [one for one in ranked if one is not naive]
    together = _together(others, recipe, sample, groups)
    others = _ranked([*others, *together], metrics[name], name)
    return Tries(metrics, name, len(sample), others, naive, untried, failed)


def _ranked(tried: Sequence[Try], metric: Metric, name: str) -> list[Try]:
    sign = -1 if metric.greater_is_better else 1
    return sorted(tried, key=lambda one: sign * one.mean(name))


def _together(
    tried: Sequence[Try], recipe: Recipe, rows: pd.DataFrame, groups: pd.Series | None
) -> Iterator[Try]:
    """The mean of those that are best together, if it is better than the best of all.

    They share what is done with the target.
    """
    if not tried or TOGETHER in recipe.models:
        return
    name = recipe.metrics.primary
    better = metrics_of(recipe)[name].greater_is_better
    validation = _validation(recipe, rows, groups)
    for transform in {one.transform: None for one in tried}:
        same = [one for one in tried if one.transform == transform]
        found = choose_together(
            [one.predicted for one in same], lambda folds: list(validation.score(folds)), better
        )
        if found is not None:
            shares = {same[place].model: share for place, share in sorted(found.shares.items())}
            predicted = [
                np.average(fold, axis=0, weights=[*shares.values()])
                for fold in zip(
                    *(same[place].predicted for place in sorted(found.shares)), strict=True
                )
            ]
            scores = _scores(recipe, validation.read(predicted))
            yield Try(TOGETHER, transform, scores, predicted, shares)


def _candidates(recipe: Recipe, rows: pd.DataFrame) -> list[Try]:
    """The models, and those of a regression once more if its target has a long tail."""
    plain = [Try(name, "none", {}) for name in recipe.models]
    if recipe.task == "classification" or not is_skewed(rows[recipe.data.target]):
        return plain
    return [*plain, *(replace(one, transform=_LOG) for one in plain if one.model != _NAIVE)]


def _try(one: Try, recipe: Recipe, validation: CrossValidation, deadline: float) -> Try | None:
    """One with its scores on all folds; None if there is not the time."""
    started = time.monotonic()
    predicted: list[Values] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare categories: it is a rough look
        for values in validation.predict(one.model, {}):
            predicted.append(values)
            done = len(predicted)
            left = (time.monotonic() - started) / done * (_FOLDS - done)
            if one.model != _NAIVE and time.monotonic() + left > deadline + _GRACE:
                return None
        scores = _scores(recipe, validation.read(predicted))
    if not all(math.isfinite(value) for found in scores.values() for value in found):
        raise ValueError(f"{recipe.metrics.primary} is not finite")
    return replace(one, scores=scores, predicted=predicted)


def _validation(recipe: Recipe, rows: pd.DataFrame, groups: pd.Series | None) -> CrossValidation:
    target = recipe.data.target
    together = None if groups is None else groups[rows.index].reset_index(drop=True)
    return CrossValidation(
        recipe,
        rows.drop(columns=target).reset_index(drop=True),
        rows[target].reset_index(drop=True),
        _FOLDS,
        groups=together,
    )


def _scores(recipe: Recipe, folds: Iterable[tuple[Answers, Values]]) -> Scores:
    known = metrics_of(recipe)
    scores: dict[str, list[float]] = {name: [] for name in (recipe.metrics.primary, *recipe.gate)}
    for answers, true in folds:
        for name, found in scores.items():
            found.append(known[name](answers, true))
    return scores


def with_best(recipe: Recipe, best: Try) -> Recipe:
    """Returns the recipe whose default is the best, which may be the mean of several."""
    changed: dict[str, Any] = {
        "default_model": best.model,
        "target": Target.model_validate({"transform": best.transform}),
    }
    if best.shares:
        held = {name: recipe.models[name] for name in best.shares}
        model = recipe.with_together(TOGETHER).models[TOGETHER]
        parameters = {**model.parameters, **members_of(held, [*best.shares.values()])}
        together = model.model_copy(update={"parameters": parameters})
        changed["models"] = {**recipe.models, TOGETHER: together}
    return recipe.model_copy(update=changed)


LEAST_ABOVE_CHANCE = 0.05
"""By how much a draft wants a ROC AUC above 0.5 of as many rows as there may be."""


def reachable(asked: Threshold, tries: Tries, metric: str) -> Threshold:
    """Returns what a gate asks for, or half of what the best gained on the folds if that is less.

    What is asked for because so few rows reach less by chance is left.

    Args:
        asked: by how much a model must be better than the naive baseline.
        tries: that have a best model, and the baseline.
        metric: of the gate.
    """
    if tries.naive is None:
        return asked
    if (asked.min_absolute_change or 0) > LEAST_ABOVE_CHANCE:
        return asked
    half = max(float(tries.gains(tries.naive, metric).mean()) / 2, 0.0)
    halves = {"min_absolute_change": half, "min_relative_change": half / tries.naive.mean(metric)}
    found = asked.model_dump(exclude_none=True)
    return Threshold(
        **{key: min(value, math.floor(100 * halves[key]) / 100) for key, value in found.items()}
    )
