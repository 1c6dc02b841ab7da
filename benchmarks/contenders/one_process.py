"""The four steps one after the other in one process, with the same calls of MLflow.

What a hand-written script would do: imports once, one connection, no cache, no protection.
"""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

import click
import mlflow
from mlflow import MlflowClient

from steps.evaluate import evaluate
from steps.prepare import prepare
from steps.register import register
from steps.train import train

RECIPE = "recipes/wine_quality.yaml"


def main() -> None:
    """Runs the steps as children of one run."""
    mlflow.set_tracking_uri(mlflow.get_tracking_uri())
    mlflow.set_experiment("wine_quality")
    client = MlflowClient()
    parent = client.create_run(mlflow.get_experiment_by_name("wine_quality").experiment_id)
    os.chdir(PROJECT)

    def run(step: click.Command, *arguments: str) -> str:
        step.main([f"--recipe={RECIPE}", *arguments], standalone_mode=False)
        run_id = mlflow.last_active_run().info.run_id
        client.set_tag(run_id, "mlflow.parentRunId", parent.info.run_id)
        return str(run_id)

    prepared = run(prepare)
    trained = run(train, f"--prepare_run_id={prepared}")
    model_id = client.get_run(trained).outputs.model_outputs[0].model_id
    evaluated = run(evaluate, f"--prepare_run_id={prepared}", f"--model_uri=models:/{model_id}")
    run(register, f"--evaluate_run_id={evaluated}")
    client.set_terminated(parent.info.run_id)


if __name__ == "__main__":
    main()
