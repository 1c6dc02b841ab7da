"""Pipelines and sweeps from 1, 4 and 16 clients at once: on SQLite, and through a team's server.

    python benchmarks/throughput.py [--clients 1,4,16] [--trials 8]

Prints how many there are in a minute. Every client is a process of its own with a hyperparameter
of its own; the table is split before the clock starts, as it is when a team works on one table.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import click

from tests.team_server import TeamServer, missing, pipeline


def commands(kind: str, clients: int, trials: int, round_number: int) -> list[Sequence[str]]:
    """What the clients type, each something that nobody has computed before."""
    numbers = [round_number * 100 + client for client in range(clients)]
    if kind == "pipelines":
        return [pipeline("--alpha", f"{0.002 + number * 1e-5:.5f}") for number in numbers]
    sweep = [sys.executable, "-m", "mlflow", "run", str(PROJECT), "--env-manager", "local"]
    chosen = ["-e", "sweep", "-P", f"trials={trials}", "-P", "model=elastic_net", "-P", "jobs=1"]
    ranges = ["-P", "alpha=log(1e-3,1e-1)"]
    return [[*sweep, *chosen, *ranges, "-P", f"seed={number}"] for number in numbers]


def run_all(typed: list[Sequence[str]], folder: Path, variables: dict[str, str]) -> float:
    """Starts all at once; returns how long it takes until the last has ended, in seconds."""
    environment = {**os.environ, **variables}
    started = time.monotonic()
    processes = [
        subprocess.Popen(
            words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for words in typed
    ]
    for process in processes:
        _, said = process.communicate()
        if process.returncode:
            sys.exit(said.decode())
    return time.monotonic() - started


@click.command()
@click.option("--clients", default="1,4,16")
@click.option("--trials", default=8, help="of each sweep")
@click.option("--kinds", default="pipelines,sweeps")
def main(clients: str, trials: int, kinds: str) -> None:
    """Prints the table of benchmarks/README.md."""
    with ExitStack() as stack:
        here = Path(stack.enter_context(TemporaryDirectory(prefix="sqlite-")))
        stores = {"SQLite": {"MLFLOW_TRACKING_URI": f"sqlite:///{here / 'mlflow.db'}"}}
        if reason := missing():
            print(reason)
        else:
            folder = stack.enter_context(TemporaryDirectory(prefix="server-"))
            server = stack.enter_context(TeamServer(Path(folder)))
            server.add_user("ana", "trainer")
            stores["server"] = server.variables("ana")
        for variables in stores.values():
            run_all([pipeline("--alpha", "0.001")], here, variables)
        print(f"| what | clients | {' | '.join(f'{name}, per minute' for name in stores)} |")
        print(f"|---|---|{'---|' * len(stores)}", flush=True)
        number = 0
        for kind in kinds.split(","):
            for count in map(int, clients.split(",")):
                number += 1
                figures = []
                for variables in stores.values():
                    took = run_all(commands(kind, count, trials, number), here, variables)
                    figures.append(f"{60 * count / took:.1f}")
                print(f"| {kind} | {count} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
