"""The registered model of a recipe: its champion, and the versions that it already has."""

import json

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.types import DataType

from common.errors import InputError
from modelling.kinds import KINDS
from steps.runs.model_digests import describe_lost_files
from steps.runs.names import MODEL_DIGEST

CHAMPION = "champion"
CHALLENGER = "challenger"
REPLACED_VERSION = "pipeline.replaced_version"
REPLACED_BY_VERSION = "pipeline.replaced_by_version"
UNFINISHED = "pipeline.unfinished"
"""The tag of a version that is not complete yet: the run that registers it."""


def named(name: str) -> str:
    """Returns the filter of MLflow's searches for a registered model, or its versions, by name."""
    quote = '"' if "'" in name else "'"
    return f"name = {quote}{name}{quote}"


def find_champion(name: str) -> ModelVersion | None:
    """Returns the version of the registered model that is in use; None if there is none yet."""
    # Asked for an alias of a model that is not there, a server with users says "forbidden".
    found = MlflowClient().search_registered_models(named(name))
    version = found[0].aliases.get(CHAMPION) if found else None
    return MlflowClient().get_model_version(name, version) if version else None


def get_champion(name: str) -> ModelVersion:
    """Returns the version of the registered model that is in use.

    Raises:
        InputError: there is none yet.
    """
    champion = find_champion(name)
    if champion is None:
        raise InputError(
            f"{name} has no champion yet; the entry point main makes one with this recipe. Name "
            "another recipe with -P recipe=…, or a model where the step takes model_uri=models:/…"
        )
    return champion


def unfit_columns(version: ModelVersion, prepared: Run) -> list[str]:
    """Names the columns that a model takes and a prepared table has not, or not as numbers.

    Args:
        version: of the registered model.
        prepared: the run of prepare.

    Returns:
        The names, in the model's order; none if the model can be asked for these rows.

    Raises:
        InputError: the model's files are gone.
    """
    uri = f"models:/{version.name}/{version.version}"
    if lost := describe_lost_files(uri):
        raise InputError(f"the champion {lost}")
    schemas = [json.loads(given.dataset.schema or "{}") for given in prepared.inputs.dataset_inputs]
    columns = next((schema["mlflow_colspec"] for schema in schemas if schema), None)
    info = get_model_info(uri)
    taken = (info.metadata or {}).get("columns")
    if taken is None and info.signature is not None:  # a model of before
        taken = {
            column.name: "number" if column.type == DataType.double else "category"
            for column in info.signature.inputs
        }
    if columns is None or taken is None:
        return []
    types = {column["name"]: column["type"] for column in columns}
    return [
        name
        for name, kind in taken.items()
        if name not in types or types[name] in KINDS[kind].not_from
    ]


def find_equal_version(name: str, model_digest: str) -> ModelVersion | None:
    """Returns the newest version of the registered model with this content, if any.

    One that is not complete, or whose files are gone, is none.
    """
    found = MlflowClient().search_model_versions(
        f"{named(name)} and tags.`{MODEL_DIGEST}` = '{model_digest}'",
        order_by=["version_number DESC"],
    )
    for version in found:
        uri = f"models:/{name}/{version.version}"
        if UNFINISHED not in version.tags and describe_lost_files(uri) is None:
            return get_version(name, version.version)
    return None


def get_version(name: str, number: str | int) -> ModelVersion | None:
    """Returns a version of the registered model with its aliases; None if it is not there."""
    try:
        return MlflowClient().get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise
