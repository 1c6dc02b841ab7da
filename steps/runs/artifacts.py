"""The runs and artifacts that a step reads from."""

from pathlib import Path, PurePosixPath
from typing import Any

import mlflow
import numpy.typing as npt
import pandas as pd
import pyarrow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from common.errors import InputError
from modelling.recipe import Data, Recipe, Split
from steps.runs.names import (
    IN_DAYS,
    TEST_ROW_NUMBERS,
    TRAIN_GROUPS,
    TRAIN_TIMES,
    TRAIN_WEIGHTS,
)
from tracking.output_manager import temporary_folder


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

    Args:
        run_id: of the run.
        artifact: the file, or the folder that holds it.
        columns: all if not said.

    Raises:
        InputError: the run has no such artifact.
    """
    path = download(run_id, artifact)
    file = next(path.glob("*.parquet")) if path.is_dir() else path
    # Arrow would hold the whole file besides, and then keep the memory.
    rows = pd.read_parquet(file, columns=columns, pre_buffer=False)
    pyarrow.default_memory_pool().release_unused()
    return rows


def read_split(run_id: str, split: Split) -> dict[str, Any]:
    """Returns what folds of a prepare run's training rows must respect, as `split_folds` takes it.

    Args:
        run_id: of prepare.
        split: the recipe's; its method and gap are read.

    Returns:
        (n,) `times` or `groups` of the training rows, as ranks, or the times themselves where there
        is a `gap`; nothing of the other methods.
    """
    if split.method == "time" and split.gap:
        times = read_rows(run_id, TRAIN_TIMES, [IN_DAYS])[IN_DAYS]
        return {"times": times.rename("time"), "gap": split.gap}
    if split.method == "time":
        return {"times": read_rows(run_id, TRAIN_TIMES)["time"]}
    if split.method == "group":
        return {"groups": read_rows(run_id, TRAIN_GROUPS)["group"]}
    return {}


def read_test_groups(run_id: str, split: Split) -> npt.NDArray[Any] | None:
    """Returns the (n,) groups of a prepare run's test rows; None unless the split is by groups."""
    if split.method != "group":
        return None
    return read_rows(run_id, TEST_ROW_NUMBERS)["group"].to_numpy()


def read_weights(run_id: str, data: Data, side: str) -> pd.Series | None:
    """Returns how much each of the (n,) rows of a prepare run counts; None if all the same.

    Args:
        run_id: of prepare.
        data: the recipe's section; its weight is read.
        side: train or test.
    """
    if data.weight is None:
        return None
    artifact = TRAIN_WEIGHTS if side == "train" else TEST_ROW_NUMBERS
    return read_rows(run_id, artifact, ["weight"])["weight"]


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
