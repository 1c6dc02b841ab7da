"""Folds of the training rows, and scores on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from common.errors import InputError
from modelling.judging.metrics import metrics_of
from modelling.judging.thresholds import best_threshold
from modelling.recipe import Recipe, load_recipe
from modelling.search import cross_validation
from modelling.search.cross_validation import CrossValidation, split_folds

PROJECT = Path(__file__).parents[3]


def _rows(rows, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows)})


def test_every_row_is_scored_once_by_a_model_that_did_not_see_its_equals():
    frame = pd.concat([_rows(50), _rows(50), _rows(20, 1)], ignore_index=True)
    folds = split_folds(frame, pd.Series(np.zeros(120)), 5, seed=0)
    scored = np.concatenate([score for _, score in folds])
    assert sorted(scored) == list(range(120))
    for fit, score in folds:
        assert not set(map(tuple, frame.iloc[fit].values)) & set(
            map(tuple, frame.iloc[score].values)
        )
        assert len(fit) + len(score) == 120


@pytest.mark.parametrize("stratify", [False, True])
def test_groups_stay_together_and_each_row_is_scored_once(stratify):
    groups = pd.Series(np.arange(120) % 24)
    labels = pd.Series(np.where(groups < 12, "a", "b"))
    folds = split_folds(_rows(120), labels, 4, 0, stratify, groups=groups)
    assert sorted(np.concatenate([score for _, score in folds])) == list(range(120))
    for fit, score in folds:
        assert not {*groups[fit]} & {*groups[score]}
        assert not stratify or {*labels[score]} == {"a", "b"}


def test_the_folds_keep_the_gap():
    times = pd.Series(np.random.default_rng(0).permutation(120) / 2)
    folds = split_folds(_rows(120), pd.Series(np.zeros(120)), 3, 0, times=times, gap=5)
    for fit, score in folds:
        assert times[fit].max() == times[score].min() - 5
    assert [len(fit) for fit, _ in folds] == [21, 51, 81]


def test_a_gap_before_which_no_fold_begins_is_told(refusal):
    times = pd.Series(np.arange(100.0))
    says = refusal(split_folds, _rows(100), times, 4, 0, times=times, gap=30)
    assert says == (
        "fold 1 of 4 has no row to fit before split.gap 30: take fewer folds, or a smaller gap"
    )


def test_many_groups_stay_together_and_each_fold_has_its_share_of_a_rare_class():
    rng = np.random.default_rng(0)
    groups = pd.Series(rng.integers(0, 5_000, 20_000))
    labels = pd.Series(np.where(rng.random(20_000) < 0.01, "rare", "usual"))
    folds = split_folds(_rows(20_000), labels, 5, 0, True, groups=groups)
    assert sorted(row for _, score in folds for row in score) == list(range(20_000))
    for fit, score in folds:
        assert not {*groups[fit]} & {*groups[score]}
        assert len(score) == pytest.approx(4_000, rel=0.05)
        assert (labels[score] == "rare").sum() == pytest.approx((labels == "rare").sum() / 5, abs=3)


def test_too_few_groups_for_the_folds_are_told(refusal):
    groups = pd.Series([0] * 50 + [1] * 50)
    says = "5 folds need as many groups among the training rows, got 2"
    assert refusal(split_folds, _rows(100), pd.Series(np.zeros(100)), 5, 0, groups=groups) == says


def test_classes_are_spread_evenly():
    labels = pd.Series([0] * 90 + [1] * 10)
    for _, score in split_folds(_rows(100), labels, 5, seed=0, stratify=True):
        assert labels.iloc[score].sum() == 2


def test_folds_in_time_are_scored_by_models_of_what_was_before():
    times = pd.Series(np.random.default_rng(0).permutation(100))
    for fit, score in split_folds(_rows(100), pd.Series(np.zeros(100)), 4, 0, times=times):
        assert times.iloc[fit].max() < times.iloc[score].min()


@pytest.mark.parametrize(
    ("labels", "stratify", "words"),
    [([0.0, 1.0, 2.0], False, "different rows"), ([0] * 9 + [1] * 3, True, "class 1")],
)
def test_too_few_rows_are_refused(labels, stratify, words):
    with pytest.raises(InputError, match=words):
        split_folds(_rows(len(labels)), pd.Series(labels), 5, 0, stratify)


def test_a_class_that_begins_late_is_named(refusal):
    labels = pd.Series(["no"] * 70 + ["no", "yes"] * 15)
    message = refusal(split_folds, _rows(100), labels, 5, 0, True, pd.Series(range(100)))
    assert message == (
        "fold 1 of 5 is trained on rows without the class 'yes': take fewer folds, or another "
        "split.method"
    )
    assert split_folds(
        _rows(100), labels.sample(frac=1, random_state=0), 5, 0, True, pd.Series(range(100))
    )


def test_the_threshold_is_the_best_one():
    recipe = load_recipe("recipes/customer_churn.yaml", PROJECT)
    accuracy = metrics_of(recipe)["accuracy"]
    sure = np.array([0.1, 0.2, 0.7, 0.8])
    assert 0.2 < best_threshold(accuracy, sure, np.array([0.0, 0, 1, 1])) <= 0.7


@pytest.fixture(scope="module")
def churn():
    recipe = load_recipe("recipes/customer_churn.yaml", PROJECT)
    table = pd.read_csv(PROJECT / recipe.data.path).head(800)
    raw = table[list(recipe.data.columns)].astype(float)
    return recipe, raw, table[recipe.data.target]


def test_a_tuned_threshold_is_worth_more_than_a_half_and_costs_no_more_fits(churn, monkeypatch):
    fits = []
    fit_pipeline = cross_validation.fit_pipeline
    monkeypatch.setattr(
        cross_validation, "fit_pipeline", lambda *given: fits.append(1) or fit_pipeline(*given)
    )
    recipe, raw, targets = churn
    half = recipe.model_copy(update={"decision": type(recipe.decision)()})
    scores = {
        name: list(CrossValidation(one, raw, targets, 3).scores("logistic_regression", {"C": 0.1}))
        for name, one in (("tuned", recipe), ("half", half))
    }
    assert len(fits) == 6
    assert np.mean(scores["tuned"]) > np.mean(scores["half"])


def test_a_threshold_is_not_tuned_on_the_rows_that_it_is_scored_on(churn):
    """With labels that mean nothing, no threshold is worth anything on other rows."""
    recipe, raw, targets = churn
    shuffled = pd.Series(np.random.default_rng(0).permutation(targets))
    scores = list(CrossValidation(recipe, raw, shuffled, 4).scores("logistic_regression", {}))
    share = shuffled.mean()
    everyone = share * 20 + (1 - share) * -10
    assert np.mean(scores) < max(0.0, everyone) + 0.3


def test_the_score_of_a_regression_is_that_of_scikit_learn():
    from sklearn.linear_model import Ridge
    from sklearn.metrics import root_mean_squared_error

    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    recipe = recipe.model_copy(
        update={
            "features": type(recipe.features)(),
            "models": {"ridge": recipe.models["ridge"].model_copy(update={"scale": False})},
        }
    )
    table = pd.read_csv(PROJECT / recipe.data.path, sep=None, engine="python").head(300)
    raw, targets = table[list(recipe.data.columns)], table["quality"].astype(float)
    scores = list(CrossValidation(recipe, raw, targets, 4).scores("ridge", {"alpha": 2.0}))
    expected = []
    for fit, score in split_folds(raw, targets, 4, recipe.split.seed):
        ridge = Ridge(alpha=2.0, random_state=0).fit(raw.iloc[fit], targets.iloc[fit])
        said = ridge.predict(raw.iloc[score])
        expected.append(root_mean_squared_error(targets.iloc[score], said))
    assert scores == pytest.approx(expected, rel=1e-9)


def _many(rows):
    """Rows, a class of which one in a hundred is, and what tells it."""
    rng = np.random.default_rng(0)
    raw = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    return raw, pd.Series(np.where(raw["a"] + rng.normal(size=rows) > 3.3, "rare", "other"))


def _classes(**changed):
    return Recipe.model_validate(
        {
            "name": "rare",
            "task": "classification",
            "data": {"path": "t.csv", "target": "y", "positive_class": "rare"},
            "models": {
                "tree": {
                    "estimator": "sklearn.tree.DecisionTreeClassifier",
                    "parameters": {"max_depth": 3},
                }
            },
            "metrics": {"primary": "roc_auc"},
            **changed,
        }
    )


def test_samples_are_a_share_of_each_class_and_the_same_in_any_order(monkeypatch):
    monkeypatch.setattr(cross_validation, "_FEWEST_OF_A_SAMPLE", 50)
    raw, targets = _many(2000)
    order = np.random.default_rng(1).permutation(len(raw))
    fitted = []
    fit_pipeline = cross_validation.fit_pipeline

    def noted(pipeline, inputs, known, *given):
        fitted.append(known.value_counts().to_dict())
        return fit_pipeline(pipeline, inputs, known, *given)

    monkeypatch.setattr(cross_validation, "fit_pipeline", noted)
    scores = []
    for places in (np.arange(len(raw)), order):
        rows, known = (one.iloc[places].reset_index(drop=True) for one in (raw, targets))
        validation = CrossValidation(_classes(), rows, known, 4)
        assert validation.is_large
        scores.append([*validation.sample_scores("tree", {})])
    assert scores[0] == scores[1]
    of_fold = targets.value_counts() * 3 / 4
    for sizes, share in zip(fitted, [1 / 16, 1 / 4] * 2, strict=True):
        assert sizes == pytest.approx((share * of_fold).to_dict(), abs=1)
    assert not CrossValidation(_classes(), raw.head(900), targets.head(900), 4).is_large


def test_a_sample_is_scored_as_scikit_learn_does_it(monkeypatch):
    raw, targets = _many(4000)
    validation = CrossValidation(_classes(), raw, targets, 4)
    (_, second) = validation.sample_scores("tree", {"max_depth": 2})
    fit, judged = validation._rows[0]
    some = validation._sample(fit, 1 / 4)
    tree = DecisionTreeClassifier(max_depth=2, random_state=42).fit(raw.iloc[some], targets[some])
    sure = tree.predict_proba(raw.iloc[judged])[:, 1]
    assert second == pytest.approx(roc_auc_score(targets[judged] == "rare", sure), abs=1e-9)
    assert {*some} <= {*fit}
