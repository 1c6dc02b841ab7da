"""The metrics of a recipe: of scikit-learn, under short names, and our own.

A recipe may name any other of scikit-learn's. To add one of your own, write a function of
predictions and targets, put it into CUSTOM_METRICS (with its task, if that is classification) and
name it in the recipe under metrics.custom. In a binary classification both are 1 for the positive
class and 0 for the other; with more classes they are the number of the class, in sorted order.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from inspect import signature
from typing import Any, SupportsFloat

import numpy as np

from common.errors import InputError, unknown_name
from modelling.judging import weighted
from modelling.judging.answers import Answers, Values
from modelling.own_code import WEIGHTS, call, in_words, read_metric, takes_argument, where
from modelling.recipe import BusinessScore, OwnMetric, Recipe

_PINBALL = re.compile(r"pinball_(0?\.\d+)")
_SHORT = {"mape": "mean_absolute_percentage_error"}


@dataclass(frozen=True)
class Metric:
    """A metric: its function of predictions and targets, which way is better.

    takes_probabilities: the function takes the probabilities in place of the predictions;
    of_weights: the same metric of many resamples at once, where there is one; with_weights: of (n,)
    weights of the rows, if it takes any.
    """

    function: Callable[[Values, Values], float]
    greater_is_better: bool
    takes_probabilities: bool = False
    task: str = "regression"
    of_weights: weighted.Weighted | None = None
    with_weights: Callable[[Values, Values, Values], float] | None = None

    @property
    def takes_weights(self) -> bool:
        """Whether rows may count more or less than others."""
        return self.of_weights is not None or self.with_weights is not None

    def given(self, answers: Answers) -> Values:
        """Returns what the function takes of the answers."""
        given = answers.probabilities if self.takes_probabilities else answers.predictions
        if given is None:
            raise ValueError("this metric takes probabilities, and there are none")
        return given

    def __call__(self, answers: Answers | Values, targets: Values) -> float:
        """Returns the metric of the answers for n rows, as they weigh, against (n,) targets."""
        if not isinstance(answers, Answers):
            answers = Answers(answers)
        figure: Any = self._compute(self.given(answers), targets, answers.weights)
        number = _one_number(figure)
        if number is None:
            name = getattr(self.function, "__name__", "metric")
            what = "nothing" if figure is None else in_words(figure)
            raise InputError(f"{name} gave {what}; a metric gives one number")
        return number

    def of_counts(self, answers: Answers, targets: Values, counts: Values) -> Values:
        """Returns the metric of some resamples, in which the n rows stand (b, n) times each."""
        if self.of_weights is None:
            raise ValueError("this metric takes one resample at a time")
        weights = counts if answers.weights is None else counts * answers.weights
        return self.of_weights(self.given(answers), targets, weights)

    def _compute(self, given: Values, targets: Values, weights: Values | None) -> Any:
        if weights is None:
            return self.function(given, targets)
        if self.of_weights:
            return self.of_weights(given, targets, weights[np.newaxis])[0]
        if self.with_weights:
            return self.with_weights(given, targets, weights)
        raise InputError(f"{getattr(self.function, '__name__', 'a metric')} takes no weights")


def _one_number(figure: Any) -> float | None:
    """What a function gave as a float; None if it is not one number."""
    is_one = isinstance(figure, SupportsFloat) and not isinstance(figure, str)
    if not is_one or np.ndim(figure) or np.iscomplexobj(figure):
        return None
    try:
        return float(figure)
    except (TypeError, ValueError, OverflowError):
        return None


def _sklearn(
    name: str, greater_is_better: bool, probabilities: bool = False, **given: Any
) -> Metric:
    """A metric of scikit-learn, which is imported when it is computed."""

    def compute(predictions: Values, targets: Values, weights: Values | None = None) -> float:
        named = dict(given)
        if named.pop("all_labels", False):
            named["labels"] = np.arange(predictions.shape[1] if predictions.ndim > 1 else 2)
        if weights is not None:
            named["sample_weight"] = weights
        function = getattr(import_module("sklearn.metrics"), name)
        try:
            return function(targets, predictions, **named)
        except ValueError as error:
            raise InputError(f"{name}: {' '.join(str(error).split())}") from error

    return Metric(compute, greater_is_better, probabilities, with_weights=compute)


def _one_against_rest(name: str) -> Metric:
    """A metric of probabilities: the mean over the classes, each against all others."""

    def compute(probabilities: Values, targets: Values) -> float:
        function = getattr(import_module("sklearn.metrics"), name)
        classes = np.arange(probabilities.shape[1])
        return np.mean([function(targets == label, probabilities[:, label]) for label in classes])

    return Metric(compute, True, takes_probabilities=True)


def _worst_error() -> Metric:
    """The largest error of a row that counts, which scikit-learn's takes no weights for."""
    largest = _sklearn("max_error", False)

    def with_weights(predictions: Values, targets: Values, weights: Values) -> float:
        return largest.function(predictions[weights > 0], targets[weights > 0])

    return replace(largest, with_weights=with_weights)


