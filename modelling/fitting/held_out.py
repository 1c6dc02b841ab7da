"""What a model says of training rows that it was not fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from modelling.estimators.estimators import fit_pipeline
from modelling.recipe import Sampling
from modelling.tables.folds import Rows

FOLDS = 5

HeldOut = tuple[Rows, npt.NDArray[Any]]
"""The places of m rows that were held out, and what models say that were not fitted on them."""


def predict_held_out(
    pipeline: Pipeline,
    method: str,
    inputs: pd.DataFrame,
    targets: pd.Series,
    folds: Sequence[tuple[Rows, Rows]],
    sampling: Sampling,
    seed: int,
    weights: pd.Series | None = None,
) -> HeldOut:
    """Fits a Pipeline on all folds but one, and asks it about that one, for each of them.

    Args:
        pipeline: as `build_pipeline` gives it; it stays unfitted.
        method: predict, predict_proba or decision_function.
        inputs: (n, columns) the training rows, as `apply_features` gives them.
        targets: (n,) numbers or labels.
        folds: the places of the rows to fit, and of those to predict.
        sampling: what to do about classes of different sizes, in each fold by itself.
        seed: of the sampling.
        weights: by the index of the targets, how much each row counts, if not the same.

    Returns:
        The places of the m rows that were held out, and what the method gives for them.

    Raises:
        InputError: scikit-learn refuses a hyperparameter or the data.
    """
    given = []
    for fit, held_out in folds:
        fitted = fit_pipeline(
            clone(pipeline), inputs.iloc[fit], targets.iloc[fit], sampling, seed, weights
        )
        given.append(getattr(fitted, method)(inputs.iloc[held_out]))
    return np.concatenate([held_out for _, held_out in folds]), np.concatenate(given)
