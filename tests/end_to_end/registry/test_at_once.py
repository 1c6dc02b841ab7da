"""Pipelines and registrations that start at the same moment, on one store."""

import sqlite3
import threading

import pytest
from mlflow import MlflowClient

import tracking.mlflow_manager


def _champion(store):
    return store.client.get_model_version_by_alias("wine_quality", "champion")


@pytest.mark.slow
def test_four_pipelines_at_once_give_two_versions_and_the_better_is_champion(make_store):
    """On a store that none of them has made yet; each model is made twice."""
    store = make_store(is_empty=True)
    started = [store.start_main(f"alpha={alpha}") for alpha in ["0.01", "0.3"] * 2]
    ended = [process.finish() for process in started]
    assert [done.returncode for done in ended] == [0] * 4, "\n\n".join(one.stdout for one in ended)
    assert {run.info.status for run in store.runs()} == {"FINISHED"}
    versions = store.client.search_model_versions("name = 'wine_quality'")
    assert sorted(int(version.version) for version in versions) == [1, 2]
    evaluated = store.client.get_run(_champion(store).tags["pipeline.evaluate_run_id"])
    trained = [run for run in store.runs() if "pipeline.model_digest" in run.data.tags]
    better = min(run.data.metrics["rmse"] for run in trained if "rmse" in run.data.metrics)
    assert evaluated.data.metrics["rmse"] == better


@pytest.mark.slow
def test_twenty_registrations_at_once_all_succeed(make_store, template):
    """Five times each of four models."""
    store = make_store(like="evaluated")
    runs = [made.step("evaluate").info.run_id for made in template("evaluated").outcomes.values()]
    started = [store.start_step("register", f"evaluate_run_id={run_id}") for run_id in runs * 5]
    ended = [process.finish() for process in started]
    assert [done.returncode for done in ended] == [0] * 20, "\n\n".join(one.stdout for one in ended)
    assert {run.info.status for run in store.runs()} == {"FINISHED"}
    versions = store.client.search_model_versions("name = 'wine_quality'")
    assert sorted(int(version.version) for version in versions) == [1, 2, 3, 4]
    assert len({version.tags["pipeline.model_digest"] for version in versions}) == 4
    promoted = [found for found in versions if found.tags["pipeline.verdict"] == "promoted"]
    replaced = [found for found in promoted if "pipeline.replaced_by_version" in found.tags]
    (champion,) = (found for found in promoted if found not in replaced)
    assert champion.tags["pipeline.model_digest"] == _champion(store).tags["pipeline.model_digest"]


def test_a_locked_database_is_waited_for_longer_than_mlflow_does(tmp_path, make_database):
    tracking.mlflow_manager  # noqa: B018 - what it does is done by its import
    store = MlflowClient(make_database(tmp_path))._tracking_client.store
    with store.ManagedSessionMaker() as session:  # where MLflow sets 20 s
        assert session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 120_000


@pytest.mark.exhaustive
def test_a_database_that_is_locked_for_half_a_minute_is_waited_for(make_store):
    store = make_store()
    lock = sqlite3.connect(store.folder / "mlflow.db", check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(30, lock.rollback)  # MLflow alone waits 20 s, and SQLite 5
    release.start()
    done = store.start_main("until=prepare").finish()
    release.join()
    lock.close()
    assert done.returncode == 0, done.stdout
