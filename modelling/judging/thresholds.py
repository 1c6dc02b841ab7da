"""The probability from which on rows are best taken for positive."""

import numpy as np

from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import Metric

_THRESHOLDS = 100


def best_threshold(
    metric: Metric, probabilities: Values, targets: Values, weights: Values | None = None
) -> float:
    """Returns the probability from which on rows are best taken for positive.

    Args:
        metric: one of predictions.
        probabilities: (n,) of the positive class.
        targets: (n,) 1 or 0.
        weights: (n,) how much each row counts, if not the same.
    """
    # As many candidates as scikit-learn's TunedThresholdClassifierCV.
    candidates = np.linspace(probabilities.min(), probabilities.max(), _THRESHOLDS)
    sign = 1 if metric.greater_is_better else -1
    values = [
        sign * metric(Answers((probabilities >= threshold) * 1.0, weights=weights), targets)
        for threshold in candidates
    ]
    return float(candidates[int(np.argmax(values))])
