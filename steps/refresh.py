"""refresh: one night of a model in use, for who has nothing but cron.

Called with `recipe`, `data` (new labelled rows), `method` (train or sweep), `model`, and what else
that takes. The champion is monitored on the rows. Within its limits it stays; on an alert a model
is trained on the rows, and takes its place if it passes the gate and is better on the test rows.
Leaves the verdict, why, and the runs of `monitor` and of the training. The same night again does
nothing: with the same rows, recipe, champion, method, model and hyperparameters the answer is the
one that was given.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from common.errors import InputError
from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters
from engine.entry_point import run_command
from engine.failures import FindingError
from modelling.reporting.markdown import paragraphs
from pipelines.doors import TRAINING, DoorError, run_door
from steps.registry.versions import find_champion
from steps.runs.names import (
    ALERT,
    CHAMPION_BEFORE,
    DATA_SHA256,
    MODEL_VERSION,
    VERDICT,
    VERDICT_REASON,
)
from steps.runs.result import write_result
from steps.runs.step import load_whole, step_run
from steps.runs.webhook import tell
from steps.sources.table_source import check_source, fetch_for_steps, source_sha256
from steps.sources.workspace import Workspace, find_recipe
from tracking.output_manager import temporary_folder

NIGHT = "pipeline.night"
"""The digest of the rows, the recipe, the champion, and what would be trained in its place."""

_OF_MONITOR = ("recipe", "data")
_LONGEST_HOURS = 7 * 24


@dataclass(frozen=True)
class Decision:
    """What became of the champion: kept or promoted, why, and which version it is now.

    alert: what monitor found, if it was not to be trusted any more.
    """

    word: str
    reason: str
    version: str | None
    alert: str | None = None

    @property
    def needs_a_person(self) -> bool:
        """Whether a champion that gave the alarm is still in use."""
        return self.alert is not None and self.word != "promoted"

    def __str__(self) -> str:
        return f"version {self.version} is {self.word}: {self.reason}"


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe", required=True)
@click.option("--data", required=True)
@click.option("--method", default="train", type=click.Choice(["train", "sweep"]))
@click.option("--model", default="auto")
@click.pass_context
def refresh(context: click.Context, recipe: str, data: str, method: str, model: str) -> None:
    """Monitors the champion on new labelled rows, and trains again on an alert."""
    recipe = find_recipe(recipe)
    settings = load_whole(recipe)
    check_source(data)
    data = Workspace(recipe).place_of_typed(data)
    asked = {"model": model, **read_hyperparameters(context)}
    given = {"recipe": recipe, "data": data, **asked}
    with step_run("refresh", settings) as run:
        mlflow.set_tag(MLFLOW_RUN_NAME, f"refresh {settings.name}")
        digest = source_sha256(fetch_for_steps(settings.data, data, temporary_folder("table")))
        mlflow.set_tag(DATA_SHA256, digest)
        champion = find_champion(settings.name)
        before = str(champion.version) if champion else None
        night = [settings.model_dump(mode="json"), dict(settings.code), digest, method, asked]
        known = _find_night(run, _night(night, before))
        if known:
            decision, before = _read_decision(known), known.data.tags[CHAMPION_BEFORE]
            click.echo(f"refresh: nothing to do, run {known.info.run_id} has done it")
        else:
            decision = _decide(before, method, given)
        click.echo(f"refresh: {decision}")
        if not known and (decision.alert or decision.word == "promoted"):
            alert = f". It was because of: {decision.alert}" if decision.alert else ""
            tell(settings, f"{decision}{alert}", run.info.run_id, **vars(decision))
        mlflow.set_tags(
            {
                VERDICT: decision.word,
                VERDICT_REASON: decision.reason,
                MODEL_VERSION: str(decision.version),
                ALERT: decision.alert or "none",
                CHAMPION_BEFORE: before or "none",
                NIGHT: _night(night, decision.version),
                MLFLOW_RUN_NOTE: paragraphs(filter(None, (decision, decision.alert))),
            }
        )
    if decision.needs_a_person:
        raise FindingError(f"ALERT: {decision.alert}; {decision}")


def _night(content: list[Any], version: str | None) -> str:
    """The digest of a night on which this version is the champion."""
    return hashlib.sha256(json.dumps([*content, str(version)]).encode()).hexdigest()


def _find_night(own: Run, night: str) -> Run | None:
    """The run that has answered for this night, whether or not its answer was an alert."""
    found = MlflowClient().search_runs(
        [own.info.experiment_id],
        f"tags.`{MLFLOW_PROJECT_ENTRY_POINT}` = 'refresh' and tags.`{NIGHT}` = '{night}'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return found[0] if found else None


def _read_decision(run: Run) -> Decision:
    tags = run.data.tags
    alert = tags[ALERT]
    return Decision(
        tags[VERDICT], tags[VERDICT_REASON], tags[MODEL_VERSION], None if alert == "none" else alert
    )


def _decide(before: str | None, method: str, given: Mapping[str, Any]) -> Decision:
    alert = None
    if before is not None:
        watched = _pass_through("monitor", "monitor", {each: given[each] for each in _OF_MONITOR})
        alert = watched["alert"]
        if watched["status"] != "alert":
            return Decision("kept", "it is within its limits on these rows", before)
    trained = _pass_through(method, TRAINING[method], given)
    if trained["verdict"] == "promoted":
        return Decision("promoted", trained["reason"], trained["model_version"], alert)
    said = f"{trained['verdict']}: {trained['reason']}"
    if before is None:
        raise InputError(f"there is still no champion: the model is {said}")
    return Decision("kept", f"the new model is {said}", before, alert)


def _pass_through(name: str, entry_point: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Goes through another door, in a process of its own; its run is a tag of the active one.

    Returns:
        Its result.json.

    Raises:
        InputError: it failed; the line is its own.
    """
    click.echo(f"refresh: {name}")
    run_id = None
    try:
        answer = run_door(entry_point, given, click.echo, _LONGEST_HOURS)
        run_id = answer["run_id"]
        return answer
    except DoorError as error:
        run_id = error.run_id
        raise InputError(str(error)) from error
    finally:
        if run_id:
            mlflow.set_tag(f"pipeline.{name}_run_id", run_id)


if __name__ == "__main__":
    run_command(refresh, write_result, keep_log=False)
