"""Rows that belong together stay together: in the split, the folds and the comparison."""

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow


def write_recipe(folder, frame):
    """A recipe for patients with several rows each, of which each tells the patient's state."""
    table = folder / "patients.csv"
    frame.to_csv(table, index=False)
    recipe = {
        "name": "patients",
        "task": "classification",
        "data": {
            "path": str(table),
            "target": "state",
            "positive_class": "ill",
            "drop": ["note"],
            "columns": {"a": {}, "b": {}},
        },
        "split": {"method": "group", "column": "patient", "test_size": 0.3},
        "decision": {"threshold": "tuned", "metric": "f1"},
        "models": {
            "line": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "tree": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
        },
        "gate": {"roc_auc": {"threshold": 0.0}},
    }
    path = folder / "patients.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return str(path)


def test_no_patient_is_on_both_sides_and_a_memory_of_patients_is_worth_nothing(
    make_store, tmp_path, read_artifact
):
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(150), 8)
    own = rng.normal(size=(150, 2))[patient] + rng.normal(scale=0.01, size=(1200, 2))
    frame = pd.DataFrame(own, columns=["a", "b"]).assign(
        patient=[f"P{number:03}" for number in patient],
        note="none",
        state=np.where(rng.random(150) < 0.5, "ill", "well")[patient],
    )
    recipe = write_recipe(tmp_path, frame)
    store = make_store()
    runs = store.steps(recipe, model="tree")
    numbers = pd.read_parquet(read_artifact(runs["prepare"], "test_row_numbers.parquet"))
    tested = frame["patient"].iloc[numbers["row"] - 1]
    trained = frame["patient"].drop(tested.index)
    assert not {*tested} & {*trained}
    assert numbers["group"].nunique() == tested.nunique()
    assert abs(runs["evaluate"].data.metrics["roc_auc"] - 0.5) < 0.15
    assert "split.column" not in runs["prepare"].data.tags["pipeline.columns_left_out"]
    again = store.steps(recipe, model="line")["register"]
    rows = pd.read_json(read_artifact(again, "gate.json"), orient="split")
    assert "champion" in rows["check"].tolist()
