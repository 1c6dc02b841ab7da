"""What all steps share: their run, and the runs that they read from."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import cast

import click
import mlflow
import pandas as pd
import pyarrow
import yaml
from mlflow import ActiveRun, MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT
from threadpoolctl import threadpool_limits

from common.errors import InputError
from engine.entry_point import note_run, run_command
from engine.processes.guard import process_tags
from engine.provenance.project_state import machine_tags
from modelling.recipe import Recipe, load_recipe, only_parts
from steps.runs.provenance_write import hide_credentials
from steps.runs.recipe_parts import READS
from tracking.mlflow_manager import init_mlflow, init_mlflow_experiment, start_run
from tracking.output_manager import temporary_folder, temporary_path
from tracking.system_logger import log_system_metrics

DATA_SHA256 = "pipeline.data_sha256"
TRAIN_TIMES = "train_times.parquet"
TEST_ROW_NUMBERS = "test_row_numbers.parquet"
PREPARE_RUN_ID = "pipeline.prepare_run_id"
DRIFT = "pipeline.drift"
ALERT = "pipeline.alert"
IMPORTANCE = "pipeline.importance"
_FROZEN_RECIPE = "CUVEE_RECIPE"
ESTIMATOR = "pipeline.estimator"
MODEL_ID = "pipeline.model_id"
MODEL_DIGEST = "pipeline.model_digest"
MODEL_VERSION = "pipeline.model_version"
VERDICT = "pipeline.verdict"
VERDICT_REASON = "pipeline.verdict_reason"


def freeze_recipe(recipe: Recipe) -> None:
    """Lets the steps below this process read the recipe as it is now, whoever edits its file."""
    frozen = temporary_path("recipe.yaml")
    text = yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
    frozen.write_text(text, encoding="utf-8")
    os.environ[_FROZEN_RECIPE] = str(frozen)


def load_parts(recipe: str, step: str) -> Recipe:
    """Reads the parts of a recipe that a step may read.

    Raises:
        InputError: the recipe cannot be read, or is none.
    """
    path = os.environ.get(_FROZEN_RECIPE, recipe)
    return cast("Recipe", only_parts(load_recipe(path), READS[step]))


@contextmanager
def step_run(step: str, recipe: Recipe, model_name: str | None = None) -> Iterator[ActiveRun]:
    """Opens the run of a step, and logs the machine's figures as its last act."""
    with named_run(step, recipe.name, model_name) as run:
        yield run


@contextmanager
def named_run(step: str, name: str, model_name: str | None = None) -> Iterator[ActiveRun]:
    """Opens the run of a step, as `step_run` does, that has no recipe yet but a name for it."""
    init_mlflow()
    init_mlflow_experiment(name)
    # With more threads a BLAS adds up in another order: the last digits would be the machine's.
    threadpool_limits(limits=1, user_api="blas")
    tags = {MLFLOW_PROJECT_ENTRY_POINT: step, **process_tags(), **machine_tags()}
    with start_run(name, model_name, tags) as run:
        note_run(run.info.run_id)
        hide_credentials(run)
        gc.enable()
        yield run
        log_system_metrics()


def run_step(command: click.Command) -> None:
    """Runs a step's command line as `run_command` does; one that no main runs reports on itself."""
    # By its name: a report that changes is no reason to run a step again.
    run_command(
        command, at_end=lambda run_id: import_module("steps.reporting.report").report_step(run_id)
    )


def find_run(run_id: str, step: str, recipe: Recipe, parameter: str | None = None) -> Run:
    """Returns the finished run of a step.

    Args:
        run_id: the run.
        step: whose run it must be.
        recipe: by which it must have been made.
        parameter: the one that named the run; `<step>_run_id` if not said.

    Raises:
        InputError: there is no such run, or it is of another step or recipe, or did not finish.
    """
    parameter = parameter or f"{step}_run_id"
    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException as error:
        raise InputError(
            f"{parameter}: there is no run {run_id!r} in {mlflow.get_tracking_uri()}"
        ) from error
    entry_point = run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT)
    if entry_point != step:
        raise InputError(
            f"{parameter}: run {run_id} is of {entry_point or 'no entry point'}, not of {step}"
        )
    other = run.data.tags.get("pipeline.recipe", recipe.name)
    if other != recipe.name:
        raise InputError(
            f"{parameter}: run {run_id} is of the recipe {other!r}, not of {recipe.name!r}"
        )
    if run.info.status != "FINISHED":
        raise InputError(f"{parameter}: run {run_id} is {run.info.status}, not FINISHED")
    return run


def read_rows(run_id: str, artifact: str, columns: list[str] | None = None) -> pd.DataFrame:
    """Reads a Parquet table, or some of its columns, among a run's artifacts.

    Raises:
        InputError: the run has no such artifact.
    """
    # Arrow would hold the whole file besides, and then keep the memory.
    rows = pd.read_parquet(download(run_id, artifact), columns=columns, pre_buffer=False)
    pyarrow.default_memory_pool().release_unused()
    return rows


def download(run_id: str, artifact: str) -> Path:
    """Returns a local path of a run's artifact, a file or a folder, which is only to be read.

    Raises:
        InputError: the run has no such artifact.
    """
    try:
        repository = get_artifact_repository(MlflowClient().get_run(run_id).info.artifact_uri)
        # What lies on this machine is read where it is: a copy of a large table takes seconds.
        is_here = isinstance(repository, LocalArtifactRepository)
        if is_here:
            return Path(repository.download_artifacts(artifact))
        # Asked for what is not there, a server reports a fault of its own, and the client would
        # ask again for minutes.
        beside = repository.list_artifacts(str(PurePosixPath(artifact).parent).lstrip(".") or None)
        if artifact not in [found.path for found in beside]:
            raise FileNotFoundError("it is not there")
        return Path(repository.download_artifacts(artifact, str(temporary_folder(run_id))))
    except (MlflowException, OSError) as error:
        raise InputError(f"artifact {artifact} of run {run_id} cannot be read: {error}") from error
