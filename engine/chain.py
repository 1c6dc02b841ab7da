"""Steps in a row: each entry point that `main` runs becomes a child run of its own."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import ExecutionException

from engine.failures import ERROR_TAG, StepError


@dataclass(frozen=True)
class Step:
    """A step that has run: its name in the pipeline, its run and the seconds that it took."""

    name: str
    run: Run
    seconds: float

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.info.run_id


class Chain:
    """Runs entry points of the project one after the other below a parent run."""

    def __init__(self, project: Path, parent: Run) -> None:
        self.steps: list[Step] = []
        self._project = project
        self._parent = parent.info
        self._client = MlflowClient()
        # A step's command says `python`: it must be the one that runs this, on any PATH.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def run(
        self, entry_point: str, parameters: Mapping[str, object], name: str | None = None
    ) -> Step:
        """Runs an entry point and waits for it.

        Args:
            entry_point: one of MLproject.
            parameters: of the entry point; each is passed on as text.
            name: of the step in this pipeline, when the entry point is used twice.

        Raises:
            StepError: it failed; the message holds the line of its `pipeline.error`.
        """
        name = name or entry_point
        started = time.monotonic()
        # MLflow makes a folder for downloads of every run and leaves it behind.
        with TemporaryDirectory(prefix="cuvee-") as storage:
            try:
                submitted = mlflow.run(
                    str(self._project),
                    entry_point,
                    parameters={key: str(value) for key, value in parameters.items()},
                    experiment_id=self._parent.experiment_id,
                    env_manager="local",
                    storage_dir=storage,
                )
            except ExecutionException as error:
                raise StepError(f"{name}: {self._failure(name, entry_point) or error}") from error
        self._note(name, submitted.run_id)
        step = Step(name, self._client.get_run(submitted.run_id), time.monotonic() - started)
        self.steps.append(step)
        return step

    def _failure(self, name: str, entry_point: str) -> str | None:
        """The line of the step that has just failed, if it came to have a run."""
        runs = self._client.search_runs(
            [self._parent.experiment_id],
            f"tags.`mlflow.parentRunId` = '{self._parent.run_id}' "
            f"and tags.`mlflow.project.entryPoint` = '{entry_point}' "
            "and attributes.status = 'FAILED'",
            max_results=1,
        )
        if not runs:
            return None
        self._note(name, runs[0].info.run_id)
        return str(
            runs[0].data.tags.get(ERROR_TAG, f"ended without a word, see run {runs[0].info.run_id}")
        )

    def _note(self, name: str, run_id: str) -> None:
        self._client.set_tag(self._parent.run_id, f"pipeline.step.{name}.run_id", run_id)
        self._client.set_tag(self._parent.run_id, f"pipeline.step.{name}.status", "ran")
