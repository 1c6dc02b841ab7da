"""main: prepare → train → evaluate → register, each a child run of this one.

Only run ids and `models:/` URIs go from step to step. `python main.py` does the same as `mlflow
run .`, in an experiment named after the recipe.
"""

import gc
import os
import sys

from engine.cache.done_commands import Command
from engine.chatter import silence_mlflow
from engine.processes.forkserver import PROJECT, start_forkserver, start_forkserver_later
from engine.processes.half_built import wait_until_installed

_STEPS = ("steps.prepare", "steps.train", "steps.evaluate", "steps.register")
_COMMAND = Command(PROJECT, _STEPS)

if __name__ == "__main__":
    gc.disable()  # until the imports are done: what they make is kept
    silence_mlflow()
    wait_until_installed(PROJECT / "requirements.lock")
    if "local" not in sys.argv:
        # First of all: it imports what the steps need while this process does its own imports.
        start = start_forkserver_later if _COMMAND.was_done() else start_forkserver
        start(_STEPS)
    import engine.processes.guard  # it notes who started this process, who may be gone soon

import logging

import click
import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

import engine.warm  # noqa: F401 - registers the backend
from engine.cache.step_cache import StepCache
from engine.chain import Chain
from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from engine.entry_point import note_run, run_command
from engine.failures import StepError
from engine.processes.guard import process_tags
from engine.processes.reaper import reap
from engine.provenance.project_state import begin_provenance
from steps.pipeline.order import UNTIL, log_origin, run_prepare, run_steps
from steps.pipeline.request import log_request, resolve
from steps.pipeline.summary import print_summary
from steps.reporting.report import StepReports
from steps.runs.provenance_write import hide_credentials
from steps.runs.result import write_result
from steps.runs.webhook import tell_verdict
from tracking.mlflow_manager import init_mlflow, init_mlflow_experiment, start_run

_REPORTS = StepReports()


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", default="recipes/wine_quality.yaml")
@click.option("--model", default="auto")
@click.option("--data", default="auto")
@click.option("--cache", default="use", type=click.Choice(["use", "refresh", "off"]))
@click.option("--until", default="register", type=click.Choice(UNTIL))
@click.option("--backend", default="warm", type=click.Choice(["warm", "local"]))
@click.option("--verbose", default="false", type=click.BOOL)  # read by silence_mlflow
@click.pass_context
def main(
    context: click.Context,
    recipe: str,
    model: str,
    data: str,
    cache: str,
    until: str,
    backend: str,
    verbose: bool,
) -> None:
    """Turns a table into an evaluated, gated and registered model."""
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    provenance = begin_provenance(PROJECT)
    tracking_uri = init_mlflow()
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    request = resolve(recipe, model, data, until, read_hyperparameters(context))
    init_mlflow_experiment(request.recipe.name)  # before chdir: artifacts go where the user stands
    gc.freeze()  # what is imported: each look for rubbish would go through all of it
    gc.enable()
    tags = {MLFLOW_PROJECT_ENTRY_POINT: "main", **process_tags()}
    with start_run(request.recipe.name, request.model, tags) as run:
        note_run(run.info.run_id)
        os.chdir(PROJECT)
        reap([run.info.experiment_id])
        hide_credentials(run)
        given = {"recipe": recipe, "model": model, "data": data, **request.hyperparameters}
        log_origin(request, given, provenance.result())
        log_request(request)
        steps = StepCache(run.info.experiment_id, request.recipe.name, cache)
        is_warm = backend == "warm"
        chain = Chain(PROJECT, run, backend, steps, lambda step: _REPORTS.begin(step, is_warm))
        try:
            verdict = run_steps(chain, request, run_prepare(chain, request))
        except StepError:
            _REPORTS.wait()  # what is begun ends with this process
            raise
        mlflow.set_tags(verdict)
    if cache == "use":
        _COMMAND.remember([recipe, request.data, "requirements.lock", *request.code_files()])
    print_summary(chain.steps, request, verdict, run)
    tell_verdict(request.recipe, verdict, run)


if __name__ == "__main__":
    run_command(main, write_result, keep_log=False, at_end=_REPORTS.finish)
