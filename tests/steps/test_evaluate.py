"""The recipe's own checks of a model, and what is kept of what all found."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest

from common.errors import InputError
from modelling.judging.checks import NOTE, SEVERE, Finding
from modelling.recipe import Recipe, load_recipe
from steps import evaluate
from steps.pipeline.answer import count_positives, read_cautions, read_quality
from steps.runs.names import CHECKS

CODE = """
def low(rows):
    return f"{(rows['prediction'] < 0).sum()} predictions are below 0"
def nothing(rows):
    return None
def wrong(rows):
    return 3
"""


def evaluation(**functions):
    """Of a model that said 1 and -1 of two rows."""
    content = {
        "name": "own",
        "task": "regression",
        "code": {"own.py": CODE},
        "data": {"path": "t.csv", "target": "y"},
        "models": {"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
        "checks": {"functions": functions},
    }
    test = pd.DataFrame({"row_key": [1, 2], "a": [0.0, 1.0], "y": [0.0, 1.0]})
    table = pd.DataFrame({"prediction": [1.0, -1.0]})
    return SimpleNamespace(recipe=Recipe.model_validate(content), test=test, table=table)


def test_an_own_check_is_given_the_rows_with_the_predictions():
    low, fine = evaluate._own_checks(evaluation(below_zero="own.low", fine="own.nothing"))
    assert low == Finding("below_zero", "Below zero", SEVERE, "1 predictions are below 0")
    assert fine.sentence == ""
    with pytest.raises(
        InputError, match=r"own\.wrong gave 3; a check gives nothing, or a sentence"
    ):
        evaluate._own_checks(evaluation(wrong="own.wrong"))


def test_the_severe_findings_are_told_unless_they_are_muted(tmp_path, make_database):
    mlflow.set_tracking_uri(make_database(tmp_path))
    findings = [
        Finding("leak", "Leak", SEVERE, "a tells"),
        Finding("few_rows", "Few", SEVERE, "2 rows"),
        Finding("shared_rows", "Shared", SEVERE, ""),
        Finding("slow", "Slow", NOTE, "slow"),
    ]
    with mlflow.start_run(experiment_id="0") as run:
        evaluate._log_checks(findings)
    run = mlflow.get_run(run.info.run_id)
    assert json.loads(run.data.tags[CHECKS]) == {"leak": "a tells", "few_rows": "2 rows"}
    assert read_cautions(run, mute=["few_rows"]) == ["a tells"]
    logged = (tmp_path / "mlruns" / "0" / run.info.run_id / "artifacts" / "checks.json").read_text()
    assert [row[0] for row in json.loads(logged)["data"]] == [one.code for one in findings]
    mlflow.set_tracking_uri(None)


@pytest.mark.parametrize(("weight", "expected"), [(None, 5), ("w", math.nan)])
def test_a_sum_of_weights_is_no_number_of_rows(weight, expected):
    recipe = SimpleNamespace(data=SimpleNamespace(weight=weight))
    metrics = {"true_positives": 3.0, "false_negatives": 2.0}
    run = SimpleNamespace(data=SimpleNamespace(metrics=metrics))
    assert count_positives(run, recipe) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("primary", "naive"),
    [
        ("accuracy", "most common class"),
        ("log_loss", "share of each class"),
        ("brier_score", "share of each class"),
    ],
)
def test_the_naive_answer_to_a_probability_is_the_share_of_each_class(primary, naive):
    churn = load_recipe("recipes/customer_churn.yaml", Path(__file__).parents[2])
    metrics = churn.metrics.model_copy(update={"primary": primary})
    recipe = churn.model_copy(update={"metrics": metrics})
    data = SimpleNamespace(metrics={primary: 0.4, f"dummy_{primary}": 0.6}, tags={})
    assert read_quality(SimpleNamespace(data=data), recipe).naive == f"always saying the {naive}"
