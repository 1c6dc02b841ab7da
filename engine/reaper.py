"""Runs that count as RUNNING although their process is gone: found and closed."""

import os
import platform
from collections.abc import Collection
from datetime import datetime, timedelta

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_PROJECT_ENTRY_POINT

from engine.failures import end_run_unless_ended
from engine.processes import process_of

# A run without the tags of a process is one that `mlflow run` has made and whose entry point has
# not started: it builds the environment. On a shared server that may be another host's.
_TIME_TO_START = timedelta(hours=1)


def find_stale_runs(
    experiment_ids: list[str], gone_hosts: Collection[str] = ()
) -> list[tuple[Run, str]]:
    """Finds runs of entry points that count as RUNNING and are not, as far as this host can tell.

    Args:
        experiment_ids: where to look.
        gone_hosts: names of hosts that run no more, such as containers.

    Returns:
        Each stale run with the reason, in words. A run of any other host is left alone.
    """
    client = MlflowClient()
    running: dict[str, Run] = {}
    token = None
    while True:
        page = client.search_runs(experiment_ids, "attributes.status = 'RUNNING'", page_token=token)
        running |= {run.info.run_id: run for run in page if _is_entry_point(run)}
        token = page.token
        if not token:
            break
    stale = ((run, _why_stale(run, running, client, gone_hosts)) for run in running.values())
    return [(run, reason) for run, reason in stale if reason]


def reap(experiment_ids: list[str], gone_hosts: Collection[str] = ()) -> list[tuple[Run, str]]:
    """Ends the stale runs as KILLED, with the reason in `pipeline.error`, and returns them."""
    stale = find_stale_runs(experiment_ids, gone_hosts)
    for run, reason in stale:
        end_run_unless_ended(run.info.run_id, "KILLED", reason)
    return stale


def _is_entry_point(run: Run) -> bool:
    return MLFLOW_PROJECT_ENTRY_POINT in run.data.tags


def _why_stale(
    run: Run, running: dict[str, Run], client: MlflowClient, gone_hosts: Collection[str]
) -> str | None:
    known = process_of(run.data.tags)
    if known:
        host, process = known
        if host in gone_hosts:
            return f"its host, {host}, is gone"
        if host != platform.node() or process.is_alive():
            return None
        return f"its process, {process.pid} on {host}, is gone"
    parent_id = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
    if parent_id:
        parent = running.get(parent_id)
        if parent is None:
            return "it never started, and its parent has ended"
        return _why_stale(parent, running, client, gone_hosts)
    started = datetime.fromtimestamp(run.info.start_time / 1000)
    own_store = client.tracking_uri.startswith("sqlite:")
    if not own_store and datetime.now() - started < _TIME_TO_START:
        return None
    return None if _mlflow_run_since(started) else "it never started, and its mlflow run is gone"


def _mlflow_run_since(started: datetime) -> bool:
    """Says whether a `mlflow run` that began before this time is alive on this host."""
    for process in psutil.process_iter(["cmdline", "create_time"]):
        words = [os.path.basename(word) for word in process.info["cmdline"] or []]
        is_mlflow_run = "mlflow" in words and "run" in words[words.index("mlflow") :]
        if is_mlflow_run and process.info["create_time"] <= started.timestamp():
            return True
    return False
