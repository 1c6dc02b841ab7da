"""evaluate: metrics, custom metrics, plots and predictions of a model on the test rows.

Called with `recipe`, `prepare_run_id`, `model_uri`. Leaves the model's metrics and the naive
baseline's, the plots, the worst predictions, and all predictions with their row keys.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from mlflow.models import EvaluationMetric, EvaluationResult, make_metric
from mlflow.pyfunc import PyFuncModel
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from sklearn.dummy import DummyRegressor

from engine.entry_point import run_command
from engine.tags import OUTPUT_DIGEST
from modelling import plots
from modelling.errors import InputError
from modelling.metrics import (
    BASELINE_PREFIX,
    BUILTIN_METRICS,
    CUSTOM_METRICS,
    Values,
    check_metrics,
    compute_metrics,
    metric_names,
    missing_metrics,
)
from modelling.recipe import Recipe
from modelling.split import ROW_KEY
from steps.step import (
    MODEL_DIGEST,
    MODEL_ID,
    PREPARE_RUN_ID,
    download,
    find_run,
    load_parts,
    step_run,
)
from tracking.artifacts_logger import again_if_datasets_collide, log_predictions
from tracking.mlflow_manager import log_metrics
from tracking.output_manager import temporary_folder


@click.command()
@click.option("--recipe", required=True)
@click.option("--prepare_run_id", required=True)
@click.option("--model_uri", required=True)
def evaluate(recipe: str, prepare_run_id: str, model_uri: str) -> None:
    """Evaluates a model on the test rows of a prepare run."""
    settings = load_parts(recipe, "evaluate")
    check_metrics(settings)
    with step_run("evaluate", settings):
        find_run(prepare_run_id, "prepare")
        test = pd.read_parquet(download(prepare_run_id, "test.parquet"))
        train = pd.read_parquet(
            download(prepare_run_id, "train.parquet"), columns=[settings.data.target]
        )
        model, facts = _load_model(model_uri, settings.data.target)
        mlflow.set_tags(
            {
                PREPARE_RUN_ID: prepare_run_id,
                MODEL_ID: str(model.model_id),
                MODEL_DIGEST: facts["model_digest"],
                "pipeline.model": facts["model"],
                MLFLOW_RUN_NAME: f"evaluate {settings.name} {facts['model']}",
            }
        )
        metrics = _evaluate_model(model, test, settings) | _baseline(train, test, settings)
        log_metrics(metrics)
        names = metric_names(settings.metrics.custom)
        missing = missing_metrics([*names, *(BASELINE_PREFIX + name for name in names)], metrics)
        if missing:
            raise ValueError(f"the evaluation did not give the metrics {', '.join(missing)}")
        predictions = _predict(model, test, settings)
        answer = pd.DataFrame(
            {
                ROW_KEY: test[ROW_KEY],
                settings.data.target: test[settings.data.target],
                "prediction": predictions,
            }
        )
        log_predictions(answer, settings.name, facts["model"], {"model": facts["model_digest"]})
        content = json.dumps(metrics, sort_keys=True).encode() + predictions.tobytes()
        mlflow.set_tag(OUTPUT_DIGEST, hashlib.sha256(content).hexdigest())


def _load_model(model_uri: str, target: str) -> tuple[PyFuncModel, dict[str, Any]]:
    """Loads a model and checks that it predicts what the fitted estimator did when it was logged.

    Returns:
        The model, and the facts that `train` put into its metadata.
    """
    folder = str(temporary_folder("model"))
    try:
        local = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=folder))
        model = mlflow.pyfunc.load_model(str(local))
    except (MlflowException, OSError) as error:
        raise InputError(f"model {model_uri} cannot be loaded: {error}") from error
    facts = model.metadata.metadata or {}
    sample_path = local / "artifacts" / "sample.parquet"
    if not facts.get("model_digest") or not sample_path.is_file():
        raise InputError(f"model {model_uri} was not made by the step train")
    sample = pd.read_parquet(sample_path)
    if not np.array_equal(model.predict(sample.drop(columns=target)), sample[target]):
        raise ValueError(
            f"model {model_uri} does not predict here what it predicted when it was trained; "
            "is its environment (conda.yaml beside the model) the one that is installed?"
        )
    return model, facts


def _predict(model: PyFuncModel, test: pd.DataFrame, recipe: Recipe) -> Values:
    return np.asarray(model.predict(test.drop(columns=[ROW_KEY, recipe.data.target])), dtype=float)


def _evaluate_model(model: PyFuncModel, test: pd.DataFrame, recipe: Recipe) -> dict[str, float]:
    """Runs MLflow's evaluation, which logs its own metrics; returns ours."""

    def run() -> EvaluationResult:
        return mlflow.models.evaluate(
            model,
            test.drop(columns=ROW_KEY),
            targets=recipe.data.target,
            model_type="regressor",
            evaluators=["default"],
            evaluator_config={"default": {"log_model_explainability": False}},
            extra_metrics=[_mlflow_metric(name) for name in recipe.metrics.custom],
            custom_artifacts=_artifacts(model, test, recipe),
        )

    result = again_if_datasets_collide(run)
    found = result.metrics
    builtin = {short: found.get(metric.mlflow_name) for short, metric in BUILTIN_METRICS.items()}
    custom = {name: found.get(name) for name in recipe.metrics.custom}
    return {name: float(value) for name, value in (builtin | custom).items() if value is not None}


