"""A run and its steps, as a report looks at them."""

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_PROJECT_ENTRY_POINT

from common.tags import TRIAL
from modelling.judging.metrics import BASELINE_PREFIX, metrics_of
from modelling.recipe import Recipe
from steps.pipeline.order import place
from steps.reporting.run_files import RunFiles
from steps.runs.provenance_write import REQUEST_FILE

PIPELINES = ("main", "sweep")
DETAILS = "report"
"""The folder of a run's artifacts that holds what is computed for its report only."""


class PipelineRuns:
    """A run with its steps by name, in their order; the recipe and the request of the pipeline."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.client = MlflowClient()
        self.tags = run.data.tags
        self.entry_point = self.tags.get(MLFLOW_PROJECT_ENTRY_POINT, "run")
        self.is_pipeline = self.entry_point in PIPELINES
        self.steps = self._step_runs() if self.is_pipeline else {self.entry_point: run}
        whole = run if self.is_pipeline else self._get(self.tags.get(MLFLOW_PARENT_RUN_ID))
        self.parent = whole
        files = RunFiles.of(whole or run)
        self.recipe = _read_recipe(files.config())
        self.request = dict(files.json(REQUEST_FILE) or {})
        self._files: dict[str, RunFiles] = {}

    def _get(self, run_id: str | None) -> Run | None:
        try:
            return self.client.get_run(run_id) if run_id else None
        except MlflowException:
            return None

    def _step_runs(self) -> dict[str, Run]:
        named = {
            tag.removeprefix("pipeline.step.").removesuffix(".run_id"): run_id
            for tag, run_id in self.tags.items()
            if tag.startswith("pipeline.step.") and tag.endswith(".run_id")
        }
        runs = {name: run for name, run_id in named.items() if (run := self._get(run_id))}
        if self.run.info.status in ("FAILED", "KILLED"):
            for child in self._unfinished_children():
                runs.setdefault(child.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT, "step"), child)
        return {name: runs[name] for name in sorted(runs, key=place)}

    def _unfinished_children(self) -> list[Run]:
        """The steps that a pipeline which was killed has not noted; a trial is no step."""
        children = self.client.search_runs(
            [self.run.info.experiment_id],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run.info.run_id}' "
            "and attributes.status != 'FINISHED'",
        )
        return [child for child in children if TRIAL not in child.data.tags]

    def files(self, step: str) -> RunFiles | None:
        """Returns the artifacts of a step; None if there is no such step."""
        if step in self.steps and step not in self._files:
            self._files[step] = RunFiles.of(self.steps[step])
        return self._files.get(step)

    @property
    def model_name(self) -> str:
        """The name of the recipe's model that was trained."""
        for step in ("evaluate", "train"):
            if step in self.steps and "pipeline.model" in self.steps[step].data.tags:
                return str(self.steps[step].data.tags["pipeline.model"])
        return str(self.tags.get("pipeline.model", ""))

    @property
    def recipe_name(self) -> str:
        """The name of the recipe."""
        return str(self.tags.get("pipeline.recipe", ""))

    @property
    def target(self) -> str:
        """The column that is predicted."""
        return self.recipe.data.target if self.recipe else "the target"

    def task(self) -> str:
        """Says what is predicted; of a run that tells no recipe, its entry point."""
        if self.recipe is None:
            return self.entry_point
        return f"{self.recipe.task} of {self.recipe.data.target}"

    def failed_step(self) -> str:
        """Returns the first step that did not finish; of none, the run itself."""
        for name, run in self.steps.items():
            if run.info.status != "FINISHED":
                return name
        return self.entry_point

    def primary(self) -> str | None:
        """The metric that decides; of an evaluation on its own, the first that is known."""
        metrics = self.steps["evaluate"].data.metrics if "evaluate" in self.steps else {}
        if self.recipe and self.recipe.metrics.primary in metrics:
            return self.recipe.metrics.primary
        usual = ("business_score", "roc_auc", "rmse", *metrics)
        return next((name for name in usual if name in metrics and self._is_ours(name)), None)

    def _is_ours(self, metric: str) -> bool:
        return BASELINE_PREFIX + metric in self.steps["evaluate"].data.metrics

    def sign(self, metric: str) -> int:
        """Returns 1 if more of the recipe's metric is better, -1 if less is, 0 if nobody knows."""
        known = metrics_of(self.recipe) if self.recipe else {}
        return 0 if metric not in known else 1 if known[metric].greater_is_better else -1

    def metrics(self, step: str) -> Mapping[str, float]:
        """Returns the metrics of a step; none if there is no such step."""
        return self.steps[step].data.metrics if step in self.steps else {}


def _read_recipe(config: dict[str, Any]) -> Recipe | None:
    try:
        return Recipe.model_validate(config) if config else None
    except ValueError:  # of an older version of the project
        return None
