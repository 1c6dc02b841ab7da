"""Metrics of many resamples at once: a row that a resample drew three times weighs three.

Each function here takes what a model said of n rows, their (n,) targets and (b, n) weights, and
returns the (b,) figures of the b resamples. One that has no figure, as ROC AUC without a row of
some class, is NaN.
"""

from collections.abc import Callable

import numpy as np

from modelling.judging.answers import Values

Weighted = Callable[[Values, Values, Values], Values]
Terms = Callable[[Values, Values], Values]

_LEAST_PROBABILITY = np.finfo(np.float64).eps  # as scikit-learn's log_loss clips


def mean_of(terms: Terms) -> Weighted:
    """The mean over the rows of what (n,) terms say of each."""
    return lambda given, targets, weights: _mean(terms(given, targets), weights)


def root_mean_of(terms: Terms) -> Weighted:
    """The root of that mean."""
    return lambda given, targets, weights: np.sqrt(_mean(terms(given, targets), weights))


def _mean(terms: Values, weights: Values) -> Values:
    return weights @ terms.astype(float) / weights.sum(axis=1)


def squared_error(predictions: Values, targets: Values) -> Values:
    """The square of each row's error."""
    return (predictions - targets) ** 2


def absolute_error(predictions: Values, targets: Values) -> Values:
    """How far each row is off."""
    return np.abs(predictions - targets)


def is_right(predictions: Values, targets: Values) -> Values:
    """1 of each row whose class is right, else 0."""
    return predictions == targets


def surprise(probabilities: Values, targets: Values) -> Values:
    """The log loss of each row: minus the logarithm of what its class was given."""
    if probabilities.ndim == 1:
        given = np.where(targets == 1, probabilities, 1 - probabilities)
    else:
        given = probabilities[np.arange(len(targets)), targets.astype(int)]
    return -np.log(np.clip(given, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))


def squared_distance(probabilities: Values, targets: Values) -> Values:
    """The Brier score of each row; of more classes than two, the sum over them."""
    if probabilities.ndim == 1:
        return (probabilities - targets) ** 2
    true = _one_hot(targets, np.arange(probabilities.shape[1], dtype=float))
    return ((probabilities - true) ** 2).sum(axis=1)


def _one_hot(given: Values, labels: Values) -> Values:
    return (given[:, None] == labels).astype(float)


def r2(predictions: Values, targets: Values, weights: Values) -> Values:
    """The share of the targets' variance that is explained; NaN where they are all the same."""
    centred = targets - targets.mean()
    total = weights @ centred**2 - (weights @ centred) ** 2 / weights.sum(axis=1)
    left = weights @ squared_error(predictions, targets)
    digits = len(targets) * np.finfo(float).eps * (centred**2).sum()
    return 1 - left / np.where(total > digits, total, np.nan)


def count_of(said: int, true: int) -> Weighted:
    """How many rows of a binary classification are of one class and said to be of another."""
    return lambda given, targets, weights: (
        weights @ ((given == said) & (targets == true)).astype(float)
    )


def of_classes(name: str, is_binary: bool) -> Weighted:
    """Precision, recall or f1: of the positive class, or the mean over the classes that occur."""

    def compute(predictions: Values, targets: Values, weights: Values) -> Values:
        labels = np.array([1.0]) if is_binary else np.union1d(predictions, targets)
        said, true = _one_hot(predictions, labels), _one_hot(targets, labels)
        right, said, true = weights @ (said * true), weights @ said, weights @ true
        parts = {
            "precision": (right, said),
            "recall": (right, true),
            "f1": (2 * right, said + true),
        }
        figures = _share(*parts[name])
        occurs = np.ones_like(said) if is_binary else said + true > 0
        return (figures * occurs).sum(axis=1) / occurs.sum(axis=1)

    return compute


def _share(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def roc_auc(scores: Values, is_class: Values, weights: Values) -> Values:
    """The share of the pairs of a row of the class and one of the rest that are in order."""
    positive, negative = _by_score(scores, is_class, weights)
    above = np.cumsum(negative, axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wrong = (positive * (above - negative / 2)).sum(axis=1)
    return 1 - wrong / np.where(pairs > 0, pairs, np.nan)


def average_precision(scores: Values, is_class: Values, weights: Values) -> Values:
    """The mean of the precision at each row of the class, from the highest score down."""
    positive, negative = _by_score(scores, is_class, weights)
    found = np.cumsum(positive, axis=1)
    precision = _share(found, found + np.cumsum(negative, axis=1))
    return _share((precision * positive).sum(axis=1), positive.sum(axis=1))


def _by_score(scores: Values, is_class: Values, weights: Values) -> tuple[Values, Values]:
    """The weights of both classes at each score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan))
    sorted_weights = weights[:, order]
    positive = np.add.reduceat(sorted_weights * is_class[order], starts, axis=1)
    return positive, np.add.reduceat(sorted_weights, starts, axis=1) - positive


def each_against_rest(metric: Weighted) -> Weighted:
    """The mean over the classes of a metric of the probability of each."""

    def compute(probabilities: Values, targets: Values, weights: Values) -> Values:
        classes = range(probabilities.shape[1])
        figures = [
            metric(probabilities[:, label], (targets == label).astype(float), weights)
            for label in classes
        ]
        return np.mean(figures, axis=0)

    return compute


REGRESSION: dict[str, Weighted] = {
    "rmse": root_mean_of(squared_error),
    "mae": mean_of(absolute_error),
    "r2": r2,
}
_OF_CLASSES = ("precision", "recall", "f1")
_OF_PROBABILITIES: dict[str, Weighted] = {
    "accuracy": mean_of(is_right),
    "log_loss": mean_of(surprise),
    "brier_score": mean_of(squared_distance),
}
BINARY: dict[str, Weighted] = {
    **_OF_PROBABILITIES,
    **{name: of_classes(name, is_binary=True) for name in _OF_CLASSES},
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "true_positives": count_of(said=1, true=1),
    "false_positives": count_of(said=1, true=0),
    "true_negatives": count_of(said=0, true=0),
    "false_negatives": count_of(said=0, true=1),
}
MULTICLASS: dict[str, Weighted] = {
    **_OF_PROBABILITIES,
    **{name: of_classes(name, is_binary=False) for name in _OF_CLASSES},
    "roc_auc": each_against_rest(roc_auc),
    "average_precision": each_against_rest(average_precision),
}
