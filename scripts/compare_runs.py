"""Holds a pipeline against an earlier one, in Markdown, as for a comment on a pull request.

    python scripts/compare_runs.py RUN RUN --markdown > comment.md # verdict, metrics, what ran, why
    python scripts/compare_runs.py RUN --markdown                  # against the champion before it

A RUN is the id of a run of main or sweep, or a version of a registered model as
models:/wine_quality@champion, whose pipeline is meant; the last one may also be the file that
`-P result=` wrote. The store is the one of MLFLOW_TRACKING_URI, or else mlflow.db in the working
directory. `check_mlflow_status.py --compare` shows each parameter, metric and tag that differs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.chatter import silence_mlflow

silence_mlflow()

import click
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from common.errors import InputError
from engine.failures import one_line
from engine.processes.no_account import survive_without_account
from engine.terminal import say_error
from modelling.reporting.markdown import escape
from steps.overview.comparison import compare_pipelines, copy_plots
from steps.overview.store_status import open_store
from steps.runs.names import CHAMPION_BEFORE
from steps.runs.provenance_read import find_pipeline
from steps.runs.result import Result


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="[RUN] RUN")
@click.option(
    "--markdown", is_flag=True, expose_value=False, help="The form, which is the only one."
)
@click.option("--plots", metavar="URL", help="The folder in which its plots can be seen.")
@click.option("--save-plots", metavar="FOLDER", type=Path, help="Where to copy its plots first.")
@click.option("--report", metavar="URL", help="Where its report can be seen.")
def main(
    runs: tuple[str, ...], plots: str | None, save_plots: Path | None, report: str | None
) -> None:
    """Says what the last RUN gives that the first, or the champion before it, does not."""
    if len(runs) > 2:
        raise click.UsageError("one run is told of, or two are compared")
    try:
        survive_without_account()
        last = runs[-1]
        if Path(last).is_file():
            result = Result.model_validate_json(Path(last).read_text(encoding="utf-8"))
            if result.run_id is None:
                click.echo(f"### ❌ Refused\n\n{escape(result.error)}")
                return
            last = result.run_id
        open_store()
        run = find_pipeline(last, finished=False)
        other = find_pipeline(runs[0]) if len(runs) == 2 else _champion_before(run)
        if save_plots:
            copy_plots(run, save_plots)
        click.echo(compare_pipelines(run, other, plots, report), nl=False)
    except (InputError, MlflowException, OSError, SQLAlchemyError, ValueError) as error:
        say_error(f"compare_runs: {one_line(error)}")
        sys.exit(1)


def _champion_before(run: Run) -> Run | None:
    """The pipeline of the version that was the champion when this run was judged."""
    version = run.data.tags.get(CHAMPION_BEFORE, "none")
    name = run.data.tags.get("pipeline.recipe")
    return None if version == "none" else find_pipeline(f"models:/{name}/{version}")


if __name__ == "__main__":
    main()
