"""What a pipeline says on the terminal at its end."""

import shlex
from pathlib import Path

import click
import mlflow
from mlflow.entities import Run
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from common.secrets import without_credentials
from common.words import show_figure
from engine.chain import Step
from engine.processes.forkserver import PROJECT
from engine.terminal import STEP_WIDTH, folded, say
from modelling.judging.metrics import BASELINE_PREFIX
from modelling.reporting.answer import say_quality
from steps.pipeline.advice import advise, commands_to_try
from steps.pipeline.answer import read_cautions, read_quality
from steps.pipeline.order import BY_NAME
from steps.pipeline.request import Request
from steps.runs.names import MODEL_VERSION, REPORT, VERDICT, VERDICT_REASON

_COLOURS = {"promoted": "green", "challenger": "yellow", "rejected": "red"}


def print_summary(
    steps: list[Step],
    request: Request,
    verdict: dict[str, str],
    run: Run,
    on_folds: float | None = None,
) -> None:
    """Prints each step with its run, its time and its main figures, and what came of them.

    Args:
        steps: those that are done.
        request: what was asked for.
        verdict: its tags; empty if the steps did not go as far.
        run: the parent run.
        on_folds: of a sweep, the score by which it chose.
    """
    primary = request.recipe.metrics.primary
    say("\n" + click.style(_row("step", "run", "seconds", "figures"), bold=True))
    for step in steps:
        say(_row(step.name, step.run_id[:8], f"{step.seconds:.1f}", _figures(step, primary)))
    say("")
    for words in _answer(steps, request, on_folds):
        say(words)
    if verdict:
        word = verdict[VERDICT]
        line = folded(f"verdict  {word}: {verdict[VERDICT_REASON]}", indent=9)
        say(line.replace(word, click.style(word, fg=_COLOURS.get(word), bold=True), 1))
        _print_advice(steps, request, word, run)
    for name in request.edited_code():
        say(
            folded(f"note     {name} was edited meanwhile; this used it as it was before", indent=9)
        )
    # Not broken into lines: these are to be copied.
    if MODEL_VERSION in verdict:
        click.echo(f"model    models:/{request.recipe.name}/{verdict[MODEL_VERSION]}")
    click.echo(f"run      {run.info.run_id}")
    artifacts = Path(local_file_uri_to_path(run.info.artifact_uri))
    if artifacts.is_dir():
        click.echo(f"report   {artifacts / REPORT}")
    click.echo(f"look     {_where_to_look(run)}")


def _row(step: str, run: str, seconds: str, figures: str) -> str:
    return f"{step:<{STEP_WIDTH}} {run:<8} {seconds:>7}  {figures}"


def _answer(steps: list[Step], request: Request, on_folds: float | None) -> list[str]:
    evaluated = next((step.run for step in steps if step.name == "evaluate"), None)
    if evaluated is None:
        return []
    quality = read_quality(evaluated, request.recipe)
    lines = [f"answer   {say_quality(quality)}"] if quality else []
    cautions = read_cautions(evaluated, request.recipe.checks.mute)
    lines += [f"careful  {words}" for words in cautions]
    metric = request.recipe.metrics.primary
    if on_folds is not None and metric in evaluated.data.metrics:
        sides = (on_folds, evaluated.data.metrics[metric])
        seen, unseen = (show_figure(value, metric=metric) for value in sides)
        lines += [f"folds    {metric} {seen} on folds of the training rows, {unseen} on the test"]
    return [folded(line, indent=9) for line in lines]


def _print_advice(steps: list[Step], request: Request, verdict: str, run: Run) -> None:
    evaluated = next(step.run.data for step in steps if step.name == "evaluate")
    model = evaluated.tags["pipeline.model"]
    recipe, path = request.recipe, request.recipe_path
    was_sweep = run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT) == "sweep"
    for words in advise(recipe, path, model, verdict, evaluated.metrics, was_sweep):
        say(folded(f"to try   {words}", indent=9))
    if verdict == "rejected":
        for command in commands_to_try(recipe, model, was_sweep):
            click.echo(f"         {command}")  # not broken into lines either


def _where_to_look(run: Run) -> str:
    uri = mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        where = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        # Without it, the UI shows the run in its part for GenAI.
        return f"{without_credentials(uri).rstrip('/')}/{where}?workflowType=machine_learning"
    if "@" in uri:
        return 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"'
    if uri == f"sqlite:///{PROJECT / 'mlflow.db'}":
        return "scripts/launch_mlflow.sh"
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"


def _figures(step: Step, primary: str) -> str:
    metrics = step.run.data.metrics
    figures = BY_NAME[step.name].figures(step.run, primary)
    if (naive := metrics.get(BASELINE_PREFIX + primary)) is not None:
        figures += f" (naive {show_figure(naive, metric=primary)})"
    return figures
