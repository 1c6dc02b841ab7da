"""An environment in which exactly a project's lock is installed: the present one, or one built."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import yaml
from filelock import FileLock

from common.user_cache import user_cache
from engine.cache.key import environment_versions

_COMPLETE = ".complete"
_DECORATION = re.compile(r"[^\x20-\x7e]+")  # with which uv draws its errors


def locked_python(project: Path, own_lock: Path | None = None) -> tuple[Path, str]:
    """Finds or builds the environment of a project.

    One that is built stays in the user's cache folder for the next time. Two processes that need
    the same one build it once, and a half-built one is built anew.

    Args:
        project: its `requirements.lock` and `python_env.yaml` count.
        own_lock: that of the recipe's own repository, which has all that the project's has.

    Returns:
        The Python to run it with, and in words which environment that is.

    Raises:
        OSError: it cannot be built; one line says why.
    """
    lock = own_lock or project / "requirements.lock"
    wanted = _python_version(project)
    versions = environment_versions(lock)
    differing = versions.keys() - {"requirements.lock", "python"}
    if not differing and versions["python"] == wanted:
        return Path(sys.executable), "the present one, which is as locked"
    name = hashlib.sha256(f"{versions['requirements.lock']} {wanted}".encode()).hexdigest()[:16]
    root = user_cache() / "environments"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not (folder / _COMPLETE).is_file():
            click.echo(f"installing requirements.lock and Python {wanted} into {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _build(folder, wanted, lock)
            except OSError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _COMPLETE).touch()
    return _python_in(folder), f"as locked, in {folder}"


def _python_version(project: Path) -> str:
    text = (project / "python_env.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["python"])


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _build(folder: Path, wanted: str, lock: Path) -> None:
    python = str(_python_in(folder))
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", wanted, str(folder)], "the environment")
        _run([uv, "pip", "install", "--python", python, "-r", str(lock)], "the lock")
        return
    if platform.python_version() != wanted:
        raise OSError(
            f"the recorded run used Python {wanted}, this is {platform.python_version()}: install "
            "uv, which fetches it"
        )
    _run([sys.executable, "-m", "venv", str(folder)], "the environment")
    _run([python, "-m", "pip", "install", "--quiet", "-r", str(lock)], "the lock")


def _run(command: list[str], what: str) -> None:
    """Runs a command and shows what it says; raises OSError with its error in one line."""
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            click.echo(line.rstrip())
            said.append(" ".join(_DECORATION.sub(" ", line).split()))
    if process.returncode:
        errors = [n for n, line in enumerate(said) if line.lower().startswith(("error", "no solu"))]
        words = " ".join(filter(None, said[errors[0] if errors else -1 :]))
        raise OSError(f"{what} cannot be installed: {words}")
