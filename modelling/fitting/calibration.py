"""Probabilities that mean what they say: of 100 rows that are given 30 %, some 30 are of the class.

Platt: Probabilistic outputs for support vector machines, 1999 (sigmoid); Zadrozny, Elkan:
Transforming classifier scores into accurate multiclass probability estimates, 2002 (isotonic).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from modelling.fitting.held_out import HeldOut


class _Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose input is its scores: CalibratedClassifierCV knows no other way in."""

    def fit(self, _scores: Any, labels: Any, sample_weight: Any = None) -> "_Scores":
        self.classes_ = np.unique(labels)
        return self

    def predict(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.classes_[np.argmax(scores, axis=1)]

    def decision_function(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return scores[:, 0] if len(self.classes_) == 2 else scores


def calibrate(
    fitted: Pipeline,
    method: str,
    held_out: HeldOut,
    targets: pd.Series,
    weights: pd.Series | None = None,
) -> tuple[Pipeline, HeldOut]:
    """Calibrates a fitted Pipeline by what Pipelines of the other folds say of each fold.

    scikit-learn's CalibratedClassifierCV fits a curve to it.

    Args:
        fitted: on all rows.
        method: sigmoid or isotonic.
        held_out: what `scores_of` names, of rows that were held out.
        targets: (n,) labels of all rows.
        weights: by the index of the targets, how much each row counts, if not the same.

    Returns:
        The calibrated Pipeline, and the (m, classes) calibrated probabilities of these rows.
    """
    estimator = fitted["estimator"]
    rows, scores = held_out
    if len(fitted.classes_) == 2:
        scores = scores.reshape(len(rows), -1)[:, [-1]]
    count = None if weights is None else weights.loc[targets.index[rows]].to_numpy()
    calibrated = CalibratedClassifierCV(_Scores(), method=method, ensemble=False)
    calibrated.fit(scores, targets.iloc[rows].to_numpy(), sample_weight=count)
    probabilities = calibrated.predict_proba(scores)
    calibrated.set_params(estimator=clone(estimator))
    calibrated.calibrated_classifiers_[0].estimator = estimator
    return Pipeline([*fitted.steps[:-1], ("estimator", calibrated)]), (rows, probabilities)


def scores_of(fitted: Pipeline) -> str:
    """Returns the method of a classifier whose answers are calibrated."""
    has_scores = hasattr(fitted["estimator"], "decision_function")
    return "decision_function" if has_scores else "predict_proba"
