"""A pipeline's run that can be made again: which one is meant, and what it recorded of itself."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_PROJECT_ENTRY_POINT,
)
from pydantic import TypeAdapter

from common.errors import InputError
from common.tags import ERROR
from engine.cache.step_cache import experiments_of
from engine.provenance.project_state import GitState
from steps.runs.artifacts import download
from steps.runs.names import DATA_SHA256
from steps.runs.provenance_write import (
    DIFF_FILE,
    OWN_LOCK_FILE,
    OWN_LOCK_SHA256,
    PROVENANCE_FILE,
    REQUEST_FILE,
    WORKSPACE_COMMIT,
    WORKSPACE_DIFF_FILE,
    WORKSPACE_FILE,
)

_MODEL_URI = "models:/"
_COMMIT = re.compile("[0-9a-f]{40,64}")
_PIPELINES = ("main", "sweep")
_EVERYTHING = "everything: "


@dataclass(frozen=True)
class RecordedWorkspace:
    """The state of a team's repository.

    git: of it; recipe: the recipe's path from its root; diff: a local copy; None if it was clean.
    """

    git: GitState
    recipe: str
    diff: Path | None


@dataclass(frozen=True)
class RecordedRun:
    """A run of main, or of a sweep whose winner is meant, and what it recorded.

    request: recipe, model, data, until, hyperparameters; environment: versions, as of the step
    cache; machine: tags; left_out: what its diff does not hold, in words.
    """

    run: Run
    request: Mapping[str, Any]
    git: GitState
    environment: Mapping[str, str]
    machine: Mapping[str, str]
    left_out: tuple[str, ...]

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.info.run_id

    @property
    def data_sha256(self) -> str:
        """The digest of the table."""
        return self.run.data.tags[DATA_SHA256]

    def diff(self) -> Path | None:
        """Returns a local copy of the diff; None if it holds nothing."""
        if not self.git.is_dirty:
            return None
        logged = {file.path for file in MlflowClient().list_artifacts(self.run_id)}
        if self.left_out and DIFF_FILE not in logged:
            return None  # all that was dirty was left out
        return self._changes(DIFF_FILE)

    def _changes(self, name: str) -> Path | None:
        path = download(self.run_id, name)
        return path if path.stat().st_size else None

    def workspace(self) -> RecordedWorkspace | None:
        """Returns the state of the recipe's own repository; None if it is in none.

        Raises:
            InputError: it is not recorded as it should be.
        """
        if WORKSPACE_COMMIT not in self.run.data.tags:
            return None
        try:
            content = json.loads(download(self.run_id, WORKSPACE_FILE).read_text(encoding="utf-8"))
            left_out, recipe = content.pop("left_out_of_diff"), content.pop("recipe")
            git = TypeAdapter(GitState).validate_python(content)
            if left_out or not _COMMIT.fullmatch(git.commit):
                raise ValueError(f"its diff leaves out {', '.join(left_out)}")
            diff = self._changes(WORKSPACE_DIFF_FILE) if git.is_dirty else None
        except (ValueError, KeyError) as error:
            raise InputError(str(error)) from error
        return RecordedWorkspace(git, recipe, diff)

    def own_lock(self) -> Path | None:
        """Returns a local copy of the lock of the recipe's own repository; None without one."""
        has_one = OWN_LOCK_SHA256 in self.run.data.tags
        return download(self.run_id, OWN_LOCK_FILE) if has_one else None

    def step(self, name: str) -> Run | None:
        """Returns the run that stood for a step; None if the pipeline did not come to it."""
        return step_of(self.run, name)


def step_of(parent: Run, name: str) -> Run | None:
    """Returns the run that a run of main names as a step; None if it names none.

    Raises:
        InputError: the run is not there any more.
    """
    run_id = parent.data.tags.get(f"pipeline.step.{name}.run_id")
    if run_id is None:
        return None
    run = _get_run(run_id)
    if run is None:
        raise InputError(f"the step {name} of run {parent.info.run_id}, {run_id}, was deleted")
    return run


def find_recorded(run_id: str) -> RecordedRun:
    """Finds the run of a pipeline that is meant.

    Args:
        run_id: its id, or the URI of a model version, as models:/name/3 or models:/name@alias.

    Raises:
        InputError: there is none, or it cannot be made again; one line says why.
    """
    run = find_pipeline(run_id)
    if MLFLOW_GIT_COMMIT not in run.data.tags:
        raise InputError(
            f"run_id: run {run_id} was made from a folder without git: there is no commit to make "
            "it from again"
        )
    return _read(run)


