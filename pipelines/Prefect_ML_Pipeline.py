"""Every night in Prefect: train, score the new rows, monitor, and after an alert train again.

    python pipelines/Prefect_ML_Pipeline.py

serves both flows: the night at 02:00 and from Prefect's form, the steps from the form alone. The
rest: docs/use/orchestrators.md.
"""

from typing import Any, Literal

from doors import TRAINING, DoorError, run_door, shown
from prefect import flow, get_run_logger, serve, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed


def _is_worth_a_try(_task: object, _run: object, state: State) -> bool:
    error = state.result(raise_on_failure=False)
    return not (isinstance(error, DoorError) and error.is_final)


@task(
    task_run_name="{title}",
    retries=2,
    retry_delay_seconds=[60, 600],
    retry_condition_fn=_is_worth_a_try,
)
def door(title: str, entry_point: str, parameters: dict[str, str]) -> dict[str, Any]:
    """Runs an entry point of Cuvée; what came of it is an artifact."""
    answer = run_door(entry_point, parameters, get_run_logger().info)
    rows = [f"| {name} | {text} |" for name, text in shown(answer).items()]
    head = f"| {entry_point} | {answer['status']} |"
    create_markdown_artifact("\n".join([head, "|---|---|", *rows]), key=f"cuvee-{title}")
    return answer


@flow(name="cuvee", flow_run_name="{method} {recipe}")
def night(
    recipe: str = "recipes/wine_quality.yaml",
    data: str = "auto",
    method: Literal["train", "sweep"] = "train",
    model: str = "auto",
    rows: str = "none",
    scores: str = "none",
    labelled: str = "none",
) -> State:
    """Trains, scores new rows with the champion, and monitors it on rows whose target is known.

    An alert trains on these rows too. Only the gate moves the champion.

    Args:
        recipe: what to train.
        data: the table to train on; auto: the recipe's.
        method: train, or sweep: search hyperparameters first.
        model: a model of the recipe; auto: its default.
        rows: the table to score; none: nothing.
        scores: the file for the scores, replaced each night: .csv, .csv.gz or .parquet.
        labelled: the table to monitor on; none: nothing.
    """
    training = {"recipe": recipe, "data": data, "model": model}
    answer = door("train", TRAINING[method], training)
    said = answer["verdict"]
    if rows != "none":
        files = {"input": rows, "output": scores, "overwrite": "true"}
        door("score", "score", {"recipe": recipe, **files})
    if labelled != "none":
        watched = door("monitor", "monitor", {"recipe": recipe, "data": labelled})
        if watched["status"] == "alert":
            answer = door("retrain", TRAINING[method], {**training, "data": labelled})
            said = f"alert, {answer['verdict']}"
    return Completed(name=said.capitalize(), message=answer["reason"], data=answer)


@flow(name="cuvee-steps", flow_run_name="{recipe}")
def steps(
    recipe: str = "recipes/wine_quality.yaml", data: str = "auto", model: str = "auto"
) -> State:
    """Does the same training with each step a task of its own: each goes on from Cuvée's cache."""
    answer: dict[str, Any] = {}
    for step in ("prepare", "train", "evaluate", "register"):
        answer = door(step, "main", {"recipe": recipe, "data": data, "model": model, "until": step})
    return Completed(name=answer["verdict"].capitalize(), message=answer["reason"], data=answer)


if __name__ == "__main__":
    serve(
        night.to_deployment("nightly", cron="0 2 * * *", concurrency_limit=1),
        steps.to_deployment("by-hand", concurrency_limit=1),
    )
