"""`-e new_repository`: a repository of one's own that is whole, runs at once, or is not there."""

import shutil
import sys

import pytest
from click.testing import CliRunner

from common.errors import InputError
from engine.processes.forkserver import PROJECT
from engine.provenance.project_state import GitState
from steps import new_repository
from tests.end_to_end.git_daemon import git
from tests.end_to_end.store import execute

ADDRESS = "https://git.example.com/ours/cuvee.git"
COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def fetched(monkeypatch):
    """This Cuvée as it is when it was fetched from an address, at a commit without a tag."""
    state = GitState(COMMIT, None, ADDRESS, ".", (), ())
    monkeypatch.setattr(new_repository, "read_git", lambda _project: state)
    monkeypatch.setattr(new_repository, "run_git", _no_tag)


def _no_tag(*_arguments):
    raise OSError("no tag describes it")


def write(output):
    return CliRunner().invoke(new_repository.main, ["--output", str(output)])


def refusal(output):
    error = write(output).exception
    assert isinstance(error, InputError)
    return str(error)


def test_it_names_this_cuvee_by_its_address_and_commit(fetched, tmp_path):
    said = write(tmp_path / "team")
    assert said.exit_code == 0
    command = f"mlflow run {ADDRESS} -v {COMMIT} --env-manager uv"
    assert f"{command} -P recipe=recipes/deliveries.yaml" in said.output
    assert "git init -b main && git add ." in said.output
    texts = [
        file.read_text()
        for file in (tmp_path / "team").rglob("*")
        if file.is_file() and file.suffix not in (".csv", ".json")
    ]
    assert sum(ADDRESS in text for text in texts) == 3  # README, recipe and workflow
    assert not any("example.org" in text or "v1.2" in text for text in texts)
    assert (tmp_path / "team/recipes/recipe.schema.json").is_file()
    assert [each.name for each in tmp_path.iterdir()] == ["team"]


def test_without_an_address_it_says_where_to_write_one(monkeypatch, tmp_path):
    state = GitState(COMMIT, None, "/a/folder", ".", (), ())
    monkeypatch.setattr(new_repository, "read_git", lambda _project: state)
    (tmp_path / "empty").mkdir()
    said = write(tmp_path / "empty").output
    assert "write it in place of https://example.org/you/cuvee.git, and its version" in said
    assert "https://example.org/you/cuvee.git" in (tmp_path / "empty/README.md").read_text()


def test_what_is_there_is_left_as_it_is(fetched, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    assert refusal(tmp_path / "full").endswith("is not empty, and is left as it is; name a new one")
    assert refusal(tmp_path / "full/mine.txt").endswith("is a file, and is left as it is")
    assert refusal(tmp_path / "no/where").endswith("no is not there")
    assert "is inside Cuvée" in refusal(PROJECT / "recipes/team")
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_whole_or_not_there(fetched, is_there, monkeypatch, tmp_path):
    def fail(*_paths, **_options):
        raise OSError(28, "No space left on device")

    if is_there:
        (tmp_path / "team").mkdir()
    monkeypatch.setattr(shutil, "copyfile", fail)
    says = refusal(tmp_path / "team")
    assert f"{tmp_path / 'team'} cannot be written: [Errno 28] No space left on device" in says
    assert [*tmp_path.rglob("*")] == ([tmp_path / "team"] if is_there else [])


@pytest.mark.slow
def test_its_test_and_its_recipe_run(make_store):
    store = make_store()
    made = store.mlflow_run("output=équipe A", entry_point="new_repository")
    assert made.code == 0, made.terminal
    team = store.folder / "équipe A"  # where one stands
    tested = execute([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], team)
    assert tested.returncode == 0, tested.stdout
    git(team, "init", "-q", "-b", "main")
    git(team, "add", ".")
    git(team, "commit", "-qm", "first")
    outcome = store.main(f"recipe={team}/recipes/deliveries.yaml")
    assert outcome.code == 0, outcome.terminal
    assert outcome.aliases == {"champion": 1}
    tags = outcome.parent.data.tags
    assert tags["pipeline.workspace_commit"] == git(team, "rev-parse", "HEAD")
    assert tags["pipeline.workspace_dirty"] == "false"