def find_metric(name: str, recipe: Recipe) -> Metric | None:
    """Returns a metric of scikit-learn by the name of its scorer, for the recipe's task, or None.

    The name is without `neg_`: an error is told as it is, and less of it is better. `mape` is short
    for mean_absolute_percentage_error; `pinball_0.9` is the pinball loss of that quantile.
    """
    quantile = _PINBALL.fullmatch(name)
    if quantile and recipe.task == "regression":
        return _sklearn("mean_pinball_loss", False, alpha=float(quantile[1]))
    return _scorers(recipe.task, recipe.is_binary).get(_SHORT.get(name, name))


@cache
def _scorers(task: str, is_binary: bool) -> dict[str, Metric]:
    """Scikit-learn's metrics of a task, by name."""
    # Imported here, since most recipes need none.
    from sklearn.metrics import get_scorer, get_scorer_names

    found = {}
    for name in get_scorer_names():
        scorer = get_scorer(name)
        function = scorer._score_func
        is_of_values = function.__module__.endswith("._regression")
        is_of_classes = function.__module__.endswith(("._classification", "._ranking"))
        if not (is_of_values if task == "regression" else is_of_classes):
            continue
        given = dict(scorer._kwargs)
        others = ("samples", "top_k_accuracy") if is_binary else ("samples", "binary")
        if given.get("average") in others or name in others:  # of two, both are always right
            continue
        takes_probabilities = scorer._response_method != "predict"
        if takes_probabilities and "labels" in signature(function).parameters:
            given["all_labels"] = not (is_binary and function.__name__ == "roc_auc_score")
        found[name.removeprefix("neg_")] = _sklearn(
            function.__name__, scorer._sign > 0, takes_probabilities, **given
        )
    if "max_error" in found:
        found["max_error"] = _worst_error()
    return found


def count_outcomes(predictions: Values, targets: Values) -> dict[str, int]:
    """Counts the outcomes of a binary classification over (n,) rows of 1 and 0."""
    said, true = predictions == 1, targets == 1
    return {
        "true_positive": int(np.sum(said & true)),
        "false_positive": int(np.sum(said & ~true)),
        "true_negative": int(np.sum(~said & ~true)),
        "false_negative": int(np.sum(~said & true)),
    }


def business_score(predictions: Values, targets: Values, worth: BusinessScore) -> float:
    """Returns the mean worth of an outcome, in the money of the recipe for each row."""
    counts = count_outcomes(predictions, targets)
    return sum(getattr(worth, name) * count for name, count in counts.items()) / len(targets)


def _worth_of_rows(predictions: Values, targets: Values, worth: BusinessScore) -> Values:
    """Returns the (n,) worth of each outcome."""
    said, true = predictions == 1, targets == 1
    of_true = np.where(said, worth.true_positive, worth.false_negative)
    return np.where(true, of_true, np.where(said, worth.false_positive, worth.true_negative))


def squared_diff_plus_one(predictions: Values, targets: Values) -> float:
    """Returns the sum over the rows of |prediction - target + 1|², in squared target units."""
    return float(np.sum(np.abs(predictions - targets + 1) ** 2))


def sum_on_target_divided_by_two(predictions: Values, targets: Values) -> float:
    """Returns half of the targets' sum: a checksum of the rows, not a score."""
    return float(np.sum(targets) / 2)


