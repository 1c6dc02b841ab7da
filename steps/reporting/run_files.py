"""The artifacts of a run that may lack some: a report shows what is there."""

import json
import math
from collections.abc import Collection
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

# As safe as yaml.safe_load, and ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RunFiles:
    """Reads the artifacts below a URI: those of a run, or of a logged model.

    A folder is listed once: to a server each time is a request.
    """

    def __init__(self, uri: str) -> None:
        self._repository = get_artifact_repository(uri)
        self._names: dict[str, list[str]] = {}

    @classmethod
    def of(cls, run: Run) -> "RunFiles":
        """Returns the artifacts of a run."""
        return cls(run.info.artifact_uri)

    def names(self, folder: str = "") -> list[str]:
        """Returns the paths of the files in a folder; none if there is no such folder."""
        if folder not in self._names:
            self._names[folder] = self._list(folder)
        return self._names[folder]

    def _list(self, folder: str) -> list[str]:
        try:
            found = self._repository.list_artifacts(folder or None)
        except (MlflowException, OSError):
            return []
        return sorted(file.path for file in found if not file.is_dir)

    def read(self, path: str) -> bytes | None:
        """Returns a file's content; None if it is not there."""
        with suppress(MlflowException, OSError):
            if isinstance(self._repository, LocalArtifactRepository):
                return Path(self._repository.download_artifacts(path)).read_bytes()
            # A server that is asked for a file which is not there reports a fault of its own, and
            # the client would ask again for minutes.
            if path not in self.names(str(PurePosixPath(path).parent).lstrip(".")):
                return None
            with TemporaryDirectory(prefix="cuvee-") as folder:
                return Path(self._repository.download_artifacts(path, folder)).read_bytes()
        return None

    def text(self, path: str) -> str:
        """Returns a file's text; none if it is not there."""
        return (self.read(path) or b"").decode(errors="replace")

    def json(self, path: str) -> Any:
        """Returns what a file of JSON holds; None if it is not there."""
        content = self.read(path)
        return json.loads(content) if content else None

    def config(self) -> dict[str, Any]:
        """Returns the recipe, or the parts of it, that the run logged in `config/`."""
        names = [name for name in self.names("config") if name.endswith(".yaml")]
        if not names:
            return {}
        return dict(yaml.load(self.text(names[0]), _Loader))  # noqa: S506 - it is a safe one

    def table(self, name: str, text: Collection[str] = ()) -> pd.DataFrame | None:
        """Returns a table that was logged as `<name>.json` or `<name>.csv`; None if none was.

        Args:
            name: without its ending.
            text: columns of a CSV that hold text, whatever it looks like.
        """
        if content := self.json(f"{name}.json"):
            return pd.DataFrame(content["data"], columns=content["columns"])
        if content := self.read(f"{name}.csv"):
            return _read_csv(content, text)
        return None


def _read_csv(content: bytes, text: Collection[str]) -> pd.DataFrame:
    """Reads what pandas wrote: only an empty cell is missing, and 007, NA or None are text."""
    table = pd.read_csv(BytesIO(content), dtype="str", keep_default_na=False, na_values=[""])
    return table.apply(lambda column: column if column.name in text else _as_numbers(column))


def _as_numbers(column: pd.Series) -> pd.Series:
    """A column of text as the numbers that it spells, if each is written as pandas does."""
    known = column.dropna()
    return pd.to_numeric(column) if len(known) and known.map(_is_number).all() else column


def _is_number(text: str) -> bool:
    for kind in (int, float):
        with suppress(ValueError):
            if str(kind(text)) == text:
                return math.isfinite(float(text))
    return False
