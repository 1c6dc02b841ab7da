"""Code that runs and that Git does not have as it is, though `git status` may not say so.

Files that .gitignore names, files of which Git was told not to look (`--assume-unchanged`,
`--skip-worktree`), files of inner repositories, and those outside.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from engine.provenance.project_state import GitState, inner_repository, run_git


def with_code(project: Path, state: GitState, code: Iterable[str]) -> GitState:
    """Adds to a state the files of code that are not as in the commit.

    Args:
        project: the project's root.
        state: of the project.
        code: files, from the project's root or absolute.

    Returns:
        The state; a file outside the repository is among the untracked by its absolute path.
    """
    root = Path(run_git(["rev-parse", "--show-toplevel"], project).strip("\n"))
    files = sorted({Path(os.path.realpath(project / name)) for name in code})
    inside = [file for file in files if file.is_relative_to(root)]
    changed, untracked = _not_as_committed(root, inside)
    outside = [str(file) for file in files if file not in inside]
    return replace(
        state,
        changed=_merged(state.changed, changed),
        untracked=_merged(state.untracked, [*untracked, *outside]),
    )


def _merged(known: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*known, *more]))


def _not_as_committed(root: Path, files: Iterable[Path]) -> tuple[list[str], list[str]]:
    """The names from a repository's root of files that its commit has otherwise, and has not."""
    own: list[str] = []
    inner: dict[Path, list[Path]] = {}
    for file in files:
        if repository := inner_repository(root, file):
            inner.setdefault(repository, []).append(file)
        else:
            own.append(file.relative_to(root).as_posix())
    committed, present = _committed(root, own), _present(root, own)
    changed = [name for name in own if name in committed and committed[name] != present[name]]
    untracked = [name for name in own if name not in committed]
    for repository, below in inner.items():
        place = repository.relative_to(root)
        names = [file.relative_to(repository).as_posix() for file in below]
        if _is_pinned(root, place):
            names = [name for kind in _not_as_committed(repository, below) for name in kind]
        untracked += [(place / name).as_posix() for name in names]
    return changed, untracked


def _committed(root: Path, names: list[str]) -> dict[str, str]:
    """The digests of those of the files that the commit has."""
    if not names:
        return {}
    tree = run_git(["ls-tree", "-r", "-z", "HEAD", "--", *names], root).split("\0")
    entries = (entry.partition("\t") for entry in filter(None, tree))
    return {name: facts.split()[2] for facts, _, name in entries}


def _present(root: Path, names: list[str]) -> dict[str, str]:
    """The digests that the files would have in a commit."""
    if not names:
        return {}
    said = run_git(["hash-object", "--stdin-paths"], root, None, "\n".join(names)).split()
    return dict(zip(names, said, strict=True))


def _is_pinned(root: Path, submodule: Path) -> bool:
    """Whether an inner repository is a submodule that stands where the commit says."""
    entry = run_git(["ls-tree", "HEAD", "--", submodule.as_posix()], root).split()
    try:
        return entry[1:3] == ["commit", run_git(["rev-parse", "HEAD"], root / submodule).strip()]
    except OSError:
        return False
