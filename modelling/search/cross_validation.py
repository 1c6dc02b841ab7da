"""The score of a model on folds of the training rows, by which the trials of a sweep compete."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

from common.errors import InputError
from modelling.judging.answers import (
    Answers,
    Classes,
    Values,
    encode_targets,
    find_classes,
    read_answers,
)
from modelling.judging.metrics import Metric, metrics_of, threshold_metric
from modelling.models.estimators import fit_pipeline
from modelling.models.sklearn_wrapper import answer
from modelling.models.training import Fitting, fit_inputs, unfitted_pipeline, unseen_inputs
from modelling.recipe import Recipe

Rows = npt.NDArray[np.intp]

_MOST_BYTES_KEPT = 256e6
_UNDECIDED: dict[str, Any] = {"decision": None}


def split_folds(
    raw: pd.DataFrame,
    targets: pd.Series,
    folds: int,
    seed: int,
    stratify: bool = False,
    times: pd.Series | None = None,
) -> list[tuple[Rows, Rows]]:
    """Splits training rows into folds, as the table was split into training and test rows.

    Args:
        raw: (n, columns) the rows without the target.
        targets: (n,) numbers or labels.
        folds: how many; each is scored by a model of the others or, given times, of those before.
        seed: of the shuffling.
        stratify: whether each fold is to have as much of each label; given times, some of each.
        times: (n,) what to order the rows by.

    Returns:
        For each fold the places of the rows to fit and of those to score. Equal rows stay together.

    Raises:
        InputError: there are too few rows, or too few of a class, or none yet before a fold.
    """
    if times is not None:
        order = np.argsort(times.to_numpy(), kind="stable")
        _check_count(len(order) - 1, folds, "rows")
        rows = [(order[fit], order[score]) for fit, score in TimeSeriesSplit(folds).split(order)]
        if stratify:
            _check_all_classes(rows, targets)
        return rows
    hashes = pd.util.hash_pandas_object(raw, index=False).to_numpy()
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    _check_count(len(first), folds, "different rows")
    labels = targets.iloc[first]
    if stratify:
        fewest = labels.value_counts()
        _check_count(int(fewest.iloc[-1]), folds, f"different rows of class {fewest.index[-1]}")
    kind = StratifiedKFold if stratify else KFold
    splits = kind(folds, shuffle=True, random_state=seed).split(first, labels)
    place = np.empty(len(first), dtype=np.intp)
    for number, (_, chosen) in enumerate(splits):
        place[chosen] = number
    fold = place[group]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def _check_count(count: int, folds: int, what: str) -> None:
    if count < folds:
        raise InputError(f"{folds} folds need as many {what} among the training rows, got {count}")


def _check_all_classes(rows: Sequence[tuple[Rows, Rows]], targets: pd.Series) -> None:
    """In the order of time, a class may begin late."""
    for number, (fit, _) in enumerate(rows):
        absent = sorted(set(targets) - set(targets.iloc[fit]))
        if absent:
            raise InputError(
                f"fold {number + 1} of {len(rows)} is trained on rows without the class "
                f"{absent[0]!r}: take fewer folds, or another split.method"
            )


@dataclass(frozen=True)
class _Fold:
    fitting: Fitting
    targets: pd.Series
    unseen: pd.DataFrame
    true: Values


class CrossValidation:
    """Scores models on the folds of one set of training rows."""

    def __init__(
        self,
        recipe: Recipe,
        raw: pd.DataFrame,
        targets: pd.Series,
        folds: int,
        times: pd.Series | None = None,
    ) -> None:
        """Takes (n, raw columns) training rows, (n,) targets and, to order them by, (n,) times.

        Raises:
            InputError: as `split_folds`; or the recipe names a metric that does not exist.
        """
        self._recipe = recipe
        self._raw = raw
        self._targets = targets
        self._classes: Classes | None = find_classes(recipe, targets)
        self._metric: Metric = metrics_of(recipe)[recipe.metrics.primary]
        stratify = self._classes is not None
        self._rows = split_folds(raw, targets, folds, recipe.split.seed, stratify, times)
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
        if self._recipe.decision.threshold == "tuned" and not self._metric.takes_probabilities:
            yield from self._scores_with_threshold(model, hyperparameters)
            return
        decision = None
        if self._classes is not None and self._classes.positive is not None:
            threshold = self._recipe.decision.threshold
            decision = {
                "positive_class": self._classes.positive,
                "threshold": 0.5 if threshold == "tuned" else threshold,
            }
        for number in range(len(self._rows)):
            fold = self._fold(number)
            table = self._answer(fold, model, hyperparameters, {"decision": decision})
            yield self._metric(read_answers(table, self._classes), fold.true)

    def _answer(
        self,
        fold: _Fold,
        model: str,
        hyperparameters: Mapping[str, Any],
        decision: dict[str, Any],
    ) -> pd.DataFrame:
        pipeline = unfitted_pipeline(self._recipe, model, hyperparameters, fold.fitting)
        fitted = fit_pipeline(
            pipeline,
            fold.fitting.inputs,
            fold.targets,
            self._recipe.sampling,
            self._recipe.split.seed,
        )
        return answer(fitted, fold.unseen, decision)

    def _scores_with_threshold(
        self, model: str, hyperparameters: Mapping[str, Any]
    ) -> Iterator[float]:
        tuned_for = threshold_metric(self._recipe)
        folds = [self._fold(number) for number in range(len(self._rows))]
        given = [
            read_answers(self._answer(fold, model, hyperparameters, _UNDECIDED), self._classes)
            for fold in folds
        ]
        sure = [np.asarray(answers.probabilities) for answers in given]
        for number, fold in enumerate(folds):
            others = [other for other in range(len(folds)) if other != number]
            threshold = best_threshold(
                tuned_for,
                np.concatenate([sure[other] for other in others]),
                np.concatenate([folds[other].true for other in others]),
            )
            said = (sure[number] >= threshold).astype(float)
            yield self._metric(Answers(said, sure[number]), fold.true)

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
        true = encode_targets(self._targets.iloc[score], self._classes)
        return _Fold(fitting, self._targets.iloc[fit].reset_index(drop=True), unseen, true)


_THRESHOLDS = 100


def best_threshold(metric: Metric, probabilities: Values, targets: Values) -> float:
    """Returns the probability from which on rows are best taken for positive.

    Args:
        metric: one of predictions.
        probabilities: (n,) of the positive class.
        targets: (n,) 1 or 0.
    """
    # As many candidates as scikit-learn's TunedThresholdClassifierCV, by which a training tunes.
    candidates = np.linspace(probabilities.min(), probabilities.max(), _THRESHOLDS)
    sign = 1 if metric.greater_is_better else -1
    values = [
        sign * metric(Answers((probabilities >= threshold).astype(float)), targets)
        for threshold in candidates
    ]
    return float(candidates[int(np.argmax(values))])
