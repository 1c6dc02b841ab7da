"""main: prepare → train → evaluate → register, each a child run of this one.

Only run ids and `models:/` URIs go from step to step. `python main.py` does the same as `mlflow
run .`, in an experiment named after the recipe.
"""

import gc
import os
import sys

from engine.forkserver import PROJECT, start_forkserver
from engine.half_built import wait_until_installed

_STEPS = ("steps.prepare", "steps.train", "steps.evaluate", "steps.register")

if __name__ == "__main__":
    gc.disable()  # until the imports are done: what they make is kept
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    wait_until_installed(PROJECT / "requirements.lock")
    if "local" not in sys.argv:
        # First of all: it imports what the steps need while this process does its own imports.
        start_forkserver(_STEPS)
    import engine.processes  # it notes who started this process, who may be gone after the imports

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import mlflow
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

import engine.warm  # noqa: F401 - registers the backend
from engine.cache import StepCache
from engine.chain import Chain, Step
from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from engine.entry_point import note_run, run_command
from engine.file_digests import file_sha256
from engine.processes import process_tags
from engine.provenance import Provenance, begin_provenance
from engine.reaper import reap
from engine.tags import CACHE_KEY
from modelling.errors import InputError
from modelling.metrics import BASELINE_PREFIX, check_gate, metrics_of, threshold_metric
from modelling.recipe import Recipe, load_recipe
from modelling.values import parse_value
from steps.dependencies import StepDependencies
from steps.recording import hide_credentials, record_provenance, record_request
from steps.registry import find_champion
from steps.step import DATA_SHA256, MODEL_DIGEST, MODEL_VERSION, VERDICT, VERDICT_REASON
from steps.table_source import fetch_table
from tracking.artifacts_logger import log_config
from tracking.mlflow_manager import (
    init_mlflow,
    init_mlflow_experiment,
    log_metrics,
    log_params,
    start_run,
)

_UNTIL = ("prepare", "train", "evaluate", "register")


@dataclass(frozen=True)
class Request:
    """What main was asked for, with `auto` resolved."""

    recipe_path: str
    recipe: Recipe
    model: str
    data: str
    hyperparameters: dict[str, Any]
    until: str


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", default="recipes/wine_quality.yaml")
@click.option("--model", default="auto")
@click.option("--data", default="auto")
@click.option("--cache", default="use", type=click.Choice(["use", "refresh", "off"]))
@click.option("--until", default="register", type=click.Choice(_UNTIL))
@click.option("--backend", default="warm", type=click.Choice(["warm", "local"]))
@click.pass_context
def main(
    context: click.Context,
    recipe: str,
    model: str,
    data: str,
    cache: str,
    until: str,
    backend: str,
) -> None:
    """Turns a table into an evaluated, gated and registered model."""
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    provenance = begin_provenance(PROJECT)
    tracking_uri = init_mlflow()
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    request = _resolve(recipe, model, data, until, read_hyperparameters(context.args))
    init_mlflow_experiment(request.recipe.name)  # before chdir: artifacts go where the user stands
    gc.enable()
    tags = {MLFLOW_PROJECT_ENTRY_POINT: "main", **process_tags()}
    with start_run(request.recipe.name, request.model, tags) as run:
        note_run(run.info.run_id)
        os.chdir(PROJECT)
        reap([run.info.experiment_id])
        hide_credentials(run)
        _log_request(request, recipe, model, data, provenance.result())
        steps = StepCache(run.info.experiment_id, request.recipe.name, cache)
        chain = Chain(PROJECT, run, backend, steps)
        verdict = _run_steps(chain, request)
        mlflow.set_tags({**verdict, "mlflow.note.content": _note(chain.steps, verdict)})
    _print_summary(chain.steps, request, verdict, tracking_uri)


def _resolve(recipe: str, model: str, data: str, until: str, given: dict[str, str]) -> Request:
    """Reads the recipe and checks all that can be checked before any run is made."""
    settings = load_recipe(recipe, PROJECT)
    check_gate(settings)
    if settings.decision.metric:
        threshold_metric(settings)
    name, chosen = settings.choose_model(model)
    hyperparameters = {key: parse_value(text) for key, text in given.items()}
    if hyperparameters:
        # Only then, since scikit-learn takes half a second to import.
        from modelling.estimators import build_pipeline

        build_pipeline(chosen, hyperparameters, settings.split.seed, settings.task)
    source = settings.data.path if data == "auto" else data
    return Request(recipe, settings, name, source, hyperparameters, until)


def _log_request(
    request: Request, recipe: str, model: str, data: str, provenance: Provenance
) -> None:
    """Records what was asked for, and where the code stands."""
    log_params({"recipe": recipe, "model": model, "data": data, **request.hyperparameters})
    log_config(request.recipe.model_dump(mode="json"), request.recipe.name, None)
    record_provenance(PROJECT, provenance, request.recipe.split.seed)
    record_request(
        {
            "recipe": request.recipe_path,
            "model": request.model,
            "data": request.data,
            "until": request.until,
            "hyperparameters": request.hyperparameters,
        }
    )


