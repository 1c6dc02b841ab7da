"""What a store holds, without reading all of it: for scripts/check_mlflow_status.py."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, RunStatus
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_PROJECT_ENTRY_POINT
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from common.errors import InputError, unknown_name
from common.secrets import without_credentials
from engine.failures import one_line
from engine.processes.reaper import find_stale_runs, reap
from modelling.judging.metrics import (
    BASELINE_PREFIX,
    BINARY_METRICS,
    CUSTOM_METRICS,
    REGRESSION_METRICS,
)
from steps.registry.journal import read_journal, registry_lock
from steps.registry.unfinished import find_unfinished, finish_or_undo, is_over
from steps.registry.versions import CHALLENGER, CHAMPION, UNFINISHED
from steps.runs.model_digests import describe_lost_files
from steps.runs.names import DATA_SHA256, VERDICT, VERDICT_REASON
from tracking.mlflow_manager import (
    database_file,
    init_mlflow,
    locate_store,
)
from tracking.store_place import find_former_folder, rewrite_places

Status = dict[str, Any]
"""As it is written to reports/mlflow_status_report.json."""

_PIPELINES = ("main", "sweep")
_LAST_RUNS = 10
_LOOKED_AT = 50
_LONGEST_COUNT = 1000
_LESS_IS_BETTER = re.compile(r"error|loss|deviance|brier|false|(?<![a-z])r?m[sa]e(?![a-z])")


def open_store() -> list[Experiment]:
    """Connects to the store, which is not made if it is not there; returns its experiments.

    Raises:
        InputError: there is no database yet.
        OSError, MlflowException: it cannot be reached or read.
    """
    database = database_file(locate_store())
    if database and not database.exists():
        raise InputError(
            f"there is no {database}: stand where the pipeline was run, or set MLFLOW_TRACKING_URI"
        )
    init_mlflow()
    return all_experiments()


def take_over_moved_store() -> str:
    """Makes the store in an SQLite file name its own folder, and says what was done.

    Raises:
        InputError: there is no such file, or it was not moved or copied.
    """
    database = database_file(locate_store())
    former = database and find_former_folder(database)
    if database is None or former is None:
        raise InputError(f"{without_credentials(locate_store())} was not moved or copied here")
    rows = rewrite_places(database, former)
    return f"{database}: {rows:,} places in {former} are in {database.parent} now"


def look(ends_stale_runs: bool = False, gone: Sequence[str] = ()) -> Status:
    """Looks at the store and says what is there and what is wrong.

    Args:
        ends_stale_runs: and half registrations, before it looks.
        gone: hosts that run no more, whose runs are stale too; or runs themselves.
    """
    status: Status = {
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "mlflow_version": mlflow.__version__,
        "store": without_credentials(locate_store()),
        "reachable": False,
        "problems": [],
        "mended": [],
    }
    try:
        experiments = open_store()
        models = _all_models()
    except (InputError, MlflowException, OSError, SQLAlchemyError) as error:
        return {**status, "problems": [one_line(error)]}
    ids = [experiment.experiment_id for experiment in experiments]
    mended = _mend(ids, models, gone) if ends_stale_runs else []
    counts, are_complete = _count_runs(ids)
    stale = find_stale_runs(ids, gone)
    newest = search(ids, max_results=_LOOKED_AT)
    return {
        **status,
        "reachable": True,
        "mended": mended,
        "counts_are_complete": are_complete,
        "runs_by_status": _sum(counts.values()),
        "experiments": [
            {
                "id": experiment.experiment_id,
                "name": experiment.name,
                "runs": counts.get(experiment.experiment_id, {}),
            }
            for experiment in experiments
        ],
        "last_runs": [_last_run(run) for run in _last_runs(ids, newest)],
        "models": [_describe_model(model) for model in models],
        "metrics": _names(run.data.metrics for run in newest),
        "parameters": _names(run.data.params for run in newest),
        "stale_runs": [{"run_id": run.info.run_id, "reason": reason} for run, reason in stale],
        "problems": [
            *(f"run {run.info.run_id} counts as RUNNING: {reason}" for run, reason in stale),
            *(problem for model in models for problem in _problems_of(model)),
        ],
    }


def best_runs(
    metric: str, recipe: str | None = None, experiment: str | None = None, number: int = 5
) -> dict[str, Any]:
    """Finds the finished runs with the best values of a metric.

    Args:
        metric: of a recipe's pipelines, one of modelling.judging.metrics.
        recipe: whose pipelines are meant; None if only one has runs with the metric.
        experiment: whose runs are meant in place of a recipe's pipelines, as a notebook makes them.
        number: how many.

    Raises:
        InputError: there is no such metric, recipe or experiment, or no run has the metric.
    """
    experiments = {each.name: each.experiment_id for each in all_experiments()}
    greater = _greater_is_better(metric, is_any=experiment is not None)
    order = f"metrics.`{metric}` {'DESC' if greater else 'ASC'}"
    finished = "attributes.status = 'FINISHED'"
    if experiment is None:
        ids = list(experiments.values())
        whose = _choose_recipe(recipe, metric, ids)
        of_recipe = f" and tags.`pipeline.recipe` = '{whose}' and {finished}"
        runs = _pipelines(ids, number, of_recipe, order)
    elif experiment in experiments:
        whose, ids = experiment, [experiments[experiment]]
        runs = search(ids, finished, order, number)
    else:
        raise InputError(unknown_name("experiment", experiment, experiments))
    runs = [run for run in runs if math.isfinite(run.data.metrics.get(metric, math.nan))]
    if not runs:
        known = _names(run.data.metrics for run in search(ids, finished, max_results=_LOOKED_AT))
        hint = f"; they have: {', '.join(known) or 'none'}" if experiment else ""
        raise InputError(f"no finished run of {whose} has the metric {metric}{hint}")
    runs.sort(key=lambda run: run.data.metrics[metric], reverse=greater)
    runs = runs[:number]
    return {
        "recipe": None if experiment else whose,
        "experiment": experiment,
        "metric": metric,
        "greater_is_better": greater,
        "tables": len({run.data.tags.get(DATA_SHA256) for run in runs}),
        "runs": [{**_last_run(run), "value": run.data.metrics[metric]} for run in runs],
    }


def _greater_is_better(metric: str, is_any: bool) -> bool:
    """Whether more of a metric is better; of any that is not ours, its name tells."""
    ours = {**REGRESSION_METRICS, **BINARY_METRICS, **CUSTOM_METRICS}
    greater = {name: found.greater_is_better for name, found in ours.items()}
    greater["business_score"] = True
    name = metric.removeprefix(BASELINE_PREFIX)
    if name in greater:
        return greater[name]
    if is_any:
        return not _LESS_IS_BETTER.search(name)
    raise InputError(unknown_name("metric", metric, greater))


def all_experiments() -> list[Experiment]:
    """The experiments of the store that is connected."""
    return list(_pages(MlflowClient().search_experiments))


def _all_models() -> list[RegisteredModel]:
    return list(_pages(MlflowClient().search_registered_models))


def _pages(search: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def search(
    ids: list[str], where: str = "", order: str = "attributes.start_time DESC", max_results: int = 1
) -> list[Run]:
    """The first runs of some experiments in an order."""
    found: list[Run] = MlflowClient().search_runs(
        ids, where, max_results=max_results, order_by=[order]
    )
    return found


def _pipelines(
    ids: list[str], number: int, where: str = "", order: str = "attributes.start_time DESC"
) -> list[Run]:
    """The first runs of whole pipelines in an order; the newest first if none is given."""
    found = [
        run
        for entry_point in _PIPELINES
        for run in search(
            ids, f"tags.`{MLFLOW_PROJECT_ENTRY_POINT}` = '{entry_point}'{where}", order, number
        )
    ]
    if "start_time" in order:
        found = sorted(found, key=lambda run: -run.info.start_time)[:number]
    return found


def _last_runs(ids: list[str], newest: list[Run]) -> list[Run]:
    """The last pipelines, and the last runs of people's own scripts and notebooks."""
    not_own = {MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_PARENT_RUN_ID}
    own = [run for run in newest if not_own.isdisjoint(run.data.tags)]
    found = [*_pipelines(ids, _LAST_RUNS), *own]
    return sorted(found, key=lambda run: -run.info.start_time)[:_LAST_RUNS]


