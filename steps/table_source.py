"""Where a table comes from: a path, or any URI that MLflow can download."""

from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from mlflow.exceptions import MlflowException

from modelling.errors import InputError


def fetch_table(source: str, folder: Path) -> Path:
    """Returns the table as a local file.

    Args:
        source: a path, relative ones from the project's root; or a URI.
        folder: where a download goes.

    Raises:
        InputError: the URI cannot be downloaded. A path is not looked at.
    """
    if "://" not in source and not source.startswith(("runs:/", "models:/")):
        return Path(source)
    if urlparse(source).scheme == "file":
        return Path(unquote(urlparse(source).path))
    try:
        return Path(mlflow.artifacts.download_artifacts(source, dst_path=str(folder)))
    except (MlflowException, OSError) as error:
        raise InputError(f"table {source} cannot be downloaded: {error}") from error
