"""What a proof costs, in seconds and in pipelines.

    python .ci/cost.py FILE                              before the tests
    python .ci/cost.py FILE "quick tests" SECONDS LIMIT  after them

A pipeline is `python main.py` in an empty store, on this machine and now. Some machines are twice
as fast in one minute as in the next: so each call adds what it measured to the file, and a part of
`.ci/run` is held against the median of all that was measured until its end.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

MAIN = Path(__file__).resolve().parent.parent / "main.py"
TIMES = 2


def main(file: Path, name: str = "", seconds: float = 0, limit: float = 0) -> None:
    """Measures, and prints the figures of a part.

    A limit that is not kept fails nothing: a machine may be busy.
    """
    with file.open("a") as measured:
        measured.writelines(f"{_seconds_of_a_pipeline()}\n" for _ in range(TIMES))
    pipelines = [float(line) for line in file.read_text().splitlines()]
    if name:
        pipeline = median(pipelines)
        each = ", ".join(f"{one:.1f}" for one in pipelines)
        print(f"one pipeline   {pipeline:7.1f} s   median of {each}")
        ratio = f"{seconds / pipeline:.0f} pipelines, {limit:.0f} allowed"
        print(f"{name:<14} {seconds:7.1f} s   {ratio}")


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
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(float, sys.argv[3:]))
