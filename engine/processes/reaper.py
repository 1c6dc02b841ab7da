"""Runs that count as RUNNING although their process is gone: found and closed."""

import os
import platform
from collections.abc import Collection
from datetime import datetime, timedelta

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.environment_variables import MLFLOW_RUN_ID, MLFLOW_TRACKING_URI
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_PROJECT_ENTRY_POINT
from sqlalchemy import make_url

from engine.failures import end_run_unless_ended
from engine.processes.guard import process_of

# A run without the tags of a process is one that `mlflow run` has made and whose entry point has
# not started: it builds the environment. On a shared server that may be another host's.
_TIME_TO_START = timedelta(hours=1)
_SHORTEST_ID = 8


def find_stale_runs(experiment_ids: list[str], gone: Collection[str] = ()) -> list[tuple[Run, str]]:
    """Finds runs of entry points that count as RUNNING and are not, as far as this host can tell.

    Args:
        experiment_ids: where to look.
        gone: names of hosts that run no more, such as containers; or runs that a person knows to be
            over, by how their ids begin: of a notebook, say, which tells no process.

    Returns:
        Each stale run with the reason, in words. A run of any other host is left alone.
    """
    client = MlflowClient()
    running: dict[str, Run] = {}
    token = None
    while True:
        page = client.search_runs(experiment_ids, "attributes.status = 'RUNNING'", page_token=token)
        running |= {
            run.info.run_id: run for run in page if _is_entry_point(run) or _is_named(run, gone)
        }
        token = page.token
        if not token:
            break
    stale = ((run, _why_stale(run, running, client, gone)) for run in running.values())
    return [(run, reason) for run, reason in stale if reason]


def reap(experiment_ids: list[str], gone: Collection[str] = ()) -> list[tuple[Run, str]]:
    """Ends the stale runs as KILLED, with the reason in `pipeline.error`, and returns them."""
    stale = find_stale_runs(experiment_ids, gone)
    for run, reason in stale:
        end_run_unless_ended(run.info.run_id, "KILLED", reason)
    return stale


def _is_entry_point(run: Run) -> bool:
    return MLFLOW_PROJECT_ENTRY_POINT in run.data.tags


def _is_named(run: Run, gone: Collection[str]) -> bool:
    return any(len(each) >= _SHORTEST_ID and run.info.run_id.startswith(each) for each in gone)


def _why_stale(
    run: Run, running: dict[str, Run], client: MlflowClient, gone: Collection[str]
) -> str | None:
    if _is_named(run, gone):
        return "it is over, as somebody said who knows"
    known = process_of(run.data.tags)
    if known:
        host, process = known
        if host in gone:
            return f"its host, {host}, is gone"
        if host != platform.node() or process.is_alive():
            return None
        return f"its process, {process.pid} on {host}, is gone"
    parent_id = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
    if parent_id:
        parent = running.get(parent_id)
        if parent is None:
            return "it never started, and its parent has ended"
        return _why_stale(parent, running, client, gone)
    started = datetime.fromtimestamp(run.info.start_time / 1000)
    own_store = client.tracking_uri.startswith("sqlite:")
    if not own_store and datetime.now() - started < _TIME_TO_START:
        return None
    alive = any(
        _may_have_made(process, run, client.tracking_uri) for process in psutil.process_iter()
    )
    return None if alive else "it never started, and its mlflow run is gone"


def _may_have_made(process: psutil.Process, run: Run, tracking_uri: str) -> bool:
    """Says whether a process is the `mlflow run` that made this run, as far as can be seen.

    It makes one run, and names it to what it starts.
    """
    try:
        words = [os.path.basename(word) for word in process.cmdline()]
        is_mlflow_run = "mlflow" in words and "run" in words[words.index("mlflow") :]
        if not is_mlflow_run or process.create_time() > run.info.start_time / 1000:
            return False
        started = [child.environ() for child in process.children(recursive=True)]
        named = {environment.get(MLFLOW_RUN_ID.name) for environment in started} - {None}
        return run.info.run_id in named if named else _may_track_to(process, tracking_uri)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _may_track_to(process: psutil.Process, tracking_uri: str) -> bool:
    """Says whether a process may keep its runs there: two files of SQLite are surely not one."""
    theirs = process.environ().get(MLFLOW_TRACKING_URI.name) or "sqlite:///mlflow.db"
    files = {
        os.path.realpath(os.path.join(process.cwd(), make_url(uri).database or ""))
        for uri in (theirs, tracking_uri)
        if uri.startswith("sqlite:///")
    }
    return len(files) < 2
