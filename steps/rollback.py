"""rollback: moves the champion alias back.

Called with `recipe`, `version` (previous, or a number) and `reason`. Leaves the alias where it was
told to put it, and an entry in the journal of both versions. Nothing else of the registry changes.
"""

import click
import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from common.errors import InputError
from engine.entry_point import run_command
from modelling.recipe import Recipe
from steps.registry.journal import (
    ROLLED_BACK,
    Move,
    move_champion,
    read_journal,
    registry_lock,
    version_before,
)
from steps.registry.turns import wait_for_others
from steps.registry.versions import REPLACED_VERSION, find_champion, named
from steps.runs.model_digests import describe_lost_files
from steps.runs.names import CHAMPION_BEFORE, MODEL_VERSION, VERDICT
from steps.runs.result import write_result
from steps.runs.step import load_parts, step_run

_PASSED = ("promoted", "challenger")


@click.command()
@click.option("--recipe", required=True)
@click.option("--version", default="previous")
@click.option("--reason", default="none")
def rollback(recipe: str, version: str, reason: str) -> None:
    """Moves the champion alias of the recipe's model to an earlier version."""
    settings = load_parts(recipe, "rollback")
    with step_run("rollback", settings):
        with registry_lock(settings.name):
            wait_for_others(settings.name)
            champion = find_champion(settings.name)
            target = _choose(settings.name, version, champion)
            if lost := describe_lost_files(f"models:/{settings.name}/{target.version}"):
                raise InputError(f"not moved there: {lost}")
            why = "no reason given" if reason == "none" else reason
            move = move_champion(settings.name, target.version, ROLLED_BACK, why)
            _set_stage(settings, target)
        mlflow.set_tags(
            {
                MODEL_VERSION: move.after,
                REPLACED_VERSION: move.before,
                CHAMPION_BEFORE: move.before,
                "mlflow.note.content": str(move),
            }
        )
        click.echo(f"rollback: the champion of {settings.name} is version {move.after}")
        click.echo(f"rollback: it was {move.before}; the reason: {why}")


def _choose(name: str, version: str, champion: ModelVersion | None) -> ModelVersion:
    """Returns the version to move to.

    Raises:
        InputError: it is not there, never passed the gate, or is the champion already.
    """
    found = MlflowClient().search_model_versions(named(name))
    versions = {str(each.version): each for each in found}
    passed = {number for number, each in versions.items() if each.tags.get(VERDICT, "") in _PASSED}
    now = str(champion.version) if champion else None
    others = _in_words(passed - {str(now)})
    if not versions:
        raise InputError(f"there is no registered model {name!r} with a version to go back to")
    if version == "previous":
        before = version_before(_moves(name), now, passed)
        if before is None:
            what = f"before version {now} " if now else ""
            raise InputError(
                f"{name} had no champion {what}that is still there; version= takes: {others}"
            )
        return versions[before]
    if version not in versions:
        raise InputError(f"{name} has no version {version!r}; those to go to: {others}")
    if version not in passed:
        raise InputError(
            f"version {version} of {name} never passed the gate; those that did: {others}"
        )
    if version == now:
        raise InputError(f"version {version} of {name} is the champion already")
    return versions[version]


def _moves(name: str) -> list[Move]:
    try:
        return read_journal(MlflowClient().get_registered_model(name).tags)
    except MlflowException as error:
        raise InputError(f"the registered model {name!r} cannot be read: {error}") from error


def _in_words(versions: set[str]) -> str:
    return ", ".join(str(number) for number in sorted(map(int, versions))) or "none"


def _set_stage(recipe: Recipe, target: ModelVersion) -> None:
    """For registries that still use stages: as register does for a version that it promotes."""
    stage = recipe.promotion.stage
    if stage not in ("none", target.current_stage):
        MlflowClient().transition_model_version_stage(recipe.name, target.version, stage)


if __name__ == "__main__":
    run_command(rollback, write_result)
