"""The steps in their order, a row each. To add a step is a row, a file, and its lines in MLproject.

Only run ids and `models:/` URIs go from one step to the next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_RUN_NAME

from common.errors import InputError
from common.tags import CACHE_KEY
from common.values import spell
from common.words import counted, show_figure
from engine.cache.code_digests import code_digests
from engine.cache.key import Dependencies, class_code
from engine.chain import Chain, Step
from engine.processes.forkserver import PROJECT
from engine.provenance.project_state import Provenance
from modelling.judging.metrics import BASELINE_PREFIX, HIGH, LOW, metrics_of
from modelling.recipe import Recipe
from steps.pipeline.dependencies import StepDependencies
from steps.pipeline.request import Request
from steps.registry.versions import find_champion, unfit_columns
from steps.runs.names import (
    CHAMPION_BEFORE,
    DATA_SHA256,
    ESTIMATOR,
    MODEL_DIGEST,
    MODEL_VERSION,
    PRIMARY_METRIC,
    VERDICT,
    VERDICT_REASON,
)
from steps.runs.provenance_write import (
    record_own_lock,
    record_provenance,
    record_workspace,
)
from steps.runs.step import freeze_recipe
from steps.sources.table_source import fetch_for_steps, source_sha256
from tracking.artifacts_logger import log_config
from tracking.mlflow_manager import log_metrics, log_params
from tracking.output_manager import temporary_folder

_LONGEST_NAME = 120


class Progress:
    """What a pipeline was asked for, and its steps that are done, by name."""

    def __init__(self, request: Request, done: Mapping[str, Step]) -> None:
        self.request = request
        self.recipe = request.recipe
        self.depends = StepDependencies(PROJECT, request.recipe, request.workspace.lock)
        self.done = dict(done)

    def run_id(self, name: str) -> str:
        """Returns the run of a step; `none` if it was left out."""
        return self.done[name].run_id if name in self.done else "none"

    def digest(self, name: str) -> str:
        """Returns the digest of what a step gave; `none` if it was left out."""
        return self.done[name].output_digest if name in self.done else "none"

    @cached_property
    def data_sha256(self) -> str:
        """The digest of the table; `prepare` will say what is wrong with one that has none."""
        folder = temporary_folder("table")
        try:
            return source_sha256(fetch_for_steps(self.recipe.data, self.request.data, folder))
        except (InputError, OSError):
            return "unreadable"

    @cached_property
    def champion(self) -> ModelVersion | None:
        """The champion that the model is held against on the same rows.

        None if there is none, or it is this very model, or takes columns that the rows have not.
        """
        champion = find_champion(self.recipe.name)
        if champion is None or champion.tags.get(MODEL_DIGEST) == self.digest("train"):
            return None
        # register says so of one that is unfit
        return None if unfit_columns(champion, self.done["prepare"].run) else champion


@dataclass(frozen=True)
class PipelineStep:
    """A step of the pipeline.

    name: in the pipeline; entry_point: of MLproject; after: the steps whose results it takes;
    parameters: those that it is given; depends_on: what its result depends on; figures: what is
    said of its run, given the metric that decides; is_wanted: whether this pipeline has it; leaves:
    what the pipeline's own run keeps of it.
    """

    name: str
    entry_point: str
    after: tuple[str, ...]
    parameters: Callable[[Progress], dict[str, str]]
    depends_on: Callable[[Progress], Dependencies]
    figures: Callable[[Run, str | None], str]
    is_wanted: Callable[[Progress], bool] = lambda _: True
    leaves: Callable[[Progress], None] = lambda _: None


def _figures_of_prepare(run: Run, _primary: str | None) -> str:
    metrics = run.data.metrics
    if "test_rows" not in metrics:
        return ""
    return f"{metrics['train_rows']:,.0f} training, {metrics['test_rows']:,.0f} test rows"


def _figures_of_train(run: Run, _primary: str | None) -> str:
    metrics = run.data.metrics
    if "features" not in metrics:
        return ""
    figures = f"{run.data.tags['pipeline.model']}, {counted(metrics['features'], 'feature')}"
    return f"{figures}, {counted(metrics['rounds'], 'round')}" if "rounds" in metrics else figures


def _figures_of_evaluate(run: Run, primary: str | None) -> str:
    if primary is None or primary not in run.data.metrics:
        return ""
    return f"{primary} {show_figure(run.data.metrics[primary], metric=primary)}"


def _figures_of_register(run: Run, _primary: str | None) -> str:
    return str(run.data.tags.get(VERDICT, ""))


def _parameters_of_train(so_far: Progress) -> dict[str, str]:
    hyperparameters = so_far.request.hyperparameters
    return {
        "recipe": so_far.request.recipe_path,
        "prepare_run_id": so_far.run_id("prepare"),
        "model": so_far.request.model,
        **{name: spell(value) for name, value in hyperparameters.items()},
    }


def _parameters_of_evaluate(so_far: Progress, model_uri: str) -> dict[str, str]:
    return {
        "recipe": so_far.request.recipe_path,
        "prepare_run_id": so_far.run_id("prepare"),
        "model_uri": model_uri,
    }


def _trained_model(so_far: Progress) -> str:
    return f"models:/{so_far.done['train'].run.outputs.model_outputs[0].model_id}"


def _champion_of(so_far: Progress) -> ModelVersion:
    assert so_far.champion  # noqa: S101 - the step is wanted only where there is one
    return so_far.champion


def _keep_table(so_far: Progress) -> None:
    """Keeps the table's digest; a result of another table than was looked at is none."""
    prepare = so_far.done["prepare"]
    read = prepare.run.data.tags[DATA_SHA256]
    mlflow.set_tag(DATA_SHA256, read)
    if read != so_far.data_sha256:
        mlflow.MlflowClient().delete_tag(prepare.run_id, CACHE_KEY)
        table = so_far.request.data
        raise InputError(f"table {table} changed while it was read; start again")


