"""The score of a model on folds of the training rows, by which the trials of a sweep compete."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from modelling.estimators.estimators import fit_pipeline
from modelling.fitting.early_stopping import Rounds, find_rounds, is_stopped
from modelling.judging.answers import (
    PREDICTION,
    Answers,
    Classes,
    Values,
    encode_targets,
    find_classes,
    read_answers,
)
from modelling.judging.metrics import Metric, metrics_of, threshold_metric
from modelling.judging.thresholds import best_threshold
from modelling.models.sklearn_wrapper import answer
from modelling.models.training import Fitting, fit_inputs, unfitted_pipeline, unseen_inputs
from modelling.recipe import Recipe
from modelling.tables.folds import split_folds

_MOST_BYTES_KEPT = 256e6


@dataclass(frozen=True)
class _Fold:
    number: int
    fitting: Fitting
    targets: pd.Series
    unseen: pd.DataFrame
    weights: pd.Series | None = None


class CrossValidation:
    """Scores models on the folds of one set of training rows."""

    def __init__(
        self,
        recipe: Recipe,
        raw: pd.DataFrame,
        targets: pd.Series,
        folds: int,
        times: pd.Series | None = None,
        groups: pd.Series | None = None,
        gap: float = 0.0,
        weights: pd.Series | None = None,
    ) -> None:
        """Takes (n, raw columns) training rows and (n,) targets.

        Their (n,) times put them in order, with a gap before the rows that are scored; or their
        (n,) groups stay together. Their (n,) weights say how much each counts.

        Raises:
            InputError: as `split_folds`; or the recipe names a metric that does not exist.
        """
        self._recipe = recipe
        self._raw = raw
        self._targets = targets
        self._weights = weights
        self._classes: Classes | None = find_classes(recipe, targets)
        self._metric: Metric = metrics_of(recipe)[recipe.metrics.primary]
        stratify = self._classes is not None
        seed = recipe.split.seed
        self._rows = split_folds(raw, targets, folds, seed, stratify, times, groups, gap)
        self._given = {"times": times, "groups": groups, "gap": gap}
        is_small = raw.memory_usage(deep=True).sum() * folds < _MOST_BYTES_KEPT
        self._kept: dict[int, _Fold] | None = {} if is_small else None

    def scores(self, model: str, hyperparameters: Mapping[str, Any]) -> Iterator[float]:
        """Gives the primary metric of the recipe on one fold after the other.

        The features, the sampling and the model are fitted on the other folds only. Where the
        decision's threshold is tuned and makes a difference, all folds are fitted first, and each
        is scored with the threshold that is best on the others' answers.

        Raises:
            InputError: scikit-learn refuses a hyperparameter or the data.
        """
        return self.score(self.predict(model, hyperparameters))

    def score(self, predicted: Iterable[Values]) -> Iterator[float]:
        """Gives the same of what `predict` gave for one fold after the other."""
        if self._recipe.decision.threshold == "tuned" and not self._metric.takes_probabilities:
            yield from self._scores_with_threshold(list(predicted))
            return
        for answers, true in self.read(predicted):
            yield self._metric(answers, true)

    def answers(
        self, model: str, hyperparameters: Mapping[str, Any]
    ) -> Iterator[tuple[Answers, Values]]:
        """Gives what a model says of the rows of one fold after the other, and what is true.

        Where the decision's threshold is tuned, it is 0.5 here.

        Raises:
            InputError: scikit-learn refuses a hyperparameter or the data.
        """
        return self.read(self.predict(model, hyperparameters))

    def predict(self, model: str, hyperparameters: Mapping[str, Any]) -> Iterator[Values]:
        """Gives what a model predicts for the rows of one fold after the other.

        They are (n,) numbers, or (n, classes) probabilities, of a model fitted on the other folds.

        Raises:
            InputError: scikit-learn refuses a hyperparameter or the data.
        """
        for number in range(len(self._rows)):
            table = self._answer(self._fold(number), model, hyperparameters)
            read_answers(table, self._classes)  # which knows all classes, or is refused
            columns = PREDICTION if self._classes is None else self._classes.columns
            yield table[columns].to_numpy(dtype=float)

    def read(self, predicted: Iterable[Values]) -> Iterator[tuple[Answers, Values]]:
        """Gives the same of what `predict` gave."""
        for values, (_, rows) in zip(predicted, self._rows, strict=False):
            count = None if self._weights is None else self._weights.iloc[rows].to_numpy(float)
            true = encode_targets(self._targets.iloc[rows], self._classes)
            yield replace(self._decide(values), weights=count), true

    def _decide(self, values: Values) -> Answers:
        if self._classes is None:
            return Answers(values)
        positive = self._classes.positive
        if positive is None:
            return Answers(np.argmax(values, axis=1).astype(float), values)
        sure = values[:, self._classes.labels.index(positive)]
        threshold = self._recipe.decision.threshold
        return Answers((sure >= (0.5 if threshold == "tuned" else threshold)).astype(float), sure)

    def _answer(self, fold: _Fold, model: str, hyperparameters: Mapping[str, Any]) -> pd.DataFrame:
        rounds = self._find_rounds(fold, model, hyperparameters)
        chosen = {**hyperparameters, **rounds.parameters}
        pipeline = unfitted_pipeline(self._recipe, model, chosen, fold.fitting)
        fitted = fit_pipeline(
            pipeline,
            fold.fitting.inputs,
            fold.targets,
            self._recipe.sampling,
            self._recipe.split.seed,
            fold.weights,
        )
        return answer(fitted, fold.unseen, {"decision": None})

    def _find_rounds(self, fold: _Fold, model: str, hyperparameters: Mapping[str, Any]) -> Rounds:
        """As a training finds them: on a fold of the rows that are fitted here."""
        if not is_stopped(self._recipe.models[model], hyperparameters):
            return Rounds()
        fit, _ = self._rows[fold.number]
        given = {
            name: value.iloc[fit].reset_index(drop=True) if isinstance(value, pd.Series) else value
            for name, value in self._given.items()
        }
        raw = self._raw.iloc[fit].reset_index(drop=True)
        return find_rounds(
            self._recipe, model, hyperparameters, raw, fold.targets, fold.weights, given
        )

    def _scores_with_threshold(self, predicted: Sequence[Values]) -> Iterator[float]:
        tuned_for = threshold_metric(self._recipe)
        given, true = zip(*self.read(predicted), strict=True)
        sure = [np.asarray(answers.probabilities) for answers in given]
        counted = [answers.weights for answers in given if answers.weights is not None]
        for number, answers in enumerate(given):
            others = [other for other in range(len(given)) if other != number]
            threshold = best_threshold(
                tuned_for,
                np.concatenate([sure[other] for other in others]),
                np.concatenate([true[other] for other in others]),
                np.concatenate([counted[other] for other in others]) if counted else None,
            )
            said = (sure[number] >= threshold).astype(float)
            yield self._metric(Answers(said, sure[number], answers.weights), true[number])

    def _fold(self, number: int) -> _Fold:
        if self._kept is None:
            return self._make_fold(number)
        if number not in self._kept:
            self._kept[number] = self._make_fold(number)
        return self._kept[number]

    def _make_fold(self, number: int) -> _Fold:
        fit, score = self._rows[number]
        fitting = fit_inputs(self._recipe, self._raw.iloc[fit].reset_index(drop=True))
        unseen = unseen_inputs(self._raw.iloc[score].reset_index(drop=True), fitting.features)
        known = self._targets.iloc[fit].reset_index(drop=True)
        if self._weights is None:
            return _Fold(number, fitting, known, unseen)
        of_fit = self._weights.iloc[fit].reset_index(drop=True)
        return _Fold(number, fitting, known, unseen, of_fit)
