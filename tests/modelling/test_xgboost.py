"""XGBoost works as LightGBM does, in an environment of its own lock."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np, pandas as pd
from modelling.models.estimators import build_pipeline, fit_pipeline
from modelling.models.sklearn_wrapper import TRUSTED_TYPES
from modelling.recipe import Model
import skops.io

rows = pd.DataFrame(np.random.default_rng(0).normal(size=(2000, 2)), columns=["a [b]", "c < d"])
numbers = rows.sum(axis=1)
inner = {"xgb": {"estimator": "xgboost.XGBClassifier", "parameters": {"n_estimators": 5}}}
CASES = (
    ("xgboost.XGBRegressor", {"n_estimators": 5}, numbers, "regression"),
    ("xgboost.XGBClassifier", {"n_estimators": 5}, (numbers > 0).astype(int), "classification"),
    (
        "sklearn.ensemble.VotingClassifier", {"voting": "soft", "estimators": inner},
        numbers.gt(0).map({True: "yes", False: "no"}), "classification",
    ),
)
for estimator, parameters, targets, task in CASES:
    if "Voting" in estimator:  # which hands the names of the columns on
        rows.columns = ["a", "b"]
    kept = []
    for _ in range(2):
        model = Model(estimator=estimator, parameters=parameters)
        fitted = fit_pipeline(build_pipeline(model, {}, 0, task), rows, targets)
        kept.append(skops.io.dumps(fitted))
    first, second = (skops.io.loads(each, trusted=list(TRUSTED_TYPES)) for each in kept)
    assert (first.predict(rows) == second.predict(rows)).all()
    assert (first.predict(rows) == fitted.predict(rows)).all()
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
