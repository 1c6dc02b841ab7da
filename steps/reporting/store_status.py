"""What a store holds, without reading all of it: for scripts/check_mlflow_status.py."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, RunStatus
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from common.errors import InputError, unknown_name
from common.secrets import without_credentials
from common.tags import CPU, HOST, PID, PROCESS_STARTED
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
_BEST_RUNS = 5
_LOOKED_AT = 50
_LONGEST_COUNT = 1000
# What differs between any two runs and says nothing about them.
_OF_THE_PROCESS = {CPU, HOST, PID, PROCESS_STARTED, "mlflow.log-model.history", "mlflow.runName"}


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
    return _all_experiments()


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
        gone: hosts that run no more, whose runs are stale too.
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
    newest = _search(ids, max_results=_LOOKED_AT)
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
        "last_runs": [_last_run(run) for run in _pipelines(ids, _LAST_RUNS)],
        "models": [_describe_model(model) for model in models],
        "metrics": _names(run.data.metrics for run in newest),
        "parameters": _names(run.data.params for run in newest),
        "stale_runs": [{"run_id": run.info.run_id, "reason": reason} for run, reason in stale],
        "problems": [
            *(f"run {run.info.run_id} counts as RUNNING: {reason}" for run, reason in stale),
            *(problem for model in models for problem in _problems_of(model)),
        ],
    }


def compare_runs(first: str, second: str) -> dict[str, Any]:
    """Compares two runs.

    Args:
        first: its id, or how that begins.
        second: the same.

    Returns:
        runs: both, with run_id and name; parameters, metrics and tags: those that differ, by name,
        each with both values, None where there is none.

    Raises:
        InputError: there is no such run, or more than one.
    """
    runs = [_find_run(first), _find_run(second)]
    tags = [
        {name: value for name, value in run.data.tags.items() if name not in _OF_THE_PROCESS}
        for run in runs
    ]
    return {
        "runs": [{"run_id": run.info.run_id, "name": run.info.run_name} for run in runs],
        "parameters": _differences(*(run.data.params for run in runs)),
        "metrics": _differences(*(_own_metrics(run.data.metrics) for run in runs)),
        "tags": _differences(*tags),
    }


def best_runs(metric: str, recipe: str | None) -> dict[str, Any]:
    """Finds the finished pipelines of a recipe with the best values of a metric.

    Args:
        metric: one of modelling.judging.metrics.
        recipe: its name; None if only one has runs with the metric.

    Raises:
        InputError: there is no such metric or recipe, or no run has the metric.
    """
    known = {**REGRESSION_METRICS, **BINARY_METRICS, **CUSTOM_METRICS}
    greater = {name: found.greater_is_better for name, found in known.items()}
    greater["business_score"] = True
    name = metric.removeprefix(BASELINE_PREFIX)
    if name not in greater:
        raise InputError(unknown_name("metric", metric, greater))
    ids = [experiment.experiment_id for experiment in _all_experiments()]
    recipe = _choose_recipe(recipe, metric, ids)
    order = f"metrics.`{metric}` {'DESC' if greater[name] else 'ASC'}"
    of_recipe = f"tags.`pipeline.recipe` = '{recipe}' and attributes.status = 'FINISHED'"
    runs = [
        run
        for run in _pipelines(ids, _BEST_RUNS, f" and {of_recipe}", order)
        if math.isfinite(run.data.metrics.get(metric, math.nan))
    ]
    if not runs:
        raise InputError(f"no finished run of {recipe} has the metric {metric}")
    runs.sort(key=lambda run: run.data.metrics[metric], reverse=greater[name])
    return {
        "recipe": recipe,
        "metric": metric,
        "greater_is_better": greater[name],
        "tables": len({run.data.tags.get(DATA_SHA256) for run in runs[:_BEST_RUNS]}),
        "runs": [
            {**_last_run(run), "value": run.data.metrics[metric]} for run in runs[:_BEST_RUNS]
        ],
    }


def _all_experiments() -> list[Experiment]:
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


def _search(
    ids: list[str], where: str = "", order: str = "attributes.start_time DESC", max_results: int = 1
) -> list[Run]:
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
        for run in _search(
            ids, f"tags.`{MLFLOW_PROJECT_ENTRY_POINT}` = '{entry_point}'{where}", order, number
        )
    ]
    if "start_time" in order:
        found = sorted(found, key=lambda run: -run.info.start_time)[:number]
    return found


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
        found = _search(ids, f"attributes.status = '{name}'", max_results=_LONGEST_COUNT)
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
        "started": started.isoformat(sep=" ", timespec="seconds"),
        "status": run.info.status,
        "recipe": tags.get("pipeline.recipe"),
        "model": tags.get("pipeline.model"),
        "verdict": tags.get(VERDICT),
        "reason": tags.get(VERDICT_REASON) or tags.get("pipeline.error"),
        "metrics": dict(_own_metrics(run.data.metrics)),
    }


def _own_metrics(metrics: dict[str, float]) -> dict[str, float]:
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


def _find_run(start: str) -> Run:
    ids = [experiment.experiment_id for experiment in _all_experiments()]
    found = _search(ids, f"attributes.run_id LIKE '{start}%'", max_results=2)
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"more than one run begins with {start}: write more of its id")
    others = [run.info.run_id for run in _search(ids, max_results=_LONGEST_COUNT)]
    starts = {other[: len(start)]: other for other in others}
    close = get_close_matches(start, starts, n=1, cutoff=0.0)
    nearest = f"; did you mean {starts[close[0]]}?" if close else ""
    raise InputError(f"there is no run {start!r} in this store{nearest}")


def _differences(first: dict[str, Any], second: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (first.get(name), second.get(name))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    }