def _run_steps(chain: Chain, request: Request) -> dict[str, str]:
    """Runs the steps that were asked for; returns the tags of the verdict, if it came to one."""
    depends = StepDependencies(PROJECT, request.recipe)
    data_sha256 = _data_sha256(request.data)
    prepare = chain.run(
        "prepare",
        {"recipe": request.recipe_path, "data": request.data},
        lambda: depends.of_prepare(request.data, data_sha256),
    )
    mlflow.set_tag(DATA_SHA256, prepare.run.data.tags[DATA_SHA256])
    if prepare.run.data.tags[DATA_SHA256] != data_sha256:
        mlflow.MlflowClient().delete_tag(prepare.run_id, CACHE_KEY)
        raise InputError(f"table {request.data} changed while it was read; start again")
    if request.until == "prepare":
        return {}
    prepared = {"recipe": request.recipe_path, "prepare_run_id": prepare.run_id}
    train = chain.run(
        "train",
        {**prepared, "model": request.model, **request.hyperparameters},
        lambda: depends.of_train(request.model, request.hyperparameters, prepare.output_digest),
    )
    if request.until == "train":
        return {}
    evaluate = chain.run(
        "evaluate",
        {**prepared, "model_uri": f"models:/{train.run.outputs.model_outputs[0].model_id}"},
        lambda: depends.of_evaluate(prepare.output_digest, train.output_digest),
    )
    log_metrics(_main_figures(evaluate.run, request.recipe))
    if request.until == "evaluate":
        return {}
    champion = _evaluate_champion(chain, request, depends, prepare, train.output_digest)
    register = chain.run(
        "register",
        {
            "recipe": request.recipe_path,
            "evaluate_run_id": evaluate.run_id,
            "champion_run_id": champion.run_id if champion else "none",
        },
        lambda: depends.of_register(
            evaluate.output_digest,
            champion.output_digest if champion else "none",
            train.output_digest,
        ),
    )
    return _verdict(register)


def _evaluate_champion(
    chain: Chain, request: Request, depends: StepDependencies, prepare: Step, model_digest: str
) -> Step | None:
    """Evaluates the champion on the same rows; None if there is none, or it is this very model."""
    champion = find_champion(request.recipe.name)
    if champion is None or champion.tags.get(MODEL_DIGEST) == model_digest:
        return None
    return chain.run(
        "evaluate",
        {
            "recipe": request.recipe_path,
            "prepare_run_id": prepare.run_id,
            "model_uri": f"models:/{request.recipe.name}/{champion.version}",
        },
        lambda: depends.of_evaluate(prepare.output_digest, champion.tags[MODEL_DIGEST]),
        name="evaluate_champion",
    )


def _data_sha256(source: str) -> str:
    """The digest of the table; `prepare` will say what is wrong with one that cannot be read."""
    with TemporaryDirectory(prefix="cuvee-") as folder:
        try:
            return file_sha256(fetch_table(source, Path(folder)))
        except (InputError, OSError):
            return "unreadable"


def _main_figures(run: Run, recipe: Recipe) -> dict[str, float]:
    """The metrics of the recipe, and the baseline's, of an evaluate run."""
    wanted = [prefix + name for name in metrics_of(recipe) for prefix in ("", BASELINE_PREFIX)]
    return {name: run.data.metrics[name] for name in wanted}


def _verdict(register: Step) -> dict[str, str]:
    tags = register.run.data.tags
    verdict = {tag: tags[tag] for tag in (VERDICT, VERDICT_REASON, MODEL_VERSION) if tag in tags}
    if register.status == "reused" and tags[VERDICT] in ("promoted", "challenger"):
        verdict[VERDICT] = "unchanged"
        verdict[VERDICT_REASON] = f"nothing has changed since version {tags[MODEL_VERSION]}"
    return verdict


def _note(steps: list[Step], verdict: dict[str, str]) -> str:
    """The parent run's description: each step with a link to its run, and the verdict."""
    rows = [
        f"| [{step.name}](#/experiments/{step.run.info.experiment_id}/runs/{step.run_id}) "
        f"| {step.status} | {step.reason} |"
        for step in steps
    ]
    table = "\n".join(["| step | | why |", "|---|---|---|", *rows])
    if not verdict:
        return table
    return f"**{verdict[VERDICT]}**: {verdict[VERDICT_REASON]}\n\n{table}"


def _print_summary(
    steps: list[Step], request: Request, verdict: dict[str, str], tracking_uri: str
) -> None:
    click.echo(f"\n{'step':<18} {'run':<32} {'seconds':>7}  figures")
    for step in steps:
        click.echo(
            f"{step.name:<18} {step.run_id:<32} {step.seconds:>7.1f}  {_figures(step, request)}"
        )
    if verdict:
        click.echo(f"\nverdict  {verdict[VERDICT]}: {verdict[VERDICT_REASON]}")
    if MODEL_VERSION in verdict:
        click.echo(f"model    models:/{request.recipe.name}/{verdict[MODEL_VERSION]}")
    is_server = tracking_uri.startswith("http")
    click.echo(f"look     {'' if is_server else 'mlflow ui --backend-store-uri '}{tracking_uri}")


def _figures(step: Step, request: Request) -> str:
    metrics, tags = step.run.data.metrics, step.run.data.tags
    if step.name == "prepare":
        return f"{metrics['train_rows']:.0f} training, {metrics['test_rows']:.0f} test rows"
    if step.name == "train":
        return f"{tags['pipeline.model']}, {metrics['features']:.0f} features"
    if step.name == "register":
        return tags[VERDICT]
    primary = request.recipe.metrics.primary
    return f"{primary} {metrics[primary]:.4f} (naive {metrics[BASELINE_PREFIX + primary]:.4f})"


if __name__ == "__main__":
    run_command(main, keep_log=False)
