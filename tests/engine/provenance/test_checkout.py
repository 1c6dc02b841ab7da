"""A recorded state comes back from the own repository or a remote; nothing else changes."""

from dataclasses import replace

import pytest

from engine.provenance.checkout import check_out
from engine.provenance.project_state import read_git, write_diff
from tests.end_to_end.git_daemon import git


@pytest.fixture
def project(tmp_path):
    """A project in a folder of a repository, with two commits."""
    project = tmp_path / "repository" / "sub"
    project.mkdir(parents=True)
    git(project.parent, "init", "-q", "-b", "main")
    (project / "MLproject").write_text("name: x\n")
    for text in ("first\n", "second\n"):
        (project / "file.txt").write_text(text)
        git(project, "add", "-A")
        git(project, "commit", "-qm", text)
    return project


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    return made


def test_an_amended_commit_and_its_diff_come_back_from_the_own_repository(
    project, folder, tmp_path
):
    (project / "file.txt").write_text("third\n")
    (project / "new.bin").write_bytes(bytes(range(256)))
    state = read_git(project)
    write_diff(project, state, tmp_path / "diff")
    git(project, "checkout", "-q", "file.txt")
    (project / "new.bin").unlink()
    git(project, "commit", "-q", "--amend", "-m", "other")
    before = (git(project, "status", "--porcelain"), git(project, "worktree", "list"))
    root = check_out(project, state, tmp_path / "diff", folder)
    assert root == folder / "sub"
    assert (root / "file.txt").read_text() == "third\n"
    assert (root / "new.bin").read_bytes() == bytes(range(256))
    assert git(root, "rev-parse", "HEAD").strip() == state.commit
    assert (git(project, "status", "--porcelain"), git(project, "worktree", "list")) == before


def test_a_shallow_clone_fetches_an_old_commit_from_its_origin(project, folder, tmp_path):
    old = replace(read_git(project), commit=git(project, "rev-parse", "HEAD~1").strip())
    origin = project.parent.as_uri()
    git(tmp_path, "clone", "-q", "--depth=1", origin, "shallow")
    root = check_out(tmp_path / "shallow" / "sub", old, None, folder)
    assert (root / "file.txt").read_text() == "first\n"


def test_another_repository_fetches_from_the_recorded_remote(project, folder, tmp_path):
    state = replace(read_git(project), remote=project.parent.as_uri())
    (tmp_path / "elsewhere").mkdir()
    root = check_out(tmp_path / "elsewhere", state, None, folder)
    assert (root / "file.txt").read_text() == "second\n"
    assert read_git(root).remote == state.remote


def test_a_commit_that_nobody_has_is_named(project, folder, tmp_path):
    state = replace(read_git(project), commit="0" * 40, remote=project.parent.as_uri())
    with pytest.raises(OSError, match=f"commit {'0' * 40} is not in this repository; file:"):
        check_out(project, state, None, folder)


def test_without_a_remote_it_says_so(project, folder):
    state = replace(read_git(project), commit="0" * 40)
    with pytest.raises(OSError, match="and no remote is recorded"):
        check_out(project, state, None, folder)


def test_a_commit_without_the_project_is_refused(project, folder):
    with pytest.raises(OSError, match="holds no project in elsewhere"):
        check_out(project, replace(read_git(project), folder="elsewhere"), None, folder)


def test_a_diff_that_does_not_fit_is_named(project, folder, tmp_path):
    (tmp_path / "diff").write_text("--- a/none.txt\n+++ b/none.txt\n@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(OSError, match="the recorded diff does not fit commit"):
        check_out(project, read_git(project), tmp_path / "diff", folder)
