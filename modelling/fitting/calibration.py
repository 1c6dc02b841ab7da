"""Probabilities that mean what they say: of 100 rows that are given 30 %, some 30 are of the class.

Platt: Probabilistic outputs for support vector machines, 1999 (sigmoid); Zadrozny, Elkan:
Transforming classifier scores into accurate multiclass probability estimates, 2002 (isotonic).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from modelling.fitting.held_out import HeldOut, predict_held_out
from modelling.recipe import Sampling
from modelling.tables.folds import Rows


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
    pipeline: Pipeline,
    fitted: Pipeline,
    method: str,
    inputs: pd.DataFrame,
    targets: pd.Series,
    folds: Sequence[tuple[Rows, Rows]],
    sampling: Sampling,
    seed: int,
    weights: pd.Series | None = None,
) -> tuple[Pipeline, HeldOut]:
    """Calibrates a fitted Pipeline by what Pipelines of the other folds say of each fold.

    The folds respect what the recipe says of the split; scikit-learn's CalibratedClassifierCV is
    given what they say, and fits a curve to it.

    Args:
        pipeline: the same, unfitted.
        fitted: on all rows.
        method: sigmoid or isotonic.
        inputs: (n, columns) the training rows, as `apply_features` gives them.
        targets: (n,) labels.
        folds: the places of the rows to fit and of those to predict.
        sampling: what to do about classes of different sizes, in each fold by itself.
        seed: of the sampling.
        weights: by the index of the targets, how much each row counts, if not the same.

    Returns:
        The calibrated Pipeline, and the (m, classes) calibrated probabilities of held-out rows.

    Raises:
        InputError: scikit-learn refuses the data.
    """
    estimator = fitted["estimator"]
    asked = "decision_function" if hasattr(estimator, "decision_function") else "predict_proba"
    rows, scores = predict_held_out(
        pipeline, asked, inputs, targets, folds, sampling, seed, weights
    )
    if len(fitted.classes_) == 2:
        scores = scores.reshape(len(rows), -1)[:, [-1]]
    count = None if weights is None else weights.loc[targets.index[rows]].to_numpy()
    calibrated = CalibratedClassifierCV(_Scores(), method=method, ensemble=False)
    calibrated.fit(scores, targets.iloc[rows].to_numpy(), sample_weight=count)
    probabilities = calibrated.predict_proba(scores)
    calibrated.set_params(estimator=clone(estimator))
    calibrated.calibrated_classifiers_[0].estimator = estimator
    return Pipeline([*fitted.steps[:-1], ("estimator", calibrated)]), (rows, probabilities)
