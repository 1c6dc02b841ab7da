"""What a prediction of the logged model costs, against MLflow's own scikit-learn flavor.

    python benchmarks/serving.py [ROUNDS] [MODEL]

The wines' champion (or another MODEL of that recipe) through `predict` and through `mlflow models
serve`; the flavor holds the same fitted Pipeline, and is given the computed features, which the
logged model computes by itself. Both are asked in turn, so that a noisy machine is noisy for both.
"""

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import mlflow
import numpy as np
import pandas as pd
import psutil
import requests
from mlflow.models import infer_signature

from modelling.models.sklearn_wrapper import apply_features

ROWS = (1, 1000)
CLIENTS = (1, 8)
_REQUESTS = 5  # of each client in a round, in which each model has its turn
_SECONDS_TO_START = 120

Ask = Callable[[], object]


def main(rounds: int, model: str) -> None:
    """Prints the tables of benchmarks/README.md."""
    with TemporaryDirectory(prefix="cuvee-benchmark-") as folder, ExitStack() as stack:
        uris, tables = make_models(Path(folder), model)
        models = {name: mlflow.pyfunc.load_model(uri) for name, uri in uris.items()}
        addresses = {name: stack.enter_context(serve(uri)) for name, uri in uris.items()}
        machine = f"{platform.platform()}, {psutil.cpu_count()} cores"
        print(f"{machine}, Python {platform.python_version()}; {model}, {rounds} rounds\n")
        print(
            "| what | rows | clients | logged model: median, ms | 95% | flavor: median, ms | 95% |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        ratios = []
        for rows in ROWS:
            asked = {name: table.head(rows) for name, table in tables.items()}
            predict = {
                name: lambda name=name: models[name].predict(asked[name])  # noqa: B023
                for name in models
            }
            ratios.append(_row("predict", rows, 1, _in_turns(predict, 1, rounds)))
        for rows, clients in product(ROWS, CLIENTS):
            bodies = {name: _body(table.head(rows)) for name, table in tables.items()}
            post = {name: _post(addresses[name], bodies[name]) for name in models}
            ratios.append(_row("serve", rows, clients, _in_turns(post, clients, rounds)))
        print(
            "\n| ratio of | rows | clients | medians | 95% | to reach |\n|---|---|---|---|---|---|"
        )
        print("\n".join(f"| {line} | at most 1.5 |" for line in ratios))


def make_models(folder: Path, model: str) -> tuple[dict[str, str], dict[str, pd.DataFrame]]:
    """Trains and logs the model, and its Pipeline as MLflow's flavor; with rows for each."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, str(PROJECT / "main.py"), "--model", model]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    mlflow.set_tracking_uri(uri)
    os.environ["MLFLOW_TRACKING_URI"] = uri  # of the servers
    logged = mlflow.pyfunc.load_model("models:/wine_quality/1").unwrap_python_model()
    raw = pd.read_csv(PROJECT / "data" / "red-wine-quality.csv").astype("float64")
    raw = raw[list(logged.features["columns"])]
    inputs = apply_features(raw, logged.features)
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("flavor", (folder / "flavor").as_uri())
    )
    flavor = mlflow.sklearn.log_model(
        logged.pipeline,
        name="flavor",
        signature=infer_signature(inputs, logged.pipeline.predict(inputs)),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    return (
        {"logged model": "models:/wine_quality/1", "flavor": flavor.model_uri},
        {"logged model": raw, "flavor": inputs},
    )


@contextmanager
def serve(uri: str) -> Iterator[str]:
    """Serves a model on this machine, until the block is left; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri]
    process = subprocess.Popen(
        [*command, "--env-manager", "local", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(address)
        yield address
    finally:
        started = psutil.Process(process.pid)
        for one in (*started.children(recursive=True), started):
            one.terminate()
        process.wait()


def _wait_until_it_answers(address: str) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            requests.get(f"{address}/ping", timeout=5).raise_for_status()
            return
        except requests.RequestException:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _body(rows: pd.DataFrame) -> str:
    return json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)})


def _post(address: str, body: str) -> Ask:
    session = requests.Session()  # as a client does that asks more than once

    def ask() -> object:
        headers = {"Content-Type": "application/json"}
        answer = session.post(f"{address}/invocations", data=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer

    return ask


def _in_turns(asks: dict[str, Ask], clients: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each request: a turn of one model, then of the other; one client asks in turn."""
    turns, requests_a_turn = (1, _REQUESTS * clients) if clients > 1 else (_REQUESTS, 1)
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    with ThreadPoolExecutor(clients) as pool:
        for number in range(rounds + 1):  # the first round is not counted
            for name, ask in [*asks.items()] * turns:
                took = list(pool.map(_timed, [ask] * requests_a_turn))
                if number:
                    seconds[name] += took
    return seconds


def _timed(ask: Ask) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def _row(what: str, rows: int, clients: int, seconds: dict[str, list[float]]) -> str:
    """Prints a line of the first table; returns the beginning of one of the second."""
    figures: Any = {name: np.quantile(took, [0.5, 0.95]) * 1e3 for name, took in seconds.items()}
    ours, flavor = figures["logged model"], figures["flavor"]
    shown = " | ".join(f"{value:.2f}" for value in (*ours, *flavor))
    print(f"| {what} | {rows:,} | {clients} | {shown} |", flush=True)
    median, high = ours / flavor
    return f"{what} | {rows:,} | {clients} | {median:.2f} | {high:.2f}"


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 20,
        sys.argv[2] if len(sys.argv) > 2 else "elastic_net",
    )
