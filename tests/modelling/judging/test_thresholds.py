"""The threshold that is chosen is the best of a hundred."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.judging.metrics import metrics_of
from modelling.judging.thresholds import best_threshold
from modelling.recipe import load_recipe

OF_PREDICTIONS = {
    name: metric
    for name, metric in metrics_of(load_recipe("recipes/customer_churn.yaml")).items()
    if not metric.takes_probabilities and metric.of_weights
}


def test_all_that_a_threshold_can_be_tuned_for_are_counted_at_once():
    assert {"f1", "accuracy", "precision", "recall", "business_score"} <= set(OF_PREDICTIONS)


@pytest.mark.parametrize("name", OF_PREDICTIONS)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30
    ),
    is_weighted=st.booleans(),
)
def test_counting_outcomes_finds_the_threshold_that_each_row_would(name, rows, is_weighted):
    metric = OF_PREDICTIONS[name]
    probabilities, targets, weights = np.array(rows, dtype=float).T
    probabilities = probabilities / 20
    weights = weights + 1 if is_weighted else None
    found = best_threshold(metric, probabilities, targets, weights)

    def score(threshold):
        counts = np.ones(len(targets)) if weights is None else weights
        said = (probabilities >= threshold) * 1.0
        return metric.of_weights(said, targets, counts[np.newaxis])[0]

    tried = np.linspace(probabilities.min(), probabilities.max(), 100)
    scores = [score(threshold) for threshold in tried]
    best = max(scores) if metric.greater_is_better else min(scores)
    assert score(found) == pytest.approx(best)
