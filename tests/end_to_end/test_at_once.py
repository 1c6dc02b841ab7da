"""Pipelines that start at the same moment, on a store that none of them has made yet."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def _all_at_once(store, commands, environment):
    started = [
        subprocess.Popen(
            [sys.executable, str(PROJECT / "main.py"), *options],
            cwd=store.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for options in commands
    ]
    words = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), "\n\n".join(words)
    assert {run.info.status for run in store.runs()} == {"FINISHED"}


def _champion(store):
    return store.client.get_model_version_by_alias("wine_quality", "champion")


def test_two_that_register_at_once_give_two_versions_and_the_better_is_champion(
    make_store, environment
):
    store = make_store(is_empty=True)
    models = ("random_forest", "elastic_net")
    _all_at_once(store, [["--model", model] for model in models], environment)
    versions = store.client.search_model_versions("name = 'wine_quality'")
    assert sorted(int(version.version) for version in versions) == [1, 2]
    assert _champion(store).tags["pipeline.model"] == "random_forest"


@pytest.mark.slow
def test_a_database_that_is_locked_for_long_is_waited_for(make_store, type_command):
    store = make_store()
    lock = sqlite3.connect(store.folder / "mlflow.db", check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(30, lock.rollback)  # MLflow alone waits 20 s, and SQLite 5
    release.start()
    done = type_command(
        [sys.executable, str(PROJECT / "main.py"), "--until", "prepare"], store.folder
    )
    release.join()
    lock.close()
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_twenty_at_once_all_succeed(make_store, environment):
    store = make_store(is_empty=True)
    alphas = [0.002 * number for number in range(1, 11)]
    commands = [["--alpha", str(alpha)] for alpha in alphas for _ in range(2)]
    _all_at_once(store, commands, environment)
    versions = store.client.search_model_versions("name = 'wine_quality'")
    assert sorted(int(version.version) for version in versions) == list(range(1, 11))
    assert len({version.tags["pipeline.model_digest"] for version in versions}) == 10
    promoted = [found for found in versions if found.tags["pipeline.verdict"] == "promoted"]
    replaced = [found for found in promoted if "pipeline.replaced_by_version" in found.tags]
    (champion,) = (found for found in promoted if found not in replaced)
    assert champion.tags["pipeline.model_digest"] == _champion(store).tags["pipeline.model_digest"]
