"""What reproduce puts into the checked-out project."""

import shutil
from pathlib import Path
from types import SimpleNamespace

from engine.cache.key import ABSENT, LOCK, OWN_LOCK
from modelling.recipe import load_recipe
from steps import reproduce
from tracking.output_manager import save_temporary

PROJECT = Path(__file__).parents[2]


def test_a_recipe_that_git_does_not_have_keeps_the_order_of_its_keys(tmp_path, monkeypatch):
    """A model takes its columns in that order."""
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    columns = dict(reversed(recipe.data.columns.items()))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"columns": columns})})
    content = recipe.model_dump(mode="json")
    (tmp_path / "config").mkdir()
    logged = save_temporary(content, "config", recipe.name, None, content)
    shutil.copy(logged, tmp_path / "config")
    monkeypatch.setattr(reproduce, "download", lambda *_: tmp_path / "config")
    recorded = SimpleNamespace(request={"recipe": "/elsewhere/recipe.yaml"}, run_id="1")
    again = load_recipe(reproduce._recipe(recorded, tmp_path), tmp_path)
    assert again == recipe
    assert list(again.data.columns) == list(columns) != sorted(columns)


def test_a_package_that_is_not_as_the_recipes_own_lock_has_it_is_the_likely_reason():
    then = {LOCK: "a", OWN_LOCK: "b", "python": "3.11.7"}
    lock = "numpy==1.0\nholidays==0.5\n"
    now = {**then, "holidays": "0.6"}
    assert reproduce._changed_versions(then, now, lock) == ["holidays 0.6 instead of 0.5"]
    absent = then | {"holidays": ABSENT}
    assert reproduce._changed_versions(absent, now, lock) == ["holidays 0.6 instead of none"]
    now = {**then, OWN_LOCK: "c"}
    assert reproduce._changed_versions(then, now, lock) == [f"another {OWN_LOCK}"]
    del now[OWN_LOCK]  # as of the recorded recipe, which is in no repository then
    assert reproduce._changed_versions(then, now, lock) == []
