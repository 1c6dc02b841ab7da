"""Unfitted Pipelines: estimators, those in them, and the preprocessing that each is given."""
