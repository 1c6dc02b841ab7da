"""draft_recipe at the front door: tables that nobody tuned for, drafted and trained unedited."""

import os
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from common.errors import InputError
from steps.draft_recipe import _choose_place

PROJECT = Path(__file__).parents[3]
FOREIGN = "CUVEE_FOREIGN_TABLES"  # a folder with adult.csv and churn.csv


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "irises.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    return path


def draft(store, output, data, target="target", seconds=0):
    named = (f"data={data}", f"target={target}", f"output={output}", f"seconds={seconds}")
    return store.step("draft_recipe", *named)


def draft_and_train(store, folder, path, target):
    """Drafts a recipe and trains its default model; returns the metrics."""
    recipe = folder / f"{path.stem}.yaml"
    drafted = draft(store, recipe, path, target, seconds=5)
    assert drafted.code == 0, drafted.terminal
    return train(store, recipe)


def train(store, recipe):
    runs = store.steps(recipe)
    assert runs["register"].data.tags["pipeline.verdict"] == "promoted"
    return runs["evaluate"].data.metrics


def test_a_recipe_is_not_left_in_the_copy_that_mlflow_throws_away(monkeypatch):
    fetched = tempfile.mkdtemp()  # as mlflow.projects does for a URL
    monkeypatch.chdir(fetched)
    try:
        with pytest.raises(InputError, match="output: this copy of the project is MLflow's own"):
            _choose_place("auto", "data/x.csv")
    finally:
        os.rmdir(fetched)


def test_the_recipe_is_named_after_the_table_and_stands_in_the_project(monkeypatch):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    for data in ("/x/Red Wines.csv.gz", "s3://bucket/Red%20Wines.parquet?v=1"):
        assert _choose_place("auto", data).as_posix().startswith("recipes/red_")


def test_bad_input_is_answered_in_one_line(store, table, tmp_path):
    draft(store, tmp_path / "first.yaml", table)  # makes the store
    text = (tmp_path / "first.yaml").read_text(encoding="utf-8")
    refusals = {
        ("first.yaml", table, "target"): "first.yaml exists and is left as it is",
        ("no/folder/x.yaml", table, "target"): "no/folder is not there",
        ("x.yaml", tmp_path / "none.csv", "target"): "none.csv is not there",
        ("x.yaml", table, "targte"): "unknown target 'targte', did you mean 'target'?",
    }
    for (output, data, target), says in refusals.items():
        outcome = draft(store, tmp_path / output, data, target)
        assert outcome.code != 0
        assert "Traceback" not in outcome.terminal
        (line,) = (line for line in outcome.terminal.splitlines() if "draft_recipe: " in line)
        assert says in line
        for run in outcome.runs:
            assert run.info.status == "FAILED"
            assert says in run.data.tags["pipeline.error"]
    assert sorted(os.listdir(tmp_path)) == ["first.yaml", "recipe.schema.json"]
    assert (tmp_path / "first.yaml").read_text(encoding="utf-8") == text


@pytest.mark.slow
def test_a_table_is_drafted_by_mlflow_run_and_trained(store, table, tmp_path, read_artifact):
    recipe = tmp_path / "flowers of mine.yaml"
    outcome = store.mlflow_run(
        f"data={table}", "target=target", f"output={recipe}", entry_point="draft_recipe"
    )
    assert outcome.code == 0, outcome.terminal
    run = outcome.of("draft_recipe")
    assert run.info.status == "FINISHED"
    assert read_artifact(run, recipe.name).read_text() == recipe.read_text()
    command = next(line for line in outcome.terminal.splitlines() if "mlflow run " in line)
    assert command.split("mlflow run ")[1].endswith(f" -P 'recipe={recipe}'")
    assert "classification of target" in read_artifact(run, "logs/draft_recipe.log").read_text()
    assert train(store, recipe)["accuracy"] > 0.9
    assert store.champion("flowers_of_mine")


@pytest.mark.slow
def test_tables_of_scikit_learn_reach_ordinary_scores(store, tmp_path):
    for name, load in (("diabetes", load_diabetes), ("cancer", load_breast_cancer)):
        load(as_frame=True).frame.to_csv(tmp_path / f"{name}.csv", index=False)
    assert draft_and_train(store, tmp_path, tmp_path / "diabetes.csv", "target")["rmse"] < 60
    assert draft_and_train(store, tmp_path, tmp_path / "cancer.csv", "target")["roc_auc"] > 0.98


@pytest.mark.slow
def test_dates_gaps_odd_names_and_labels_go_all_the_way(store, tmp_path):
    iris = load_iris(as_frame=True).frame
    table = pd.DataFrame(
        {
            " a: b\n": iris["petal width (cm)"],
            "Größe '\"": iris["sepal length (cm)"].where(iris.index % 5 > 0),
            "#day": pd.date_range("2026-01-01", periods=150).where(iris.index % 7 > 0),
            "code": [f"{number % 9:02}" for number in range(150)],
            "paid": (iris["petal length (cm)"] * 1000).map("${:,.2f}".format),
            "sent": pd.date_range("2026-01-01", periods=150).strftime("%d/%m/%Y"),
            "prediction": iris["target"]
            .map({0: "x", 1: None, 2: "y"})
            .sample(frac=1, random_state=0)
            .to_numpy(),
            "kind": iris["target"].map({0: "no", 1: "no", 2: "yes, it is: #1"}),
        }
    )
    table.to_csv(tmp_path / "odd names.csv", index=False)
    recipe = tmp_path / "odd names.yaml"
    assert draft(store, recipe, tmp_path / "odd names.csv", "kind").code == 0
    trained = store.main(f"recipe={recipe}")  # its report bears the names too
    assert trained.code == 0, trained.terminal
    assert trained.parent.data.tags["pipeline.verdict"] == "promoted"
    assert trained.parent.data.metrics["roc_auc"] > 0.95
    columns = yaml.safe_load(recipe.read_text(encoding="utf-8"))["data"]["columns"]
    kinds = {name: check["type"] for name, check in columns.items()}
    scored = store.step(
        "score",
        f"recipe={recipe}",
        f"input={tmp_path / 'odd names.csv'}",
        f"output={tmp_path / 'scores.parquet'}",
    )
    assert scored.code == 0, scored.terminal
    scores = pd.read_parquet(tmp_path / "scores.parquet")["prediction"]
    model = store.champion("odd_names")
    # pandas takes a code for a number, and a gap beside it may make a float of that.
    for rows in (pd.read_csv(tmp_path / "odd names.csv"), table.astype({"code": "float64"})):
        assert list(model.predict(rows)) == list(scores)
    assert kinds == {
        " a: b\n": "number",
        "Größe '\"": "number",
        "#day": "date",
        "code": "category",
        "paid": "number",
        "sent": "date",
        "prediction": "category",
    }


@pytest.mark.slow
@pytest.mark.skipif(FOREIGN not in os.environ, reason=f"{FOREIGN} names no folder")
@pytest.mark.parametrize(
    ("name", "target", "least"), [("adult", "income", 0.92), ("churn", "Churn", 0.83)]
)
def test_foreign_tables_reach_ordinary_scores(store, tmp_path, name, target, least):
    path = Path(os.environ[FOREIGN], f"{name}.csv")
    assert draft_and_train(store, tmp_path, path, target)["roc_auc"] > least
