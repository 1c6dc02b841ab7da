"""The score of a model on folds of the training rows, by which the trials of a sweep compete."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
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
from modelling.tables.split import sample_by_content

_MOST_BYTES_KEPT = 256e6
_SHARES = (1 / 16, 1 / 4)  # of the rows that a fold is fitted on
_FEWEST_OF_A_SAMPLE = 3_000
_MOST_JUDGED = 20_000

Places = npt.NDArray[np.intp]
Rows = TypeVar("Rows", pd.DataFrame, pd.Series)


@dataclass(frozen=True)
class _Fold:
    """One split of the rows: those at the places `fit` are fitted on."""

    fit: Places
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
        self._keeps_folds = raw.memory_usage(deep=True).sum() * folds < _MOST_BYTES_KEPT
        self._kept: dict[str, _Fold] = {}

    @property
    def is_large(self) -> bool:
        """Whether samples of the rows are worth a look before all of them are."""
        return len(self._rows[0][0]) * min(_SHARES) >= _FEWEST_OF_A_SAMPLE

    def sample_scores(self, model: str, hyperparameters: Mapping[str, Any]) -> Iterator[float]:
        """Gives the primary metric of models that are fitted on samples of the first fold's rows.

        The first one on a sixteenth of them, the second on a quarter: each a share of each class,
        the same rows in whatever order they stand. A threshold that is tuned is 0.5 here.

        Raises:
            InputError: scikit-learn refuses a hyperparameter or the data.
        """
        for number, (fit, judged) in enumerate(self._sampled):
            fold = self._fold(f"sample {number}", fit, judged)
            answers, true = self._read_one(self._values(fold, model, hyperparameters), judged)
            yield self._metric(answers, true)

    @cached_property
    def _sampled(self) -> list[tuple[Places, Places]]:
        fit, judged = self._rows[0]
        judged = self._sample(judged, min(1.0, _MOST_JUDGED / len(judged)))
        return [(self._sample(fit, share), judged) for share in _SHARES]

    def _sample(self, places: Places, share: float) -> Places:
        rows = self._raw.iloc[places].set_axis(places)
        parts = [rows]
        if self._classes is not None:
            labels = self._targets.iloc[places].to_numpy()
            parts = [part for _, part in rows.groupby(labels)]
        chosen = [sample_by_content(part, math.ceil(share * len(part))).index for part in parts]
        return np.sort(np.concatenate(chosen))

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

    def predict(self, model: str, hyperparameters: Mapping[str, Any]) -> Iterator[Values]:
        """Gives what a model predicts for the rows of one fold after the other.

        They are (n,) numbers, or (n, classes) probabilities, of a model fitted on the other folds.

        Raises:
            InputError: scikit-learn refuses a hyperparameter or the data.
        """
        for number, (fit, judged) in enumerate(self._rows):
            yield self._values(self._fold(f"fold {number}", fit, judged), model, hyperparameters)

    def _values(self, fold: _Fold, model: str, hyperparameters: Mapping[str, Any]) -> Values:
        table = self._answer(fold, model, hyperparameters)
        read_answers(table, self._classes)  # which knows all classes, or is refused
        columns = PREDICTION if self._classes is None else self._classes.columns
        return table[columns].to_numpy(dtype=float)

    def read(self, predicted: Iterable[Values]) -> Iterator[tuple[Answers, Values]]:
        """Gives the same of what `predict` gave."""
        for values, (_, judged) in zip(predicted, self._rows, strict=False):
            yield self._read_one(values, judged)

    def _read_one(self, values: Values, places: Places) -> tuple[Answers, Values]:
        count = None if self._weights is None else self._weights.iloc[places].to_numpy(float)
        true = encode_targets(self._targets.iloc[places], self._classes)
        return replace(self._decide(values), weights=count), true

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
        given = {
            name: _rows_at(value, fold.fit) if isinstance(value, pd.Series) else value
            for name, value in self._given.items()
        }
        raw = _rows_at(self._raw, fold.fit)
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

    def _fold(self, name: str, fit: Places, judged: Places) -> _Fold:
        if name not in self._kept:
            fold = self._make_fold(fit, judged)
            if not self._keeps_folds and name.startswith("fold"):
                return fold
            self._kept[name] = fold
        return self._kept[name]

    def _make_fold(self, fit: Places, judged: Places) -> _Fold:
        fitting = fit_inputs(self._recipe, _rows_at(self._raw, fit))
        unseen = unseen_inputs(_rows_at(self._raw, judged), fitting.features)
        weights = None if self._weights is None else _rows_at(self._weights, fit)
        return _Fold(fit, fitting, _rows_at(self._targets, fit), unseen, weights)


def _rows_at(rows: Rows, places: Places) -> Rows:
    return rows.iloc[places].reset_index(drop=True)