def _count_runs(ids: list[str]) -> tuple[dict[str, dict[str, int]], bool]:
    """Counts the runs of each experiment by status; says whether that is all of them.

    MLflow has no way to count: of a database the table is asked, which takes no time; of a server
    only the newest runs of each status are read.
    """
    counts: dict[str, dict[str, int]] = {}
    uri = mlflow.get_tracking_uri()
    if "://" in uri and not uri.startswith(("http://", "https://", "file:", "databricks")):
        statement = text(
            "SELECT experiment_id, status, COUNT(*) FROM runs "
            "WHERE lifecycle_stage = 'active' GROUP BY experiment_id, status ORDER BY status"
        )
        engine = create_engine(uri)
        with engine.connect() as connection:
            rows = connection.execute(statement).all()
        engine.dispose()
        for experiment_id, status, number in rows:
            if str(experiment_id) in ids:
                counts.setdefault(str(experiment_id), {})[status] = number
        return counts, True
    are_complete = True
    for status in RunStatus.all_status():
        name = RunStatus.to_string(status)
        found = search(ids, f"attributes.status = '{name}'", max_results=_LONGEST_COUNT)
        are_complete = are_complete and len(found) < _LONGEST_COUNT
        for run in found:
            of_experiment = counts.setdefault(run.info.experiment_id, {})
            of_experiment[name] = of_experiment.get(name, 0) + 1
    return counts, are_complete


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for of_experiment in counts:
        for status, number in of_experiment.items():
            total[status] = total.get(status, 0) + number
    return dict(sorted(total.items()))


