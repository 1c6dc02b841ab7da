"""train: fits the estimator on the training rows and logs the model.

Called with `recipe`, `model`, `prepare_run_id` and any hyperparameter of the estimator. Leaves a
logged SklearnWrapper model, with a sample of rows and what the fitted estimator predicts for them;
with `folds`, only the score on so many folds of the training rows, as a trial of a sweep does.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import click
import mlflow
import numpy as np
import pandas as pd
import pyarrow
from mlflow.models import ModelSignature, infer_signature
from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from sklearn.pipeline import Pipeline

from common.file_digests import file_sha256
from common.tags import OUTPUT_DIGEST
from common.values import spell
from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from modelling.estimators.estimators import estimator_parameters
from modelling.estimators.nested import packages_in
from modelling.estimators.own_parts import check_predictions
from modelling.fitting.early_stopping import Rounds, find_rounds
from modelling.fitting.fit_model import FittedModel, fit_model
from modelling.inspecting.drift import (
    dated_columns,
    growing_columns,
    profile_rows,
    profiled_answers,
    profiled_columns,
    sample_rows,
)
from modelling.kinds import KINDS, ROW_KEY
from modelling.models import row_details, sklearn_wrapper
from modelling.models.environment import model_environment
from modelling.models.model_files import check_trusted, model_digest
from modelling.models.sklearn_wrapper import answer, apply_features, code_files
from modelling.models.training import fit_inputs, predictable_inputs, unfitted_pipeline
from modelling.own_code import failures_named, own_file, own_name, own_packages
from modelling.recipe import Model, Recipe
from steps.reporting.report import report_step
from steps.runs.artifacts import find_run, read_rows, read_split, read_weights
from steps.runs.model_digests import record_digests
from steps.runs.names import DATA_SHA256, MODEL_DIGEST, PREPARE_RUN_ID
from steps.runs.provenance_write import commit_of
from steps.runs.step import load_parts, run_step, step_run
from steps.sources.workspace import Workspace, find_recipe
from steps.sweeping.trial import score_on_folds
from tracking.artifacts_logger import log_code_model, log_config
from tracking.mlflow_manager import configure_autologging, log_metrics, log_params
from tracking.output_manager import save_temporary, temporary_path

_SAMPLE_ROWS = 100
_EXAMPLE_ROWS = 5


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", required=True)
@click.option("--model", default="auto")
@click.option("--prepare_run_id", required=True)
@click.option("--folds", default="none")
@click.pass_context
def train(context: click.Context, recipe: str, model: str, prepare_run_id: str, folds: str) -> None:
    """Trains a model of the recipe on the training rows of a prepare run."""
    hyperparameters = read_hyperparameters(context)
    if folds != "none":
        score_on_folds(recipe, model, prepare_run_id, folds, hyperparameters)
        return
    settings = load_parts(recipe, "train").with_together(model)
    name, chosen = settings.choose_model(model)
    with step_run("train", settings, name) as run:
        prepared = find_run(prepare_run_id, "prepare", settings)
        raw = read_rows(prepare_run_id, "train.parquet").drop(columns=ROW_KEY)
        targets = raw.pop(settings.data.target).copy()
        given = read_split(prepare_run_id, settings.split)
        weights = read_weights(prepare_run_id, settings.data, "train")
        with failures_named(settings.code):
            rounds = find_rounds(settings, name, hyperparameters, raw, targets, weights, given)
        fitting = fit_inputs(settings, raw)
        features, inputs = fitting.features, fitting.inputs
        spread = np.linspace(0, len(raw) - 1, min(_SAMPLE_ROWS, len(raw))).round().astype(int)
        sample = raw.iloc[spread].reset_index(drop=True)
        # Before the estimator makes its own copies; Arrow, which read them, would keep the memory.
        del raw
        pyarrow.default_memory_pool().release_unused()
        pipeline = unfitted_pipeline(
            settings, name, {**hyperparameters, **rounds.parameters}, fitting
        )
        configure_autologging(settings.autologging)
        with failures_named(settings.code):
            fitted = fit_model(settings, pipeline, inputs, targets, given, weights)
        pipeline, decision = fitted.pipeline, fitted.decision
        check_predictions(settings, name, pipeline, inputs.head(_SAMPLE_ROWS))
        features |= _learned(fitted, inputs)
        _log_parameters(settings, chosen, fitted.uncalibrated)
        log_metrics({"train_rows": len(inputs), "features": inputs.shape[1]})
        if rounds.best:
            log_metrics({"rounds": rounds.best})
            click.echo(_say_rounds(rounds))
        _tell_threshold(settings, decision)
        resolved = {
            **settings.model_dump(mode="json"),
            "trained": {
                "model": name,
                "parameters": _plain(estimator_parameters(fitted.uncalibrated)),
            },
        }
        log_config(resolved, settings.name, name)
        facts: dict[str, Any] = {
            "recipe": settings.name,
            "model": name,
            "estimator": chosen.estimator,
            "train_run_id": run.info.run_id,
            "data_sha256": prepared.data.tags.get(DATA_SHA256, "unknown"),
            "git_commit": run.data.tags.get(MLFLOW_GIT_COMMIT, "none"),
        }
        if commit := _workspace_commit(recipe):
            facts["workspace_commit"] = commit
        if decision:
            facts |= decision
        unseen = sample_rows(read_rows(prepare_run_id, "test.parquet"))
        predictable = predictable_inputs(unseen, features)
        answers = answer(pipeline, predictable, features)
        watched = sample_rows(inputs)[profiled_columns(features)]
        times = [watched[name] for name in dated_columns(features)]
        if "times" in given:
            times.append(sample_rows(given["times"].to_frame())["time"])
        growing = growing_columns(watched, times, len(inputs))
        profile = profile_rows(watched, growing, _sampled(weights, watched))
        # Of rows that it was not fitted on: it is too sure of those that it was.
        of_test = read_weights(prepare_run_id, settings.data, "test")
        counted = _sampled(of_test, predictable)
        profile |= profile_rows(profiled_answers(answers, features), weights=counted)
        taken = _taken_columns(inputs, features)
        digest = _write_model(settings, name, pipeline, features, profile, sample, taken, facts)
        mlflow.set_tags(
            {MODEL_DIGEST: digest, OUTPUT_DIGEST: digest, PREPARE_RUN_ID: prepare_run_id}
        )


def _sampled(weights: pd.Series | None, rows: pd.DataFrame) -> Any:
    """The weights of some of the rows, which have their numbers; None if there are none."""
    return None if weights is None else weights.loc[rows.index].to_numpy()


def _say_rounds(rounds: Rounds) -> str:
    line = f"train: {rounds.best} rounds of at most {rounds.most}, by early stopping"
    return f"{line}; more may be better still" if rounds.best == rounds.most else line


def _workspace_commit(recipe: str) -> str:
    """The commit of the recipe's own repository; empty if it is in none."""
    workspace = Workspace(find_recipe(recipe))
    return "" if workspace.is_project else commit_of(workspace.folder)


