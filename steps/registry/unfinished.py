"""What a register or a rollback leaves in the registry when it is cut off: finished or undone.

A version carries a mark from its first moment until it is complete, which names the run that
registers it; and so does a move of the champion alias.
"""

import platform
from contextlib import suppress

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, RunStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from engine.processes.guard import process_of
from steps.registry.journal import finish_move, move_under_way
from steps.registry.versions import (
    REPLACED_BY_VERSION,
    REPLACED_VERSION,
    UNFINISHED,
    get_version,
    named,
)

_ABSENT = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}


def find_unfinished(name: str, before: int | None = None) -> list[ModelVersion]:
    """Returns the versions that are not complete, the oldest first.

    Args:
        name: the registered model, which need not exist.
        before: only versions before this one.
    """
    found = MlflowClient().search_model_versions(
        f"{named(name)} and tags.`{UNFINISHED}` LIKE '%'", order_by=["version_number ASC"]
    )
    # The tags are read after the search, and one that was completed in between has lost its mark.
    marked = [version for version in found if UNFINISHED in version.tags]
    return [version for version in marked if before is None or int(version.version) < before]


def finish_or_undo(name: str) -> list[str]:
    """Completes what was cut off and has its alias, and removes what has none.

    Args:
        name: the registered model, which need not exist.

    Returns:
        What was done, in words.
    """
    unfinished = find_unfinished(name)
    over = [version for version in unfinished if is_over(version.tags[UNFINISHED])]
    move = move_under_way(name)
    # A move that somebody is at work on is not cut off.
    is_cut_off = len(over) == len(unfinished) and move is not None and is_over(move.run_id)
    did = finish_move(name) if is_cut_off else []
    return did + [settle(name, str(version.version)) for version in over]


def is_over(run_id: str) -> bool:
    """Says whether a run registers nothing any more, as far as this host can tell."""
    own = mlflow.active_run()
    if own and own.info.run_id == run_id:
        return True  # an answer got lost on the way, and the client asked again
    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException as error:
        return error.error_code in _ABSENT  # of one that may not be read nothing is known
    known = process_of(run.data.tags)
    return (
        RunStatus.is_terminated(RunStatus.from_string(run.info.status))
        or run.info.lifecycle_stage == LifecycleStage.DELETED
        or (known is not None and known[0] == platform.node() and not known[1].is_alive())
    )


def settle(name: str, number: str) -> str:
    """Ends the registration of a version, and says how: with an alias it is complete, or it goes.

    Returns:
        What was done, in words; nothing if the version is not there.
    """
    version = get_version(name, number)
    if version is None:
        return ""
    if version.aliases:
        MlflowClient().delete_model_version_tag(name, number, UNFINISHED)
        return f"version {number} of {name} was complete but for its mark"
    _undo(version)
    return f"version {number} of {name} was half registered: removed"


def _undo(version: ModelVersion) -> None:
    client = MlflowClient()
    replaced = version.tags.get(REPLACED_VERSION)
    if replaced:
        with suppress(MlflowException):  # which may have been deleted meanwhile
            before = client.get_model_version(version.name, replaced)
            if before.tags.get(REPLACED_BY_VERSION) == str(version.version):
                client.delete_model_version_tag(version.name, replaced, REPLACED_BY_VERSION)
    client.delete_model_version(version.name, str(version.version))
