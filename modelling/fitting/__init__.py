"""From an unfitted Pipeline to a model: when it stops, its threshold, calibration and intervals."""
