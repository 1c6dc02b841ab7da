"""What a run says when it fails: one line for a person, and the traceback for the one who mends."""

import os
import sys
import traceback
from pathlib import Path

import click
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

ERROR_TAG = "pipeline.error"
_LONGEST_TAG = 5000


class StepError(Exception):
    """A step ended without success; the message names it and repeats its one line."""


def one_line(error: BaseException) -> str:
    """Says in one line what is wrong; an error that nobody foresaw names its place in the code."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError | MlflowException | StepError) and text:
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {text}"


def record_failure(run_id: str | None, step: str, error: BaseException) -> None:
    """Ends a run as FAILED with its line in `pipeline.error` and the traceback in its log.

    A store that cannot be reached is no reason to hide the first error: it is reported on stderr.
    """
    if run_id is None:
        return
    client = MlflowClient()
    try:
        client.set_tag(run_id, ERROR_TAG, one_line(error)[:_LONGEST_TAG])
        client.set_terminated(run_id, "FAILED")
        lines = "".join(traceback.format_exception(error))
        client.log_text(run_id, lines, f"logs/{step}.log")
    except Exception as second:
        click.echo(
            f"the failure could not be recorded in run {run_id}: {one_line(second)}", err=True
        )


def run_command(command: click.Command) -> None:
    """Runs an entry point's command line and ends the process: 0, or not 0 with one line.

    Under `mlflow run` the entry point has a run before it starts; otherwise it may open one.
    """
    step = command.name or "step"
    run_id = os.environ.get("MLFLOW_RUN_ID")
    try:
        command.main(standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        last = mlflow.last_active_run()
        record_failure(run_id or (last.info.run_id if last else None), step, error)
        if not isinstance(error, StepError):
            click.echo(f"{step}: {one_line(error)}", err=True)
        sys.exit(1)
