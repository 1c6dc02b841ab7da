"""What a register or a rollback leaves in the registry when it is cut off: finished or undone.

A version carries a mark from its first moment until it is complete, and so does a move of the
champion alias. Whoever holds the registry's lock and finds a mark knows that nobody is at work on
it any more.
"""

from contextlib import suppress

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from steps.journal import finish_move
from steps.registry import REPLACED_BY_VERSION, REPLACED_VERSION

UNFINISHED = {"pipeline.unfinished": "true"}
"""The tag of a version that is not complete yet."""


def finish_or_undo(name: str) -> list[str]:
    """Completes a version that has its alias, removes one that has none; the caller holds the lock.

    Args:
        name: the registered model, which need not exist.

    Returns:
        What was done, in words.
    """
    client = MlflowClient()
    did = finish_move(name)
    [(mark, value)] = UNFINISHED.items()
    for found in client.search_model_versions(f"name = '{name}' and tags.`{mark}` = '{value}'"):
        version = client.get_model_version(name, found.version)
        if version.aliases:
            mark_as_complete(version)
            did.append(f"version {version.version} of {name} was complete but for its mark")
        else:
            _undo(version)
            did.append(f"version {version.version} of {name} was half registered: removed")
    return did


def mark_as_complete(version: ModelVersion) -> None:
    """Takes the mark from a version that has all that belongs to it."""
    [mark] = UNFINISHED
    MlflowClient().delete_model_version_tag(version.name, str(version.version), mark)


def _undo(version: ModelVersion) -> None:
    client = MlflowClient()
    replaced = version.tags.get(REPLACED_VERSION)
    if replaced:
        with suppress(MlflowException):  # which may have been deleted meanwhile
            before = client.get_model_version(version.name, replaced)
            if before.tags.get(REPLACED_BY_VERSION) == str(version.version):
                client.delete_model_version_tag(version.name, replaced, REPLACED_BY_VERSION)
    client.delete_model_version(version.name, str(version.version))
