"""A repository of the project on a real `git daemon`, on loopback and a free port."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[2]
_NOT_COPIED = (".git", "mlruns", "mlflow.db*", ".venv", "__pycache__", ".*_cache")
_SECONDS_TO_START = 10


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def copy_project(folder: Path) -> None:
    """Copies the project as it is here, with its history, and commits what is not committed.

    By a clone: in a worktree, a copied `.git` would mean the repository here.
    """
    git(PROJECT, "clone", "-q", "--no-checkout", str(PROJECT), str(folder))
    ignored = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(PROJECT, folder, ignore=ignored, dirs_exist_ok=True)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "all that there is")


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serves all repositories in a folder; gives the URL that their names are appended to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--listen=127.0.0.1", f"--port={port}", "--reuseaddr", "--export-all"]
    # In a session of its own, since git starts the daemon proper as its child.
    daemon = subprocess.Popen(
        ["git", "daemon", *options, f"--base-path={folder}", str(folder)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield f"git://127.0.0.1:{port}"
    finally:
        subprocess.run(["kill", "--", f"-{daemon.pid}"], check=True)
        daemon.wait()
