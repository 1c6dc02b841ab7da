"""Recipes with own code: MLflow Recipes' two examples against plain scripts, and its changes."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import yaml
from sklearn.compose import make_column_transformer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import f1_score, precision_score, recall_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelling.recipe import load_recipe
from steps.pipeline.dependencies import StepDependencies
from tests.end_to_end.git_daemon import git
from tests.end_to_end.store import artifact, clean_environment

PROJECT = Path(__file__).parents[3]
EXAMPLES = PROJECT / "recipes/examples"
NO_PICKLE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


@pytest.fixture(scope="module")
def fares(make_store):
    """The taxi fares, trained, registered and with their report, where no pickle may be read."""
    store = make_store()
    outcome = store.main("recipe=recipes/examples/taxi_fares.yaml", **NO_PICKLE)
    assert outcome.code == 0, outcome.terminal
    return store, outcome


def sides(outcome):
    prepared = outcome.step("prepare")
    return [pd.read_parquet(artifact(prepared, f"{side}.parquet")) for side in ("train", "test")]


@pytest.mark.slow
def test_taxi_fares_are_what_a_plain_script_gives(fares):
    store, outcome = fares

    def inputs(trips):
        pickup, dropoff = trips["tpep_pickup_datetime"], trips["tpep_dropoff_datetime"]
        return pd.DataFrame(
            {
                "weekday": pickup.dt.day_of_week,
                "hour": pickup.dt.hour,
                "distance": trips["trip_distance"],
                "minutes": (dropoff - pickup).dt.total_seconds() / 60,
            }
        )

    train, test = sides(outcome)
    assert len(train) + len(test) == 9961  # of 10,000, those whose fare and distance can be
    plain = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["weekday", "hour"]),
            (StandardScaler(), ["distance", "minutes"]),
        ),
        SGDRegressor(random_state=0),
    ).fit(inputs(train), train["fare_amount"])
    predicted, true = plain.predict(inputs(test)), test["fare_amount"]
    given = store.champion("taxi_fares").predict(test)
    # But for the last digits: the model predicts in blocks, so that a row has the same ones alone.
    assert np.allclose(given, predicted, rtol=1e-12)
    metrics = outcome.step("evaluate").data.metrics
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(true, predicted), rel=1e-12)
    weighted = np.average((predicted - true) ** 2, weights=1 / predicted)
    assert metrics["weighted_mse"] == pytest.approx(weighted, rel=1e-12)
    assert metrics["rmse"] < 10
    assert outcome.aliases == {"champion": 1}


@pytest.mark.slow
def test_the_code_is_with_the_run_and_in_the_model_and_its_plot_in_the_report(fares):
    _, outcome = fares
    written = (EXAMPLES / "taxi.py").read_text()
    assert artifact(outcome.parent, "code/taxi.py").read_text() == written
    trained = outcome.step("train")
    folder = outcome.client.get_logged_model(trained.outputs.model_outputs[0].model_id)
    assert Path(folder.artifact_location, "artifacts/taxi.py").read_text() == written
    assert "Error by hour" in artifact(outcome.parent, "report.html").read_text()


@pytest.mark.slow
def test_a_change_of_the_code_runs_the_steps_that_use_it(fares, make_store, tmp_path):
    store, before = fares
    for name in ("taxi.py", "taxi_fares.yaml"):
        shutil.copy(EXAMPLES / name, tmp_path)
    code = tmp_path / "taxi.py"
    code.write_text(code.read_text() + "\n# The same.\n")
    outcome = store.main(f"recipe={tmp_path}/taxi_fares.yaml", "until=train")
    assert outcome.terminal.count("reused from") == 2
    code.write_text(code.read_text().replace("/ 60", "/ 3600"))
    outcome = store.main(f"recipe={tmp_path}/taxi_fares.yaml", "until=train")
    reasons = [
        step.data.tags["pipeline.rerun_reason"] for step in map(outcome.step, ("prepare", "train"))
    ]
    assert reasons == ["taxi.py changed", "taxi.py changed"]
    # Both in one process, each with its own code.
    mlflow.set_tracking_uri(store.uri)
    try:
        old, new = (
            mlflow.pyfunc.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
            for run in (before.step("train"), outcome.step("train"))
        )
    finally:
        mlflow.set_tracking_uri(None)
    assert old.unwrap_python_model().features != new.unwrap_python_model().features
    _, test = sides(before)
    kept = pd.read_parquet(next(artifact(before.step("evaluate"), "predictions").glob("*")))
    assert np.array_equal(old.predict(test), kept["prediction"])
    minutes = {"old": 60, "new": 3600}
    for name, model in (("old", old), ("new", new)):
        rows = test.assign(tpep_dropoff_datetime=test["tpep_pickup_datetime"] + pd.Timedelta("1h"))
        fitted = model.unwrap_python_model()
        inputs, _, _ = fitted.predict_valid(rows)
        assert set(inputs["minutes"]) == {3600 / minutes[name]}


@pytest.mark.slow
def test_red_or_white_is_what_a_plain_script_says(make_store):
    store = make_store()
    outcome = store.main("recipe=recipes/examples/red_or_white.yaml", **NO_PICKLE)
    train, test = sides(outcome)
    assert len(train) + len(test) == 1599 + 4898
    plain = make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0))
    columns = [name for name in train if name not in ("row_key", "colour")]
    plain.fit(train[columns], train["colour"])
    true, said = test["colour"], plain.predict(test[columns])
    metrics = outcome.step("evaluate").data.metrics
    for name, function in (
        ("f1", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ):
        assert metrics[name] == function(true, said, pos_label="red") >= 0.6
    assert outcome.aliases == {"champion": 1}


@pytest.mark.parametrize(
    ("code", "step", "says"),
    [
        ("def f(table): return table['nothing']", "train", "own.py, line 1: f failed: KeyError"),
        ("def g(table): return table['pH']", "main", "unknown name in own.py 'f'; allowed: g"),
    ],
)
def test_what_is_wrong_with_own_code_is_one_line(code, step, says, make_store, tmp_path):
    recipe = write_recipe(tmp_path, code, "features:\n", "features:\n  functions: {f: own.f}\n")
    outcome = make_store().main(f"recipe={recipe}", "until=train")
    if step == "train":
        outcome.assert_refused(step, [says])
    else:
        assert outcome.code != 0
        assert says in outcome.terminal
        assert outcome.runs == []  # before any is made


def write_recipe(folder, code, before, after):
    """The wines' recipe with own code, and something else in it."""
    (folder / "own.py").write_text(code)
    text = (PROJECT / "recipes/wine_quality.yaml").read_text()
    assert text.count(before) == 1
    path = folder / "own.yaml"
    path.write_text(text.replace(before, after) + "\ncode: own.py\n")
    return path


