"""What all steps share: their run, and the runs that they read from."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import click
import yaml
from mlflow import ActiveRun
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT
from threadpoolctl import threadpool_limits

from engine.entry_point import note_run, run_command
from engine.processes.guard import process_tags
from engine.provenance.project_state import machine_tags
from modelling.recipe import Recipe, load_recipe, only_parts
from steps.runs.provenance_write import hide_credentials
from steps.runs.recipe_parts import READS
from steps.runs.result import write_result
from steps.sources.workspace import find_recipe
from tracking.mlflow_manager import init_mlflow, init_mlflow_experiment, start_run
from tracking.output_manager import temporary_path
from tracking.system_logger import log_system_metrics

_FROZEN_RECIPE = "CUVEE_RECIPE"


def freeze_recipe(recipe: Recipe) -> None:
    """Lets the steps below this process read the recipe as it is now, whoever edits its file."""
    frozen = temporary_path("recipe.yaml")
    text = yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
    frozen.write_text(text, encoding="utf-8")
    os.environ[_FROZEN_RECIPE] = str(frozen)


def load_whole(recipe: str) -> Recipe:
    """Reads a recipe, as it was when the process above began.

    Raises:
        InputError: the recipe cannot be read, or is none.
    """
    return load_recipe(os.environ.get(_FROZEN_RECIPE) or find_recipe(recipe))


def load_parts(recipe: str, step: str) -> Recipe:
    """Reads the parts of a recipe that a step may read.

    Raises:
        InputError: the recipe cannot be read, or is none.
    """
    return cast("Recipe", only_parts(load_whole(recipe), READS[step]))


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
        gc.freeze()  # what is imported: each look for rubbish would go through all of it
        gc.enable()
        yield run
        log_system_metrics()


def run_step(command: click.Command, report: Callable[[str], None]) -> None:
    """Runs a step's command line as `run_command` does; one that no main runs reports on itself."""
    run_command(command, write_result, at_end=report)
