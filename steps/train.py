"""train: fits the estimator on the training rows and logs the model.

Called with `recipe`, `model`, `prepare_run_id` and any hyperparameter of the estimator. Leaves a
logged SklearnWrapper model, with a sample of rows and what the fitted estimator predicts for them.
"""

import json
from pathlib import Path
from typing import Any

import click
import mlflow
import pandas as pd
from mlflow.models import infer_signature
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from sklearn.pipeline import Pipeline

from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from engine.entry_point import run_command
from engine.tags import OUTPUT_DIGEST
from modelling import sklearn_wrapper
from modelling.environment import model_environment
from modelling.estimators import build_pipeline, estimator_parameters, fit_pipeline
from modelling.features import fit_features
from modelling.model_files import check_trusted, model_digest
from modelling.recipe import Recipe
from modelling.sklearn_wrapper import apply_features
from modelling.split import ROW_KEY
from steps.step import (
    DATA_SHA256,
    MODEL_DIGEST,
    PREPARE_RUN_ID,
    download,
    find_run,
    load_parts,
    step_run,
)
from tracking.artifacts_logger import log_config, log_model
from tracking.mlflow_manager import configure_autologging, log_metrics, log_params
from tracking.output_manager import save_local, temporary_path

_SAMPLE_ROWS = 100
_EXAMPLE_ROWS = 5


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", required=True)
@click.option("--model", default="auto")
@click.option("--prepare_run_id", required=True)
@click.pass_context
def train(context: click.Context, recipe: str, model: str, prepare_run_id: str) -> None:
    """Trains a model of the recipe on the training rows of a prepare run."""
    settings = load_parts(recipe, "train")
    hyperparameters = read_hyperparameters(context.args)
    name, chosen = settings.choose_model(model)
    with step_run("train", settings, name) as run:
        pipeline = build_pipeline(
            chosen, hyperparameters, settings.split.seed, impute=_may_miss(settings)
        )
        prepared = find_run(prepare_run_id, "prepare")
        rows = pd.read_parquet(download(prepare_run_id, "train.parquet"))
        raw = rows.drop(columns=[ROW_KEY, settings.data.target])
        features = fit_features(raw, settings.features)
        configure_autologging(settings.autologging)
        fit_pipeline(pipeline, apply_features(raw, features), rows[settings.data.target])
        # After autologging, which would fail on names that it finds with other values.
        log_params({"estimator": chosen.estimator, "scale": chosen.scale})
        log_params(estimator_parameters(pipeline))
        log_metrics({"train_rows": len(rows), "features": len(pipeline.feature_names_in_)})
        resolved = {
            **settings.model_dump(mode="json"),
            "trained": {"model": name, "parameters": _plain(estimator_parameters(pipeline))},
        }
        log_config(resolved, settings.name, name)
        facts = {
            "recipe": settings.name,
            "model": name,
            "train_run_id": run.info.run_id,
            "data_sha256": prepared.data.tags.get(DATA_SHA256, "unknown"),
            "git_commit": run.data.tags.get(MLFLOW_GIT_COMMIT, "none"),
        }
        digest = _write_model(settings, name, pipeline, features, raw, facts)
        mlflow.set_tags(
            {MODEL_DIGEST: digest, OUTPUT_DIGEST: digest, PREPARE_RUN_ID: prepare_run_id}
        )


def _may_miss(recipe: Recipe) -> bool:
    checks = recipe.data.columns.values()
    return not checks or any(check.missing for check in checks)


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    kept = (bool, int, float, str, type(None))
    return {
        key: value if isinstance(value, kept) else str(value) for key, value in parameters.items()
    }


def _write_model(
    recipe: Recipe,
    name: str,
    pipeline: Pipeline,
    features: dict[str, Any],
    raw: pd.DataFrame,
    facts: dict[str, str],
) -> str:
    """Logs the model with all that it needs to be loaded and checked; returns its digest."""
    chosen = recipe.models[name]
    pipeline_path = save_local(
        pipeline, "model", recipe.name, name, {"serialization": chosen.serialization}
    )
    if chosen.serialization == "skops":
        check_trusted(pipeline_path)
    else:
        click.echo(
            "train: serialization cloudpickle runs what the file says when it is loaded", err=True
        )
    features_path = temporary_path("features.json")
    features_path.write_text(json.dumps(features, indent=2, ensure_ascii=False), encoding="utf-8")
    sample = raw.head(_SAMPLE_ROWS)
    predictions = pipeline.predict(apply_features(sample, features))
    sample_path = temporary_path("sample.parquet")
    sample.assign(**{recipe.data.target: predictions}).to_parquet(sample_path, index=False)
    digest = model_digest(pipeline_path, features)
    log_model(
        Path(sklearn_wrapper.__file__),
        name=f"{recipe.name}-{name}".replace(".", "-"),
        artifacts={"pipeline": pipeline_path, "features": features_path, "sample": sample_path},
        signature=infer_signature(sample, predictions),
        input_example=raw.head(_EXAMPLE_ROWS),
        conda_env=model_environment(Path("conda.yaml"), chosen.estimator),
        metadata={**facts, "model_digest": digest},
    )
    return digest


if __name__ == "__main__":
    run_command(train)
