"""What the pipeline costs beyond its work: whole processes, against plain scripts.

    python benchmarks/overhead.py [ROUNDS]

Every round times each contender once, in turn, so that a noisy machine is noisy for all. Printed
are the medians, and the ratios that matter.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd
import psutil

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from common.file_digests import file_sha256
from tracking.store_place import rewrite_places

_MAIN = [sys.executable, str(PROJECT / "main.py")]
_SCORE = [sys.executable, "-m", "steps.score", "--recipe", "recipes/wine_quality.yaml"]
_TABLE = PROJECT / "data/red-wine-quality.csv"
_SCORED_ROWS = 10_000
_MLFLOW = [sys.executable, "-m", "mlflow", "run", str(PROJECT), "--env-manager", "local"]
_NOTHING = """
import os, sys, time
sys.path.insert(0, {project!r})
from engine.processes.forkserver import start_forkserver
start_forkserver(["steps.prepare", "steps.train", "steps.evaluate", "steps.register"])
import mlflow, engine.warm
with mlflow.start_run():
    nothing = "benchmarks/contenders/nothing.py"
    mlflow.run({project!r}, nothing, backend="warm", env_manager="local")
    start = time.monotonic()
    for _ in range(5):
        mlflow.run({project!r}, nothing, backend="warm", env_manager="local")
    print((time.monotonic() - start) / 5)
"""


def main(rounds: int) -> None:
    """Times all contenders and prints a table in Markdown."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["MLFLOW_LOGGING_LEVEL"] = "ERROR"
    with TemporaryDirectory(prefix="cuvee-benchmark-") as folder:
        bench = _Bench(Path(folder), environment)
        for number in range(rounds + 1):  # the first round warms the disk up and is not counted
            bench.round(counted=number > 0)
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        _print_table(bench.seconds, rounds)


class _Bench:
    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._folder = folder
        self._environment = environment
        self._counted = False
        self._empty = folder / "empty"
        self._empty.mkdir()
        self._process(_script("import_only.py"), self._empty)
        wines = pd.read_csv(_TABLE)
        copies = pd.concat([wines] * (_SCORED_ROWS // len(wines) + 1))
        copies.head(_SCORED_ROWS).to_csv(folder / "rows.csv", index=False)

    def round(self, counted: bool) -> None:
        """Times each contender once, each in a store of its own."""
        self._counted = counted
        store = self._store()
        self._time("one process", lambda: self._process(_script("one_process.py"), store))
        store = self._store()
        self._time("main.py, warm", lambda: self._process(_MAIN, store))
        self._time("main.py, everything reused", lambda: self._process(_MAIN, store))
        self._time("import, open, create", lambda: self._process(_script("import_only.py"), store))
        rows = str(self._folder / "rows.csv")
        plain = _script("score_plain.py", rows, str(store / "plain.csv"))
        self._time("load, predict, write", lambda: self._process(plain, store))
        score = [*_SCORE, "--input", rows, "--output", str(store / "scores.csv")]
        self._time("score", lambda: self._process(score, store, PROJECT))
        local = [*_MAIN, "--backend", "local"]
        self._time("main.py, local", lambda: self._process(local, self._store()))
        self._time("mlflow run, warm", lambda: self._process(_MLFLOW, self._store()))
        local = [*_MLFLOW, "-P", "backend=local"]
        self._time("mlflow run, local", lambda: self._process(local, self._store()))
        nothing = [sys.executable, "-c", _NOTHING.format(project=str(PROJECT))]
        self._add("a step without work, warm", float(self._process(nothing, self._store())))
        self._digests()

    def _digests(self) -> None:
        table = self._folder / "table.csv"
        os.environ["XDG_CACHE_HOME"] = str(self._folder / "cache")
        with table.open("wb") as file:
            for _ in range(1024):
                file.write(os.urandom(1024 * 1024))
        time.sleep(2.5)  # a file this fresh is not remembered
        self._time("sha256 of a 1 GiB table, first time", lambda: file_sha256(table))
        self._time("sha256 of a 1 GiB table, second time", lambda: file_sha256(table))
        table.unlink()

    def _store(self) -> Path:
        store = self._folder / f"store{len(list(self._folder.iterdir()))}"
        shutil.copytree(self._empty, store)
        rewrite_places(store / "mlflow.db", self._empty)
        return store

    def _process(self, command: list[str], folder: Path, where: Path | None = None) -> str:
        environment = {
            **self._environment,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        }
        return subprocess.run(
            command,
            cwd=where or folder,
            env=environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout

    def _time(self, name: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        self._add(name, time.monotonic() - started)

    def _add(self, name: str, seconds: float) -> None:
        if self._counted:
            self.seconds.setdefault(name, []).append(seconds)


def _script(name: str, *words: str) -> list[str]:
    return [sys.executable, str(PROJECT / "benchmarks" / "contenders" / name), *words]


def _print_table(seconds: dict[str, list[float]], rounds: int) -> None:
    middle = {name: median(values) for name, values in seconds.items()}
    machine = f"{platform.platform()}, {psutil.cpu_count()} cores"
    machine += f", Python {platform.python_version()}"
    print(f"{machine}; medians of {rounds} rounds, whole processes\n")
    print("| what | seconds | lowest | highest |\n|---|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {middle[name]:.3f} | {min(values):.3f} | {max(values):.3f} |")
    print("\n| ratio | is | to reach |\n|---|---|---|")
    for above, below, goal in (
        ("main.py, warm", "one process", "at most 1.12"),
        ("main.py, local", "main.py, warm", "at least 3"),
        ("main.py, everything reused", "import, open, create", "at most 1.2"),
        ("score", "load, predict, write", "at most 1"),
    ):
        print(f"| {above} / {below} | {middle[above] / middle[below]:.2f} | {goal} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
