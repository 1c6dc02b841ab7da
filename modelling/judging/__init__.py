"""What a model is worth: answers, metrics, the gate, comparisons, drift, plots."""
