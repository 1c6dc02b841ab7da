"""What the description of a run that scored says."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from modelling.recipe import load_recipe
from steps import score

PROJECT = Path(__file__).parents[2]
WINES = load_recipe("recipes/wine_quality.yaml", PROJECT)
DRIFTED = {"column": "<b>[a](b)", "psi": 1.0, "bin": "'*x*'", "in training": 0.1, "now": 0.9}


@pytest.fixture
def tags(monkeypatch):
    """The tags that are set, while nothing else is logged."""
    found = {}
    monkeypatch.setattr(mlflow, "set_tags", found.update)
    monkeypatch.setattr(
        mlflow, "active_run", lambda: SimpleNamespace(info=SimpleNamespace(run_id="0123"))
    )
    monkeypatch.setattr(score, "log_drift", lambda *_: pd.DataFrame([DRIFTED]))
    for name in ("log_table", "log_metrics"):
        monkeypatch.setattr(score, name, lambda *_: None)
    return found


def test_the_data_means_nothing_in_the_description(tags, tmp_path):
    request = score.Request("new_rows.csv", None, [], tmp_path / "o", tmp_path / "_r_", 10)
    sample = [pd.DataFrame({"scored_at": ["now"]})]
    result = score.Result(10, 9, 1, 1.0, "row 1: '<i>' is no number", sample)
    score._report(request, WINES, result, "3", None)
    assert not set(tags[MLFLOW_RUN_NOTE]) & set("*[]<>_`")
