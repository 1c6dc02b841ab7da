"""A model whose files were changed where the artifacts are: no step runs anything of it."""

import json
import shutil
from pathlib import Path
from urllib.parse import urlparse

import mlflow
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skops.io.exceptions import UntrustedTypesFoundException

PROJECT = Path(__file__).parents[3]
WINES = PROJECT / "data/red-wine-quality.csv"
WITNESS = "raise SystemExit('the code of the model was run')\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(make_store):
    """Has a champion."""
    return make_store(like="champion")


@pytest.fixture
def files(store, tmp_path):
    """The champion's files, which are as before afterwards."""
    (model,) = store.client.search_logged_models(["1"])
    folder = Path(urlparse(model.artifact_location).path)
    shutil.copytree(folder, tmp_path / "kept")
    yield folder
    shutil.rmtree(folder)
    shutil.move(tmp_path / "kept", folder)


def swap_type(folder):
    """Puts a function of numpy's into the Pipeline, as one that runs commands would be."""
    (path,) = (folder / "artifacts").glob("*.skops")
    skops.io.dump(make_pipeline(FunctionTransformer(pd.read_pickle)), path)
    return path


def change_a_number(folder):
    path = folder / "artifacts/features.json"
    features = json.loads(path.read_text())
    features["formulas"]["free sulfur share"] = 1.0
    path.write_text(json.dumps(features))
    return path


def change_code(folder):
    path = folder / "sklearn_wrapper.py"
    path.write_text(WITNESS + path.read_text())
    return path


def change_environment(folder):
    path = folder / "conda.yaml"
    path.write_text(path.read_text().replace("scikit-learn==", "scikit-evil=="))
    return path


def _evaluate(store):
    prepared = next(run for run in store.runs() if "train_rows" in run.data.metrics)
    return [f"prepare_run_id={prepared.info.run_id}", "model_uri=models:/wine_quality/1"]


def _score(store):
    return [f"input={WINES}", f"output={store.folder / 'scores.csv'}"]


def _monitor(_store):
    return [f"data={WINES}"]


@pytest.mark.parametrize(
    ("step", "parameters", "change"),
    [
        ("evaluate", _evaluate, swap_type),
        ("score", _score, change_a_number),
        ("score", _score, change_environment),
        ("monitor", _monitor, change_code),
    ],
)
def test_no_step_runs_a_model_that_was_changed(store, files, step, parameters, change):
    name = change(files).relative_to(files).as_posix()
    outcome = store.step(step, *parameters(store))
    words = [f"{name} was altered since it was logged, so nothing of it was run"]
    outcome.assert_refused(step, words, parent=False)
    assert not (store.folder / "scores.csv").exists()


def test_a_model_is_made_judged_and_registered_without_a_pickle(template):
    """The template forbids pickles there; its champion then is a forest, the new model a ridge."""
    outcome = template("wines").outcomes["weaker"]
    assert outcome.parent.data.tags["pipeline.verdict"] == "challenger"
    assert outcome.aliases == {"champion": 2, "challenger": 3}


def test_the_model_as_it_was_scores_without_a_pickle(store):
    outcome = store.step("score", *_score(store), MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false")
    assert outcome.code == 0, outcome.terminal
    assert len(pd.read_csv(store.folder / "scores.csv")) == 1599


def test_mlflow_alone_notices_damage(files):
    change_a_number(files)
    with pytest.raises(ValueError, match=r"features\.json is not as it was when the model was"):
        mlflow.pyfunc.load_model(str(files))


def test_mlflow_alone_loads_no_untrusted_type_even_where_the_digests_fit(files):
    path = swap_type(files)
    description = yaml.safe_load((files / "MLmodel").read_text())
    description["flavors"]["python_function"]["config"]["sha256"].pop(path.name)
    (files / "MLmodel").write_text(yaml.safe_dump(description))
    with pytest.raises(UntrustedTypesFoundException, match="read_pickle"):
        mlflow.pyfunc.load_model(str(files))
