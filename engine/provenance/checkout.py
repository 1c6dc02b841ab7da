"""A recorded state of the code, in a folder of its own: the user's files and repository stay."""

import shutil
from pathlib import Path

from common.secrets import without_credentials
from engine.provenance.project_state import GitState, run_git


def check_out(project: Path, state: GitState, diff: Path | None, folder: Path) -> Path:
    """Puts the recorded state of a project into an empty folder.

    The commit is taken from the project's own repository if it is there, or else fetched: from that
    repository's origin, then from the recorded remote; so are its submodules' commits, from the
    project's own or from where `.gitmodules` says.

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
    check_out_repository(project, state, diff, folder)
    root = (folder / state.folder).resolve()
    if not (root / "MLproject").is_file():
        raise OSError(f"commit {state.commit} holds no project in {state.folder}")
    return root


def check_out_repository(
    source: Path | None, state: GitState, diff: Path | None, folder: Path
) -> None:
    """Puts the recorded state of any repository into an empty folder, as `check_out` does.

    Args:
        source: a place in a repository that may have the commit; None if there is none.
        state: the recorded one.
        diff: what `write_diff` wrote for it; None for nothing.
        folder: an empty one.

    Raises:
        OSError: the commit cannot be had, or the diff does not fit; one line says which.
    """
    _populate(source, state.commit, state.remote, folder)
    if diff is not None:
        try:
            run_git(["apply", "--whitespace=nowarn", str(diff)], folder)
        except OSError as error:
            raise OSError(
                f"the recorded diff does not fit commit {state.commit}: {error}"
            ) from error


def _populate(source: Path | None, commit: str, remote: str | None, folder: Path) -> None:
    """Checks a commit out into an empty folder, and those of its submodules into theirs.

    Args:
        source: a place in a repository that may have it; None if there is none.
        commit: its name.
        remote: where else it may be had.
        folder: becomes a repository.
    """
    run_git(["init", "--quiet"], folder)
    # As it was recorded, whatever this user has Git make of line ends.
    run_git(["config", "core.autocrlf", "false"], folder)
    if remote:
        run_git(["remote", "add", "--", "origin", remote], folder)
    if not (source and _borrow(source, commit, folder)):
        _fetch(source, commit, remote, folder)
    run_git(["checkout", "--quiet", "--detach", commit], folder)
    for path, pinned in _submodules(folder).items():
        own = _own_submodule(source, path) if source else None
        (folder / path).mkdir(parents=True, exist_ok=True)
        try:
            _populate(own, pinned, _url_of_submodule(folder, path, remote), folder / path)
        except OSError as error:
            raise OSError(f"submodule {path}: {error}") from error


def _submodules(folder: Path) -> dict[str, str]:
    """The commits of a repository's submodules, by their paths."""
    tree = filter(None, run_git(["ls-tree", "-r", "-z", "HEAD"], folder).split("\0"))
    entries = (entry.partition("\t") for entry in tree if entry.startswith("160000 "))
    return {path: facts.split()[2] for facts, _, path in entries}


def _own_submodule(source: Path, path: str) -> Path | None:
    """Where the submodule is in a repository of the user; None if it is not there."""
    try:
        top = run_git(["rev-parse", "--show-toplevel"], source).strip("\n")
    except OSError:
        return None
    return Path(top, path) if Path(top, path, ".git").exists() else None


def _url_of_submodule(folder: Path, path: str, remote: str | None) -> str | None:
    """Where .gitmodules says that a submodule is; a relative URL starts from the remote."""
    words = [
        "config",
        "--file",
        ".gitmodules",
        "-z",
        "--get-regexp",
        r"^submodule\..*\.(path|url)$",
    ]
    try:
        settings = run_git(words, folder)
    except OSError:
        return None
    values = dict(entry.split("\n", 1) for entry in settings.split("\0") if "\n" in entry)
    key = next(
        (key for key, value in values.items() if key.endswith(".path") and value == path), ""
    )
    url = values.get(f"{key.removesuffix('.path')}.url")
    if url is None or not url.startswith(("./", "../")):
        return url
    return _joined(remote, url) if remote else None


def _joined(remote: str, url: str) -> str:
    base = remote.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            base = base.rpartition("/")[0]
        url = url.partition("/")[2]
    return f"{base}/{url}"


def _borrow(source: Path, commit: str, folder: Path) -> bool:
    """Lets the folder read the objects of a repository, if that has the commit."""
    if not _has_commit(source, commit):
        return False
    paths = ["rev-parse", "--git-path", "objects", "--git-path", "shallow"]
    objects, shallow = (Path(source, name) for name in run_git(paths, source).splitlines())
    alternates = folder / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{objects.resolve()}\n", encoding="utf-8")
    if shallow.is_file():
        shutil.copyfile(shallow, folder / ".git" / "shallow")
    return True


def _fetch(source: Path | None, commit: str, remote: str | None, folder: Path) -> None:
    try:
        own = (
            run_git(["config", "--get", "remote.origin.url"], source).strip("\n")
            if source
            else None
        )
    except OSError:
        own = None
    tried: list[str] = []
    for url in dict.fromkeys(url for url in (own, remote) if url):
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
