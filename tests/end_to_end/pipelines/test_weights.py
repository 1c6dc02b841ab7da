"""Rows that weigh nothing are not there: in the fit, the figures, the gate, a sweep and later."""

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Two classes, of which rows without weight say the opposite."""
    folder = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    weight = rng.integers(0, 3, 600)
    state = (frame["a"] + rng.normal(scale=0.5, size=600) > 0) ^ (weight == 0)
    frame = frame.assign(weight=weight, state=np.where(state, "ill", "well"))
    frame.to_csv(folder / "patients.csv", index=False)
    (folder / "own.py").write_text(
        "def share(predictions, targets, sample_weight):\n"
        "    return float(sample_weight @ (predictions == targets) / sample_weight.sum())\n"
    )
    recipe = {
        "name": "weighed",
        "code": "own.py",
        "metrics": {"functions": {"share": {"function": "own.share", "greater_is_better": True}}},
        "task": "classification",
        "data": {
            "path": str(folder / "patients.csv"),
            "target": "state",
            "weight": "weight",
            "where": "a < 2",
            "positive_class": "ill",
        },
        "decision": {"threshold": "tuned", "metric": "f1"},
        "sampling": {"method": "class_weight"},
        "models": {
            "line": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "tree": {
                "estimator": "sklearn.tree.DecisionTreeClassifier",
                "parameters": {"max_depth": 3},
            },
        },
        "gate": {"roc_auc": {"threshold": 0.8}},
    }
    path = folder / "weighed.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def runs_log(read_artifact, runs):
    return read_artifact(runs["evaluate"], "logs/evaluate.log").read_text("utf-8").splitlines()


def test_the_weights_reach_every_figure(make_store, recipe, read_artifact):
    store = make_store()
    runs = store.steps(str(recipe))
    assert "prepare: a row counts as its 'weight' says, 0 to 2" in read_artifact(
        runs["prepare"], "logs/prepare.log"
    ).read_text(encoding="utf-8")
    metrics = runs["evaluate"].data.metrics
    assert metrics["roc_auc"] > 0.9 > metrics["dummy_roc_auc"] == 0.5
    assert metrics["roc_auc_low"] > 0.85
    assert metrics["share"] == pytest.approx(metrics["accuracy"]) != 0.5
    assert not [line for line in runs_log(read_artifact, runs) if "Error" in line]
    assert metrics["train_roc_auc"] > 0.9
    tested = pd.read_parquet(read_artifact(runs["prepare"], "test_row_numbers.parquet"))
    outcomes = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert sum(metrics[name] for name in outcomes) == tested["weight"].sum()
    prepared = f"prepare_run_id={runs['prepare'].info.run_id}"
    named = [f"recipe={recipe}", prepared]
    tree = store.step("train", *named, "model=tree").of("train")
    model = f"model_uri=models:/{tree.outputs.model_outputs[0].model_id}"
    tested = store.step("evaluate", *named, model).of("evaluate")
    again = store.step(
        "register",
        f"recipe={recipe}",
        f"evaluate_run_id={tested.info.run_id}",
        f"champion_run_id={runs['evaluate'].info.run_id}",
    ).of("register")
    rows = pd.read_json(read_artifact(again, "gate.json"), orient="split")
    against = rows[rows["check"] == "champion"].iloc[0]
    assert against["reference"] == pytest.approx(metrics["roc_auc"])
    table = recipe.parent / "patients.csv"
    watched = store.step("monitor", f"recipe={recipe}", f"data={table}")
    assert watched.code == 0, watched.terminal
    now = watched.of("monitor").data.metrics
    assert now["roc_auc"] > 0.9
    left_out = runs["prepare"].data.metrics["rows_left_out_where"]
    assert now["rows_left_out_where"] == left_out == 600 - now["rows"] > 0
    assert f"left out: {left_out:.0f} by data.where" in watched.terminal
