"""What a run says when it fails: one line for a person, and the traceback for the one who mends."""

import threading
import traceback
from pathlib import Path

import click
from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_RUN_NAME

from common.secrets import hide_secrets
from common.tags import ERROR, LONGEST_TAG


class StepError(Exception):
    """A step ended without success: the message names it and repeats its one line.

    status is how its run ended, FAILED or KILLED.
    """

    def __init__(self, message: str, status: str = "FAILED") -> None:
        super().__init__(message)
        self.status = status


class FindingError(ValueError):
    """What an entry point was to find out, and whoever started it must know: nothing broke.

    The exit code is not 0, and the one line says what was found; there is no traceback.
    """


def one_line(error: BaseException) -> str:
    """Says in one line what is wrong; an error that nobody foresaw names its place in the code.

    No secret is in it.
    """
    return hide_secrets(_one_line(error))


def _one_line(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    text = " ".join(str(error).partition("[SQL:")[0].split())  # the statement helps nobody
    is_sql = type(error).__module__.startswith("sqlalchemy.")  # not imported for its name only
    if text and (is_sql or isinstance(error, ValueError | OSError | MlflowException | StepError)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {text}"


def end_run_unless_ended(run_id: str, status: str, line: str) -> None:
    """Ends a run with its line in `pipeline.error`.

    A run that was KILLED stays so, and any keeps the line that it has.
    """
    client = MlflowClient()
    run = client.get_run(run_id)
    recipe = run.data.params.get("recipe", "").strip("'\"")
    if "pipeline.recipe" not in run.data.tags and recipe:
        # It came to no name of its own, and has one that MLflow made up.
        entry_point = run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT, "run")
        client.set_tag(run_id, MLFLOW_RUN_NAME, f"{entry_point} {Path(recipe).stem}")
    if ERROR not in run.data.tags:
        client.set_tag(run_id, ERROR, line[:LONGEST_TAG])
    if run.info.status not in (status, "KILLED"):
        client.set_terminated(run_id, status)


making_a_run = threading.Lock()
"""Held while a child run is made: who ends all of them from another thread must not miss one."""


def end_running_children(run_id: str, status: str, line: str) -> None:
    """Ends the child runs of a run that still count as RUNNING, and theirs."""
    runs = MlflowClient().search_runs(
        [MlflowClient().get_run(run_id).info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{run_id}'",
    )
    for run in runs:
        if not RunStatus.is_terminated(RunStatus.from_string(run.info.status)):
            end_running_children(run.info.run_id, status, line)
            end_run_unless_ended(run.info.run_id, status, line)
