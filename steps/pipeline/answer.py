"""What an evaluation says of its model: for the terminal and the report."""

import json
import math
from collections.abc import Collection

from mlflow.entities import Run

from common.words import is_finite
from modelling.judging.metrics import BASELINE_PREFIX, HIGH, LOW, metrics_of
from modelling.recipe import Recipe
from modelling.reporting.answer import Quality
from steps.runs.names import CHECKS, WORST_SLICE

_ROWS = "example_count"  # MLflow's own


def read_quality(evaluated: Run, recipe: Recipe) -> Quality | None:
    """Returns what the metric that decides says; None if the run has none, or no figure of it."""
    metrics, name = evaluated.data.metrics, recipe.metrics.primary
    known = metrics_of(recipe)
    if name not in known or not is_finite(metrics.get(name, math.nan)):
        return None
    positive = recipe.data.positive_class
    return Quality(
        model=evaluated.data.tags.get("pipeline.model", "The model"),
        metric=name,
        figure=metrics[name],
        low=metrics.get(name + LOW, math.nan),
        high=metrics.get(name + HIGH, math.nan),
        baseline=metrics.get(BASELINE_PREFIX + name, math.nan),
        greater_is_better=known[name].greater_is_better,
        is_regression=recipe.task == "regression",
        target=recipe.data.target,
        positive="" if positive is None else str(positive),
        rows=metrics.get(_ROWS, math.nan),
        positives=count_positives(evaluated, recipe),
        label=recipe.about.labels.get(str(positive), ""),
        latest=recipe.split.method == "time",
        worst="" if (worst := evaluated.data.tags.get(WORST_SLICE, "none")) == "none" else worst,
        unit=recipe.about.unit,
        takes_probabilities=known[name].takes_probabilities,
    )


def count_positives(measured: Run, recipe: Recipe) -> float:
    """Returns how many of the rows that were measured are of the class to be found, if known.

    That is NaN where rows count as they weigh: the metrics are sums of weights then.
    """
    if recipe.data.weight is not None:
        return math.nan
    metrics = measured.data.metrics
    return metrics.get("true_positives", math.nan) + metrics.get("false_negatives", math.nan)


def read_cautions(evaluated: Run, mute: Collection[str]) -> list[str]:
    """Returns what the severe checks found, but for those that are muted by their code."""
    severe = json.loads(evaluated.data.tags.get(CHECKS, "{}"))
    return [sentence for code, sentence in severe.items() if code not in mute]
