"""sweep: many trials of a recipe's models on folds of the training rows, then the best one's way.

Called with `recipe`, `model`, `data`, how to search (`trials`, `seconds`, `sampler`, `pruner`,
`folds`, `seed`, `patience`), where to work (`jobs`, `scheduler`), what to go on with (`resume`,
`cache`), and the values or ranges of hyperparameters. Leaves a run of `train` for each trial, the
leaderboard, the figures, and what main leaves of the best trial: it is trained on all training
rows, evaluated and registered.
"""

import gc

from engine.processes.forkserver import start_forkserver

_STEPS = (
    "steps.prepare",
    "steps.train",
    "steps.evaluate",
    "steps.register",
    "steps.sweeping.trial",
    "steps.reporting.report",
)

if __name__ == "__main__":
    gc.disable()  # until the imports are done: what they make is kept
    # First of all: it imports what the steps need while this process does its own imports.
    start_forkserver(_STEPS)

import click

from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from engine.entry_point import run_command
from modelling.search.space import PRUNERS, SAMPLERS
from steps.runs.result import write_result


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", default="recipes/wine_quality.yaml")
@click.option("--model", default="auto")
@click.option("--data", default="auto")
@click.option("--trials", default="auto")
@click.option("--seconds", default="none")
@click.option("--sampler", default="auto", type=click.Choice(SAMPLERS))
@click.option("--pruner", default="auto", type=click.Choice(PRUNERS))
@click.option("--folds", default=5, type=click.IntRange(min=2))
@click.option("--seed", default=42, type=click.IntRange(min=0, max=2**32 - 1))
@click.option("--patience", default="none")
@click.option("--jobs", default="auto")
@click.option("--scheduler", default="none")
@click.option("--resume", default="none")
@click.option("--cache", default="use", type=click.Choice(["use", "refresh", "off"]))
@click.option("--verbose", default="false", type=click.BOOL)  # read by silence_mlflow
@click.pass_context
def sweep(context: click.Context, /, verbose: bool, **options: str | int) -> None:
    """Finds the best hyperparameters on folds of the training rows, and trains with them."""
    # Here, since each process of trials imports this file again, and needs no more of it.
    from steps.sweeping.run import run_sweep

    run_sweep(options, read_hyperparameters(context))


def _finish(run_id: str) -> None:
    from steps.sweeping.run import REPORTS

    REPORTS.finish(run_id)


if __name__ == "__main__":
    run_command(sweep, write_result, keep_log=False, at_end=_finish)
