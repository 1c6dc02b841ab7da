"""A recipe of a team's own repository: its paths start there, wherever the clone is."""

import pytest

from common.errors import InputError
from engine.processes.forkserver import PROJECT
from steps.pipeline.request import resolve
from steps.sources.workspace import Workspace, find_recipe

WINES = "recipes/wine_quality.yaml"


@pytest.fixture
def team(tmp_path):
    """The folder of a repository whose name has a blank and accents, with a recipe and a table."""
    folder = tmp_path / "équipe A"
    for name in (".git", "recipes", "data"):
        (folder / name).mkdir(parents=True)
    for name in ("recipes/ours.yaml", "data/trips.csv"):
        (folder / name).touch()
    return folder


def test_a_recipe_of_the_project_stays_as_it_was():
    for recipe in (WINES, str(PROJECT / WINES)):
        workspace = Workspace(recipe)
        assert workspace.folder == PROJECT
        assert workspace.place_of("data/red-wine-quality.csv") == "data/red-wine-quality.csv"
    assert find_recipe(WINES) == WINES


def test_relative_paths_start_from_the_repository_of_the_recipe(team):
    workspace = Workspace(str(team / "recipes/ours.yaml"))
    assert workspace.folder == team
    place = workspace.place_of("data/trips.csv")
    assert place == str(team / "data/trips.csv")
    assert workspace.name_of(place) == "data/trips.csv"  # the same in every clone
    both = "data/*.csv, data/trips.csv"
    assert workspace.place_of(both) == f"{team}/data/*.csv, {place}"
    assert workspace.name_of(workspace.place_of(both)) == both
    assert workspace.place_of("data/gone.csv") == str(team / "data/gone.csv")
    # What is not there is the project's, or an absolute path, or a URI.
    for other in (
        "data/red-wine-quality.csv",
        "/elsewhere/trips.csv",
        "s3://ours/trips.csv",
        "$DB select a, data",
    ):
        assert workspace.place_of(other) == other
        assert workspace.name_of(other) == other


def test_a_recipe_in_no_repository_has_its_folder(tmp_path):
    assert Workspace(str(tmp_path / "one.yaml")).folder == tmp_path


def test_a_relative_recipe_is_looked_up_where_one_stands(team, monkeypatch):
    monkeypatch.chdir(team)
    assert find_recipe("recipes/ours.yaml") == str(team / "recipes/ours.yaml")
    assert find_recipe(WINES) == WINES  # the project's come first
    assert find_recipe("recipes/nothing.yaml") == "recipes/nothing.yaml"


def test_own_code_that_was_edited_meanwhile_is_noticed(tmp_path):
    (tmp_path / "own.py").write_text("x = 1\n")
    (tmp_path / "own.yaml").write_text((PROJECT / WINES).read_text() + "\ncode: own.py\n")
    request = resolve(str(tmp_path / "own.yaml"), "auto", "auto", "train", {})
    assert request.edited_code() == []
    (tmp_path / "own.py").write_text("x = 2\n")
    assert request.edited_code() == ["own.py"]
    (tmp_path / "own.py").unlink()  # as beside a recorded recipe
    assert request.edited_code() == []


def test_a_lock_of_the_recipes_repository_is_checked_before_any_run_is_made(tmp_path):
    (tmp_path / ".git").mkdir()
    recipe = tmp_path / "recipes/own.yaml"
    recipe.parent.mkdir()
    recipe.write_text((PROJECT / WINES).read_text())
    assert Workspace(str(recipe)).lock is None
    assert Workspace(WINES).lock is None  # the project's own is no other
    lock = tmp_path / "requirements.lock"
    ours = (PROJECT / "requirements.lock").read_text()
    lock.write_text(ours + "holidays==0.1\n")
    assert Workspace(str(recipe)).lock == lock
    assert resolve(str(recipe), "auto", "auto", "train", {}).workspace.lock == lock
    lock.write_text(ours.replace("\nmlflow==", "\nmlflow==0.", 1))
    with pytest.raises(InputError, match=r"mlflow==.* is needed, and it has ==0\."):
        resolve(str(recipe), "auto", "auto", "train", {})
