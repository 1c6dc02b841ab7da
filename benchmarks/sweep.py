"""What a trial of a sweep costs: trials per second, against what people write by hand.

    python benchmarks/sweep.py [ROUNDS]

Every round times each contender once, in turn, so that a noisy machine is noisy for all; printed
are medians of trials per second and their ratios. A rate counts from the first trial to the last
one, as the store has them: what a start costs is said in overhead.py.

(a) a shell loop of `mlflow run -e train`; (b) a loop of Optuna that logs the same to MLflow
(sweep_plain.py), with as many processes; (c) `-e sweep`. Then a sweep of 5,000 trials by one job,
of which the 100th, the 1,000th and the 5,000th are held against each other, and a Dask cluster
with two workers against two jobs.
"""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
FAST = ["--model", "elastic_net", "--alpha", "log(1e-4,1)", "--l1_ratio", "interval(0,1)"]
# Five fits of 50 ms and more a trial.
SLOW = [
    "--model", "random_forest", "--n_estimators", "40", "--max_depth", "range(6,30)",
    "--min_samples_leaf", "range(1,10)",
]  # fmt: skip
RANDOM = ["--sampler", "random", "--cache", "off"]
LONG = 5000


def main(rounds: int) -> None:
    """Times all contenders and prints two tables in Markdown."""
    rates: dict[str, list[float]] = {}
    with TemporaryDirectory(prefix="cuvee-benchmark-") as folder, _cluster(Path(folder)) as dask:
        for number in range(rounds):
            for name, rate in _round(Path(folder), dask):
                rates.setdefault(name, []).append(rate)
                print(f"round {number + 1}: {name}: {rate:.2f}/s", file=sys.stderr, flush=True)
        found = {name: median(values) for name, values in rates.items()}
        costs = _growth(Path(folder))
    print(f"{os.cpu_count()} cores, medians of {rounds} rounds\n")
    print("| what | trials per second |\n|---|---|")
    for name, rate in found.items():
        print(f"| {name} | {rate:.2f} |")
    print("\n| ratio | is | to reach |\n|---|---|---|")
    for words, over, under, goal in (
        ("sweep, 2 jobs / loop of mlflow run", "(c) fast, 2 jobs", "(a) fast", "at least 60"),
        ("sweep / Optuna, 1 process", "(c) slow, 1 job", "(b) slow, 1 process", "at least 0.8"),
        (
            "sweep / Optuna, 2 processes",
            "(c) slow, 2 jobs",
            "(b) slow, 2 processes",
            "at least 0.8",
        ),
        ("two Dask workers / 2 jobs", "(c) slow, Dask", "(c) slow, 2 jobs", "at least 0.8"),
    ):
        print(f"| {words} | {found[over] / found[under]:.2f} | {goal} |")
    for number in (1000, LONG):
        ratio = costs[number] / costs[100]
        print(f"| the {number:,}th trial / the 100th | {ratio:.2f} | at most 1.2 |")


def _round(folder: Path, dask: str) -> Iterator[tuple[str, float]]:
    yield "(a) fast", _loop(folder)
    for kind, space, count in (("fast", FAST, 100), ("slow", SLOW, 40)):
        for jobs in (1, 2):
            words = "process" if jobs == 1 else "processes"
            script = PROJECT / "benchmarks/contenders/sweep_plain.py"
            plain = [str(script), kind, str(jobs), str(count)]
            yield f"(b) {kind}, {jobs} {words}", _rate(folder, plain)
        for jobs in (1, 2, 4):
            options = [*space, *RANDOM, "--trials", str(count), "--jobs", str(jobs)]
            name = f"(c) {kind}, {jobs} job{'s' if jobs > 1 else ''}"
            yield name, _rate(folder, ["-m", "steps.sweep", *options])
    options = [*SLOW, *RANDOM, "--trials", "40", "--scheduler", dask]
    yield "(c) slow, Dask", _rate(folder, ["-m", "steps.sweep", *options])


def _environment(store: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PATH": path,
        "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }


def _run(store: Path, command: list[str]) -> None:
    subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env=_environment(store) | {"MLFLOW_EXPERIMENT_ID": "0"},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _loop(folder: Path) -> float:
    """(a): three turns of the loop, in a store whose table is prepared."""
    with TemporaryDirectory(dir=folder) as place:
        store = Path(place)
        _run(store, ["-m", "steps.prepare", "--recipe", "recipes/wine_quality.yaml"])
        with sqlite3.connect(store / "mlflow.db") as database:
            [[run_id]] = database.execute("select run_uuid from runs").fetchall()
        started = time.monotonic()
        for alpha in (0.01, 0.02, 0.03):
            words = ["run", ".", "--env-manager", "local", "-e", "train", "-P", f"alpha={alpha}"]
            _run(store, ["-m", "mlflow", *words, "-P", f"prepare_run_id={run_id}"])
        return 3 / (time.monotonic() - started)


def _rate(folder: Path, command: list[str]) -> float:
    """Trials per second between the end of the tenth and the end of the last."""
    with TemporaryDirectory(dir=folder) as place:
        _run(Path(place), command)
        ends = _ends(Path(place))
    return (len(ends) - 10) / (ends[-1] - ends[9])


def _ends(store: Path) -> list[float]:
    with sqlite3.connect(store / "mlflow.db") as database:
        rows = database.execute(
            "select end_time from runs join tags using (run_uuid) where key = 'pipeline.trial'"
        ).fetchall()
    return sorted(end / 1000 for [end] in rows)


def _growth(folder: Path) -> dict[int, float]:
    """Seconds a trial costs around the 100th, the 1,000th and the last: medians of a hundred."""
    with TemporaryDirectory(dir=folder) as place:
        options = [*FAST, "--sampler", "tpe", "--cache", "off", "--trials", str(LONG)]
        _run(Path(place), ["-m", "steps.sweep", *options, "--jobs", "1"])
        ends = _ends(Path(place))
    gaps = [after - before for before, after in pairwise(ends)]
    return {
        number: median(gaps[max(0, number - 50) : number + 50][-100:])
        for number in (100, 1000, LONG)
    }


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            cwd=folder,
            env=_environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for words in (scheduler, worker, worker)
    ]
    try:
        yield address
    finally:
        for process in started:
            process.kill()  # a worker that is asked to end waits for its scheduler
            process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
