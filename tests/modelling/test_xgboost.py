"""XGBoost works as LightGBM does, in an environment of its own lock."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np, pandas as pd
from modelling.models.early_stopping import find_rounds
from modelling.models.estimators import build_pipeline, estimator_parameters, fit_pipeline
from modelling.models.row_details import explain_exactly
from modelling.models.sklearn_wrapper import TRUSTED_TYPES
from modelling.models.training import fit_inputs
from modelling.recipe import Recipe
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
    recipe = Recipe.model_validate({
        "name": "r", "task": task, "data": {"path": "t.csv", "target": "y"},
        "models": {"m": {
            "estimator": estimator, "early_stopping": 5, "parameters": {"n_estimators": 100}
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
        kinds, sure = fit_inputs(recipe, rows).features, first.predict_proba(rows)[:5, 1]
        assert explain_exactly(first, rows.head(5), kinds, sure, 1)
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
