"""XGBoost works as LightGBM does, in an environment of its own lock."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np, pandas as pd
from modelling.fitting.early_stopping import find_rounds
from modelling.estimators.estimators import build_pipeline, estimator_parameters, fit_pipeline
from modelling.models.features import column_kinds, fit_features
from modelling.estimators.preprocessing import describe_inputs
from modelling.models.row_details import explain_exactly
from modelling.models.sklearn_wrapper import TRUSTED_TYPES, apply_features
from modelling.recipe import Features, Recipe
from modelling.reporting.model_card import describe_pipeline
import skops.io

rows = pd.DataFrame(np.random.default_rng(0).normal(size=(2000, 2)), columns=["a [b]", "c < d"])
numbers = rows.sum(axis=1) + np.random.default_rng(1).normal(size=2000)
labels = numbers.gt(0).map({True: "yes", False: "no"})
CASES = (
    ("xgboost.XGBRegressor", numbers, "regression"),
    ("xgboost.XGBClassifier", (numbers > 0).astype(int), "classification"),
    ("xgboost.XGBClassifier", labels, "classification"),
)
for estimator, targets, task in CASES:
    given = {} if task == "regression" else {"n_estimators": 100}
    recipe = Recipe.model_validate({
        "name": "r", "task": task, "data": {"path": "t.csv", "target": "y"},
        "models": {"m": {
            "estimator": estimator, "early_stopping": 5, "parameters": given
        }},
    })
    rounds = find_rounds(recipe, "m", {}, rows, targets, None, {})
    assert 1 < rounds.best < 100
    pipeline = build_pipeline(recipe.models["m"], rounds.parameters, 0, task)
    assert estimator_parameters(pipeline)["n_estimators"] == rounds.best
    kept = []
    for _ in range(2):
        unfitted = build_pipeline(recipe.models["m"], rounds.parameters, 0, task)
        fitted = fit_pipeline(unfitted, rows, targets)
        kept.append(skops.io.dumps(fitted))
    first, second = (skops.io.loads(each, trusted=list(TRUSTED_TYPES)) for each in kept)
    assert (first.predict(rows) == second.predict(rows)).all()
    assert (first.predict(rows) == fitted.predict(rows)).all()
    if task == "classification":
        assert list(first.classes_) == sorted(set(targets))
        assert (first.predict(rows) == targets).mean() > 0.7
        # What numbers the classes around it has none of its own to show.
        assert len(describe_pipeline(first)["weights"]["values"]) == 2
    # It says itself what each column contributes, with a gap and a category among them.
    frame = pd.DataFrame({"a": rows.iloc[:, 0], "b": rows.iloc[:, 1].where(rows.iloc[:, 1] < 1)})
    frame["c"] = pd.Series(np.where(rows.iloc[:, 0] > 0.5, "x", "y")).astype("str")
    features = fit_features(frame, Features(), column_kinds(frame, {}), True)
    inputs = apply_features(frame, features)
    pipeline = build_pipeline(recipe.models["m"], {}, 0, task, describe_inputs(inputs, features))
    fit_pipeline(pipeline, inputs, targets)
    if task == "classification":
        values = pipeline.predict_proba(inputs)[:, 1]
    else:
        values = pipeline.predict(inputs)
    told = explain_exactly(pipeline, inputs, features, values, 1)
    assert told.columns == ("a", "b", "c")
    assert np.allclose(told.base + told.contributions.sum(axis=1), values, rtol=1e-9, atol=1e-9)
    assert (np.abs(told.contributions).max(axis=0)[:2] > 0.01).all()
"""


@pytest.mark.exhaustive
def test_it_is_kept_without_pickle_and_fits_the_same(tmp_path):
    uv, python = [sys.executable, "-m", "uv"], tmp_path / "env/bin/python"
    lock = PROJECT / "requirements-boosting.lock"
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, "-r", lock], check=True)
    done = subprocess.run(
        [python, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
