"""What the key of each step holds: the estimator that is named, the order of columns."""

from pathlib import Path

import pytest

from engine.cache import code_digests
from engine.cache import key as cache_key
from modelling.recipe import load_recipe
from steps.pipeline.dependencies import StepDependencies

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes the module of an estimator, and what it imports beside it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text("from tolerance import LIMIT\n")

    def write(limit):
        (tmp_path / "tolerance.py").write_text(f"LIMIT = {limit}\n")
        cache_key.class_code.cache_clear()
        code_digests._read_code.cache_clear()

    write(1)
    yield write
    cache_key.class_code.cache_clear()


STEPS = {
    "train": lambda depends: depends.of_train("ridge", {}, "rows"),
    "trials": lambda depends: depends.of_trials(3, "rows", ["elastic_net", "ridge"]),
    "evaluate": lambda depends: depends.of_evaluate("rows", "model", "mine.Own"),
}


@pytest.mark.parametrize("of_step", STEPS.values(), ids=STEPS)
def test_an_edited_class_of_ones_own_is_a_reason(own, tmp_path, of_step):
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    ridge = recipe.models["ridge"].model_copy(update={"estimator": "mine.Own"})
    recipe = recipe.model_copy(update={"models": {**recipe.models, "ridge": ridge}})
    before = of_step(StepDependencies(PROJECT, recipe))
    assert of_step(StepDependencies(PROJECT, recipe)).key == before.key
    own(2)
    after = of_step(StepDependencies(PROJECT, recipe))
    assert after.changes_since(before) == [f"{tmp_path / 'tolerance.py'} changed"]


def test_the_order_of_columns_and_features_is_a_reason_and_that_of_other_keys_is_none():
    """A model takes its columns in the recipe's order: another one gives other digits."""
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)

    def turned(values):
        return dict(reversed(values.items()))

    data = recipe.data.model_copy(update={"columns": turned(recipe.data.columns)})
    formulas = {"a": "pH * alcohol", "b": "pH + alcohol"}
    features = recipe.features.model_copy(update={"formulas": formulas})
    other = features.model_copy(update={"formulas": turned(formulas)})
    depends, others = (
        StepDependencies(PROJECT, recipe.model_copy(update=update))
        for update in (
            {"features": features},
            {"data": data, "features": other, "models": turned(recipe.models)},
        )
    )
    steps = {
        "columns": lambda one: one.of_prepare("wines.csv", "table"),
        "features": lambda one: one.of_train("ridge", {}, "rows"),
    }
    for what, of_step in steps.items():
        changes = of_step(others).changes_since(of_step(depends))
        assert changes == [f"the order of the {what} changed"]