SERVED = """
import json, sys
import mlflow, pandas as pd
from mlflow.pyfunc import scoring_server
rows, scores = pd.read_csv(sys.argv[2]), pd.read_csv(sys.argv[3])
model = mlflow.pyfunc.load_model(sys.argv[1])
asked = json.dumps({"dataframe_split": rows.head(20).to_dict(orient="split", index=False)})
schema = model.metadata.get_input_schema()
answer = scoring_server.invocations(asked, "application/json", model, schema)
assert json.loads(answer.response)["predictions"] == scores["prediction"].head(20).tolist()
assert (pd.Series(model.predict(rows)) == scores["prediction"]).all()
assert not {"steps", "modelling"} & sys.modules.keys()
"""


@pytest.mark.slow
def test_own_code_and_lightgbm_are_swept_scored_served_and_made_again_though_a_file_has_changed(
    make_store, tmp_path, tmp_path_factory
):
    code = """
import numpy as np
from sklearn.linear_model import Ridge

class Cautious(Ridge):
    def __init__(self, alpha=1.0, share=0.0):
        super().__init__(alpha=alpha)
        self.share = share
    def fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return super().fit(X, y)
    def predict(self, X):
        return (1 - self.share) * super().predict(X) + self.share * self.mean_

def off(predictions, targets):
    return float((predictions - targets).abs().mean())
"""
    recipe = write_recipe(
        tmp_path, code, "estimator: sklearn.linear_model.Ridge\n", "estimator: own.Cautious\n"
    )
    content = yaml.safe_load(recipe.read_text())
    content["models"]["trees"] = {
        "estimator": "lightgbm.LGBMRegressor",
        "early_stopping": 10,
        "parameters": {"n_estimators": 400},
    }
    content["metrics"]["functions"] = {"off": {"function": "own.off", "greater_is_better": False}}
    content["metrics"]["primary"] = "off"
    del content["sweep"]
    recipe.write_text(yaml.safe_dump(content))
    store, empty = make_store(), tmp_path_factory.mktemp("empty")
    swept = store.step(
        "sweep", f"recipe={recipe}", "model=ridge,trees", "ridge.share=0.5,1", "folds=3",
        "pruner=median", **NO_PICKLE
    )  # fmt: skip
    assert swept.code == 0, swept.terminal
    sweep = swept.of("sweep")
    assert sweep.data.tags["pipeline.model"] == "trees"
    assert sweep.data.metrics["trials_complete"] == 3  # one of trees, two of own code
    trained = swept.client.get_run(sweep.data.tags["pipeline.step.train.run_id"])
    rounds = int(trained.data.metrics["rounds"])
    assert 1 < rounds < 400
    assert f"train: {rounds} rounds of at most 400, by early stopping" in swept.terminal
    assert "rounds, by early stopping" in artifact(sweep, "report.html").read_text()
    model = store.champion("wine_quality").unwrap_python_model()
    # And not those that were no better after it.
    assert model.pipeline["estimator"].booster_.current_iteration() == rounds
    wines, scores = PROJECT / "data/red-wine-quality.csv", empty / "scores.csv"
    scored = store.step(
        "score", f"recipe={recipe}", f"input={wines}", f"output={scores}", **NO_PICKLE
    )
    assert scored.code == 0, scored.terminal
    logged = swept.client.get_logged_model(trained.outputs.model_outputs[0].model_id)
    subprocess.run(
        [sys.executable, "-c", SERVED, logged.artifact_location, wines, scores],
        cwd=empty,
        env={**clean_environment(), **NO_PICKLE},
        check=True,
    )
    (tmp_path / "own.py").write_text(code.replace(".mean())", ".max())"))
    again = store.step("reproduce", f"run_id={sweep.info.run_id}")
    assert again.code == 0, again.terminal
    assert again.of("reproduce").data.tags["pipeline.verdict"] == "identical"


