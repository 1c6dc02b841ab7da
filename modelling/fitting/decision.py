"""The threshold from which on a row is of the positive class, tuned on the training rows."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.metrics import make_scorer
from sklearn.model_selection import StratifiedGroupKFold, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from modelling.estimators.estimators import refusals_told, sampling_pipeline, without_sampling
from modelling.fitting.held_out import FOLDS
from modelling.judging.answers import Answers, Classes
from modelling.judging.metrics import Metric
from modelling.recipe import Sampling
from modelling.tables.folds import Rows


def fit_with_threshold(
    pipeline: Pipeline,
    features: pd.DataFrame,
    targets: pd.Series,
    classes: Classes,
    metric: Metric,
    sampling: Sampling,
    seed: int,
    folds: Sequence[tuple[Rows, Rows]] = (),
    weights: pd.Series | None = None,
) -> tuple[Pipeline, float]:
    """Fits a Pipeline, and finds the threshold that is best for a metric on folds.

    If not given, there are five, stratified, and equal rows stay together. No fold's threshold is
    measured on rows that its Pipeline was fitted on (scikit-learn's TunedThresholdClassifierCV).

    Args:
        pipeline: as `build_pipeline` gives it.
        features: (n, columns) the training rows, as `apply_features` gives them.
        targets: (n,) labels.
        classes: of the target, one of them positive.
        metric: one of predictions, not of probabilities.
        sampling: what to do about classes of different sizes, in each fold by itself.
        seed: of the folds and the sampling.
        folds: the places of the rows to fit and of those to score, of a split that the folds must
            respect.
        weights: by the index of the targets, how much each row counts, if not the same.

    Returns:
        The Pipeline, fitted on all rows, and the threshold.

    Raises:
        InputError: scikit-learn refuses a hyperparameter or the data, or a class has too few rows.
    """

    def score(true: Any, predicted: Any, pos_label: Any) -> float:
        count = None if weights is None else weights.loc[true.index].to_numpy()
        value = metric(Answers(classes.encode(predicted), weights=count), classes.encode(true))
        return value if metric.greater_is_better else -value

    groups = pd.util.hash_pandas_object(features, index=False)
    usual = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with refusals_told(features):
        tuned = TunedThresholdClassifierCV(
            sampling_pipeline(pipeline, sampling, seed, targets, weights),
            scoring=make_scorer(score, pos_label=classes.positive),
            response_method="predict_proba",
            cv=list(folds or usual.split(features, targets, groups)),
        ).fit(features, targets)
    return without_sampling(tuned.estimator_), float(tuned.best_threshold_)
