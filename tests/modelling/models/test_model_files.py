"""A model file holds only trusted types, and has the digest of its content."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.estimators.preprocessing import describe_inputs
from modelling.models.features import column_kinds, fit_features
from modelling.models.model_files import check_trusted, model_digest
from modelling.models.sklearn_wrapper import apply_features, load_pipeline
from modelling.recipe import Features, Model

PROJECT = Path(__file__).parents[3]
MODELS = ["elastic_net", "ridge", "random_forest", "gradient_boosting", "hist_gradient_boosting"]

QUICK = {
    "random_forest": {"n_estimators": 10},
    "gradient_boosting": {"n_estimators": 10},
    "hist_gradient_boosting": {"max_iter": 10},
}

FIT_ALL = f"""
import json, sys
from pathlib import Path
import pandas as pd, skops.io
from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.models.features import fit_features
from modelling.models.model_files import model_digest
from modelling.recipe import load_recipe
from modelling.models.sklearn_wrapper import apply_features

recipe = load_recipe("recipes/wine_quality.yaml")
wines = pd.read_csv(recipe.data.path).astype("float64")
raw = wines.drop(columns="quality")
features = fit_features(raw, recipe.features)
digests = {{}}
for name in {MODELS}:
    pipeline = build_pipeline(recipe.models[name], {QUICK}.get(name, {{}}), 0)
    fit_pipeline(pipeline, apply_features(raw, features), wines["quality"])
    path = Path(sys.argv[1], name + "-elsewhere.skops")
    skops.io.dump(pipeline, path)
    digests[name] = model_digest(path, features)
print(json.dumps(digests))
"""


@pytest.fixture(scope="module")
def features(wines, wine_recipe):
    return fit_features(wines.drop(columns="quality"), wine_recipe.features)


@pytest.fixture(scope="module")
def save_model(wines, features, wine_recipe, tmp_path_factory):
    """Fits a model of the recipe with some other hyperparameters and saves it, once of a kind."""

    @cache
    def save(name, rows=None, **hyperparameters):
        quick = {**QUICK.get(name, {}), **hyperparameters}
        pipeline = build_pipeline(wine_recipe.models[name], quick, 0)
        table = wines if rows is None else wines.head(rows)
        inputs = apply_features(table.drop(columns="quality"), features)
        fit_pipeline(pipeline, inputs, table["quality"])
        path = tmp_path_factory.mktemp("models") / f"{name}.skops"
        skops.io.dump(pipeline, path)
        return path

    return save


def test_two_fits_in_two_processes_have_one_digest(save_model, features, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", FIT_ALL, str(tmp_path)],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "PYTHONHASHSEED": "12345",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    digests = {name: model_digest(save_model(name), features) for name in MODELS}
    assert json.loads(result.stdout.splitlines()[-1]) == digests
    assert len(set(digests.values())) == len(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_recipe_may_be_loaded(name, save_model):
    check_trusted(save_model(name))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("elastic_net", {"alpha": 0.02}),
        ("ridge", {"alpha": 2}),
        ("random_forest", {"random_state": 1}),
        ("gradient_boosting", {"max_depth": 2}),
        ("hist_gradient_boosting", {"learning_rate": 0.1}),
    ],
)
def test_another_parameter_is_another_digest(name, parameters, save_model, features):
    before = model_digest(save_model(name), features)
    assert before != model_digest(save_model(name, **parameters), features)


def test_other_rows_are_another_digest(save_model, features):
    assert model_digest(save_model("ridge"), features) != model_digest(
        save_model("ridge", rows=1000), features
    )


def test_other_features_are_another_digest(save_model, features):
    path = save_model("ridge")
    changed = {**features, "formulas": {"free sulfur share": 1.0}}
    assert model_digest(path, changed) != model_digest(path, features)


def test_what_lies_between_the_fields_of_a_record_is_no_content(tmp_path):
    record = np.dtype([("small", "u1"), ("large", "f8")], align=True)
    digests = []
    for number, (small, padding) in enumerate([(1, 0), (1, 255), (2, 0)]):
        nodes = np.frombuffer(bytes([small] + [padding] * 7) + bytes(8), dtype=record)
        skops.io.dump({"nodes": nodes}, tmp_path / f"{number}.skops")
        digests.append(model_digest(tmp_path / f"{number}.skops", {}))
    assert digests[0] == digests[1] != digests[2]


def test_a_pickle_has_a_digest_too(tmp_path, features):
    digests = set()
    for number, alpha in enumerate([1, 1, 2]):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(cloudpickle.dumps(Ridge(alpha=alpha)))
        digests.add(model_digest(path, features))
    assert len(digests) == 2


def test_stock_types_are_trusted(tmp_path):
    inputs = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    pipeline = make_pipeline(StandardScaler(), Ridge()).fit(inputs, [1, 2, 3])
    skops.io.dump(pipeline, tmp_path / "stock.skops")
    check_trusted(tmp_path / "stock.skops")


def test_other_types_are_refused_by_name(tmp_path, refusal):
    pipeline = make_pipeline(FunctionTransformer(np.testing.assert_equal), Ridge())
    skops.io.dump(pipeline, tmp_path / "other.skops")
    message = refusal(check_trusted, tmp_path / "other.skops")
    assert message == (
        f"the model holds types that skops does not trust: {np.testing.assert_equal.__module__}."
        "assert_equal; choose another estimator, or serialization: cloudpickle in the recipe"
    )


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_model_of_text_and_gaps_may_be_loaded(task, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "many": pd.Series([f"shop {n}" for n in rng.integers(0, 40, 200)]).astype("str"),
            "few": pd.Series(rng.choice(["a", "b"], 200)).astype("str"),
            "number": np.where(rng.random(200) < 0.1, np.nan, rng.normal(size=200)),
        }
    )
    fitted = fit_features(frame, Features(), column_kinds(frame, {}), may_miss=True)
    inputs = apply_features(frame, fitted)
    number = frame["number"].fillna(0) + rng.normal(size=200)
    linear = {"regression": "Ridge", "classification": "LogisticRegression"}[task]
    model = Model(estimator=f"sklearn.linear_model.{linear}", scale=True)
    pipeline = build_pipeline(model, {}, 0, task, describe_inputs(inputs, fitted))
    fit_pipeline(pipeline, inputs, number if task == "regression" else number > 0)
    path = tmp_path / "pipeline.skops"
    skops.io.dump(pipeline, path)
    check_trusted(path)
    loaded = load_pipeline(path)
    assert np.array_equal(loaded.predict(inputs), pipeline.predict(inputs))


@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
def test_two_fits_of_lightgbm_are_the_same_and_may_be_loaded(kind, wines, tmp_path):
    inputs, targets = wines.drop(columns="quality"), wines["quality"]
    task = {"Regressor": "regression", "Classifier": "classification"}[kind]
    model = Model(estimator=f"lightgbm.LGBM{kind}", parameters={"n_estimators": 5})
    digests = []
    for number in (1, 2):
        pipeline = build_pipeline(model, {"subsample": 0.5, "subsample_freq": 1}, 0, task)
        fit_pipeline(pipeline, inputs, targets)
        path = tmp_path / f"{number}.skops"
        skops.io.dump(pipeline, path)
        digests.append(model_digest(path, {}))
    assert digests[0] == digests[1]
    check_trusted(path)
    loaded = load_pipeline(path)
    assert np.array_equal(loaded.predict(inputs), pipeline.predict(inputs))
