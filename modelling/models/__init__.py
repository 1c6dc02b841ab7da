"""Estimators, features, training, and the wrapper that is logged."""
