"""The probability from which on rows are best taken for positive."""

import numpy as np

from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import Metric

_THRESHOLDS = 100
# True and false positives, false and true negatives: what is said of a row, and what is true.
_SAID = np.array([1.0, 1.0, 0.0, 0.0])
_TRUE = np.array([1.0, 0.0, 1.0, 0.0])


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
    if metric.of_weights:  # four rows, that count as often as each outcome comes
        outcomes = _count_outcomes(candidates, probabilities, targets, weights)
        values = metric.of_weights(_SAID, _TRUE, outcomes)
    else:
        values = np.array(
            [
                metric(Answers((probabilities >= threshold) * 1.0, weights=weights), targets)
                for threshold in candidates
            ]
        )
    sign = 1 if metric.greater_is_better else -1
    return float(candidates[int(np.argmax(sign * values))])


def _count_outcomes(
    candidates: Values, probabilities: Values, targets: Values, weights: Values | None
) -> Values:
    """How often each outcome comes with each of b thresholds: (b, 4)."""
    order = np.argsort(probabilities)
    counts = np.ones(len(order)) if weights is None else weights[order]
    positive = targets[order] * counts
    below = np.searchsorted(probabilities[order], candidates, side="left")
    missed, of_all_below = (np.concatenate([[0], np.cumsum(each)]) for each in (positive, counts))
    found = missed[-1] - missed[below]
    taken = of_all_below[-1] - of_all_below[below]
    refused = of_all_below[below] - missed[below]
    return np.stack([found, taken - found, missed[below], refused], axis=1)
