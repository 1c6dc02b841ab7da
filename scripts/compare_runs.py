"""Holds a pipeline against an earlier one, for a person or as a comment on a pull request.

    python scripts/compare_runs.py RUN RUN                         # where they differ
    python scripts/compare_runs.py RUN RUN --markdown > comment.md # verdict, metrics, what ran, why
    python scripts/compare_runs.py models:/wine_quality@champion RUN --markdown

A RUN is the id of a run of main or sweep, or a version of a registered model, whose pipeline is
meant. The store is the one of MLFLOW_TRACKING_URI, or else mlflow.db in the working directory.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.chatter import silence_mlflow

silence_mlflow()

import click
from check_mlflow_status import print_comparison
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from common.errors import InputError
from engine.failures import one_line
from engine.processes.no_account import survive_without_account
from engine.terminal import say_error
from steps.reporting.comparison import compare_pipelines
from steps.reporting.store_status import compare_runs, open_store
from steps.runs.provenance_read import find_pipeline


@click.command()
@click.argument("first")
@click.argument("second")
@click.option(
    "--markdown", is_flag=True, help="Print Markdown: what the second run gives, and why."
)
@click.option(
    "--plots", metavar="URL", help="Where the second run's plots can be seen, in Markdown."
)
def main(first: str, second: str, markdown: bool, plots: str | None) -> None:
    """Says what the SECOND run gives that the FIRST does not."""
    try:
        survive_without_account()
        open_store()
        before, now = find_pipeline(first), find_pipeline(second)
        if markdown:
            click.echo(compare_pipelines(before, now, plots), nl=False)
        else:
            print_comparison(compare_runs(before.info.run_id, now.info.run_id))
    except (InputError, MlflowException, OSError, SQLAlchemyError) as error:
        say_error(f"compare_runs: {one_line(error)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
