"""Features, training, and what is logged with a model."""