def _last_run(run: Run) -> dict[str, Any]:
    tags = run.data.tags
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "started": started.isoformat(sep=" ", timespec="seconds"),
        "status": run.info.status,
        "recipe": tags.get("pipeline.recipe"),
        "model": tags.get("pipeline.model"),
        "verdict": tags.get(VERDICT),
        "reason": tags.get(VERDICT_REASON) or tags.get("pipeline.error"),
        "metrics": dict(own_metrics(run.data.metrics)),
    }


def own_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Those that are of the model, not of the machine."""
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def _names(all_of_runs: Iterable[dict[str, Any]]) -> list[str]:
    names = {name for of_run in all_of_runs for name in of_run}
    return sorted(name for name in names if not name.startswith("system/"))


def _describe_model(model: RegisteredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "champion": _version(model, CHAMPION),
        "challenger": _version(model, CHALLENGER),
        "journal": [json.loads(move.to_json()) for move in read_journal(model.tags)],
    }


def _version(model: RegisteredModel, alias: str) -> str | None:
    return str(model.aliases[alias]) if alias in model.aliases else None


def _problems_of(model: RegisteredModel) -> list[str]:
    """What is wrong with a registered model."""
    problems = []
    champion, moves = _version(model, CHAMPION), read_journal(model.tags)
    if champion:
        problems += _problems_of_champion(model.name, champion)
    elif moves:
        last = moves[-1].after
        problems.append(
            f"{model.name} has lost its champion, which was version {last}: the next run that "
            f"trains it makes it so again, and so does -e rollback with version={last}"
        )
    return problems + [
        f"version {version.version} of {model.name} is half registered"
        for version in find_unfinished(model.name)
        if is_over(version.tags[UNFINISHED])
    ]


def _problems_of_champion(name: str, number: str) -> list[str]:
    client = MlflowClient()
    try:
        version = client.get_model_version(name, number)
    except MlflowException:
        return [f"the champion of {name} is version {number}, which is not there"]
    if version.status != "READY":
        return [f"the champion of {name}, version {number}, is {version.status}, not READY"]
    try:
        if version.source.startswith("models:/m-"):
            client.get_logged_model(version.source.removeprefix("models:/"))
    except MlflowException:
        return [f"the champion of {name}, version {number}, has lost its model {version.source}"]
    lost = describe_lost_files(f"models:/{name}/{number}")
    return [f"the champion {lost}"] if lost else []


def _mend(ids: list[str], models: list[RegisteredModel], gone: Sequence[str]) -> list[str]:
    mended = [f"run {run.info.run_id} was ended: {reason}" for run, reason in reap(ids, gone)]
    for model in models:
        with registry_lock(model.name):
            mended += finish_or_undo(model.name)
    return mended


def _choose_recipe(recipe: str | None, metric: str, ids: list[str]) -> str:
    """The recipe that was named, or the only one that has the metric."""
    if recipe and _pipelines(ids, 1, f" and tags.`pipeline.recipe` = '{recipe}'"):
        return recipe
    runs = _pipelines(ids, _LOOKED_AT)
    known = sorted({run.data.tags.get("pipeline.recipe", "") for run in runs} - {""})
    if recipe:
        raise InputError(unknown_name("recipe", recipe, known))
    measured = [run.data.tags for run in runs if metric in run.data.metrics]
    having = sorted({tags.get("pipeline.recipe", "") for tags in measured} - {""})
    if len(having) != 1:
        raise InputError(f"--recipe takes: {', '.join(having or known) or 'none has run yet'}")
    return having[0]
