"""A text, an ordinal, dates in formulas and a condition of rows go all the way to the champion."""

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException

pytestmark = pytest.mark.slow

ROWS = 500


def reviews():
    """Reviews of which a word, the size and the hour tell whether the parcel comes back."""
    rng = np.random.default_rng(0)
    returned = rng.random(ROWS) < 0.4
    usual = ["battery", "screen", "parcel", "colour", "price", "box", "cable"]
    hours = np.where(returned, rng.integers(0, 12, ROWS), rng.integers(6, 24, ROWS))
    return pd.DataFrame(
        {
            "review": [
                " ".join(
                    [*rng.choice(usual, 6), "broke" if back and rng.random() < 0.9 else "fine"]
                )
                for back in returned
            ],
            "size": rng.choice(["S", "M", "L"], ROWS),
            "ordered": pd.Timestamp("2026-01-01") + pd.to_timedelta(hours, "h"),
            "price": np.where(np.arange(ROWS) % 10 == 0, -1, rng.integers(5, 90, ROWS)),
            "back": np.where(returned, "yes", "no"),
        }
    )


def write_recipe(folder, frame):
    table = folder / "reviews.csv"
    frame.to_csv(table, index=False)
    recipe = {
        "name": "reviews",
        "task": "classification",
        "data": {
            "path": str(table),
            "target": "back",
            "positive_class": "yes",
            "where": "price > 0 and ordered >= '2026-01-01'",
            "columns": {
                "review": {"type": "text", "missing": 0.1},
                "size": {"type": "ordinal", "order": ["S", "M", "L"]},
                "ordered": {"type": "date"},
                "price": {"type": "integer"},
            },
        },
        "features": {
            "formulas": {"is_early": "if(hour(ordered) < 12, 1, 0)", "dear": "log1p(price)"}
        },
        "models": {
            "trees": {
                "estimator": "sklearn.ensemble.RandomForestClassifier",
                "parameters": {"n_estimators": 30},
            }
        },
    }
    path = folder / "reviews.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return str(path)


def test_they_go_all_the_way(make_store, tmp_path, read_artifact):
    frame = reviews()
    store = make_store()
    outcome = store.main(f"recipe={write_recipe(tmp_path, frame)}")
    assert outcome.code == 0, outcome.terminal
    assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
    prepared = outcome.step("prepare").data.metrics
    assert prepared["rows_left_out_where"] == 50
    assert outcome.step("evaluate").data.metrics["roc_auc"] > 0.95
    model = store.champion("reviews")
    one = {"review": None, "size": "M", "ordered": "2026-01-01 13:30", "price": 20}
    told = [one, one | {"review": "it broke", "ordered": "2026-01-01 01:00"}]
    assert model.predict(pd.DataFrame(told)).tolist() == ["no", "yes"]
    with pytest.raises(MlflowException, match="column 'size': 'XL' is none of S, M, L"):
        model.predict(pd.DataFrame([one | {"size": "XL"}]))
    report = read_artifact(outcome.parent, "report.html").read_text(encoding="utf-8")
    assert "50 by data.where" in report
