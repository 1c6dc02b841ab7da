"""What a proof costs, in seconds and in pipelines.

    python .ci/cost.py "quick tests" SECONDS LIMIT

A pipeline is `python main.py` in an empty store, on this machine and now: some machines are twice
as fast in one hour as in the next, so each part of `.ci/run` is measured right after its end.
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


def main(name: str, seconds: float, limit: int) -> None:
    """Prints the figures. A limit that is not kept fails nothing: a machine may be busy."""
    pipeline = median(_seconds_of_a_pipeline() for _ in range(TIMES))
    print(f"one pipeline   {pipeline:7.1f} s   median of {TIMES}")
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
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
