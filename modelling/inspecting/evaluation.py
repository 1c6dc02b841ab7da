"""A model on its test rows: what is drawn of it, and what is measured of parts of the rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn.dummy import DummyClassifier, DummyRegressor

from modelling.inspecting.fairness import measure_fairness
from modelling.inspecting.slices import EvaluatedRows, find_slices, measure_slices
from modelling.judging import plots
from modelling.judging.answers import (
    PREDICTION,
    PROBABILITY_PREFIX,
    Answers,
    Classes,
    Values,
    read_answers,
)
from modelling.judging.metrics import BASELINE_PREFIX, Metric, compute_metrics
from modelling.judging.resampling import adds_up
from modelling.kinds import ROW_KEY
from modelling.models.sklearn_wrapper import answer
from modelling.own_code import ask_plot
from modelling.recipe import Recipe

_MOST_CURVES = 10
_NO_DECISION: dict[str, Any] = {"decision": None}  # the most frequent class is the answer


@dataclass(frozen=True)
class Evaluation:
    """What the pictures and tables are made of.

    test: the rows, with row_key and the target; table: what the model gave for them; targets and
    answers: the same in the numbers that metrics take; facts: of the model; groups: (n,) whose
    rows belong together, if they do.
    """

    recipe: Recipe
    classes: Classes | None
    test: pd.DataFrame
    targets: Values
    table: pd.DataFrame
    answers: Answers
    facts: dict[str, Any]
    groups: npt.NDArray[np.intp] | None = None

    @property
    def rows(self) -> pd.DataFrame:
        """The raw columns of the test rows, without the target."""
        return self.test.drop(columns=[ROW_KEY, self.recipe.data.target])


def slices_of(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """Measures the slices that the recipe names, and those where the model is worse than elsewhere.

    Returns:
        A row a slice, as `measure_slices` gives them.
    """
    tested = _evaluated_rows(evaluation, metrics)
    found = find_slices(tested, errors_of(evaluation))
    named = measure_slices(tested, evaluation.recipe.slices)
    return pd.concat([named, found[~found["slice"].isin(named["slice"])]], ignore_index=True)


def fairness_of(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """Measures how differently the recipe's slices are treated, as `measure_fairness` gives it."""
    return measure_fairness(_evaluated_rows(evaluation, metrics), evaluation.recipe.slices)


def _evaluated_rows(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> EvaluatedRows:
    """The test rows, with a metric that says of a part of them what it says of all."""
    recipe, answers, targets = evaluation.recipe, evaluation.answers, evaluation.targets
    name = recipe.metrics.primary
    # A part of the rows has a smaller sum, and less variance to explain or money to win, without
    # being worse.
    if name == "business_score":
        name = "roc_auc"
    elif name == "r2" or adds_up(metrics[name], answers, targets):
        name = "rmse" if evaluation.classes is None else "accuracy"
    metric, seed = metrics[name], recipe.split.seed
    return EvaluatedRows(evaluation.rows, answers, targets, name, metric, seed, evaluation.groups)


def baseline_figures(
    evaluation: Evaluation,
    known: pd.Series,
    known_weights: pd.Series | None,
    metrics: Mapping[str, Metric],
) -> dict[str, float]:
    """Returns the metrics of what the training rows say on average, as if it were a model.

    That is their mean or, of a classification, the most frequent class and the share of each.

    Args:
        evaluation: of the model, for its test rows.
        known: (m,) targets of the training rows, as the table has them.
        known_weights: (m,) how much each counts, if not the same.
        metrics: by name.
    """
    targets, classes = evaluation.targets, evaluation.classes
    rows = pd.DataFrame({"nothing": np.zeros(max(len(known), len(targets)))})
    if classes is None:
        dummy = DummyRegressor(strategy="mean")
    else:
        dummy = DummyClassifier(strategy="prior")
    dummy.fit(rows.head(len(known)), known, sample_weight=known_weights)
    table = answer(dummy, rows.head(len(targets)), _NO_DECISION)
    answers = replace(read_answers(table, classes), weights=evaluation.answers.weights)
    return compute_metrics(metrics, answers, targets, BASELINE_PREFIX)


def errors_of(evaluation: Evaluation) -> Values:
    """Returns how far off each row is, (n,).

    Of numbers prediction - target; of a class, the probability that the others were given.
    """
    if evaluation.classes is None:
        return evaluation.answers.predictions - evaluation.targets
    given = evaluation.table[evaluation.classes.columns].to_numpy()
    place = np.searchsorted(
        np.asarray(evaluation.classes.labels),
        evaluation.test[evaluation.recipe.data.target].to_numpy(),
    )
    return 1 - given[np.arange(len(given)), place]


def rows_with_answers(evaluation: Evaluation) -> pd.DataFrame:
    """Returns the test rows beside what the model gave for them, as own code is given them."""
    # A column of the table that is named as an answer gives way to it.
    hidden = [ROW_KEY, *evaluation.table.columns]
    return evaluation.test.drop(columns=hidden, errors="ignore").join(evaluation.table)


def draw_plots(evaluation: Evaluation) -> dict[str, Figure]:
    """Draws what shows how good the model is, and the recipe's own plots; by name."""
    classes = evaluation.classes
    if classes is None:
        figures = _plots_of_values(evaluation)
    else:
        figures = _plots_of_classes(evaluation, classes)
    code, own = evaluation.recipe.code, evaluation.recipe.plots.items()
    return figures | {
        name: ask_plot(path, code, rows_with_answers(evaluation)) for name, path in own
    }


def worst_predictions(evaluation: Evaluation) -> pd.DataFrame:
    """Returns the test rows that the model is furthest off for, the worst first."""
    return plots.worst_predictions(
        evaluation.test,
        evaluation.table,
        errors_of(evaluation),
        evaluation.recipe.data.target,
        evaluation.answers.weights,
    )


def _plots_of_values(evaluation: Evaluation) -> dict[str, Figure]:
    answers, target = evaluation.answers, evaluation.recipe.data.target
    values = evaluation.targets, answers.predictions, target, answers.weights
    return {
        "predictions_vs_targets": plots.plot_predictions(*values),
        "residuals": plots.plot_residuals(*values),
        "error_by_target": plots.plot_error_by_target(*values),
    }


def _plots_of_classes(evaluation: Evaluation, classes: Classes) -> dict[str, Figure]:
    target, about = evaluation.recipe.data.target, evaluation.recipe.about
    true = evaluation.test[target].to_numpy()
    shown = classes.labels if classes.positive is None else (classes.positive,)
    scores = {
        about.name_class(target, label): (
            (true == label).astype(float),
            evaluation.table[f"{PROBABILITY_PREFIX}{label}"].to_numpy(),
        )
        for label in shown[:_MOST_CURVES]
    }
    said, weights = evaluation.table[PREDICTION].to_numpy(), evaluation.answers.weights
    figures = {
        "confusion": plots.plot_confusion(true, said, target, weights, about.labels),
        "roc": plots.plot_roc(scores, target, weights),
        "precision_recall": plots.plot_precision_recall(scores, target, weights),
        "calibration": plots.plot_calibration(scores, target, weights),
    }
    if classes.positive is not None:
        [(name, (is_class, score))] = scores.items()
        threshold = evaluation.facts.get("threshold")
        figures["lift"] = plots.plot_lift(is_class, score, name, weights)
        figures["score_distribution"] = plots.plot_scores(is_class, score, name, threshold, weights)
    return figures
