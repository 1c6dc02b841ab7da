"""From an unfitted Pipeline to a model: calibrated, with a threshold, and sure of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from modelling.estimators.estimators import fit_pipeline
from modelling.fitting.held_out import FOLDS, HeldOut, predict_held_out
from modelling.judging.answers import Classes, find_classes
from modelling.judging.metrics import threshold_metric
from modelling.judging.thresholds import best_threshold
from modelling.recipe import Recipe
from modelling.tables.folds import Rows, split_folds


@dataclass(frozen=True)
class FittedModel:
    """A model that is fitted.

    pipeline: as it is used; uncalibrated: as the recipe names it, the same if it is not calibrated;
    decision: from when on a row is of the positive class, if there is one; intervals: what says how
    sure it is of a row, if the recipe asks for it.
    """

    pipeline: Pipeline
    uncalibrated: Pipeline
    decision: dict[str, Any] | None
    intervals: dict[str, Any] | None


@dataclass(frozen=True)
class _Rows:
    recipe: Recipe
    pipeline: Pipeline  # unfitted
    inputs: pd.DataFrame
    targets: pd.Series
    classes: Classes | None
    folds: Sequence[tuple[Rows, Rows]]
    weights: pd.Series | None

    def of(self, rows: Rows) -> tuple[pd.Series, npt.NDArray[np.float64] | None]:
        """The targets and weights of some rows."""
        targets = self.targets.iloc[rows]
        weights = self.weights
        return targets, None if weights is None else weights.loc[targets.index].to_numpy(float)

    def held_out(self, method: str) -> HeldOut:
        """What a method gives for each fold, of Pipelines that were fitted on the others."""
        return predict_held_out(
            self.pipeline,
            method,
            self.inputs,
            self.targets,
            self.folds,
            self.recipe.sampling,
            self.recipe.split.seed,
            self.weights,
        )


def fit_model(
    recipe: Recipe,
    pipeline: Pipeline,
    inputs: pd.DataFrame,
    targets: pd.Series,
    given: Mapping[str, Any],
    weights: pd.Series | None,
) -> FittedModel:
    """Fits a Pipeline, and what the recipe asks for besides, on folds of the same rows.

    Args:
        recipe: says what to do about probabilities, the threshold and intervals.
        pipeline: unfitted.
        inputs: (n, columns) the training rows, as `apply_features` gives them.
        targets: (n,) numbers or labels.
        given: what the folds must respect of the split, as `split_folds` takes it.
        weights: by the index of the targets, how much each row counts, if not the same.

    Raises:
        InputError: scikit-learn refuses a hyperparameter or the data; there are too few rows.
    """
    classes, seed = find_classes(recipe, targets), recipe.split.seed
    is_calibrated = recipe.decision.calibrate != "none"
    threshold: Any = recipe.decision.threshold
    folds: list[tuple[Rows, Rows]] = []
    if threshold == "tuned" or is_calibrated or recipe.intervals is not None:
        folds = split_folds(inputs, targets, FOLDS, seed, classes is not None, **given)
    known = _Rows(recipe, clone(pipeline), inputs, targets, classes, folds, weights)
    used = fitted = fit_pipeline(pipeline, inputs, targets, recipe.sampling, seed, weights)
    held_out = None
    if is_calibrated:
        used, held_out = _calibrated(known, fitted)
    elif folds:
        held_out = known.held_out("predict" if classes is None else "predict_proba")
    if held_out and classes and threshold == "tuned":
        threshold = _best_threshold(known, classes, held_out)
    intervals = None
    if held_out and recipe.intervals is not None:
        intervals = _intervals(known, recipe.intervals, held_out)
    decision = None
    if classes is not None and classes.positive is not None:
        decision = {"positive_class": classes.positive, "threshold": threshold}
    return FittedModel(used, fitted, decision, intervals)


def _calibrated(known: _Rows, fitted: Pipeline) -> tuple[Pipeline, HeldOut]:
    from modelling.fitting.calibration import calibrate, scores_of

    held_out = known.held_out(scores_of(fitted))
    method = known.recipe.decision.calibrate
    return calibrate(fitted, method, held_out, known.targets, known.weights)


def _best_threshold(known: _Rows, classes: Classes, held_out: HeldOut) -> float:
    rows, said = held_out
    targets, weights = known.of(rows)
    sure = said[:, classes.labels.index(classes.positive)]
    return best_threshold(threshold_metric(known.recipe), sure, classes.encode(targets), weights)


def _intervals(known: _Rows, coverage: float, held_out: HeldOut) -> dict[str, Any]:
    from modelling.fitting.conformal import fit_intervals, fit_sets

    recipe, classes = known.recipe, known.classes
    rows, said = held_out
    targets, weights = known.of(rows)
    if classes is not None:
        numbers = np.searchsorted(np.asarray(classes.labels), targets.to_numpy()).astype(float)
        return fit_sets(coverage, said, numbers, weights)
    true = targets.to_numpy(dtype=float)
    return fit_intervals(coverage, known.inputs.iloc[rows], said, true, recipe.split.seed, weights)
