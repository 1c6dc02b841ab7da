"""All entry points in one folder whose name needs care: store, project, table and output alike."""

import shutil

import pytest

from tests.end_to_end.git_daemon import copy_project
from tests.end_to_end.store import Store

_NAME = "l'été à 100%25"
_STORE = "le #1 ?"  # MLflow itself takes no project from such a folder
_TABLE = "vins d'été%20.csv"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the project, a store without a database yet, and a table."""
    folder = tmp_path_factory.mktemp("ugly") / _NAME
    copy_project(folder / "project")
    (folder / _STORE).mkdir()
    table = folder / _STORE / _TABLE
    shutil.copyfile(folder / "project/data/red-wine-quality.csv", table)
    return Store(folder / _STORE), folder / "project", table


@pytest.fixture(scope="module")
def first(place):
    store, project, table = place
    return store.main(f"data={table}", project=project)


def test_the_pipeline_is_promoted_and_all_it_writes_is_there(place, first, read_artifact):
    store, _, _ = place
    assert first.code == 0, first.terminal
    assert first.aliases == {"champion": 1}
    assert {path.name for path in store.folder.iterdir()} == {"mlflow.db", "mlruns", _TABLE}
    assert read_artifact(first.parent, "report.html").stat().st_size > 10_000
    assert str(store.folder / "mlruns") in first.terminal


def test_nothing_runs_again(place, first):
    store, project, table = place
    again = store.main(f"data={table}", project=project)
    assert "runs:" not in again.terminal
    assert again.parent.data.tags["pipeline.verdict"] == "unchanged"


def test_the_other_entry_points_work(place, first, monkeypatch):
    store, project, table = place
    output, recipe = (store.folder / name for name in ("résultat 50%41.csv", "r é%20.yaml"))
    done = [
        store.step("score", f"input={table}", f"output={output}", project=project),
        store.step("monitor", f"data={table}", project=project),
        store.step(
            "draft_recipe",
            f"data={table}",
            "target=quality",
            f"output={recipe}",
            "seconds=0",
            project=project,
        ),
        store.step("sweep", "model=ridge", "alpha=1,2", f"data={table}", project=project),
        store.step(
            "reproduce",
            f"run_id={first.parent.info.run_id}",
            "environment=current",
            project=project,
        ),
    ]
    assert [outcome.code for outcome in done] == [0] * len(done), done[-1].terminal
    assert output.exists()
    drafted = store.main(f"recipe={recipe}", "until=prepare", project=project)
    assert drafted.code == 0, drafted.terminal
    assert "identical" in done[-1].terminal
    assert "all is well" in store.check_status().stdout