def find_pipeline(run_id: str, finished: bool = True) -> Run:
    """Finds the run of a pipeline that is meant, as `find_recorded` does, wherever it was made.

    Raises:
        InputError: there is none, or it did not finish, and is to be finished.
    """
    if run_id.startswith(_MODEL_URI):
        run_id = _pipeline_of_version(run_id)
    run = _get_run(run_id)
    if run is None:
        raise InputError(f"run_id: there is no run {run_id!r} in {mlflow.get_tracking_uri()}")
    _check_is_pipeline(run)
    if finished and run.info.status != "FINISHED":
        line = f": {run.data.tags[ERROR]}" if ERROR in run.data.tags else ""
        raise InputError(f"run_id: run {run_id} is {run.info.status}, not FINISHED{line}")
    return run


def _get_run(run_id: str) -> Run | None:
    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException:
        return None
    return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def _pipeline_of_version(uri: str) -> str:
    """The finished run of main, or of a sweep, in which a model version was evaluated.

    Not always the one above the evaluation: that may have failed later, and the next one reused it.
    """
    client = MlflowClient()
    rest = uri.removeprefix(_MODEL_URI).strip("/")
    try:
        if "@" in rest:
            version = client.get_model_version_by_alias(*rest.split("@", 1))
        elif "/" in rest:
            version = client.get_model_version(*rest.split("/", 1))
        else:
            raise InputError(f"run_id: {uri!r} names no version: write models:/name/version")
    except MlflowException as error:
        raise InputError(f"run_id: there is no model version {uri!r}: {error.message}") from error
    evaluated = _get_run(version.tags.get("pipeline.evaluate_run_id", "none"))
    pipelines = _finished_with(evaluated) if evaluated else []
    parent = evaluated.data.tags.get(MLFLOW_PARENT_RUN_ID) if evaluated else None
    if not pipelines and parent is None:
        raise InputError(
            f"run_id: {uri} was not made by a pipeline that is recorded here: its evaluation is "
            f"{'a run on its own' if evaluated else 'not there'}"
        )
    return pipelines[0].info.run_id if pipelines else str(parent)


def _finished_with(evaluated: Run) -> list[Run]:
    """The first finished pipeline in which this run stood for the step evaluate."""
    step = f"tags.`pipeline.step.evaluate.run_id` = '{evaluated.info.run_id}'"
    recipe = evaluated.data.tags.get("pipeline.recipe", "")
    return list(
        MlflowClient().search_runs(
            experiments_of(recipe, evaluated.info.experiment_id),
            f"{step} and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time"],
            max_results=1,
        )
    )


def _check_is_pipeline(run: Run) -> None:
    run_id, tags = run.info.run_id, run.data.tags
    entry_point = tags.get(MLFLOW_PROJECT_ENTRY_POINT)
    if entry_point not in _PIPELINES:
        parent = tags.get(MLFLOW_PARENT_RUN_ID)
        instead = f": reproduce the run above it, {parent}" if parent else ""
        what = f"of {entry_point}" if entry_point else "of no entry point"
        raise InputError(f"run_id: run {run_id} is {what}, not of main{instead}")


def _read(run: Run) -> RecordedRun:
    run_id = run.info.run_id
    try:
        content, request = (
            json.loads(download(run_id, name).read_text(encoding="utf-8"))
            for name in (PROVENANCE_FILE, REQUEST_FILE)
        )
        git = dict(content["git"])
        left_out = tuple(git.pop("left_out_of_diff"))
        state = TypeAdapter(GitState).validate_python(git)
        if not _COMMIT.fullmatch(state.commit):
            raise ValueError(f"{state.commit!r} is no commit")
        recorded = RecordedRun(
            run, request, state, content["environment"], content["machine"], left_out
        )
    except (InputError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"run_id: run {run_id} does not tell where it comes from: {error}"
        ) from error
    if any(line.startswith(_EVERYTHING) for line in left_out):
        raise InputError(
            f"run_id: run {run_id} was made from a dirty tree whose diff was too large to be "
            f"recorded ({left_out[-1].removeprefix(_EVERYTHING)})"
        )
    return recorded
