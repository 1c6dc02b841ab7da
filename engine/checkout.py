"""A recorded state of the code, in a folder of its own: the user's files and repository stay."""

import shutil
from pathlib import Path

from engine.provenance import GitState, run_git
from engine.secrets import without_credentials


def check_out(project: Path, state: GitState, diff: Path | None, folder: Path) -> Path:
    """Puts the recorded state of a project into an empty folder.

    The commit is taken from the project's own repository if it is there, or else fetched: from that
    repository's origin, then from the recorded remote.

    Args:
        project: the present project.
        state: the recorded one.
        diff: what `write_diff` wrote for it; None for nothing.
        folder: an empty one.

    Returns:
        The root of the project in the folder.

    Raises:
        OSError: the commit cannot be had, or the diff does not fit; one line says which.
    """
    run_git(["init", "--quiet"], folder)
    # As it was recorded, whatever this user has Git make of line ends.
    run_git(["config", "core.autocrlf", "false"], folder)
    if state.remote:
        run_git(["remote", "add", "--", "origin", state.remote], folder)
    if not _borrow(project, state.commit, folder):
        _fetch(project, state, folder)
    run_git(["checkout", "--quiet", "--detach", state.commit], folder)
    if diff is not None:
        try:
            run_git(["apply", "--whitespace=nowarn", str(diff)], folder)
        except OSError as error:
            raise OSError(
                f"the recorded diff does not fit commit {state.commit}: {error}"
            ) from error
    root = (folder / state.folder).resolve()
    if not (root / "MLproject").is_file():
        raise OSError(f"commit {state.commit} holds no project in {state.folder}")
    return root


def _borrow(project: Path, commit: str, folder: Path) -> bool:
    """Lets the folder read the objects of the project's repository, if that has the commit."""
    if not _has_commit(project, commit):
        return False
    paths = ["rev-parse", "--git-path", "objects", "--git-path", "shallow"]
    objects, shallow = (Path(project, name) for name in run_git(paths, project).splitlines())
    alternates = folder / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{objects.resolve()}\n", encoding="utf-8")
    if shallow.is_file():
        shutil.copyfile(shallow, folder / ".git" / "shallow")
    return True


def _fetch(project: Path, state: GitState, folder: Path) -> None:
    commit = state.commit
    try:
        own = run_git(["config", "--get", "remote.origin.url"], project).strip("\n")
    except OSError:
        own = None
    tried: list[str] = []
    for url in dict.fromkeys(url for url in (own, state.remote) if url):
        # Not every server gives a commit by its name; all give their branches and tags.
        for what in (["--depth=1", "--", url, commit], ["--tags", "--", url, "+refs/*:refs/got/*"]):
            try:
                run_git(["fetch", "--quiet", *what], folder)
                said = "it is not there"
            except OSError as error:
                said = str(error)
            if _has_commit(folder, commit):
                return
        tried.append(f"; {without_credentials(url)}: {said}")
    where = "".join(tried) or ", and no remote is recorded"
    raise OSError(f"commit {commit} is not in this repository{where}")


def _has_commit(folder: Path, commit: str) -> bool:
    try:
        run_git(["cat-file", "-e", f"{commit}^{{commit}}"], folder)
    except OSError:
        return False
    return True
