"""What reproduce puts into the checked-out project."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.cache.key import ABSENT, LOCK, OWN_LOCK
from modelling.recipe import Data, load_recipe
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


@pytest.mark.parametrize("path", ["months", "months/*.csv", "months/1.csv, months/2.csv"])
def test_files_of_a_folder_that_has_grown_are_those_of_the_recorded_commit(
    tmp_path, monkeypatch, path
):
    then, now = tmp_path / "then", tmp_path / "now"
    for project, months in ((then, "12"), (now, "123")):
        (project / "months").mkdir(parents=True)
        for month in months:
            (project / "months" / f"{month}.csv").write_text(f"a,y\n{month}{len(months)},1\n")
    data = Data(path=path, target="y")
    monkeypatch.chdir(now)
    monkeypatch.setattr(reproduce, "PROJECT", now)
    monkeypatch.setattr(reproduce, "_data_section", lambda _: data)

    def find(project, sha256="0"):
        recorded = SimpleNamespace(request={"data": path}, run_id="1", data_sha256=sha256)
        return reproduce._find_table(recorded, project, tmp_path / "data", None)

    _, sha256 = find(then)
    assert find(then, sha256) == (path, sha256)
    where, other = find(now)
    assert other != sha256
    # Where Git has none of it, it is the present one, wherever it is read from.
    where, found = find(tmp_path / "without", other)
    assert found == other
    assert where == ", ".join(str(now / part) for part in path.split(", "))


def test_what_is_no_path_has_no_folder_before_it(tmp_path):
    named = "data/a.csv, $LATEST, mlflow-artifacts://h/b.csv, runs:/1/c.csv, /d.csv"
    below = reproduce._below(tmp_path, named)
    assert below == named.replace("data/a.csv", str(tmp_path / "data/a.csv"))
    assert reproduce._below(tmp_path, "$SHOP select a, b from t") == "$SHOP select a, b from t"


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