def _mlflow_metric(name: str) -> EvaluationMetric:
    metric = CUSTOM_METRICS[name]

    def eval_fn(predictions: pd.Series, targets: pd.Series) -> float:
        return metric(np.asarray(predictions), np.asarray(targets))

    return make_metric(eval_fn=eval_fn, greater_is_better=metric.greater_is_better, name=name)


def _baseline(train: pd.DataFrame, test: pd.DataFrame, recipe: Recipe) -> dict[str, float]:
    """The metrics of the mean of the training rows, as if it were a model."""
    target = recipe.data.target
    dummy = DummyRegressor(strategy="mean").fit(train, train[target])
    names = metric_names(recipe.metrics.custom)
    return compute_metrics(names, dummy.predict(test), test[target].to_numpy(), BASELINE_PREFIX)


def _artifacts(
    model: PyFuncModel, test: pd.DataFrame, recipe: Recipe
) -> list[Callable[..., dict[str, Any]]]:
    """The pictures and tables of the evaluation, in the form of MLflow's `custom_artifacts`."""
    target = recipe.data.target

    def save(figure: Figure, folder: str, name: str) -> dict[str, Any]:
        path = Path(folder) / f"{name}.png"
        figure.savefig(path, dpi=120)
        return {name: str(path)}

    def predictions_and_errors(
        eval_df: pd.DataFrame, _metrics: dict[str, float], folder: str
    ) -> dict[str, Any]:
        actual, predicted = eval_df["target"].to_numpy(), eval_df["prediction"].to_numpy()
        drawn = {
            "predictions_vs_targets": plots.plot_predictions,
            "residuals": plots.plot_residuals,
            "error_by_target": plots.plot_error_by_target,
        }
        saved: dict[str, Any] = {}
        for name, plot in drawn.items():
            saved |= save(plot(actual, predicted, target), folder, name)
        return saved | {"worst_predictions": plots.worst_predictions(test, predicted, target)}

    def importance(
        _eval_df: pd.DataFrame, _metrics: dict[str, float], folder: str
    ) -> dict[str, Any]:
        metric = recipe.metrics.primary
        table = plots.compute_importance(
            model.predict,
            test.drop(columns=[ROW_KEY, target]),
            test[target].to_numpy(),
            metric,
            recipe.split.seed,
        )
        figure = plots.plot_importance(table, metric)
        return save(figure, folder, "permutation_importance") | {"importance": table}

    return [predictions_and_errors, importance]


if __name__ == "__main__":
    run_command(evaluate)
