"""What a proof costs, as the last words of `.ci/run`: in seconds, and in pipelines.

    python .ci/cost.py SECONDS_OF_THE_QUICK_TESTS SECONDS_OF_ALL

A pipeline is `python main.py` in an empty store, on this machine in this hour.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

MAIN = Path(__file__).resolve().parent.parent / "main.py"
TIMES = 3


def main(quick: float, everything: float) -> None:
    """Prints the figures. A limit that is not kept fails nothing: a machine may be busy."""
    pipeline = median(_seconds_of_a_pipeline() for _ in range(TIMES))
    print(f"one pipeline   {pipeline:7.1f} s   median of {TIMES}")
    for name, seconds, limit in (("quick tests", quick, 25), ("all of .ci/run", everything, 150)):
        print(f"{name:<14} {seconds:7.1f} s   {seconds / pipeline:.0f} pipelines, {limit} allowed")


def _seconds_of_a_pipeline() -> float:
    variables = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    with TemporaryDirectory() as folder:
        started = time.monotonic()
        subprocess.run(
            [sys.executable, str(MAIN)],
            cwd=folder,
            env=variables,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.monotonic() - started


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
