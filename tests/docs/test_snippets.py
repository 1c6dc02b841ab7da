"""The Python of the pages that teach MLflow runs from top to bottom, and leaves what they say."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import MetricThreshold

from scripts.course_code import code_after
from tests.docs.pages import PROJECT, code_blocks
from tests.end_to_end.store import clean_environment

PAGES = ("docs/learn/course.md", "docs/learn/python_cheat_sheet.md")
BLOCKS = 30


@pytest.fixture(scope="module")
def client(tmp_path_factory, make_database):
    """The store in which the code of each page ran, one page after the other in one process."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "data").symlink_to(PROJECT / "data")
    store = make_database(folder)
    for page in PAGES:
        code = "\n".join(code_blocks(page, "python"))
        (folder / Path(page).name).write_text(code, encoding="utf-8")
    program = (
        "import runpy, sys\nfor page in sys.argv[1:]: runpy.run_path(page, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *(Path(page).name for page in PAGES)],
        cwd=folder,
        env={**clean_environment(), "MPLBACKEND": "agg", "MLFLOW_LOGGING_LEVEL": "ERROR"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return MlflowClient(store, store)


def _metrics(client, name):
    """The metrics of the run of this name."""
    experiments = [found.experiment_id for found in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"attributes.run_name = '{name}'")
    return run.data.metrics


@pytest.mark.slow
def test_the_course_ends_with_a_champion_that_beats_the_baseline(client):
    champion = client.get_model_version_by_alias("course_wine", "champion")
    assert (int(champion.version), champion.tags) == (1, {"rmse": "0.68"})
    reached, naive = (
        _metrics(client, name)["root_mean_squared_error"] for name in ("evaluate", "baseline")
    )
    assert reached < naive - 0.1
    assert round(reached, 2) == 0.68
    own = _metrics(client, "own metrics")
    assert own["sum_on_target_divided_by_two"] == own["sum_on_target"] / 2
    names = {found.name for found in client.search_experiments()}
    assert {"exp_wine_quality", "exp_wine_create", "exp_wine_ridge", "exp_wine_lasso"} <= names
    experiments = [found.experiment_id for found in client.search_experiments()]
    runs = client.search_runs(experiments)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len([run for run in runs if run.info.run_name.startswith("alpha ")]) == 3


@pytest.mark.slow
def test_the_cheat_sheet_leaves_what_it_logs(client):
    champion = client.get_model_version_by_alias("cheat-sheet", "champion")
    assert champion.tags == {"validated_by": "ana"}
    (experiment,) = [e for e in client.search_experiments() if e.name == "cheat-sheet"]
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"first", "forest", "autolog", "scaler"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    first = runs["first"]
    history = client.get_metric_history(first.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 0.9), (1, 0.5), (2, 0.3)]
    assert (first.data.tags["author"], first.data.tags["team"]) == ("ana", "crm")
    files = {file.path for file in client.list_artifacts(first.info.run_id)}
    assert files == {"config", "loss.png", "notes.txt", "plots", "scores.json"}
    assert runs["forest"].data.metrics["roc_auc"] > 0.9
    assert all(name.startswith("training_") for name in runs["autolog"].data.metrics)


@pytest.mark.parametrize("page", ["docs/learn/course.md", "docs/fr/apprendre/cours.md"])
def test_the_complete_code_after_each_block_is_that_of_the_page(page):
    scripts = [code_after(block, PROJECT / page) for block in range(BLOCKS)]
    for before, after in pairwise(scripts):
        assert after.startswith(before)
        compile(after, page, "exec")
    headings = re.findall(r"^# \d+\. .*\n\n", scripts[-1], re.MULTILINE)
    assert len(headings) >= 25
    bare = re.sub(r"^# \d+\. .*\n", "", scripts[-1], flags=re.MULTILINE)
    whole = "\n".join(code_blocks(page, "python"))
    assert [line for line in bare.splitlines() if line] == [
        line for line in whole.splitlines() if line
    ]
    with pytest.raises(ValueError, match="there is no block 30: 0 to 29"):
        code_after(BLOCKS, PROJECT / page)


@pytest.mark.parametrize("page", ["docs/learn/course.md", "docs/fr/apprendre/cours.md"])
def test_the_course_has_its_blocks_in_order_each_short_and_with_its_place(page):
    text = (PROJECT / page).read_text(encoding="utf-8")
    *blocks, changes = text.split("\n## ")[1:]
    assert "MLflow 3" in changes
    assert [block.partition(".")[0] for block in blocks] == [str(n) for n in range(BLOCKS)]
    assert [block for block in blocks if not re.search(r"pipeline ?:\*\* .*\]\(", block)] == []
    assert [block for block in blocks if "```" not in block] == []
    longest = max(len(code.splitlines()) for code in code_blocks(page, "python", "sh"))
    assert longest <= 22


@pytest.mark.parametrize(
    "call",
    [
        lambda: mlflow.pyfunc.log_model(name="model", code_path=[]),
        lambda: mlflow.models.evaluate(custom_metrics=[]),
        lambda: mlflow.models.evaluate(validation_thresholds={}),
        lambda: mlflow.models.evaluate(baseline_model=""),
        lambda: MetricThreshold(threshold=1, higher_is_better=False),
    ],
)
def test_what_the_course_calls_gone_is_gone(call):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        call()


def test_a_folder_of_runs_is_refused_and_the_way_out_is_named(tmp_path):
    with pytest.raises(MlflowException, match="migrate-filestore"):
        MlflowClient(tmp_path.as_uri()).search_experiments()


def test_stages_are_deprecated(make_database, tmp_path):
    store = make_database(tmp_path)
    with pytest.warns(FutureWarning, match="stages"), pytest.raises(MlflowException):
        MlflowClient(store, store).transition_model_version_stage("no", "1", "Staging")
