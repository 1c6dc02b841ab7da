"""Waits while another `mlflow run` still installs the environment that this process runs in.

MLflow takes an environment whose folder is there for a finished one: a second first run would start
in a half-built one and miss a package. Imported before anything is that may be missing: only the
standard library may be used here.
"""

import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_BUILT_BY_MLFLOW = re.compile(r"mlflow-[0-9a-f]{40}")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==[^ ;]+ *\\?$")  # without a marker, so needed everywhere
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_WITHOUT_CHANGE = 60.0


def wait_until_installed(lock: Path) -> None:
    """Returns when all that the lock pins is there; at once, unless MLflow made the environment.

    Ends the process, with one line, if nobody is installing any more and something is missing, or
    if this is an environment of somebody else's without MLflow.
    """
    if not _BUILT_BY_MLFLOW.fullmatch(Path(sys.prefix).name):
        if importlib.util.find_spec("mlflow") is None:
            sys.exit(
                f"{sys.executable} lacks the packages of {lock.name}: activate an environment that "
                "has them, or type the first command of README.md"
            )
        return
    missing = _missing(lock)
    if not missing:
        return
    sys.stderr.write("another run is still installing this environment; waiting for it\n")
    seen, since = missing, time.monotonic()
    while missing:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        missing = _missing(lock)
        if missing != seen or _is_being_installed():
            seen, since = missing, time.monotonic()
        elif missing and time.monotonic() - since > _SECONDS_WITHOUT_CHANGE:
            sys.exit(
                f"the environment {sys.prefix} lacks {len(missing)} packages of "
                f"{lock.name}, and nobody is installing them: remove it and start again"
            )
    importlib.invalidate_caches()


def _missing(lock: Path) -> list[str]:
    """The packages of the lock that are not wholly there yet."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    pinned = [_normal(found[1]) for line in lines if (found := _PIN.match(line))]
    installed = set(_installed())
    return [name for name in pinned if name not in installed]


def _installed() -> Iterator[str]:
    """The packages whose last file, the list of them all, has been written."""
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):
            if name.endswith(".dist-info") and os.path.isfile(Path(folder, name, "RECORD")):
                yield _normal(name.split("-")[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_being_installed() -> bool:
    """Says whether pip or uv is at work in this environment; only Linux tells."""
    own = f"VIRTUAL_ENV={sys.prefix}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if own in variables and b"pip" in words and b"install" in words:
            return True
    return False