def _keep_figures(so_far: Progress) -> None:
    """Keeps the metrics of the recipe, and the baseline's; which decides, and its interval."""
    found = so_far.done["evaluate"].run.data.metrics
    primary, names = so_far.recipe.metrics.primary, metrics_of(so_far.recipe)
    kept = [*names, *(BASELINE_PREFIX + name for name in names), primary + LOW, primary + HIGH]
    log_metrics({name: found[name] for name in kept if name in found})
    mlflow.set_tag(PRIMARY_METRIC, primary)


ORDER = (
    PipelineStep(
        "prepare",
        "prepare",
        after=(),
        parameters=lambda so_far: {
            "recipe": so_far.request.recipe_path,
            "data": so_far.request.data_of_prepare,
        },
        depends_on=lambda so_far: so_far.depends.of_prepare(
            so_far.request.workspace.name_of(so_far.request.data), so_far.data_sha256
        ),
        figures=_figures_of_prepare,
        leaves=_keep_table,
    ),
    PipelineStep(
        "train",
        "train",
        after=("prepare",),
        parameters=_parameters_of_train,
        depends_on=lambda so_far: so_far.depends.of_train(
            so_far.request.model, so_far.request.hyperparameters, so_far.digest("prepare")
        ),
        figures=_figures_of_train,
    ),
    PipelineStep(
        "evaluate",
        "evaluate",
        after=("train",),
        parameters=lambda so_far: _parameters_of_evaluate(so_far, _trained_model(so_far)),
        depends_on=lambda so_far: so_far.depends.of_evaluate(
            so_far.digest("prepare"),
            so_far.digest("train"),
            so_far.recipe.models[so_far.request.model].estimator,
        ),
        figures=_figures_of_evaluate,
        leaves=_keep_figures,
    ),
    PipelineStep(
        "evaluate_champion",
        "evaluate",
        after=("prepare",),
        parameters=lambda so_far: _parameters_of_evaluate(
            so_far, f"models:/{so_far.recipe.name}/{_champion_of(so_far).version}"
        ),
        depends_on=lambda so_far: so_far.depends.of_evaluate(
            so_far.digest("prepare"),
            _champion_of(so_far).tags.get(MODEL_DIGEST, "unknown"),
            _champion_of(so_far).tags.get(ESTIMATOR),
        ),
        figures=_figures_of_evaluate,
        is_wanted=lambda so_far: so_far.champion is not None,
    ),
    PipelineStep(
        "register",
        "register",
        after=("evaluate", "evaluate_champion"),
        parameters=lambda so_far: {
            "recipe": so_far.request.recipe_path,
            "evaluate_run_id": so_far.run_id("evaluate"),
            "champion_run_id": so_far.run_id("evaluate_champion"),
        },
        depends_on=lambda so_far: so_far.depends.of_register(
            so_far.digest("evaluate"), so_far.digest("evaluate_champion"), so_far.digest("train")
        ),
        figures=_figures_of_register,
    ),
)
BY_NAME = {step.name: step for step in ORDER}
UNTIL = tuple(step.name for step in ORDER if step.name == step.entry_point)
"""Where a pipeline may end."""


