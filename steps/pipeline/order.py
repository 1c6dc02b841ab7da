"""The steps in a row. Only run ids and `models:/` URIs go from one to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.entities import Run

from common.errors import InputError
from common.file_digests import text_sha256
from common.tags import CACHE_KEY
from common.values import parse_value, spell
from engine.chain import Chain, Step
from engine.processes.forkserver import PROJECT
from engine.provenance.project_state import Provenance
from modelling.judging.metrics import BASELINE_PREFIX, check_gate, metrics_of, threshold_metric
from modelling.recipe import Recipe, load_recipe
from steps.pipeline.dependencies import StepDependencies, code_of_pipeline
from steps.registry.versions import find_champion, unfit_columns
from steps.runs.names import (
    DATA_SHA256,
    ESTIMATOR,
    MODEL_DIGEST,
    MODEL_VERSION,
    VERDICT,
    VERDICT_REASON,
)
from steps.runs.provenance_write import record_provenance, record_request
from steps.runs.step import freeze_recipe
from steps.runs.table_source import check_source, fetch_table
from tracking.artifacts_logger import log_config
from tracking.mlflow_manager import log_metrics, log_params

UNTIL = ("prepare", "train", "evaluate", "register")


@dataclass(frozen=True)
class Request:
    """What main was asked for, with `auto` resolved."""

    recipe_path: str
    recipe: Recipe
    model: str
    data: str
    hyperparameters: dict[str, Any]
    until: str


def resolve(recipe: str, model: str, data: str, until: str, given: dict[str, str]) -> Request:
    """Reads the recipe and checks all that can be checked before any run is made."""
    settings = load_recipe(recipe, PROJECT)
    check_gate(settings)
    if settings.decision.metric:
        threshold_metric(settings)
    name, chosen = settings.choose_model(model)
    hyperparameters = {key: parse_value(text) for key, text in given.items()}
    if hyperparameters:
        # Only then, since scikit-learn takes half a second to import.
        from modelling.models.estimators import build_pipeline

        build_pipeline(chosen, hyperparameters, settings.split.seed, settings.task)
    source = settings.data.path if data == "auto" else data
    check_source(source)
    return Request(recipe, settings, name, source, hyperparameters, until)


def log_origin(recipe: Recipe, parameters: Mapping[str, Any], provenance: Provenance) -> None:
    """Records the parameters as they were given, the recipe, and where the code stands."""
    log_params(parameters)
    log_config(recipe.model_dump(mode="json"), recipe.name, None)
    record_provenance(PROJECT, provenance, recipe.split.seed, code_of_pipeline(PROJECT, recipe))


def log_request(request: Request) -> None:
    """Records what is to be made again when this run is to be reproduced."""
    record_request(
        {
            "recipe": request.recipe_path,
            "model": request.model,
            "data": request.data,
            "until": request.until,
            "hyperparameters": request.hyperparameters,
        }
    )


def run_steps(chain: Chain, request: Request) -> dict[str, str]:
    """Runs the steps that were asked for; returns the tags of the verdict, if it came to one."""
    prepare = run_prepare(chain, request)
    return {} if request.until == "prepare" else run_steps_after_prepare(chain, request, prepare)


def run_prepare(chain: Chain, request: Request) -> Step:
    """Runs the first step, which is the same for every model.

    Raises:
        InputError: the table changed meanwhile.
    """
    freeze_recipe(request.recipe)
    depends = StepDependencies(PROJECT, request.recipe)
    data_sha256 = _data_sha256(request.data)
    prepare = chain.run(
        "prepare",
        {"recipe": request.recipe_path, "data": request.data},
        lambda: depends.of_prepare(request.data, data_sha256),
    )
    mlflow.set_tag(DATA_SHA256, prepare.run.data.tags[DATA_SHA256])
    if prepare.run.data.tags[DATA_SHA256] != data_sha256:
        mlflow.MlflowClient().delete_tag(prepare.run_id, CACHE_KEY)
        raise InputError(f"table {request.data} changed while it was read; start again")
    return prepare


def run_steps_after_prepare(chain: Chain, request: Request, prepare: Step) -> dict[str, str]:
    """Runs the others that were asked for, as `run_steps` does."""
    depends = StepDependencies(PROJECT, request.recipe)
    prepared = {"recipe": request.recipe_path, "prepare_run_id": prepare.run_id}
    hyperparameters = {name: spell(value) for name, value in request.hyperparameters.items()}
    train = chain.run(
        "train",
        {**prepared, "model": request.model, **hyperparameters},
        lambda: depends.of_train(request.model, request.hyperparameters, prepare.output_digest),
    )
    if request.until == "train":
        return {}
    evaluate = chain.run(
        "evaluate",
        {**prepared, "model_uri": f"models:/{train.run.outputs.model_outputs[0].model_id}"},
        lambda: depends.of_evaluate(
            prepare.output_digest,
            train.output_digest,
            request.recipe.models[request.model].estimator,
        ),
    )
    log_metrics(_main_figures(evaluate.run, request.recipe))
    if request.until == "evaluate":
        return {}
    champion = _evaluate_champion(chain, request, depends, prepare, train.output_digest)
    register = chain.run(
        "register",
        {
            "recipe": request.recipe_path,
            "evaluate_run_id": evaluate.run_id,
            "champion_run_id": champion.run_id if champion else "none",
        },
        lambda: depends.of_register(
            evaluate.output_digest,
            champion.output_digest if champion else "none",
            train.output_digest,
        ),
    )
    return _verdict(register)


def _evaluate_champion(
    chain: Chain, request: Request, depends: StepDependencies, prepare: Step, model_digest: str
) -> Step | None:
    """Evaluates the champion on the same rows.

    None if there is none, or it is this very model, or takes columns that the rows have not.
    """
    champion = find_champion(request.recipe.name)
    if champion is None or champion.tags.get(MODEL_DIGEST) == model_digest:
        return None
    if unfit_columns(champion, prepare.run):
        return None  # register says so
    return chain.run(
        "evaluate",
        {
            "recipe": request.recipe_path,
            "prepare_run_id": prepare.run_id,
            "model_uri": f"models:/{request.recipe.name}/{champion.version}",
        },
        lambda: depends.of_evaluate(
            prepare.output_digest, champion.tags[MODEL_DIGEST], champion.tags.get(ESTIMATOR)
        ),
        name="evaluate_champion",
    )


def _data_sha256(source: str) -> str:
    """The digest of the table; `prepare` will say what is wrong with one that cannot be read."""
    with TemporaryDirectory(prefix="cuvee-") as folder:
        try:
            return text_sha256(fetch_table(source, Path(folder)))
        except (InputError, OSError):
            return "unreadable"


def _main_figures(run: Run, recipe: Recipe) -> dict[str, float]:
    """The metrics of the recipe, and the baseline's, of an evaluate run."""
    wanted = [prefix + name for name in metrics_of(recipe) for prefix in ("", BASELINE_PREFIX)]
    return {name: run.data.metrics[name] for name in wanted}


def _verdict(register: Step) -> dict[str, str]:
    tags = register.run.data.tags
    verdict = {tag: tags[tag] for tag in (VERDICT, VERDICT_REASON, MODEL_VERSION) if tag in tags}
    if register.status == "reused" and tags[VERDICT] in ("promoted", "challenger"):
        verdict[VERDICT] = "unchanged"
        verdict[VERDICT_REASON] = f"nothing has changed since version {tags[MODEL_VERSION]}"
    return verdict
