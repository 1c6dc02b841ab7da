"""Looks at the tracking server: runs whose process is gone, and the champions' history.

    python scripts/check_mlflow_status.py          # exit code 1 if runs count wrongly as RUNNING
    python scripts/check_mlflow_status.py --reap   # ends them as KILLED, mends the registry
    python scripts/check_mlflow_status.py --reap --gone HOST   # of a host that is no more, too

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
from engine.secrets import without_credentials
from steps.journal import read_journal, registry_lock
from steps.registry import CHAMPION
from steps.unfinished import finish_or_undo
from tracking.mlflow_manager import init_mlflow


@click.command()
@click.option("--reap", "ends_them", is_flag=True, help="End stale runs, undo half registrations.")
@click.option("--gone", multiple=True, metavar="HOST", help="A host that runs no more.")
def check_mlflow_status(ends_them: bool, gone: tuple[str, ...]) -> None:
    """Lists runs that count as RUNNING although their process is gone, and each champion's past."""
    try:
        init_mlflow()
        experiments = [found.experiment_id for found in MlflowClient().search_experiments()]
        stale = (reap if ends_them else find_stale_runs)(experiments, gone)
        models = MlflowClient().search_registered_models(max_results=1000)
        finished = [did for model in models if ends_them for did in _finish_or_undo(model.name)]
    except (MlflowException, OSError) as error:
        raise click.ClickException(one_line(error)) from error
    for run, reason in stale:
        click.echo(
            f"{'ended' if ends_them else 'stale'}  {run.info.run_id}  {run.info.run_name}: {reason}"
        )
    for did in finished:
        click.echo(f"mended {did}")
    for model in models:
        version = model.aliases.get(CHAMPION)
        click.echo(f"{model.name}: {f'version {version} is' if version else 'no'} champion")
        for move in read_journal(model.tags):
            click.echo(f"  {move}")
    click.echo(f"{len(stale)} stale runs in {without_credentials(mlflow.get_tracking_uri())}")
    if stale and not ends_them:
        sys.exit(1)


def _finish_or_undo(name: str) -> list[str]:
    with registry_lock(name):
        return finish_or_undo(name)


if __name__ == "__main__":
    check_mlflow_status()