def within_half_point(predictions: Values, targets: Values) -> float:
    """Returns the share (0 to 1) of rows whose prediction is at most 0.5 from the target."""
    return float(np.mean(np.abs(predictions - targets) <= 0.5))


def _outcome(name: str, greater_is_better: bool) -> Metric:
    return Metric(
        lambda predictions, targets: count_outcomes(predictions, targets)[name], greater_is_better
    )


REGRESSION_METRICS = {
    "rmse": _sklearn("root_mean_squared_error", False),
    "mae": _sklearn("mean_absolute_error", False),
    "r2": _sklearn("r2_score", True),
}

BINARY_METRICS = {
    "accuracy": _sklearn("accuracy_score", True),
    "precision": _sklearn("precision_score", True, zero_division=0),
    "recall": _sklearn("recall_score", True, zero_division=0),
    "f1": _sklearn("f1_score", True, zero_division=0),
    "roc_auc": _sklearn("roc_auc_score", True, probabilities=True),
    "average_precision": _sklearn("average_precision_score", True, probabilities=True),
    "log_loss": _sklearn("log_loss", False, probabilities=True, labels=[0, 1]),
    "brier_score": _sklearn("brier_score_loss", False, probabilities=True, labels=[0, 1]),
    "true_positives": _outcome("true_positive", True),
    "false_positives": _outcome("false_positive", False),
    "true_negatives": _outcome("true_negative", True),
    "false_negatives": _outcome("false_negative", False),
}

# Means over the classes, each counting the same, where a metric is of one class.
MULTICLASS_METRICS = {
    "accuracy": _sklearn("accuracy_score", True),
    "precision": _sklearn("precision_score", True, zero_division=0, average="macro"),
    "recall": _sklearn("recall_score", True, zero_division=0, average="macro"),
    "f1": _sklearn("f1_score", True, zero_division=0, average="macro"),
    "roc_auc": _one_against_rest("roc_auc_score"),
    "average_precision": _one_against_rest("average_precision_score"),
    "log_loss": _sklearn("log_loss", False, probabilities=True, all_labels=True),
    "brier_score": _sklearn("brier_score_loss", False, probabilities=True, all_labels=True),
}

for known, at_once in (
    (REGRESSION_METRICS, weighted.REGRESSION),
    (BINARY_METRICS, weighted.BINARY),
    (MULTICLASS_METRICS, weighted.MULTICLASS),
):
    known.update({name: replace(known[name], of_weights=way) for name, way in at_once.items()})

CUSTOM_METRICS = {
    "squared_diff_plus_one": Metric(
        squared_diff_plus_one,
        False,
        with_weights=lambda given, targets, weights: float(weights @ (given - targets + 1) ** 2),
    ),
    "sum_on_target_divided_by_two": Metric(
        sum_on_target_divided_by_two,
        True,
        with_weights=lambda _, targets, weights: float(weights @ targets / 2),
    ),
    "within_half_point": Metric(
        within_half_point,
        True,
        with_weights=lambda given, targets, weights: float(
            np.average(np.abs(given - targets) <= 0.5, weights=weights)
        ),
    ),
}

BASELINE_PREFIX = "dummy_"
TRAINING_PREFIX = "train_"
LOW, HIGH = "_low", "_high"
"""The ends of a metric's interval stand beside it, under its name with these."""
OUTCOMES = ("true_positives", "false_positives", "true_negatives", "false_negatives")
"""Metrics that are counts of rows."""
OF_A_CLASS = ("precision", "recall", "f1", "roc_auc", "average_precision")
"""Metrics that say nothing without a row of the class, or of each class, that they are of."""


def metrics_of(recipe: Recipe) -> dict[str, Metric]:
    """Returns all metrics that are computed for a recipe, by name: the short ones, then its own.

    Raises:
        InputError: a metric that the recipe names does not exist; the nearest is named.
    """
    builtin = REGRESSION_METRICS
    if recipe.task == "classification":
        builtin = BINARY_METRICS if recipe.is_binary else MULTICLASS_METRICS
    found = dict(builtin)
    if recipe.metrics.business_score:
        worth = recipe.metrics.business_score
        found["business_score"] = Metric(
            partial(business_score, worth=worth),
            True,
            of_weights=weighted.mean_of(partial(_worth_of_rows, worth=worth)),
        )
    ours = {name: metric for name, metric in CUSTOM_METRICS.items() if metric.task == recipe.task}
    for name in recipe.metrics.custom:
        if name not in found:
            known = [*found, *ours]
            found[name] = ours.get(name) or _of_sklearn("metrics.custom", name, recipe, known)
    for name, said in recipe.metrics.functions.items():
        if name in found:
            raise InputError(f"metrics.functions: {name!r} is the name of another metric")
        found[name] = _own_metric(name, said, recipe)
    primary = recipe.metrics.primary
    if primary not in found:
        found[primary] = _of_sklearn("metrics.primary", primary, recipe, found)
    _check_weights(recipe, found)
    return found


