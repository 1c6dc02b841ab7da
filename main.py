"""main: prepare → train → evaluate → register, each a child run of this one.

Only run ids and `models:/` URIs go from step to step. `python main.py` does the same as `mlflow
run .`, in an experiment named after the recipe.
"""

import hashlib
import logging
import os
import subprocess
from pathlib import Path

import click
import mlflow
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from engine.chain import Chain, Step
from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from engine.failures import run_command
from modelling.recipe import Recipe, load_recipe
from modelling.values import parse_value
from steps.registry import find_champion
from steps.step import DATA_SHA256, MODEL_DIGEST
from tracking.mlflow_manager import init_mlflow, init_mlflow_experiment, log_params, start_run

PROJECT = Path(__file__).resolve().parent
_VERDICT_TAGS = ("pipeline.verdict", "pipeline.verdict_reason", "pipeline.model_version")


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", default="recipes/wine_quality.yaml")
@click.option("--model", default="auto")
@click.option("--data", default="auto")
@click.pass_context
def main(context: click.Context, recipe: str, model: str, data: str) -> None:
    """Turns a table into an evaluated, gated and registered model."""
    _quiet_mlflow()
    tracking_uri = init_mlflow()
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    stand = Path.cwd()
    os.chdir(PROJECT)
    settings = load_recipe(recipe)
    model, _ = settings.choose_model(model)
    hyperparameters = {
        name: parse_value(text) for name, text in read_hyperparameters(context.args).items()
    }
    os.chdir(stand)
    init_mlflow_experiment(settings.name)
    with start_run(settings.name, model, {MLFLOW_PROJECT_ENTRY_POINT: "main"}) as run:
        os.chdir(PROJECT)
        log_params({"recipe": recipe, "model": model, "data": data, **hyperparameters})
        mlflow.set_tags(_provenance())
        chain = Chain(PROJECT, run)
        register = _run_steps(chain, settings, recipe, model, data, hyperparameters)
        verdict = {tag: register.run.data.tags.get(tag, "") for tag in _VERDICT_TAGS}
        mlflow.set_tags({tag: value for tag, value in verdict.items() if value})
    _print_summary(chain.steps, settings, verdict, tracking_uri)


def _run_steps(
    chain: Chain,
    settings: Recipe,
    recipe: str,
    model: str,
    data: str,
    hyperparameters: dict[str, object],
) -> Step:
    """Runs the four steps, and evaluates the champion on the same rows if it is another model."""
    prepare = chain.run("prepare", {"recipe": recipe, "data": data})
    mlflow.set_tag(DATA_SHA256, prepare.run.data.tags[DATA_SHA256])
    prepared = {"recipe": recipe, "prepare_run_id": prepare.run_id}
    train = chain.run("train", {**prepared, "model": model, **hyperparameters})
    evaluate = chain.run("evaluate", {**prepared, "model_uri": _model_uri(train.run)})
    mlflow.log_metrics(_main_figures(evaluate.run, settings))
    champion = find_champion(settings.name)
    champion_run_id = "none"
    if champion and champion.tags.get(MODEL_DIGEST) != evaluate.run.data.tags[MODEL_DIGEST]:
        champion_uri = f"models:/{settings.name}/{champion.version}"
        champion_run_id = chain.run(
            "evaluate", {**prepared, "model_uri": champion_uri}, name="evaluate_champion"
        ).run_id
    return chain.run(
        "register",
        {
            "recipe": recipe,
            "evaluate_run_id": evaluate.run_id,
            "champion_run_id": champion_run_id,
        },
    )


def _model_uri(train: Run) -> str:
    return f"models:/{train.outputs.model_outputs[0].model_id}"


def _main_figures(run: Run, settings: Recipe) -> dict[str, float]:
    """The recipe's primary metric, its others, and the baseline's, of an evaluate run."""
    metrics = run.data.metrics
    names = [settings.metrics.primary, "rmse", "mae", "r2", *settings.metrics.custom]
    wanted = [prefix + name for name in dict.fromkeys(names) for prefix in ("", "dummy_")]
    return {name: metrics[name] for name in wanted if name in metrics}


def _provenance() -> dict[str, str]:
    """Where the code stands, for the parent run's tags."""
    lock = hashlib.sha256((PROJECT / "requirements.lock").read_bytes()).hexdigest()
    tags = {"pipeline.lock_sha256": lock}
    try:
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=PROJECT, capture_output=True, check=True
        )
        tags["pipeline.git_dirty"] = str(bool(status.stdout.strip())).lower()
    except (OSError, subprocess.CalledProcessError):
        tags["pipeline.git_dirty"] = "unknown"
    return tags


def _quiet_mlflow() -> None:
    """Keeps MLflow's progress messages off the terminal, here and in the steps."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])


def _print_summary(
    steps: list[Step], settings: Recipe, verdict: dict[str, str], tracking_uri: str
) -> None:
    click.echo(f"\n{'step':<18} {'run':<32} {'seconds':>7}  figures")
    for step in steps:
        click.echo(
            f"{step.name:<18} {step.run_id:<32} {step.seconds:>7.1f}  {_figures(step, settings)}"
        )
    word, reason, version = (verdict[tag] for tag in _VERDICT_TAGS)
    click.echo(f"\nverdict  {word}: {reason}")
    if version:
        click.echo(f"model    models:/{settings.name}/{version}")
    click.echo(f"look     mlflow ui --backend-store-uri {tracking_uri}")


def _figures(step: Step, settings: Recipe) -> str:
    metrics, tags = step.run.data.metrics, step.run.data.tags
    if step.name == "prepare":
        return f"{metrics['train_rows']:.0f} training, {metrics['test_rows']:.0f} test rows"
    if step.name == "train":
        return f"{tags['pipeline.model']}, {metrics['features']:.0f} features"
    if step.name.startswith("evaluate"):
        primary = settings.metrics.primary
        return f"{primary} {metrics[primary]:.4f} (naive {metrics['dummy_' + primary]:.4f})"
    return tags["pipeline.verdict"]


if __name__ == "__main__":
    run_command(main)