def commit_taxi_fares(folder, **others):
    """Makes a team's repository of the taxi fares, with 2000 trips; returns its recipe."""
    for name in ("recipes", "data"):
        (folder / name).mkdir(parents=True)
    for name in ("taxi.py", "taxi_fares.yaml"):
        shutil.copy(EXAMPLES / name, folder / "recipes")
    trips = pd.read_parquet(PROJECT / "data/taxi-trips.parquet").head(2000)
    trips.to_parquet(folder / "data/trips.parquet")
    recipe = folder / "recipes/taxi_fares.yaml"
    recipe.write_text(recipe.read_text().replace("data/taxi-trips.parquet", "data/trips.parquet"))
    for name, text in others.items():
        (folder / name.replace("_", ".")).write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return recipe


@contextmanager
def serve_store(store):
    """Serves a store with its files by `mlflow server`, as a team's does; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    words += ["--artifacts-destination", str(store.folder / "served"), "--port", str(port)]
    words += ["--workers", "1"]
    server = subprocess.Popen(
        words,
        env={**clean_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        cwd=store.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(requests.ConnectionError):
                requests.get(f"{address}/health", timeout=5)
                break
            assert server.poll() is None
            time.sleep(0.3)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


@pytest.mark.slow
def test_two_colleagues_share_what_is_done_and_a_third_makes_it_again(make_store, tmp_path):
    """By the team's server, from clones at different paths, of which one has a diff."""
    store, second = make_store(), tmp_path / "clone of B"
    first = tmp_path / "équipe A"
    lock = (PROJECT / "requirements.lock").read_text() + f"pytest=={version('pytest')}\n"
    digest = hashlib.sha256(lock.encode()).hexdigest()
    recipe = commit_taxi_fares(first, requirements_lock=lock)
    git(tmp_path, "clone", "-q", "équipe A", str(second))
    commit = git(second, "rev-parse", "HEAD")
    (first / "mlruns").mkdir()
    (first / "mlruns/of_the_store").touch()
    with (first / "README.md").open("w") as file:
        file.write("not committed")
    with serve_store(store) as address:
        server = {"MLFLOW_TRACKING_URI": address}
        outcomes = [
            store.main(f"recipe={folder}/recipes/taxi_fares.yaml", **server)
            for folder in (first, second)
        ]
        for outcome, status, is_dirty in zip(
            outcomes, ("ran", "reused"), ("true", "false"), strict=True
        ):
            assert outcome.code == 0, outcome.terminal
            tags = outcome.parent.data.tags
            steps = ("prepare", "train", "evaluate", "register")
            assert {tags[f"pipeline.step.{step}.status"] for step in steps} == {status}
            assert tags["pipeline.workspace_commit"] == commit
            assert tags["pipeline.workspace_dirty"] == is_dirty
            assert tags["pipeline.workspace_lock_sha256"] == digest
            assert outcome.parent.info.artifact_uri.startswith("mlflow-artifacts:")
        assert outcomes[1].aliases == {"champion": 1}

        def read(uri):
            file = mlflow.artifacts.download_artifacts(uri, tracking_uri=address)
            return Path(file).read_text()

        run_id = outcomes[0].parent.info.run_id
        assert read(f"runs:/{run_id}/workspace_requirements.lock") == lock
        diff = read(f"runs:/{run_id}/workspace_diff.txt")
        assert "not committed" in diff
        assert "of_the_store" not in diff
        (model,) = outcomes[0].step("train").outputs.model_outputs
        place = store.client.get_logged_model(model.model_id).artifact_location
        facts = yaml.safe_load(read(f"{place}/MLmodel"))["metadata"]
        assert facts["workspace_commit"] == commit
        # What it was is made again from there: the table is gone, the recipe is another.
        (first / "data/trips.parquet").unlink()
        recipe.write_text(recipe.read_text().replace("SGDRegressor", "HuberRegressor"))
        (first / "requirements.lock").write_text("not what it was")
        git(first, "add", "-A")
        git(first, "commit", "-qm", "second")
        made = store.step("reproduce", f"run_id={run_id}", **server)
    assert made.code == 0, made.terminal
    assert f"the recipe is of commit {commit[:12]} of its own repository" in made.terminal
    assert made.of("reproduce").data.tags["pipeline.verdict"] == "identical"
    tags = made.of("main").data.tags
    assert tags["pipeline.workspace_commit"] == commit
    assert tags["pipeline.workspace_dirty"] == "true"  # with the diff of then


