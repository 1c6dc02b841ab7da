"""The logged model travels alone: it loads without the project, and without pickle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skops.io.exceptions import UntrustedTypesFoundException

from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.models import sklearn_wrapper
from modelling.models.features import fit_features
from modelling.models.sklearn_wrapper import apply_features, load_pipeline
from modelling.recipe import Features

MODELS = ["elastic_net", "ridge", "random_forest", "gradient_boosting", "hist_gradient_boosting"]
QUICK = {
    "random_forest": {"n_estimators": 10},
    "gradient_boosting": {"n_estimators": 10},
    "hist_gradient_boosting": {"max_iter": 10},
}
PICKLE_ALLOWED = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"

# Loads a model of skops and one of cloudpickle where the project cannot be imported.
ELSEWHERE = """
import importlib.util, json, os, sys
import mlflow, pandas as pd
rows = pd.read_parquet("rows.parquet")
answer = {"imports": [name for name in ("modelling", "steps") if importlib.util.find_spec(name)]}
answer["skops"] = mlflow.pyfunc.load_model(sys.argv[1]).predict(rows).tolist()
try:
    mlflow.pyfunc.load_model(sys.argv[2])
except Exception as error:
    answer["refused"] = str(error)
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
answer["cloudpickle"] = mlflow.pyfunc.load_model(sys.argv[2]).predict(rows).tolist()
answer["modules"] = [name for name in sys.modules if name.split(".")[0] == "modelling"]
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def raw(wines):
    return wines.drop(columns="quality")


@pytest.fixture(scope="module")
def features():
    return Features(
        formulas={"free sulfur share": "`free sulfur dioxide` / `total sulfur dioxide`"},
        quantile_scores={"body": {"columns": {"alcohol": "rising", "density": "falling"}}},
    )


@pytest.fixture(scope="module")
def fitted(raw, features):
    return fit_features(raw, features)


def fit(name, raw, wines, fitted, recipe):
    pipeline = build_pipeline(recipe.models[name], QUICK.get(name, {}), 0)
    return fit_pipeline(pipeline, apply_features(raw, fitted), wines["quality"])


def log_model(pipeline_file, features_file):
    """Logs the model as the step train does, and returns where its files are."""
    return mlflow.pyfunc.log_model(
        name="wine",
        python_model=sklearn_wrapper.__file__,
        artifacts={"pipeline": str(pipeline_file), "features": str(features_file)},
        conda_env={"name": "none", "dependencies": ["python", "pip", {"pip": ["mlflow"]}]},
    ).artifact_path


@pytest.fixture
def tracked(tmp_path, make_database):
    """An experiment in a database of the test's own."""
    mlflow.set_tracking_uri(make_database(tmp_path))
    identity = mlflow.create_experiment("e", artifact_location=(tmp_path / "kept").as_uri())
    with mlflow.start_run(experiment_id=identity):
        yield
    mlflow.set_tracking_uri(None)


def test_a_logged_model_needs_neither_the_project_nor_pickle(
    raw, wines, fitted, wine_recipe, tmp_path, tracked
):
    pipeline = fit("gradient_boosting", raw, wines, fitted, wine_recipe)
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    (tmp_path / "pipeline.pkl").write_bytes(cloudpickle.dumps(pipeline))
    (tmp_path / "features.json").write_text(json.dumps(fitted), encoding="utf-8")
    uris = [
        log_model(tmp_path / name, tmp_path / "features.json")
        for name in ("pipeline.skops", "pipeline.pkl")
    ]
    folder = Path(uris[0].removeprefix("file://"))
    kept = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"sklearn_wrapper.py", "pipeline.skops", "features.json"} <= kept
    assert not [name for name in kept if name.endswith(".pkl")]

    (tmp_path / "elsewhere").mkdir()
    raw.head(50).to_parquet(tmp_path / "elsewhere" / "rows.parquet")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *uris],
        cwd=tmp_path / "elsewhere",
        env={**environment, PICKLE_ALLOWED: "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout.splitlines()[-1])
    expected = pipeline.predict(apply_features(raw.head(50), fitted)).tolist()
    assert answer["imports"] == answer["modules"] == []
    assert answer["skops"] == expected
    assert "pipeline.pkl is a pickle" in answer["refused"]
    assert PICKLE_ALLOWED in answer["refused"]
    assert answer["cloudpickle"] == expected


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_recipe_comes_back_from_skops(
    name, raw, wines, fitted, wine_recipe, tmp_path, monkeypatch
):
    monkeypatch.setenv(PICKLE_ALLOWED, "false")
    pipeline = fit(name, raw, wines, fitted, wine_recipe)
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    loaded = load_pipeline(tmp_path / "pipeline.skops")
    inputs = apply_features(raw, fitted)
    assert np.array_equal(loaded.predict(inputs), pipeline.predict(inputs))


def test_another_type_is_not_loaded(tmp_path):
    pipeline = make_pipeline(FunctionTransformer(np.testing.assert_equal), Ridge())
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    with pytest.raises(UntrustedTypesFoundException, match=r"numpy\.testing"):
        load_pipeline(tmp_path / "pipeline.skops")


def test_a_pickle_that_is_not_allowed_runs_nothing(tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    (tmp_path / "pipeline.pkl").write_bytes(cloudpickle.dumps(Trap()))
    monkeypatch.setenv(PICKLE_ALLOWED, "false")
    with pytest.raises(PermissionError, match=r"pipeline\.pkl is a pickle"):
        load_pipeline(tmp_path / "pipeline.pkl")
    assert not (tmp_path / "sprung").exists()
    monkeypatch.setenv(PICKLE_ALLOWED, "true")
    load_pipeline(tmp_path / "pipeline.pkl")
    assert (tmp_path / "sprung").exists()


def test_the_model_has_no_pickled_class_and_imports_no_project():
    source = Path(sklearn_wrapper.__file__).read_text(encoding="utf-8")
    assert "import modelling" not in source
    assert "from modelling" not in source


def test_columns_are_found_by_name_and_extra_ones_ignored(raw, fitted):
    expected = apply_features(raw, fitted)
    shuffled = raw[list(raw)[::-1]].assign(extra="text")
    pd.testing.assert_frame_equal(apply_features(shuffled, fitted), expected)


def test_a_row_alone_has_the_features_that_it_has_among_others(raw, fitted):
    together = apply_features(raw.head(20), fitted)
    alone = [apply_features(raw.iloc[[row]], fitted) for row in range(20)]
    pd.testing.assert_frame_equal(pd.concat(alone), together)


def test_a_missing_column_is_named(raw, fitted):
    with pytest.raises(KeyError, match="alcohol"):
        apply_features(raw.drop(columns="alcohol"), fitted)


def test_whole_numbers_are_as_good_as_floats(fitted, raw):
    rows = raw.head(5).round()
    pd.testing.assert_frame_equal(
        apply_features(rows.astype("int64"), fitted), apply_features(rows, fitted)
    )
