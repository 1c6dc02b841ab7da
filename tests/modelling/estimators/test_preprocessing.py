"""Each kind of estimator gets gaps, categories, dates and skewed numbers as it takes them best."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.estimators.preprocessing import describe_inputs, known_categories
from modelling.models.model_files import check_trusted, model_digest
from modelling.models.sklearn_wrapper import TRUSTED_TYPES, answer, apply_features
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.recipe import Model, Recipe
from modelling.tables.table import check_table

ROWS = 400
RNG = np.random.default_rng(0)
CITIES = [f"city {number}" for number in range(25)]  # too many for columns, few enough for codes
HOURS = pd.Timestamp("2026-03-01") + pd.to_timedelta(RNG.integers(0, 5000, ROWS), "h")
WORTH = dict(zip(CITIES, RNG.normal(scale=3, size=25), strict=True))
TABLE = pd.DataFrame(
    {
        "city": pd.Series(RNG.choice(CITIES, ROWS)).astype("str"),
        "shop": pd.Series([f"shop {number}" for number in RNG.integers(0, 900, ROWS)]).astype(
            "str"
        ),
        "price": np.exp(RNG.normal(size=ROWS) * 2),
        "weight": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(size=ROWS)),
        "open": RNG.integers(0, 2, ROWS).astype(float),
        "at": HOURS,
    }
)
TABLE["y"] = (
    TABLE["city"].map(WORTH)
    + np.log(TABLE["price"])
    + np.where(TABLE["weight"].isna(), 4.0, 0.0)
    + np.where(TABLE["at"].dt.hour == 8, 5.0, 0.0)
)
TABLE.loc[::11, "city"] = None
GAPS = {"missing": 0.5}
RECIPE = {
    "name": "shops",
    "task": "regression",
    "data": {
        "path": "p",
        "target": "y",
        "columns": {
            "city": {"type": "category", **GAPS},
            "shop": {"type": "category"},
            "price": {"type": "number", **GAPS},
            "weight": {"type": "number", **GAPS},
            "open": {"type": "boolean"},
            "at": {"type": "date"},
        },
    },
    "models": {
        "hist": {
            "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
            "parameters": {"max_iter": 30},
        },
        "lightgbm": {"estimator": "lightgbm.LGBMRegressor", "parameters": {"n_estimators": 30}},
        "boosting": {
            "estimator": "sklearn.ensemble.GradientBoostingRegressor",
            "parameters": {"n_estimators": 20},
        },
        "line": {
            "estimator": "sklearn.linear_model.Ridge",
            "scale": True,
            "preprocess": "spread",
        },
        "plain_line": {"estimator": "sklearn.linear_model.Ridge", "scale": True},
    },
}


@pytest.fixture(scope="module")
def fit():
    """Fits a model of the recipe, each once; gives it, its features and its inputs."""
    found = {}

    def fitted(model):
        if model not in found:
            recipe = Recipe.model_validate(RECIPE)
            raw = check_table(TABLE, recipe, "t").frame
            targets = raw.pop("y")
            fitting = fit_inputs(recipe, raw)
            pipeline = unfitted_pipeline(recipe, model, {}, fitting)
            fit_pipeline(pipeline, fitting.inputs, targets)
            features = json.loads(json.dumps({**fitting.features, "decision": None}))
            found[model] = pipeline, features, fitting.inputs
        return found[model]

    return fitted


@pytest.mark.parametrize("model", RECIPE["models"])
def test_it_travels_and_a_row_has_the_same_digits_alone_and_with_what_is_new(fit, model, tmp_path):
    pipeline, features, _ = fit(model)
    path = tmp_path / "pipeline.skops"
    skops.io.dump(pipeline, path)
    check_trusted(path)
    loaded = skops.io.load(path, trusted=list(TRUSTED_TYPES))
    new = TABLE.head(5).assign(city=["Oz", None, *CITIES[:3]], price=[np.nan, 1e9, 0, 1, 2])
    rows = pd.concat([TABLE, new], ignore_index=True)
    together = answer(loaded, apply_features(rows, features), features)
    assert np.isfinite(together["prediction"]).all()
    for place in (0, ROWS, ROWS + 1):
        alone = answer(pipeline, apply_features(rows.iloc[[place]], features), features)
        assert alone["prediction"].tolist() == together["prediction"].iloc[[place]].tolist()
    known = known_categories(loaded)
    assert {name: set(values) for name, values in known.items()} == {
        "city": set(CITIES),
        "shop": set(TABLE["shop"]),
    }


def parts_of(pipeline):
    return {name: columns for name, _, columns in pipeline["columns"].transformers}


def test_boosted_trees_get_gaps_and_categories_as_they_are(fit):
    dates = [f"at ({part})" for part in ("days", "month", "weekday", "hour")]
    for model in ("hist", "lightgbm"):
        pipeline, _, inputs = fit(model)
        assert parts_of(pipeline) == {
            "few": ["city"],
            "numbers": ["weight"],  # what it does with a gap, it has seen in no other
            "filled": ["price", *dates, "open"],
            "many": ["shop"],
        }
        values = pipeline["columns"].transform(inputs)
        assert np.array_equal(np.isnan(values[:, 1]), TABLE["weight"].isna())
        assert (pipeline.predict(inputs) - TABLE["y"]).std() < 0.7 * TABLE["y"].std()
    assert fit("hist")[0]["estimator"].is_categorical_.tolist() == [True] + [False] * 8
    trees = fit("lightgbm")[0]["estimator"].booster_.trees_to_dataframe()
    assert set(trees.loc[trees["split_feature"] == "Column_0", "decision_type"]) == {"=="}


def test_others_get_no_gap_and_native_is_refused(fit, refusal):
    pipeline, _, inputs = fit("boosting")
    assert parts_of(pipeline)["many"] == ["city", "shop"]
    assert np.isfinite(pipeline["columns"].transform(inputs)).all()
    model = Model(estimator="sklearn.linear_model.Ridge", preprocess="native")
    assert refusal(build_pipeline, model, {}, 0) == (
        "Ridge takes no gaps: preprocess: native is for estimators that do: "
        "HistGradientBoosting, LightGBM and XGBoost"
    )


def test_a_line_sees_skewed_numbers_straight_and_hours_apart(fit):
    parts = parts_of(fit("line")[0])
    assert parts["skewed"] == ["price"]
    assert parts["few"] == ["at (month)", "at (weekday)", "at (hour)"]
    error, plain = (
        (fit(model)[0].predict(fit(model)[2]) - TABLE["y"]).std()
        for model in ("line", "plain_line")
    )
    assert error < 0.7 * plain
    assert parts_of(fit("plain_line")[0])["numbers"][:2] == ["price", "weight"]


def test_very_many_skewed_numbers_go_by_their_ranks():
    names = [f"c{number}" for number in range(101)]
    rows = pd.DataFrame(np.exp(RNG.normal(size=(2_000, 101))), columns=names)
    targets = np.log(rows).sum(axis=1)
    rows = rows.mask(RNG.random(rows.shape) < 0.01)
    fitted = {"columns": dict.fromkeys(names, "number"), "imputes": True}
    model = Model(estimator="sklearn.linear_model.Ridge", preprocess="spread", scale=True)

    def fit(places):
        inputs = describe_inputs(rows.iloc[:1_500, places], fitted)
        pipeline = build_pipeline(model, {}, 0, "regression", inputs)
        return fit_pipeline(pipeline, rows.iloc[:1_500, places], targets[:1_500])

    pipeline = fit(slice(None))
    skewed = pipeline["columns"].named_transformers_["skewed"]
    assert isinstance(skewed["power"], QuantileTransformer)
    assert pipeline.score(rows[1_500:], targets[1_500:]) > 0.95
    assert np.isfinite(pipeline.predict(rows[:9] * 1e9)).all()
    sizes = (599, 600)
    assert [describe_inputs(rows.head(size), fitted).is_ranked for size in sizes] == [False, True]
    few = fit(slice(100))["columns"].named_transformers_["skewed"]
    assert isinstance(few["power"], PowerTransformer)


def test_a_date_has_an_hour_only_where_the_training_rows_are_of_several():
    recipe = Recipe.model_validate(RECIPE)
    days = TABLE.assign(at=TABLE["at"].dt.normalize())
    features = fit_inputs(recipe, check_table(days, recipe, "t").frame.drop(columns="y")).features
    assert "hours" not in features
    inputs = apply_features(TABLE, features)
    assert [name for name in inputs if name.startswith("at")] == [
        "at (days)",
        "at (month)",
        "at (weekday)",
    ]


def test_two_fits_of_lightgbm_with_categories_are_one_model(fit, tmp_path):
    digests = set()
    for number in (1, 2):
        pipeline, features, inputs = fit("lightgbm")
        if number == 2:
            pipeline = fit_pipeline(pipeline, inputs, TABLE["y"])
        skops.io.dump(pipeline, tmp_path / "p.skops")
        digests.add(model_digest(tmp_path / "p.skops", features))
    assert len(digests) == 1


def test_few_bins_hold_few_categories():
    changed = {**RECIPE["models"]["hist"]["parameters"], "max_bins": 20}
    recipe = Recipe.model_validate(RECIPE)
    raw = check_table(TABLE, recipe, "t").frame
    targets = raw.pop("y")
    fitting = fit_inputs(recipe, raw)
    pipeline = unfitted_pipeline(recipe, "hist", changed, fitting)
    fit_pipeline(pipeline, fitting.inputs, targets)
    assert parts_of(pipeline)["many"] == ["city", "shop"]
