"""What is read of a repository, and the diff that makes the same files again."""

import os
import time

import pytest

from common.secrets import without_credentials
from engine.provenance import project_state as provenance
from engine.provenance.project_state import machine_tags, read_git, write_diff
from tests.end_to_end.git_daemon import git


@pytest.fixture
def repository(tmp_path):
    """A repository whose folder `project` holds the project, beside something else."""
    root = tmp_path / "repository"
    project = root / "project"
    (project / "steps").mkdir(parents=True)
    (project / "main.py").write_text("print(1)\n")
    (project / "old.py").write_text("print(0)\n")
    (project / "steps" / "train.py").write_text("a = 1\n")
    (project / "picture.bin").write_bytes(bytes(range(256)))
    (project / ".gitignore").write_text("secret.env\nmlruns/\n")
    (root / "other.txt").write_text("other\n")
    git(tmp_path, "init", "-q", "-b", "trunk", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def make_dirty(project):
    """Every kind of change at once."""
    (project / "main.py").write_text("print(2)\n")
    git(project, "add", "main.py")
    (project / "main.py").write_text("print(3)\n")  # staged, and changed again
    (project / "old.py").unlink()
    (project / "picture.bin").write_bytes(bytes(reversed(range(256))))
    (project / "steps" / "new file é.py").write_text("b = 2\n")
    (project / "steps" / "empty.py").touch()
    (project / "logo.png").write_bytes(b"\x89PNG\0\xff")
    (project / "run").write_text("#!/bin/sh\n")
    (project / "run").chmod(0o755)
    (project / "link").symlink_to("main.py")
    (project / "secret.env").write_text("KEY=1\n")
    (project.parent / "other.txt").write_text("changed\n")


def content(project):
    return {
        path.relative_to(project).as_posix(): (path.read_bytes(), os.access(path, os.X_OK))
        for path in project.rglob("*")
        if path.is_file() and path.name != "secret.env"
    }


def test_a_clean_project_is_told_with_commit_branch_and_folder(repository):
    state = read_git(repository / "project")
    assert state.commit == git(repository, "rev-parse", "HEAD").strip()
    assert (state.branch, state.remote, state.folder) == ("trunk", None, "project")
    assert not state.is_dirty
    git(repository, "checkout", "-q", "--detach")
    assert read_git(repository / "project").branch is None
    assert read_git(repository).folder == "."


def test_changes_elsewhere_in_the_repository_are_not_the_projects(repository):
    (repository / "other.txt").write_text("changed\n")
    (repository / "project" / "secret.env").write_text("KEY=1\n")
    assert not read_git(repository / "project").is_dirty
    assert read_git(repository).changed == ("other.txt",)
    assert read_git(repository).is_dirty


def test_the_diff_makes_the_same_files_from_the_commit(repository, tmp_path):
    project = repository / "project"
    make_dirty(project)
    before = (git(repository, "status", "--porcelain"), git(repository, "count-objects"))
    state = read_git(project)
    assert write_diff(project, state, tmp_path / "diff") == []
    assert (git(repository, "status", "--porcelain"), git(repository, "count-objects")) == before
    assert b"KEY=1" not in (tmp_path / "diff").read_bytes()

    git(tmp_path, "clone", "-q", str(repository), "clone")
    git(tmp_path / "clone", "apply", str(tmp_path / "diff"))
    assert content(tmp_path / "clone" / "project") == content(project)
    assert (tmp_path / "clone" / "other.txt").read_text() == "other\n"


def test_large_files_and_inner_repositories_are_left_out_and_named(
    repository, tmp_path, monkeypatch
):
    monkeypatch.setattr(provenance, "LARGEST_FILE", 1000)
    project = repository / "project"
    (project / "table.csv").write_text("1,2\n" * 1000)
    (project / "small.csv").write_text("1,2\n")
    git(project, "init", "-q", "inner")
    (project / "inner" / "a.py").write_text("a\n")
    left_out = write_diff(project, read_git(project), tmp_path / "diff")
    assert left_out == [
        "project/inner/ (a repository of its own)",
        "project/table.csv (0.0 MB)",
    ]
    diff = (tmp_path / "diff").read_text()
    assert "small.csv" in diff
    assert "table.csv" not in diff


def test_a_change_within_the_second_of_the_commit_is_seen(repository, tmp_path):
    changed = repository / "project" / "old.py"
    before = changed.stat()
    changed.write_text("print(2)\n")
    for path in (changed, repository / ".git" / "index"):
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep(1.1)
    write_diff(repository, read_git(repository), tmp_path / "diff")
    assert "print(2)" in (tmp_path / "diff").read_text()


def test_what_may_hold_a_secret_is_left_out_and_named(repository, tmp_path):
    project = repository / "project"
    (project / ".env").write_text("A=1\n")
    (project / "main.py").write_text("PASSWORD = 'T0PSECRET'\n")
    (project / "old.py").write_text("print(2)\n")
    left_out = write_diff(project, read_git(project), tmp_path / "diff")
    assert left_out == [
        "project/main.py (may hold a secret, by its content)",
        "project/.env (may hold secrets, by its name)",
    ]
    diff = (tmp_path / "diff").read_text()
    assert "old.py" in diff
    assert "T0PSECRET" not in diff


def test_a_secret_that_was_taken_out_is_not_shown_by_the_diff(repository, tmp_path):
    project = repository / "project"
    (project / "main.py").write_text("PASSWORD = 'T0PSECRET'\n")
    git(repository, "commit", "-qam", "second")
    (project / "main.py").write_text("print(1)\n")
    left_out = write_diff(project, read_git(project), tmp_path / "diff")
    assert left_out == ["project/main.py (may hold a secret, by its content)"]
    assert (tmp_path / "diff").read_bytes() == b""


def test_a_diff_that_is_too_large_is_left_out_as_a_whole(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "LARGEST_DIFF", 100)
    (repository / "project" / "main.py").write_text("print('x')\n" * 100)
    left_out = write_diff(repository, read_git(repository), tmp_path / "diff")
    assert left_out[0].startswith("everything: the diff has ")
    assert (tmp_path / "diff").read_bytes() == b""


def test_settings_of_the_user_do_not_change_the_form_of_the_diff(repository, tmp_path, monkeypatch):
    (repository / "project" / "main.py").write_text("print(2)\n")
    git(repository, "config", "diff.noprefix", "true")
    git(repository, "config", "color.ui", "always")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    write_diff(repository, read_git(repository), tmp_path / "diff")
    first = (tmp_path / "diff").read_text().splitlines()[0]
    assert first == "diff --git a/project/main.py b/project/main.py"


def test_a_folder_without_repository_or_commit_has_no_state(tmp_path):
    with pytest.raises(OSError, match="git status: not a git repository"):
        read_git(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(OSError, match="the repository has no commit"):
        read_git(tmp_path)


def test_git_that_refuses_is_told_with_its_advice(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(OSError, match=r"detected dubious ownership .* safe\.directory"):
        read_git(repository)


def test_the_remote_is_told_without_credentials(repository):
    git(repository, "remote", "add", "origin", "https://ana:t0ken@example.org/cuvee.git")
    assert read_git(repository).remote == "https://example.org/cuvee.git"
    assert without_credentials("git@example.org:ana/cuvee.git") == "git@example.org:ana/cuvee.git"


def test_the_machine_is_told_by_its_parts():
    tags = machine_tags()
    assert tags.keys() == {
        f"pipeline.{part}" for part in ("blas", "cpu", "platform", "python", "threads")
    }
    assert all(tags.values())
