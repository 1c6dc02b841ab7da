"""Where predictions are written."""
