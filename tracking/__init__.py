"""How a step writes to MLflow: names, params, metrics, artifacts, system metrics."""