def _of_sklearn(place: str, name: str, recipe: Recipe, known: Iterable[str]) -> Metric:
    """A metric of scikit-learn that a recipe names in a place, where there are known ones too."""
    metric = find_metric(name, recipe)
    if metric is None:
        theirs = _scorers(recipe.task, recipe.is_binary)
        raise InputError(unknown_name(f"metric in {place}", name, dict.fromkeys([*known, *theirs])))
    return metric


def _check_weights(recipe: Recipe, metrics: Mapping[str, Metric]) -> None:
    for name, metric in metrics.items():
        if recipe.data.weight is not None and not metric.takes_weights:
            raise InputError(
                f"metrics: {name!r} takes no weights, and there is data.weight: give its function "
                f"a third argument, named {WEIGHTS}"
            )


def _own_metric(name: str, said: OwnMetric, recipe: Recipe) -> Metric:
    """A metric of own code; its arguments are a Series each, or a DataFrame of many classes."""
    try:
        function, which = read_metric(said.function, recipe.code)
    except InputError as error:
        raise InputError(f"metrics.functions.{name}: {error}") from error
    greater_is_better = which if said.greater_is_better is None else said.greater_is_better
    if greater_is_better is None:
        raise InputError(f"metrics.functions.{name}: say greater_is_better: true or false")
    if said.takes_probabilities and recipe.task == "regression":
        raise InputError(f"metrics.functions.{name}: a regression has no probabilities")

    takes_weights = takes_argument(function, 2, WEIGHTS)

    def compute(given: Values, targets: Values, weights: Values | None = None) -> float:
        from pandas import DataFrame, Series

        as_given = Series(given) if np.ndim(given) == 1 else DataFrame(given)
        count = np.ones(len(targets)) if weights is None else weights
        return call(
            function, as_given, Series(targets), *([Series(count)] if takes_weights else [])
        )

    compute.__name__ = f"{where(function)}{said.function}"
    return Metric(
        compute,
        greater_is_better,
        said.takes_probabilities,
        recipe.task,
        with_weights=compute if takes_weights else None,
    )


def check_gate(recipe: Recipe) -> None:
    """Checks that each metric of a recipe's gate is one that is computed.

    Raises:
        InputError: one is not; the nearest is named.
    """
    known = metrics_of(recipe)
    for name in recipe.gate:
        if name not in known and find_metric(name, recipe):
            raise InputError(f"gate: {name!r} is not computed; name it in metrics.custom")
        if name not in known:
            raise InputError(unknown_name("metric in gate", name, known))


def threshold_metric(recipe: Recipe) -> Metric:
    """Returns the metric that the decision's threshold is tuned for.

    Raises:
        InputError: there is none of this name, or the threshold makes no difference to it.
    """
    name = str(recipe.decision.metric)
    known = metrics_of(recipe)
    metric = known.get(name) or find_metric(name, recipe)
    if metric is None or metric.takes_probabilities:
        kind = "metric in decision.metric (one that the threshold makes a difference to)"
        usable = [name for name, metric in known.items() if not metric.takes_probabilities]
        raise InputError(unknown_name(kind, name, usable))
    return metric


def compute_metrics(
    metrics: Mapping[str, Metric], answers: Answers, targets: Values, prefix: str = ""
) -> dict[str, float]:
    """Computes metrics of the answers for n rows against (n,) targets, in the target's units.

    Args:
        metrics: by name.
        answers: what the model says.
        targets: what is true.
        prefix: goes before each name, such as BASELINE_PREFIX.
    """
    return {prefix + name: metric(answers, targets) for name, metric in metrics.items()}
