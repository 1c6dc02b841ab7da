"""The metrics of a recipe: of scikit-learn, under short names, and our own.

To add one of your own, write a function of predictions and targets, put it into CUSTOM_METRICS and
name it in the recipe under metrics.custom.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt

from modelling.errors import InputError, unknown_name
from modelling.recipe import Recipe

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BuiltinMetric:
    """A metric of scikit-learn: its function, MLflow's name for it, which way is better."""

    function: str
    mlflow_name: str
    greater_is_better: bool

    def __call__(self, predictions: Values, targets: Values) -> float:
        """Returns the metric of (n,) predictions against (n,) targets."""
        function = getattr(import_module("sklearn.metrics"), self.function)
        return float(function(targets, predictions))


@dataclass(frozen=True)
class CustomMetric:
    """A metric of ours: its function of predictions and targets, which way is better."""

    function: Callable[[Values, Values], float]
    greater_is_better: bool

    def __call__(self, predictions: Values, targets: Values) -> float:
        """Returns the metric of (n,) predictions against (n,) targets."""
        return float(self.function(predictions, targets))


def squared_diff_plus_one(predictions: Values, targets: Values) -> float:
    """Returns the sum over the rows of |prediction - target + 1|², in squared target units."""
    return float(np.sum(np.abs(predictions - targets + 1) ** 2))


def sum_on_target_divided_by_two(predictions: Values, targets: Values) -> float:
    """Returns half of the targets' sum: a checksum of the rows, not a score."""
    return float(np.sum(targets) / 2)


def within_half_point(predictions: Values, targets: Values) -> float:
    """Returns the share (0 to 1) of rows whose prediction is at most 0.5 from the target."""
    return float(np.mean(np.abs(predictions - targets) <= 0.5))


BUILTIN_METRICS = {
    "rmse": BuiltinMetric("root_mean_squared_error", "root_mean_squared_error", False),
    "mae": BuiltinMetric("mean_absolute_error", "mean_absolute_error", False),
    "r2": BuiltinMetric("r2_score", "r2_score", True),
}

CUSTOM_METRICS = {
    "squared_diff_plus_one": CustomMetric(squared_diff_plus_one, False),
    "sum_on_target_divided_by_two": CustomMetric(sum_on_target_divided_by_two, True),
    "within_half_point": CustomMetric(within_half_point, True),
}

BASELINE_PREFIX = "dummy_"


def metric_names(custom: Iterable[str]) -> list[str]:
    """Returns the names of all metrics of a recipe: the short ones and its custom ones."""
    return [*BUILTIN_METRICS, *custom]


def check_metrics(recipe: Recipe) -> None:
    """Checks that each metric that a recipe names exists.

    Raises:
        InputError: one does not; the nearest is named.
    """
    for name in recipe.metrics.custom:
        if name not in CUSTOM_METRICS:
            raise InputError(unknown_name("metric in metrics.custom", name, CUSTOM_METRICS))
    known = metric_names(recipe.metrics.custom)
    if recipe.metrics.primary not in known:
        raise InputError(unknown_name("metric in metrics.primary", recipe.metrics.primary, known))


def check_gate(recipe: Recipe) -> None:
    """Checks that each metric of a recipe's gate is one that is computed.

    Raises:
        InputError: one is not; the nearest is named.
    """
    known = metric_names(recipe.metrics.custom)
    for name in recipe.gate:
        if name not in known:
            raise InputError(unknown_name("metric in gate", name, known))


def get_metric(name: str) -> BuiltinMetric | CustomMetric:
    """Returns the metric of this name; its call takes predictions and targets, (n,) arrays."""
    return BUILTIN_METRICS.get(name) or CUSTOM_METRICS[name]


def compute_metrics(
    names: Iterable[str], predictions: Values, targets: Values, prefix: str = ""
) -> dict[str, float]:
    """Computes metrics of (n,) predictions against (n,) targets, in the target's units.

    Args:
        names: known metric names.
        predictions: what the model says.
        targets: what is true.
        prefix: goes before each name, such as BASELINE_PREFIX.
    """
    return {prefix + name: get_metric(name)(predictions, targets) for name in names}


def missing_metrics(expected: Iterable[str], found: Mapping[str, float]) -> list[str]:
    """Returns the expected metrics that were not computed, sorted by name."""
    return sorted(set(expected) - set(found))
