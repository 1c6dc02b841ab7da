"""A logged model is what `train` wrote, to the last byte of each file, or it is not loaded.

The digests stand in a tag of the logged model, so in the server's database: who can only write
where the artifacts are cannot change both.
"""

import json
import shutil
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.models_artifact_repo import REGISTERED_MODEL_META_FILE_NAME
from mlflow.store.artifact.utils.models import _parse_model_uri, get_model_name_and_version

from common.errors import InputError
from common.file_digests import file_sha256
from tracking.output_manager import temporary_folder

_FILES = "pipeline.files_sha256"
_SCHEME = "models:/"
_COMPILED = "__pycache__"


def record_digests(model_id: str) -> None:
    """Notes the digest of each file of a logged model, as it lies in the artifacts."""
    digests = _digests(_download(model_id))
    MlflowClient().set_logged_model_tags(model_id, {_FILES: json.dumps(digests)})


def download_checked(model_uri: str) -> Path:
    """Downloads a model and returns its folder, in which nothing has been run.

    Args:
        model_uri: models:/ with an id, or a name and a version or alias.

    Raises:
        InputError: it is no such URI, was not made by `train`, or a file is not as it was logged,
            or not there any more.
        MlflowException: there is no such model.
        OSError: it cannot be read.
    """
    model_id = _find_id(model_uri)
    recorded = MlflowClient().get_logged_model(model_id).tags.get(_FILES) if model_id else None
    if model_id is None or recorded is None:
        raise InputError(f"model {model_uri} was not made by the step train")
    folder = _download(model_id)
    known, found = json.loads(recorded), _digests(folder)
    if not known.keys() & found.keys() - {REGISTERED_MODEL_META_FILE_NAME}:
        raise InputError(f"model {describe_lost_files(model_uri)}")
    for name in sorted({*known, *found}):
        if known.get(name) != found.get(name):
            what = "was added" if name not in known else "is missing"
            what = "was altered" if name in known and name in found else what
            raise InputError(
                f"model {model_uri}: {name} {what} since it was logged, so nothing of it was run"
            )
    return folder


def describe_lost_files(model_uri: str) -> str | None:
    """Says which files of a model are not there any more, and what to do; None if all are.

    Args:
        model_uri: models:/ with an id, or a name and a version or alias.
    """
    model_id = _find_id(model_uri)
    if model_id is None:
        return None
    try:
        model = MlflowClient().get_logged_model(model_id)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        place, lost = f"models:/{model_id}", ["it was deleted"]
    else:
        place = model.artifact_location
        lost = _not_there(place, list(json.loads(model.tags.get(_FILES, '["MLmodel"]'))))
    if not lost:
        return None
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return (
        f"{model_uri} has lost its files, {lost[0]}{more} of {place}: put them back from a copy, "
        "or run what trained it again, which registers it anew, or -e rollback to another version"
    )


def _not_there(place: str, names: list[str]) -> list[str]:
    repository = get_artifact_repository(place)
    folders = {str(PurePosixPath(name).parent).lstrip(".") or None for name in names}
    found = {file.path for folder in folders for file in repository.list_artifacts(folder)}
    # MLflow adds the last one to each copy that it makes.
    return [name for name in sorted(names) if name not in {*found, REGISTERED_MODEL_META_FILE_NAME}]


def _find_id(model_uri: str) -> str | None:
    if not model_uri.startswith(_SCHEME):
        raise InputError(
            f"model {model_uri}: only models that the tracking server knows are loaded, such as "
            "models:/name/version"
        )
    model_id: str | None = _parse_model_uri(model_uri).model_id
    if model_id is None:
        client = MlflowClient()
        version = client.get_model_version(*get_model_name_and_version(client, model_uri))
        source = version.source or ""
        is_logged = source.startswith(f"{_SCHEME}m-")
        model_id = _parse_model_uri(source).model_id if is_logged else None
    return model_id


def _download(model_id: str) -> Path:
    """A copy of the model's files, without what Python left there when it was loaded before.

    Python would run that in place of the code beside it, and its digest is not known.
    """
    folder = mkdtemp(dir=temporary_folder("models"))
    copy = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=folder))
    for compiled in list(copy.rglob(_COMPILED)):
        shutil.rmtree(compiled)
    return copy


def _digests(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if not file.is_dir())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: file_sha256(file) for name, file in names.items()}
