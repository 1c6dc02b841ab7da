"""The step cache: a finished run with the same key is as good as a new one.

It is the tracking server itself, so that a colleague's run counts too.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Experiment, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.mlflow_tags import MLFLOW_USER
from mlflow.utils.uri import is_local_uri

from common.file_digests import file_sha256
from common.tags import CACHE_KEY, LONGEST_TAG, RERUN_REASON
from engine.cache.key import Dependencies, in_words

_OUTPUTS = "pipeline.outputs"
_STEP = "pipeline.cache_step"
_DEPENDENCIES_FILE = "cache_key.json"
_RUNS_TO_COMPARE = 5
# What is written after the step, as its log or report, and what Python leaves beside a model.
_NOT_OUTPUTS = re.compile(
    rf"logs/|report/|report\.html$|{re.escape(_DEPENDENCIES_FILE)}$|.*/__pycache__/"
)


def experiments_of(recipe: str, experiment_id: str) -> list[str]:
    """Returns where runs of a recipe may be, whichever way they were started.

    Args:
        recipe: its name, which is also that of the experiment of `python main.py`.
        experiment_id: the experiment of the run that looks. `mlflow run` writes to Default.
    """
    client = MlflowClient()
    found = [
        experiment.experiment_id
        for name in (recipe, Experiment.DEFAULT_EXPERIMENT_NAME)
        for experiment in client.search_experiments(filter_string=f"name = '{name}'")
    ]
    return list(dict.fromkeys([experiment_id, *found]))


class StepCache:
    """Finds the runs of a recipe that can stand for a step, and makes runs findable."""

    def __init__(self, experiment_id: str, recipe: str, mode: str) -> None:
        """Takes the run's experiment, the recipe's name and the mode: use, refresh or off."""
        self._experiment_id = experiment_id
        self._recipe = recipe
        self._mode = mode
        self._client = MlflowClient()

    def find(self, step: str, dependencies: Dependencies) -> tuple[Run | None, str]:
        """Returns the newest run that can stand for the step, or None, and why (in words)."""
        if self._mode != "use":
            return None, f"cache is {self._mode}"
        runs = self._newest(f"tags.`{CACHE_KEY}` = '{dependencies.key}'", 1)
        if not runs:
            return None, self._explain(step, dependencies)
        # A search leaves out the models that a run read.
        run = self._client.get_run(runs[0].info.run_id)
        damage = self._damage(run)
        if damage:
            return None, f"of run {run.info.run_id}, {damage}"
        return run, _origin(run)

    def store(
        self, step: str, dependencies: Dependencies, run: Run, reason: str, is_findable: bool
    ) -> None:
        """Says why a finished run ran and makes it findable, as the last thing that happens to it.

        Args:
            step: its name in the pipeline.
            dependencies: what its result depends on.
            run: the step's.
            reason: why it ran, in words.
            is_findable: whether it may stand for the step another time.
        """
        tags = {RERUN_REASON: reason[:LONGEST_TAG]}
        if is_findable and self._mode != "off":
            self._client.log_text(run.info.run_id, dependencies.to_json(), _DEPENDENCIES_FILE)
            tags |= {
                CACHE_KEY: dependencies.key,
                _STEP: f"{self._recipe}/{step}",
                _OUTPUTS: json.dumps(self._outputs(run), sort_keys=True),
            }
        self._client.log_batch(
            run.info.run_id, tags=[RunTag(name, value) for name, value in tags.items()]
        )

    @cached_property
    def _experiments(self) -> list[str]:
        return experiments_of(self._recipe, self._experiment_id)

    def _newest(self, tag_filter: str, count: int) -> list[Run]:
        return list(
            self._client.search_runs(
                self._experiments,
                f"{tag_filter} and attributes.status = 'FINISHED'",
                order_by=["attributes.start_time DESC"],
                max_results=count,
            )
        )

    def _explain(self, step: str, dependencies: Dependencies) -> str:
        """Tells what changed since the run, of the newest ones, from which least has changed."""
        before = self._newest(f"tags.`{_STEP}` = '{self._recipe}/{step}'", _RUNS_TO_COMPARE)
        if not before:
            return "first run"
        known = [found for run in before if (found := self._dependencies_of(run))]
        if not known:
            return f"run {before[0].info.run_id} does not tell what it depended on"
        changes = min((dependencies.changes_since(found) for found in known), key=len)
        return in_words(changes)

    def _dependencies_of(self, run: Run) -> Dependencies | None:
        try:
            with TemporaryDirectory(prefix="cuvee-") as folder:
                file = self._client.download_artifacts(run.info.run_id, _DEPENDENCIES_FILE, folder)
                return Dependencies.from_json(Path(file).read_text(encoding="utf-8"))
        except (MlflowException, OSError, ValueError, TypeError):
            return None

    def _damage(self, run: Run) -> str | None:
        """Says which output is no longer what the step wrote; None if all are."""
        try:
            recorded = json.loads(run.data.tags[_OUTPUTS])
            present = self._outputs(run)
        except (KeyError, ValueError, OSError, MlflowException):
            return "the artifacts cannot be read"
        for path, digest in recorded.items():
            if path not in present:
                return f"{path} is missing"
            if present[path] != digest:
                return f"{path} was altered"
        return None

    def _outputs(self, run: Run) -> dict[str, str]:
        """The digest of every file that the run wrote, its models and those that it read.

        Of more files than a tag can hold it is one digest over all.
        """
        roots = {"": run.info.artifact_uri}
        models = [
            *(run.outputs.model_outputs if run.outputs else []),
            *(run.inputs.model_inputs if run.inputs else []),
        ]
        for model in models:
            location = self._client.get_logged_model(model.model_id).artifact_location
            roots[f"model {model.model_id}/"] = location
        digests: dict[str, str] = {}
        for prefix, uri in roots.items():
            with _local_folder(uri) as folder:
                for file in sorted(folder.rglob("*")):
                    name = prefix + file.relative_to(folder).as_posix()
                    if file.is_file() and not _NOT_OUTPUTS.match(name):
                        digests[name] = file_sha256(file)[:16]
        text = json.dumps(digests, sort_keys=True)
        if len(text) > LONGEST_TAG:
            return {"one of the artifacts": hashlib.sha256(text.encode()).hexdigest()}
        return digests


@contextmanager
def _local_folder(uri: str) -> Iterator[Path]:
    if is_local_uri(uri):
        yield Path(local_file_uri_to_path(uri))
        return
    with TemporaryDirectory(prefix="cuvee-") as folder:
        yield Path(download_artifacts(uri, dst_path=folder))


def _origin(run: Run) -> str:
    started = datetime.fromtimestamp(run.info.start_time / 1000).strftime("%Y-%m-%d %H:%M")
    return f"run {run.info.run_id[:8]}, {started}, by {run.data.tags.get(MLFLOW_USER, 'unknown')}"