def _log_parameters(recipe: Recipe, model: Model, pipeline: Pipeline) -> None:
    """Logs the estimator's, after autologging, whose names of the Pipeline's own stay as they are.

    Its `verbose` is another than the estimator's; it would fail on a name that it finds.
    """
    ours = {"estimator": model.estimator, "scale": model.scale}
    if recipe.sampling.method != "none":
        ours |= {"sampling": recipe.sampling.method}
    if recipe.sampling.method in ("over", "under"):
        ours |= {"sampling_strategy": spell(recipe.sampling.sampling_strategy)}
    own = {**estimator_parameters(pipeline), **ours}
    theirs = {} if recipe.autologging is None else pipeline.get_params()
    log_params({name: value for name, value in own.items() if name not in theirs})


def _learned(fitted: FittedModel, inputs: pd.DataFrame) -> dict[str, Any]:
    """What the logged model needs besides its Pipeline and the features."""
    learned: dict[str, Any] = {"decision": fitted.decision}
    if fitted.intervals:
        learned["intervals"] = fitted.intervals
    if (reference := row_details.mean_inputs(fitted.pipeline, sample_rows(inputs))) is not None:
        learned["reference"] = reference
    return learned


def _tell_threshold(recipe: Recipe, decision: dict[str, Any] | None) -> None:
    if decision:
        threshold = decision["threshold"]
        log_metrics({"threshold": threshold})
        if recipe.decision.threshold == "tuned":
            click.echo(f"train: threshold {threshold:.4f}, tuned for {recipe.decision.metric}")


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
    profile: dict[str, Any],
    sample: pd.DataFrame,
    taken: Schema,
    facts: dict[str, Any],
) -> str:
    """Logs the model with all that it needs to be loaded and checked; returns its digest."""
    chosen = recipe.models[name]
    pipeline_path = save_temporary(
        pipeline, "model", recipe.name, name, {"serialization": chosen.serialization}
    )
    if chosen.serialization == "skops":
        check_trusted(pipeline_path, own_name(recipe.code))
    else:
        click.echo(
            "train: serialization cloudpickle runs what the file says when it is loaded", err=True
        )
    features_path = temporary_path("features.json")
    features_path.write_text(json.dumps(features, indent=2, ensure_ascii=False), encoding="utf-8")
    profile_path = temporary_path("profile.json")
    profile_path.write_text(json.dumps(profile, ensure_ascii=False), encoding="utf-8")
    answers = answer(pipeline, apply_features(sample, features), features)
    own = own_file(recipe.code)
    sample_path, answers_path = temporary_path("sample.parquet"), temporary_path("answers.parquet")
    sample.to_parquet(sample_path, index=False)
    answers.to_parquet(answers_path, index=False)
    digest = model_digest(pipeline_path, features)
    details = temporary_path("row_details.py")  # MLflow does not find a path with a % in it
    shutil.copyfile(row_details.__file__, details)
    loaded = (pipeline_path, features_path, details, *(code_files(own) if own else ()))
    logged = log_code_model(
        Path(sklearn_wrapper.__file__),
        name=f"{recipe.name}-{name}".replace(".", "-"),
        artifacts={
            "pipeline": pipeline_path,
            "features": features_path,
            "profile": profile_path,
            "sample": sample_path,
            "answers": answers_path,
            "row_details": details,
            **({"own_code": own} if own else {}),
        },
        signature=ModelSignature(
            inputs=taken,
            outputs=infer_signature(answers["prediction"].to_numpy()).inputs,
            params=ParamSchema(
                [
                    ParamSpec("method", DataType.string, "predict"),
                    ParamSpec("reasons", DataType.long, 0),
                ]
            ),
        ),
        input_example=sample.head(_EXAMPLE_ROWS),
        conda_env=model_environment(
            Path("conda.yaml"),
            chosen.estimator,
            [*packages_in(pipeline), *own_packages(recipe.code)],
        ),
        metadata={**facts, "model_digest": digest, "columns": features["columns"]},
        model_config={"sha256": {path.name: file_sha256(path) for path in loaded}},
    )
    record_digests(str(logged.model_id))
    return digest


def _taken_columns(inputs: pd.DataFrame, features: dict[str, Any]) -> Schema:
    """Declares numbers as doubles, and leaves what else there is to the model to check.

    MLflow refuses whole numbers as pandas reads them for a double, missing ones for an integer, and
    text for both: what was whole in training, or has a format, may be any of these.
    """
    return Schema(
        [
            ColSpec(
                DataType.double
                if KINDS[kind].limit is float
                and name not in features["formats"]
                and (inputs[name].dropna() % 1 != 0).any()
                else AnyType(),
                name,
            )
            for name, kind in features["columns"].items()
        ]
    )


if __name__ == "__main__":
    run_step(train, report_step)
