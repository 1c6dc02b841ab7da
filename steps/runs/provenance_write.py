"""What a pipeline's run records of its origin: enough to be made again by `reproduce`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import mlflow
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_BRANCH,
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_REPO_URL,
    MLFLOW_SOURCE_NAME,
)

from common.secrets import without_credentials
from engine.cache.key import LOCK, OWN_LOCK
from engine.provenance.code_in_git import with_code
from engine.provenance.project_state import GitState, Provenance, read_git, run_git, write_diff
from tracking.mlflow_manager import log_artifact
from tracking.output_manager import temporary_path

PROVENANCE_FILE = "provenance.json"
REQUEST_FILE = "request.json"
DIFF_FILE = "git_diff.txt"
WORKSPACE_FILE = "workspace.json"
WORKSPACE_DIFF_FILE = "workspace_diff.txt"
OWN_LOCK_FILE = "workspace_requirements.lock"
LOCK_SHA256 = "pipeline.lock_sha256"
OWN_LOCK_SHA256 = "pipeline.workspace_lock_sha256"
WORKSPACE_COMMIT = "pipeline.workspace_commit"
GIT_DIRTY = "pipeline.git_dirty"
OTHER_VERSIONS = "pipeline.other_versions"
SEED = "pipeline.seed"

# Where one stands, a store begins: it is no part of what is recorded in it.
_OF_THE_STORE = ("mlflow.db", "mlruns/", "mlartifacts/")


def hide_credentials(run: Run) -> None:
    """Takes the credentials out of the URLs that MLflow itself has written on a run."""
    for tag in (MLFLOW_SOURCE_NAME, MLFLOW_GIT_REPO_URL):
        url = run.data.tags.get(tag, "")
        if url != without_credentials(url):
            mlflow.set_tag(tag, without_credentials(url))


def record_request(request: Mapping[str, Any]) -> None:
    """Records what the active run was asked for: recipe, model, data, until, hyperparameters.

    With `auto` resolved, and of a sweep when its winner is known: that is what is made again.
    """
    mlflow.log_dict(dict(request), REQUEST_FILE)


def record_provenance(
    project: Path, provenance: Provenance, seed: int, code: Iterable[str]
) -> None:
    """Records on the active run where it comes from, and the diff where the project is dirty.

    Args:
        project: the project's root.
        provenance: of the run.
        seed: of everything random.
        code: the files that the run's steps run, from that root or absolute.
    """
    git = provenance.git and with_code(project, provenance.git, code)
    if git is None:
        click.echo(f"main: no commit is recorded, so nobody can reproduce it: {provenance.no_git}")
    left_out = _record_diff(project, git) if git and git.is_dirty else []
    environment = dict(provenance.environment)
    content = {
        "seed": seed,
        "git": asdict(git) | {"left_out_of_diff": left_out} if git else None,
        "environment": environment,
        "machine": dict(provenance.machine),
    }
    mlflow.log_dict(content, PROVENANCE_FILE)
    tags = {
        LOCK_SHA256: environment.pop(LOCK),
        GIT_DIRTY: str(git.is_dirty).lower() if git else "unknown",
        SEED: seed,
        **provenance.machine,
    }
    if own_lock := environment.pop(OWN_LOCK, ""):
        tags[OWN_LOCK_SHA256] = own_lock
    others = {name: found for name, found in environment.items() if name != "python"}
    if others:
        tags[OTHER_VERSIONS] = ", ".join(f"{name} {found}" for name, found in others.items())
    if git:
        tags[MLFLOW_GIT_COMMIT] = git.commit
        if git.branch:
            tags[MLFLOW_GIT_BRANCH] = git.branch
        if git.remote:
            tags[MLFLOW_GIT_REPO_URL] = git.remote
    mlflow.set_tags(tags)


def record_own_lock(lock: Path) -> None:
    """Keeps the lock of the recipe's own repository with the active run."""
    mlflow.log_text(lock.read_text(encoding="utf-8"), OWN_LOCK_FILE)


def record_workspace(folder: Path, recipe: str) -> None:
    """Records on the active run where a recipe of another repository comes from, and its diff.

    Nothing where it is in no repository: the recipe itself, with its code, is recorded anyway.

    Args:
        folder: the repository's root.
        recipe: the recipe's path.
    """
    if not (folder / ".git").exists():
        return
    try:
        git = read_git(folder)
    except OSError as error:
        click.echo(f"main: no commit of {folder} is recorded: {error}")
        return
    untracked = [name for name in git.untracked if not name.startswith(_OF_THE_STORE)]
    git = replace(git, untracked=tuple(untracked))
    left_out = _record_diff(folder, git, WORKSPACE_DIFF_FILE) if git.is_dirty else []
    place = Path(recipe).resolve().relative_to(folder).as_posix()
    content = asdict(git) | {"left_out_of_diff": left_out, "recipe": place}
    mlflow.log_dict(content, WORKSPACE_FILE)
    facts = {
        "commit": git.commit,
        "branch": git.branch,
        "remote": git.remote,
        "dirty": str(git.is_dirty).lower(),
    }
    mlflow.set_tags({f"pipeline.workspace_{name}": value for name, value in facts.items() if value})


def commit_of(folder: Path) -> str:
    """Returns the commit of a repository, as it is; empty if there is none."""
    try:
        return run_git(["rev-parse", "HEAD"], folder).strip() if (folder / ".git").exists() else ""
    except OSError:
        return ""


def _record_diff(project: Path, git: GitState, name: str = DIFF_FILE) -> list[str]:
    """Logs the diff; returns what it leaves out, and says so."""
    diff = temporary_path(name)
    left_out = write_diff(project, git, diff)
    if left_out:
        click.echo(f"main: left out of the recorded diff: {', '.join(left_out)}")
    if diff.stat().st_size or (git.is_dirty and not left_out):  # empty: only the index was changed
        log_artifact(diff)
    return left_out
