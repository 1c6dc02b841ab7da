"""Where two runs differ, whoever made them: for scripts/check_mlflow_status.py."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import zip_longest
from typing import Any

from mlflow.entities import Run

from common.errors import InputError
from common.tags import CPU, HOST, PID, PROCESS_STARTED
from steps.overview.store_status import all_experiments, own_metrics, search
from steps.reporting.run_files import RunFiles
from steps.runs.provenance_read import find_pipeline

# What differs between any two runs and says nothing about them: their process, their steps' runs
# and times, digests.
_SAYS_NOTHING = re.compile(
    f"{re.escape(CPU)}|{re.escape(HOST)}|{re.escape(PID)}|{re.escape(PROCESS_STARTED)}"
    r"|mlflow\.(log-model\.history|runName|note\.content|source\.git\.diff.*)"
    r"|pipeline\.step\..*|.*(sha256|digest|cache_key|outputs|_run_id)"
)
_MANY = 1000
_NO_RECIPE_OF_ITS_OWN = ("name", "trained")


def compare_runs(first: str, second: str) -> dict[str, Any]:
    """Compares two runs.

    Args:
        first: its id, or how that begins; or models:/name/version or models:/name@alias, whose
            pipeline is meant.
        second: the same.

    Returns:
        runs: both, with run_id and name; parameters, metrics and tags: those that differ, by name,
        each with both values, None where there is none. Among the parameters are the recipe's keys,
        and of its own code the first line that differs.

    Raises:
        InputError: there is no such run, or more than one.
    """
    runs = [_find_run(first), _find_run(second)]
    tags = [
        {name: value for name, value in run.data.tags.items() if not _SAYS_NOTHING.fullmatch(name)}
        for run in runs
    ]
    return {
        "runs": [{"run_id": run.info.run_id, "name": run.info.run_name} for run in runs],
        "parameters": {
            **_differences(*(run.data.params for run in runs)),
            **_differences_of_recipes(*(RunFiles.of(run).config() for run in runs)),
        },
        "metrics": _differences(*(own_metrics(run.data.metrics) for run in runs)),
        "tags": _differences(*tags),
    }


def _find_run(start: str) -> Run:
    if start.startswith("models:/"):
        return find_pipeline(start)
    ids = [experiment.experiment_id for experiment in all_experiments()]
    found = search(ids, f"attributes.run_id LIKE '{start}%'", max_results=2)
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"more than one run begins with {start}: write more of its id")
    others = [run.info.run_id for run in search(ids, max_results=_MANY)]
    starts = {other[: len(start)]: other for other in others}
    close = get_close_matches(start, starts, n=1, cutoff=0.0)
    nearest = f"; did you mean {starts[close[0]]}?" if close else ""
    raise InputError(f"there is no run {start!r} in this store{nearest}")


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (first.get(name), second.get(name))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    }


def _differences_of_recipes(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The keys of two recipes that differ, such as sampling.method; none where a run has none."""
    if not (first and second):
        return {}
    found = _differences(*(dict(_keys(recipe)) for recipe in (first, second)))
    return {name: _first_line_that_differs(*both) for name, both in found.items()}


def _keys(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if not above and name in _NO_RECIPE_OF_ITS_OWN:
            continue
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _first_line_that_differs(first: Any, second: Any) -> tuple[Any, Any]:
    if not (isinstance(first, str) and isinstance(second, str) and "\n" in first + second):
        return first, second
    lines = zip_longest(first.splitlines(), second.splitlines())
    return next(((one, other) for one, other in lines if one != other), (first, second))
