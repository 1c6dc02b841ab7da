"""The least that anything with MLflow costs: import it, open the store, make a run."""

import mlflow

mlflow.set_experiment("wine_quality")
with mlflow.start_run():
    pass