def test_prepare_asks_the_filter_and_the_split_and_runs_again_when_they_change(
    make_store, tmp_path
):
    code = """
def is_light(wines):
    return wines["alcohol"] < 13

def side(wines):
    return ["test" if each > 5 else "train" for each in wines["residual sugar"]]
"""
    recipe = write_recipe(tmp_path, code, "\ndata:\n", "\ndata:\n  filter: own.is_light\n")
    text = recipe.read_text()
    assert text.count("  method: hash ") == 1
    recipe.write_text(text.replace("  method: hash ", "  function: own.side\n  method: own "))
    wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
    kept = wines[wines["alcohol"] < 13]
    prepared = make_store().step("prepare", f"recipe={recipe}")
    assert prepared.code == 0, prepared.terminal
    left_out = len(wines) - len(kept)
    assert f"prepare: {left_out} rows left out, as data.filter says" in prepared.terminal
    metrics = prepared.of("prepare").data.metrics
    assert metrics["rows_left_out_filter"] == left_out
    assert metrics["test_rows"] == (kept["residual sugar"] > 5).sum()
    changed = code.replace("> 5", "> 4")
    before, after = (
        StepDependencies(PROJECT, load_recipe(recipe)).of_prepare("d", "sha")
        for text in (code, changed)
        if (tmp_path / "own.py").write_text(text)
    )
    assert before.inputs.keys() == after.inputs.keys() >= {"own.py"}
    assert before.inputs["own.py"] != after.inputs["own.py"]
