"""What a pipeline says on the terminal at its end."""

import click

from engine.chain import Step
from engine.secrets import without_credentials
from modelling.metrics import BASELINE_PREFIX
from steps.pipeline import Request
from steps.step import MODEL_VERSION, VERDICT, VERDICT_REASON


def print_summary(
    steps: list[Step], request: Request, verdict: dict[str, str], tracking_uri: str
) -> None:
    """Prints each step with its run, its time and its main figures, and what came of them."""
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
    click.echo(
        f"look     {'' if is_server else 'mlflow ui --backend-store-uri '}"
        + without_credentials(tracking_uri)
    )


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
