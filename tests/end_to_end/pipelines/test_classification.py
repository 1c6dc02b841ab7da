"""Classification through the front door: the churn recipe, and labels of every kind."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_iris, load_wine

RECIPE = Path("recipes/customer_churn.yaml")
CHURN = f"recipe={RECIPE}"
PLOTS = {
    *("confusion", "roc", "precision_recall", "calibration", "lift", "score_distribution"),
    "permutation_importance",
}
TABLE = Path("data/customer_data.csv")
OTHER_MODELS = {
    "gradient_boosting": {"n_estimators": 20},
    "hist_gradient_boosting": {"max_iter": 20},
    "random_forest": {"n_estimators": 20},
}


@pytest.fixture(scope="module")
def churn(template):
    """The fastest model of the churn recipe, from the table to the registry; to be read only."""
    made = template("churn")
    return made.store, made.outcomes["first"]


@pytest.fixture(scope="module")
def churn_store(make_store):
    return make_store(like="churn")


def test_churn_is_promoted_for_money_per_customer(churn):
    _, outcome = churn
    metrics = outcome.parent.data.metrics
    assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
    assert outcome.aliases == {"champion": 1}
    assert metrics["business_score"] > metrics["dummy_business_score"] + 0.5
    assert 0.80 < metrics["roc_auc"] < 0.87
    assert metrics["dummy_roc_auc"] == 0.5
    counts = [metrics[f"{side}_{kind}"] for side in ("true", "false") for kind in _KINDS]
    assert sum(counts) == outcome.step("prepare").data.metrics["test_rows"] == 2000
    worth = 20 * metrics["true_positives"] - 10 * metrics["false_positives"]
    assert metrics["business_score"] == pytest.approx(worth / 2000)


_KINDS = ("positives", "negatives")


def test_churn_has_its_plots_and_no_word_too_many(churn, read_artifact):
    store, outcome = churn
    evaluated = outcome.step("evaluate")
    names = [file.path for file in store.client.list_artifacts(evaluated.info.run_id)]
    drawn = {name.removesuffix(".png") for name in names if name.endswith(".png")}
    assert drawn == PLOTS  # each once: MLflow's evaluator draws none of its own
    assert all(read_artifact(evaluated, f"{name}.png").stat().st_size for name in PLOTS)
    assert "Warning" not in outcome.terminal
    assert "WARNING" not in outcome.terminal


def test_the_logged_model_gives_labels_and_probabilities(churn, read_artifact):
    store, outcome = churn
    model = store.champion("customer_churn")
    rows = pd.read_csv("data/customer_data.csv").head(200)
    labels = model.predict(rows)
    probabilities = model.predict(rows, params={"method": "predict_proba"})
    assert list(probabilities) == ["0", "1"]
    threshold = outcome.step("train").data.metrics["threshold"]
    assert 0.1 < threshold < 0.6
    assert np.array_equal(labels, (probabilities["1"] >= threshold).astype(int))
    predictions = pd.read_parquet(
        next(read_artifact(outcome.step("evaluate"), "predictions").iterdir())
    )
    assert list(predictions) == [
        "row_key",
        "churned",
        "prediction",
        "probability_0",
        "probability_1",
    ]
    unseen = rows.drop(columns=["churned", "customer_id"]).assign(age=None, frequency=7)
    assert set(model.predict(unseen)) <= {0, 1}


def test_a_changed_worth_of_an_outcome_trains_again_only_where_the_threshold_is_tuned(
    churn_store, tmp_path
):
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    recipe["metrics"]["business_score"]["true_positive"] = 25
    path = tmp_path / "dearer.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    outcome = churn_store.main(f"recipe={path}", "model=logistic_regression", "until=train")
    tags = outcome.parent.data.tags
    ran = {name: tags[f"pipeline.step.{name}.status"] for name in ("prepare", "train")}
    assert ran == {"prepare": "reused", "train": "ran"}
    assert "metrics.business_score.true_positive went from 20" in outcome.terminal


@pytest.mark.slow
@pytest.mark.parametrize("model", OTHER_MODELS)
def test_every_other_model_of_the_churn_recipe_goes_all_the_way(model, make_store, tmp_path):
    table = tmp_path / "customers.csv"
    pd.read_csv(TABLE).head(2000).to_csv(table, index=False)
    runs = make_store().steps(str(RECIPE), model, str(table), **OTHER_MODELS[model])
    assert runs["register"].data.tags["pipeline.verdict"] == "promoted"
    assert runs["evaluate"].data.metrics["roc_auc"] > 0.8


def classes_recipe(folder, frame, target, **sections):
    frame.to_csv(folder / "table.csv", index=False)
    recipe = {
        "name": "classes",
        "task": "classification",
        "data": {"path": str(folder / "table.csv"), "target": target},
        "split": {"method": "stratified"},
        "models": {
            "forest": {
                "estimator": "sklearn.ensemble.RandomForestClassifier",
                "parameters": {"n_estimators": 30},
            }
        },
    }
    for name, section in sections.items():
        recipe[name] = {**recipe.get(name, {}), **section}
    (folder / "classes.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "classes.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "named"), [(load_iris, True), (load_wine, False)], ids=["text", "numbers"]
)
def test_three_classes(load, named, make_store, tmp_path):
    bunch = load(as_frame=True)
    frame = bunch.frame
    if named:
        frame = frame.assign(target=np.asarray(bunch.target_names)[frame["target"]])
    store = make_store()
    metrics = store.steps(classes_recipe(tmp_path, frame, "target"))["evaluate"].data.metrics
    assert metrics["accuracy"] > 0.9
    assert metrics["roc_auc"] > 0.95
    assert metrics["dummy_roc_auc"] == 0.5
    assert "true_positives" not in metrics
    model = store.champion("classes")
    labels = sorted(frame["target"].unique().tolist())
    probabilities = model.predict(frame.head(9), params={"method": "predict_proba"})
    assert list(probabilities) == [str(label) for label in labels]
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert set(model.predict(frame).tolist()) == set(labels)


@pytest.mark.slow
def test_text_dates_gaps_and_booleans_go_all_the_way(make_store, tmp_path):
    rng = np.random.default_rng(0)
    rows = 600
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Lyon", "Nantes", None], rows),
            "shop": [f"shop {number}" for number in rng.integers(0, 100, rows)],
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "vip": rng.choice([True, False], rows),
            "spent": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(100, 30, rows)),
        }
    )
    odds = frame["vip"] * 2 + (frame["city"] == "Lyon") * 2 + rng.normal(size=rows)
    frame["left"] = np.where(odds > 2.5, "yes", "no")
    recipe = classes_recipe(
        tmp_path, frame, "left", data={"positive_class": "yes"}, sampling={"method": "over"}
    )
    store = make_store()
    runs = store.steps(recipe)
    assert runs["evaluate"].data.metrics["roc_auc"] > 0.85
    prepared = f"prepare_run_id={runs['prepare'].info.run_id}"
    again = store.step("train", f"recipe={recipe}", prepared).of("train")
    digests = {run.data.tags["pipeline.model_digest"] for run in (runs["train"], again)}
    assert len(digests) == 1
    model = store.champion("classes")
    new = frame.head(3).assign(city="Brest", shop="never seen", since="2031-05-06", spent=None)
    assert set(model.predict(new)) <= {"yes", "no"}


def test_a_positive_class_that_is_not_there_is_refused_in_a_line(churn_store, tmp_path):
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    recipe["data"]["positive_class"] = "3"
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    outcome = churn_store.step("prepare", f"recipe={path}")
    outcome.assert_refused("prepare", ["unknown class '3'", "allowed: 0, 1"], parent=False)
