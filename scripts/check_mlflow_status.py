"""Looks at the tracking server: does any run count as RUNNING although its process is gone?

    python scripts/check_mlflow_status.py          # lists them; exit code 1 if there are any
    python scripts/check_mlflow_status.py --reap   # ends them as KILLED

The server is the one of MLFLOW_TRACKING_URI, or else mlflow.db in the working directory.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from engine.failures import one_line
from engine.reaper import find_stale_runs, reap
from tracking.mlflow_manager import init_mlflow


@click.command()
@click.option("--reap", "ends_them", is_flag=True, help="End stale runs as KILLED.")
def check_mlflow_status(ends_them: bool) -> None:
    """Lists the runs that count as RUNNING although their process on this host is gone."""
    try:
        init_mlflow()
        experiments = [found.experiment_id for found in MlflowClient().search_experiments()]
        stale = reap(experiments) if ends_them else find_stale_runs(experiments)
    except (MlflowException, OSError) as error:
        raise click.ClickException(one_line(error)) from error
    for run, reason in stale:
        click.echo(
            f"{'ended' if ends_them else 'stale'}  {run.info.run_id}  {run.info.run_name}: {reason}"
        )
    click.echo(f"{len(stale)} stale runs in {mlflow.get_tracking_uri()}")
    if stale and not ends_them:
        sys.exit(1)


if __name__ == "__main__":
    check_mlflow_status()
