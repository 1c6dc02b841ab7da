"""A fit with as many threads as there are free cores, against one thread and one for each core.

    python benchmarks/busy_cores.py [ROUNDS]

Each has its turn in every round, with the cores as they are and with another process on each core.
Printed are the medians..
"""

import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
import psutil
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from modelling.estimators.threads import threads_for

_SHAPE = (100_000, 12)
_TREES = 40
_CORES = psutil.cpu_count() or 1


def main(rounds: int) -> None:
    """Fits in turn and prints a table in Markdown."""
    chance = np.random.default_rng(0)
    features = pd.DataFrame(chance.normal(size=_SHAPE))
    target = features[0] + chance.normal(size=len(features))
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for state, others in (("as they are", 0), ("busy", _CORES)):
            with _busy(others):
                for name, threads in _contenders(features):
                    started = time.monotonic()
                    with threads:
                        model = HistGradientBoostingRegressor(max_iter=_TREES, early_stopping=False)
                        model.fit(features, target)
                    seconds.setdefault((state, name), []).append(time.monotonic() - started)
    print(f"{platform.platform()}, {_CORES} cores; medians of {rounds} rounds\n")
    print("| cores | threads | seconds | / one thread |\n|---|---|---|---|")
    for (state, name), values in seconds.items():
        ratio = median(values) / median(seconds[state, "one"])
        print(f"| {state} | {name} | {median(values):.2f} | {ratio:.2f} |")


def _contenders(features: pd.DataFrame) -> list[tuple[str, AbstractContextManager[object]]]:
    return [
        ("one", _limited(1)),  # only when it is entered: threadpool_limits limits when it is made
        ("as many as cores are free", threads_for(features)),
        ("one for each core", nullcontext()),
    ]


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    with threadpool_limits(limits=threads):
        yield


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keeps so many cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
