"""Texts become numbers for their words, ordinals the place of their value in an order."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io

from modelling.estimators.estimators import fit_pipeline
from modelling.models.model_files import check_trusted
from modelling.models.sklearn_wrapper import (
    TRUSTED_TYPES,
    answer,
    apply_features,
    find_problems,
)
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.recipe import Recipe
from modelling.reporting.model_card import describe_pipeline
from modelling.tables.table import check_table

ROWS = 300
RNG = np.random.default_rng(0)
BAD = RNG.random(ROWS) < 0.4
SIZES = RNG.choice(["S", "M", "L"], ROWS)
WORDS = ["battery", "screen", "parcel", "colour", "price", "box", "cable"]
TABLE = pd.DataFrame(
    {
        "review": [
            " ".join([*RNG.choice(WORDS, 5), "broke" if bad else "shines", f"n{row}"])
            for row, bad in enumerate(BAD)
        ],
        "size": SIZES,
        "y": np.where(BAD, "yes", "no"),
    }
)
RECIPE = {
    "name": "reviews",
    "task": "classification",
    "data": {
        "path": "p",
        "target": "y",
        "positive_class": "yes",
        "columns": {
            "review": {"type": "text", "missing": 0.5},
            "size": {"type": "ordinal", "order": ["S", "M", "L"]},
        },
    },
    "models": {
        "line": {"estimator": "sklearn.linear_model.LogisticRegression"},
        "tree": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
    },
}


def checked(table=TABLE, **columns):
    recipe = Recipe.model_validate(RECIPE)
    return check_table(table, recipe, "t").frame


@pytest.mark.parametrize("model", ["line", "tree"])
def test_the_words_tell_and_the_model_travels_without_pickle(model, tmp_path):
    recipe = Recipe.model_validate(RECIPE)
    raw = checked()
    targets = raw.pop("y")
    fitting = fit_inputs(recipe, raw.head(200))
    pipeline = fit_pipeline(
        unfitted_pipeline(recipe, model, {}, fitting), fitting.inputs, targets.head(200)
    )
    path = tmp_path / "pipeline.skops"
    skops.io.dump(pipeline, path)
    check_trusted(path)
    loaded = skops.io.load(path, trusted=list(TRUSTED_TYPES))
    features = json.loads(json.dumps({**fitting.features, "decision": None}))
    inputs = apply_features(raw.tail(100), features)
    answers = answer(loaded, inputs, features)
    assert (answers["prediction"] == targets.tail(100).to_numpy()).mean() > 0.9
    alone = answer(loaded, inputs.iloc[[7]], features)
    assert np.array_equal(alone.to_numpy(), answers.iloc[[7]].to_numpy())
    names = [name for name, _ in describe_pipeline(pipeline, None)["weights"]["values"]]
    assert {"review (words, part 1)", "size"} <= {*names}


def test_an_ordinal_is_its_place_and_what_has_none_is_refused(refusal):
    raw = checked().drop(columns="y")
    features = fit_inputs(Recipe.model_validate(RECIPE), raw).features
    inputs = apply_features(raw, features)
    assert inputs["size"].tolist() == [["S", "M", "L"].index(size) for size in SIZES]
    new = pd.DataFrame({"review": [None, "ok"], "size": ["XL", None]})
    problems = find_problems(new, apply_features(new, features), features)
    assert problems == {
        0: "column 'size': 'XL' is none of S, M, L",
        1: "column 'size' is missing",
    }
    says = "table t: column 'size', row 3: XL is not one of S, M, L"
    table = TABLE.assign(size=TABLE["size"].where(TABLE.index != 2, "XL"))
    assert refusal(checked, table) == says


def test_text_of_next_to_no_words_is_refused(refusal):
    recipe = Recipe.model_validate(RECIPE)
    raw = checked(TABLE.assign(review="one two")).drop(columns="y")
    says = (
        "column 'review' is a text of 2 different words, at least 4 are needed; declare it as a "
        "category, or drop it"
    )
    assert refusal(unfitted_pipeline, recipe, "tree", {}, fit_inputs(recipe, raw)) == says
