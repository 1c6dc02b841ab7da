"""What the steps cost on large tables, against plain scripts that do the same work.

    python benchmarks/scale.py [ROWS ...]        10000 100000 1000000 10000000 if none are given

Each plain script is a process of its own, timed whole with its imports, and so is `score`. The
other steps start as main.py starts them, forked with MLflow imported; timed from the call to the
end of their run. One goes after the other; memory is the peak of the process's resident set, as the
operating system counted it.
"""

import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from engine.chatter import silence_mlflow

silence_mlflow()

import mlflow
import numpy as np
import pandas as pd
import yaml

import engine.warm  # noqa: F401 - registers the backend
from engine.processes.forkserver import start_forkserver

COLUMNS = 12
TARGET = "target"
ESTIMATORS = {
    "elastic_net": {
        "estimator": "sklearn.linear_model.ElasticNet",
        "scale": True,
        "parameters": {"alpha": 0.01, "l1_ratio": 0.5},
    },
    "hist_gradient_boosting": {
        "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
        "parameters": {"max_iter": 50},
    },
}


@dataclass(frozen=True)
class Cost:
    """seconds from start to end; peak: the process's resident set at its largest, in bytes."""

    seconds: float
    peak: int


def make_table(rows: int, path: Path) -> int:
    """Writes a table of numbers with something to learn; returns its bytes in memory."""
    rng = np.random.default_rng(rows)
    features = rng.normal(size=(rows, COLUMNS - 1))
    target = features[:, :5] @ np.arange(1, 6) + 4 * np.sin(3 * features[:, 5])
    target += features[:, 6] * features[:, 7] + 2 * rng.normal(size=rows)
    frame = pd.DataFrame(features, columns=[f"feature_{n}" for n in range(COLUMNS - 1)])
    frame[TARGET] = target
    frame.to_parquet(path, index=False)
    return int(frame.memory_usage(index=False).sum())


def write_recipe(table: Path, path: Path) -> None:
    """Writes a recipe that checks every column and holds both models."""
    columns = {f"feature_{n}": {"min": -20, "max": 20} for n in range(COLUMNS - 1)}
    recipe = {
        "name": "scale",
        "task": "regression",
        "data": {"path": str(table), "target": TARGET, "columns": columns},
        "models": ESTIMATORS,
    }
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")


class Bench:
    """One table, one store, and the processes that are timed on them."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.rows = rows
        self.table, self.recipe = folder / "table.parquet", folder / "recipe.yaml"
        self._folder, self._plain = folder, folder / "plain"
        self._plain.mkdir()
        # In a process of its own: what this one ever held would count for every one it starts.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            self.bytes = pool.submit(make_table, rows, self.table).result()
        write_recipe(self.table, self.recipe)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow.set_tracking_uri(uri)
        mlflow.create_experiment("scale", (folder / "artifacts").as_uri())
        mlflow.set_experiment("scale")
        self._environment = {
            **os.environ,
            "MLFLOW_TRACKING_URI": uri,
            "PYTHONPATH": str(PROJECT),
        }
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def plain(self, step: str, *more: str) -> Cost:
        """Runs the plain script's part."""
        script = str(PROJECT / "benchmarks/contenders/plain.py")
        return self._process([script, step, str(self.table), str(self._plain), *more])

    def step(self, step: str, **parameters: str) -> tuple[Cost, str]:
        """Runs a step as main.py does; returns what it cost, and its run's id."""
        started = time.monotonic()
        submitted = mlflow.run(
            str(PROJECT),
            step,
            parameters={"recipe": str(self.recipe), **parameters},
            backend="warm",
            env_manager="local",
        )
        seconds = time.monotonic() - started
        metrics = mlflow.get_run(submitted.run_id).data.metrics
        peak = metrics["system/process_peak_memory_megabytes"]
        return Cost(seconds, int(peak * 1e6)), submitted.run_id

    def score(self, **parameters: str) -> Cost:
        """Runs the step score, as its own entry point."""
        given = [f"--{name}={value}" for name, value in parameters.items()]
        return self._process(["-m", "steps.score", f"--recipe={self.recipe}", *given])

    def model_uri(self, run_id: str) -> str:
        """Returns the URI of the model that a train run logged."""
        return f"models:/{mlflow.get_run(run_id).outputs.model_outputs[0].model_id}"

    def output(self, name: str) -> str:
        """Returns a path for an output."""
        return str(self._folder / f"{name}.parquet")

    def _process(self, words: list[str]) -> Cost:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=PROJECT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(words)} failed:\n{said}")
        return Cost(time.monotonic() - started, usage.ru_maxrss * _RSS_UNIT)


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def measure(rows: int) -> list[dict[str, object]]:
    """Runs every step and every plain script on a table of so many rows."""
    with TemporaryDirectory(prefix="cuvee-scale-") as folder:
        bench = Bench(Path(folder), rows)
        table = []

        def note(step: str, ours: Cost, plain: Cost) -> None:
            print(f"{rows:,} rows: {step}", file=sys.stderr, flush=True)
            table.append(
                {
                    "step": step,
                    "rows": rows,
                    "seconds": ours.seconds,
                    "plain": plain.seconds,
                    "ratio": ours.seconds / plain.seconds,
                    "rows/s": rows / ours.seconds,
                    "peak, MB": ours.peak / 1e6,
                    "plain, MB": plain.peak / 1e6,
                    "peak / table": ours.peak / bench.bytes,
                }
            )

        plain = bench.plain("prepare")
        cost, prepared = bench.step("prepare")
        note("prepare", cost, plain)
        for name in ESTIMATORS:
            plain = bench.plain("train", name)
            cost, trained = bench.step("train", prepare_run_id=prepared, model=name)
            note(f"train, {name}", cost, plain)
            uri = bench.model_uri(trained)
            plain = bench.plain("evaluate")
            cost, _ = bench.step("evaluate", prepare_run_id=prepared, model_uri=uri)
            note(f"evaluate, {name}", cost, plain)
            plain = bench.plain("score")
            cost = bench.score(model_uri=uri, input=str(bench.table), output=bench.output(name))
            note(f"score, {name}", cost, plain)
        return table


def print_table(table: pd.DataFrame) -> None:
    """Prints the table in Markdown, and how each step grows from one size to the next."""
    shown = table.assign(rows=table["rows"].map("{:,}".format))
    print("| " + " | ".join(shown.columns) + " |")
    print("|" + "---|" * len(shown.columns))
    for row in shown.itertuples(index=False):
        cells = [f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row]
        print("| " + " | ".join(cells) + " |")
    print("\n| step | from | to | seconds grow by | peak memory grows by |\n|---|---|---|---|---|")
    for step, part in table.groupby("step", sort=False):
        for before, after in zip(part.index, part.index[1:], strict=False):
            seconds, peak = (
                part.at[after, name] / part.at[before, name] for name in ("seconds", "peak, MB")
            )
            print(
                f"| {step} | {part.at[before, 'rows']:,} | {part.at[after, 'rows']:,} "
                f"| {seconds:.2f} | {peak:.2f} |"
            )


def main(sizes: list[int]) -> None:
    """Measures all sizes and prints the tables."""
    start_forkserver(["steps.prepare", "steps.train", "steps.evaluate"])
    rows = [row for size in sizes for row in measure(size)]
    cores = os.cpu_count()
    print(f"\n{platform.platform()}, {cores} cores, Python {platform.python_version()}\n")
    print_table(pd.DataFrame(rows))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10**4, 10**5, 10**6, 10**7])