def place(name: str) -> int:
    """Returns the place of a step in the order; the last one of what is no step."""
    return [*BY_NAME, name].index(name)


def run_prepare(chain: Chain, request: Request) -> Step:
    """Runs the first step, which is the same for every model.

    Raises:
        InputError: the table changed meanwhile.
    """
    freeze_recipe(request.recipe)
    return _run(chain, replace(request, until="prepare"), {})["prepare"]


def run_steps(chain: Chain, request: Request, prepare: Step) -> dict[str, str]:
    """Runs the other steps that were asked for.

    Returns:
        The tags of the verdict, if it came to one.
    """
    done = _run(chain, request, {"prepare": prepare})
    verdict = _verdict(done["register"]) if "register" in done else {}
    _name_run(request, done, verdict.get(VERDICT, ""))
    return verdict


def _name_run(request: Request, done: Mapping[str, Step], verdict: str) -> None:
    """Lets the name of the run say what it was given and what came of it, as lists show no more."""
    entry_point = mlflow.active_run().data.tags[MLFLOW_PROJECT_ENTRY_POINT]
    given = [f"{name}={spell(value)}" for name, value in request.hyperparameters.items()]
    name = " ".join([entry_point, request.recipe.name, request.model, *given])
    primary = request.recipe.metrics.primary
    figure = done["evaluate"].run.data.metrics.get(primary) if "evaluate" in done else None
    shown = "" if figure is None else show_figure(figure, metric=primary)
    came = " ".join(filter(None, (verdict, shown)))
    mlflow.set_tag(MLFLOW_RUN_NAME, " · ".join(filter(None, (name[:_LONGEST_NAME], came))))


def _run(chain: Chain, request: Request, done: Mapping[str, Step]) -> dict[str, Step]:
    so_far = Progress(request, done)
    for step in ORDER[: place(request.until) + 1]:
        if step.name in so_far.done or not step.is_wanted(so_far):
            continue
        so_far.done[step.name] = chain.run(
            step.entry_point,
            step.parameters(so_far),
            partial(step.depends_on, so_far),
            name=step.name,
        )
        step.leaves(so_far)
    return so_far.done


def _verdict(register: Step) -> dict[str, str]:
    tags = register.run.data.tags
    kept = (VERDICT, VERDICT_REASON, MODEL_VERSION, CHAMPION_BEFORE)
    verdict = {tag: tags[tag] for tag in kept if tag in tags}
    if register.status == "reused" and tags[VERDICT] in ("promoted", "challenger"):
        verdict[VERDICT] = "unchanged"
        verdict[VERDICT_REASON] = f"nothing has changed since version {tags[MODEL_VERSION]}"
        if tags[VERDICT] == "promoted":  # and is the champion since then, or the key were another
            verdict[CHAMPION_BEFORE] = tags[MODEL_VERSION]
    return verdict


def log_origin(request: Request, parameters: Mapping[str, Any], provenance: Provenance) -> None:
    """Records the parameters as they were given, the recipe, and where the code stands."""
    recipe = request.recipe
    log_params(parameters)
    log_config(recipe.model_dump(mode="json"), recipe.name, None)
    for name, text in recipe.code.items():
        mlflow.log_text(text, f"code/{name}")
    own_lock = request.workspace.lock
    provenance = provenance.with_lock(PROJECT, own_lock)
    record_provenance(PROJECT, provenance, recipe.split.seed, code_of_pipeline(PROJECT, recipe))
    if own_lock:
        record_own_lock(own_lock)
    if not request.workspace.is_project:
        record_workspace(request.workspace.folder, request.recipe_path)


def code_of_pipeline(project: Path, recipe: Recipe) -> list[str]:
    """Returns the files that a pipeline runs, from the project's root, or absolute if outside."""
    modules = ["main", *(f"steps.{name}" for name in UNTIL)]
    named = [class_code(project, model.estimator).code for model in recipe.models.values()]
    return sorted(
        {
            *(file for module in modules for file in code_digests(project, module)),
            *(file for code in named for file in code),
        }
    )
