"""What a model is worth: answers, metrics, checks, the gate, comparisons, plots."""
