"""The registered model of a recipe: its champion, and the versions that it already has."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from modelling.errors import InputError
from steps.step import MODEL_DIGEST

CHAMPION = "champion"
CHALLENGER = "challenger"

_ABSENT = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}


def find_champion(name: str) -> ModelVersion | None:
    """Returns the version of the registered model that is in use; None if there is none yet."""
    try:
        return MlflowClient().get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise


def get_champion(name: str) -> ModelVersion:
    """Returns the version of the registered model that is in use.

    Raises:
        InputError: there is none yet.
    """
    champion = find_champion(name)
    if champion is None:
        raise InputError(
            f"{name} has no champion yet; `mlflow run .` with this recipe makes one, or name a "
            "model where the step takes model_uri=models:/…"
        )
    return champion


def find_equal_version(name: str, model_digest: str) -> ModelVersion | None:
    """Returns the newest version of the registered model with this content; None if none has."""
    found = MlflowClient().search_model_versions(
        f"name = '{name}' and tags.`{MODEL_DIGEST}` = '{model_digest}'",
        order_by=["version_number DESC"],
        max_results=1,
    )
    return MlflowClient().get_model_version(name, found[0].version) if found else None
