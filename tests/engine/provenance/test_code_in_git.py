"""Code that runs and that `git status` says nothing of is found, recorded and made again."""

import pytest

from engine.provenance.checkout import check_out
from engine.provenance.code_in_git import with_code
from engine.provenance.project_state import read_git, write_diff
from tests.end_to_end.git_daemon import git


@pytest.fixture
def project(tmp_path):
    """A project in a folder of a repository, with a submodule that has one itself."""
    for name, below in (("deep", None), ("shared", "deep"), ("all", "shared")):
        root = tmp_path / name
        package = root / "project" if name == "all" else root
        package.mkdir(parents=True)
        (package / f"{name}.py").write_text("A = 1\n")
        git(tmp_path, "init", "-q", "-b", "main", str(root))
        if below:
            (package / "MLproject").write_text("name: x\n")
            (package / ".gitignore").write_text("ignored.py\n")
            place = f"{package.relative_to(root)}/{below}".removeprefix("./")
            words = ["submodule", "--quiet", "add", f"../{below}", place]
            git(root, "remote", "add", "origin", str(root))
            git(root, "-c", "protocol.file.allow=always", *words)
            options = ["--init", "--recursive", "--quiet"]
            git(root, "-c", "protocol.file.allow=always", "submodule", "update", *options)
        git(root, "add", "-A")
        git(root, "commit", "-qm", "all")
    return tmp_path / "all" / "project"


CODE = ["all.py", "shared/shared.py", "shared/deep/deep.py"]


def state_of(project, *more):
    return with_code(project, read_git(project), [*CODE, *more])


def test_what_is_as_committed_in_submodules_too_is_clean(project):
    assert not read_git(project).is_dirty
    assert not state_of(project).is_dirty


def test_ignored_code_and_code_that_git_was_told_not_to_see_is_in_the_diff(project, tmp_path):
    (project / "ignored.py").write_text("B = 2\n")
    (project / "MLproject").write_text("name: y\n")
    (project / "all.py").write_text("A = 2\n")
    git(project, "update-index", "--assume-unchanged", "all.py")
    git(project, "update-index", "--skip-worktree", "MLproject")
    assert not read_git(project).is_dirty
    state = state_of(project, "ignored.py", "MLproject")
    assert state.changed == ("project/MLproject", "project/all.py")
    assert state.untracked == ("project/ignored.py",)
    assert write_diff(project, state, tmp_path / "diff") == []
    (tmp_path / "made").mkdir()
    root = check_out(project, state, tmp_path / "diff", tmp_path / "made")
    for name in ("ignored.py", "MLproject", "all.py", "shared/shared.py", "shared/deep/deep.py"):
        assert (root / name).read_text() == (project / name).read_text()
    assert not git(project, "status", "--porcelain")


def test_code_that_git_does_not_know_makes_the_state_dirty(project):
    (project / "ignored.py").write_text("B = 2\n")
    state = state_of(project, "ignored.py")
    assert (state.changed, state.untracked) == ((), ("project/ignored.py",))
    assert state.is_dirty


def test_what_no_diff_can_hold_is_named(project, tmp_path):
    """Code outside or linked from there, ignored in a submodule, or in a repository of its own."""
    (tmp_path / "outside.py").write_text("C = 3\n")
    (project / "linked.py").symlink_to(tmp_path / "outside.py")
    (project / "shared" / "ignored.py").write_text("B = 2\n")
    git(tmp_path, "init", "-q", str(project / "ignored.py"))
    (project / "ignored.py" / "code.py").write_text("D = 4\n")
    code = ["linked.py", "shared/ignored.py", "ignored.py/code.py", str(tmp_path / "outside.py")]
    state = state_of(project, *code)
    assert state.changed == ()
    said = write_diff(project, state, tmp_path / "diff")
    assert said == [
        "project/ignored.py/code.py (in a repository of its own, project/ignored.py)",
        "project/shared/ignored.py (in a repository of its own, project/shared)",
        f"{tmp_path / 'outside.py'} (outside the repository)",
    ]
    assert "linked.py" in (tmp_path / "diff").read_text()


def test_a_submodule_that_stands_elsewhere_is_dirty_with_its_code(project):
    (project / "shared" / "shared.py").write_text("A = 2\n")
    git(project / "shared", "commit", "-qam", "other")
    state = state_of(project)
    assert state.changed == ("project/shared",)
    assert state.untracked == ("project/shared/deep/deep.py", "project/shared/shared.py")


def test_submodules_are_fetched_from_where_gitmodules_says(project, tmp_path):
    """In a clone that has none of them; a relative URL starts from the recorded remote."""
    git(tmp_path, "clone", "-q", str(project.parent), str(tmp_path / "clone"))
    (tmp_path / "made").mkdir()
    root = check_out(tmp_path / "clone/project", read_git(project), None, tmp_path / "made")
    assert (root / "shared/deep/deep.py").read_text() == "A = 1\n"


def test_a_submodule_that_nobody_has_is_named(project, tmp_path):
    git(tmp_path, "clone", "-q", str(project.parent), str(tmp_path / "clone"))
    (tmp_path / "shared").rename(tmp_path / "gone")
    (tmp_path / "made").mkdir()
    with pytest.raises(OSError, match=r"submodule project/shared: commit \w+ is not in this"):
        check_out(tmp_path / "clone/project", read_git(project), None, tmp_path / "made")
