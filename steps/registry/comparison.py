"""Two models on the same test rows: is one better, and how sure is that?"""

import numpy as np
from mlflow.entities import Run

from modelling.judging.answers import encode_targets, find_classes, read_answers
from modelling.judging.gate import Comparison, compare_with_champion
from modelling.judging.metrics import metrics_of
from modelling.kinds import ROW_KEY
from modelling.recipe import Recipe
from steps.runs.artifacts import read_rows, read_test_groups, read_weights
from steps.runs.names import PREPARE_RUN_ID


def compare_evaluations(recipe: Recipe, candidate: Run, other: Run) -> Comparison | None:
    """Compares two evaluations by the recipe's primary metric, as `compare_with_champion` does.

    Args:
        recipe: whose primary metric, promotion, weights and groups count.
        candidate: a run of evaluate.
        other: one of the model that it is held against.

    Returns:
        None if the test rows are not the same.
    """
    ours, theirs = (read_rows(run.info.run_id, "predictions") for run in (candidate, other))
    if not np.array_equal(ours[ROW_KEY], theirs[ROW_KEY]):
        return None
    target, primary = recipe.data.target, recipe.metrics.primary
    classes = find_classes(recipe, ours[target])
    prepare_run_id = candidate.data.tags[PREPARE_RUN_ID]
    weights = read_weights(prepare_run_id, recipe.data, "test")
    return compare_with_champion(
        primary,
        metrics_of(recipe)[primary],
        encode_targets(ours[target], classes),
        read_answers(ours, classes, weights),
        read_answers(theirs, classes, weights),
        recipe.promotion,
        recipe.split.seed,
        read_test_groups(prepare_run_id, recipe.split),
    )
