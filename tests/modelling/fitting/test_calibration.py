"""A calibrated probability is the share of rows that are of the class."""

import numpy as np
import pandas as pd
import pytest
import skops.io

from modelling.fitting.fit_model import fit_model
from modelling.models.model_files import check_trusted
from modelling.models.sklearn_wrapper import answer, load_pipeline
from modelling.models.training import fit_inputs, unfitted_pipeline


def make_rows(seed, rows, classes=2):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 2)), columns=["a", "b"])
    score = 2 * frame["a"] + rng.normal(size=rows) * 2
    names = np.array(["no", "yes"] if classes == 2 else ["few", "many", "some"])
    return frame, pd.Series(names[np.digitize(score, [0.5] if classes == 2 else [-1, 1])])


def fit(recipe_with, frame, targets, estimator, given=None, weights=None, **said):
    data = {"path": "t.csv", "target": "y", "columns": {"a": {}, "b": {}}}
    if targets.nunique() == 2:
        data["positive_class"] = "yes"
    model = {"estimator": estimator, "parameters": said.pop("parameters", {})}
    recipe = recipe_with(task="classification", data=data, models={"m": model}, **said)
    fitting = fit_inputs(recipe, frame)
    pipeline = unfitted_pipeline(recipe, "m", {}, fitting)
    return fit_model(recipe, pipeline, fitting.inputs, targets, given or {}, weights)


def off(pipeline, frame, targets, label="yes"):
    """By how much probabilities are off on average, in ten bins of as many rows."""
    sure = pipeline.predict_proba(frame)[:, list(pipeline.classes_).index(label)]
    bins = pd.qcut(pd.Series(sure).rank(method="first"), 10, labels=False)
    table = pd.DataFrame({"said": sure, "is": (targets == label) * 1.0}).groupby(bins).mean()
    return float((table["said"] - table["is"]).abs().mean())


OVERSURE = ("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 15, "min_samples_leaf": 1})
LINEAR = "sklearn.linear_model.LogisticRegression"
TOO_FLAT = ("sklearn.ensemble.GradientBoostingClassifier", {"n_estimators": 8})


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(("estimator", "parameters"), [OVERSURE, TOO_FLAT])
def test_probabilities_become_the_shares_that_they_say(method, estimator, parameters, recipe_with):
    frame, targets = make_rows(0, 2_000)
    new, true = make_rows(1, 5_000)
    said = {"parameters": parameters}
    plain = fit(recipe_with, frame, targets, estimator, **said)
    model = fit(recipe_with, frame, targets, estimator, decision={"calibrate": method}, **said)
    assert model.uncalibrated[-1].__class__ is plain.pipeline[-1].__class__
    assert off(model.pipeline, new, true) < 0.6 * off(plain.pipeline, new, true)


def test_it_is_the_same_with_many_classes_and_may_be_loaded(recipe_with, tmp_path):
    frame, targets = make_rows(0, 1_200, classes=3)
    new, true = make_rows(1, 5_000, classes=3)
    said = {"parameters": TOO_FLAT[1]}
    plain = fit(recipe_with, frame, targets, TOO_FLAT[0], **said)
    for method in ("sigmoid", "isotonic"):
        decision = {"calibrate": method}
        model = fit(recipe_with, frame, targets, TOO_FLAT[0], decision=decision, **said).pipeline
        assert off(model, new, true, "some") < off(plain.pipeline, new, true, "some")
        skops.io.dump(model, tmp_path / "pipeline.skops")
        skops.io.dump(plain.pipeline, tmp_path / "plain.skops")
        sizes = [(tmp_path / f"{name}.skops").stat().st_size for name in ("pipeline", "plain")]
        assert sizes[0] < 1.5 * sizes[1]  # no folds in it, and no rows
        check_trusted(tmp_path / "pipeline.skops")
        loaded = load_pipeline(tmp_path / "pipeline.skops")
        fitted = {"decision": None}
        together = answer(loaded, new.head(100), fitted)
        alone = [answer(loaded, new.iloc[[row]], fitted) for row in range(100)]
        pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), together)
        assert np.array_equal(loaded.predict_proba(new), model.predict_proba(new))


def test_the_threshold_is_tuned_after_it(recipe_with):
    frame, targets = rare_rows(3_000)
    worth = {"true_positive": 3, "false_positive": -1, "true_negative": 0, "false_negative": 0}
    said = {"metrics": {"business_score": worth}, "sampling": {"method": "class_weight"}}
    tuned = {"threshold": "tuned", "metric": "business_score"}
    plain = fit(recipe_with, frame, targets, LINEAR, decision=tuned, **said)
    decision = {**tuned, "calibrate": "sigmoid"}
    model = fit(recipe_with, frame, targets, LINEAR, decision=decision, **said)
    # Of a calibrated model the best one is cost / (cost + gain), a quarter.
    assert model.decision["threshold"] < 0.45
    assert plain.decision["threshold"] > 0.6


def test_the_folds_keep_to_the_split(recipe_with, monkeypatch):
    from modelling.fitting import fit_model as module

    frame, targets = make_rows(3, 600)
    asked = []
    real = module.predict_held_out

    def held_out(pipeline, method, inputs, targets, folds, *more):
        asked.extend(folds)
        return real(pipeline, method, inputs, targets, folds, *more)

    monkeypatch.setattr(module, "predict_held_out", held_out)
    groups = pd.Series(np.arange(600) // 20)
    decision = {"calibrate": "sigmoid"}
    fit(recipe_with, frame, targets, LINEAR, {"groups": groups}, decision=decision)
    for fitted, kept in asked:
        assert not {*groups[fitted]} & {*groups[kept]}
    asked.clear()
    times = pd.Series(np.random.default_rng(0).permutation(600) * 1.0)
    fit(recipe_with, frame, targets, LINEAR, {"times": times}, decision=decision)
    for fitted, kept in asked:
        assert times[fitted].max() < times[kept].min()


def rare_rows(rows):
    frame, _ = make_rows(4, rows)
    rng = np.random.default_rng(0)
    return frame, pd.Series(np.where(frame["a"] + rng.normal(size=rows) > 2, "yes", "no"))


@pytest.mark.parametrize("method", ["class_weight", "over"])
def test_it_undoes_what_sampling_does_to_probabilities(method, recipe_with):
    frame, targets = rare_rows(3_000)
    said = {"sampling": {"method": method}}
    plain = fit(recipe_with, frame, targets, LINEAR, **said)
    model = fit(recipe_with, frame, targets, LINEAR, decision={"calibrate": "sigmoid"}, **said)
    share = (targets == "yes").mean()
    mean = [each.pipeline.predict_proba(frame)[:, 1].mean() for each in (plain, model)]
    assert mean[0] > 2 * share
    assert mean[1] == pytest.approx(share, abs=0.02)


def test_rows_that_count_more_count_more_here_too(recipe_with):
    frame, targets = make_rows(5, 1_000)
    weights = pd.Series(np.where(targets == "yes", 3.0, 1.0))
    decision = {"calibrate": "sigmoid"}
    model = fit(recipe_with, frame, targets, LINEAR, weights=weights, decision=decision)
    mean = model.pipeline.predict_proba(frame)[:, 1]
    share = weights[targets == "yes"].sum() / weights.sum()
    assert np.average(mean, weights=weights) == pytest.approx(share, abs=0.03)
