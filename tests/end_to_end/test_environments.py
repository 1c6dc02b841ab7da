"""The same numbers whoever builds the environment: uv, virtualenv, conda, or nobody."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end import git_daemon as daemon

PROJECT = Path(__file__).parents[2]
# Where a stand-in for conda may be found, on machines that have none.
TOOLS = Path(os.environ.get("CUVEE_TEST_TOOLS") or PROJECT.parent / "shared" / "tools")
_NAME = "cuvee-test"
_LONGEST_SECONDS = 900

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A repository with the project."""
    folder = tmp_path_factory.mktemp("source") / "project"
    daemon.copy_project(folder)
    return folder


@pytest.fixture(scope="module")
def url(source, tmp_path_factory):
    served = tmp_path_factory.mktemp("served")
    daemon.git(served, "clone", "-q", "--bare", str(source), "cuvee.git")
    with daemon.serve(served) as address:
        yield f"{address}/cuvee.git"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What environments are built in."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def figures(url, source, folder, make_store, environment):
    """The figures of `main` by how it came by its environment; all are built at the same time."""

    def run(words, variables):
        store = make_store(is_empty=True)
        outcome = store.type([sys.executable, "-m", "mlflow", "run", url, *words], None, variables)
        assert outcome.code == 0, outcome.terminal
        assert {run.info.status for run in outcome.runs} == {"FINISHED"}
        assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
        assert outcome.aliases == {"champion": 1}
        assert {path.name for path in store.folder.iterdir()} == {"mlflow.db", "mlruns"}
        metrics = outcome.parent.data.metrics
        return {name: value for name, value in metrics.items() if not name.startswith("system/")}

    def uv():
        root = {"MLFLOW_ENV_ROOT": str(folder / "uv")}
        first = run(["--env-manager", "uv"], root)
        commit = daemon.git(source, "rev-parse", "HEAD")
        return {"uv": first, "uv -v": run(["--env-manager", "uv", "-v", commit], root)}

    def virtualenv():
        if not shutil.which("pyenv"):
            return {}
        return {"virtualenv": run([], {"MLFLOW_ENV_ROOT": str(folder / "virtualenv")})}

    def conda():
        python = _conda_environment(source, folder / "conda", environment)
        if python is None:
            return {}
        path = os.pathsep.join([str(python.parent), environment["PATH"]])
        return {"conda": run(["--env-manager", "local"], {"PATH": path})}

    with ThreadPoolExecutor() as executor:
        local = {"local": run(["--env-manager", "local"], {})}
        built = [executor.submit(build) for build in (uv, virtualenv, conda)]
        return {name: found for each in built for name, found in each.result().items()} | local


def _conda_environment(source, folder, environment):
    """The Python of an environment that conda makes of conda.yaml; None without a conda."""
    setup = TOOLS / "conda" / "setup"
    conda = shutil.which("conda")
    if conda is None and setup.is_file():
        _execute([str(setup), str(folder)], source, environment)
        conda = str(folder / "bin" / "conda")
    if conda is None:
        return None
    _execute([conda, "env", "create", "-n", _NAME, "-f", "conda.yaml"], source, environment)
    known = json.loads(_execute([conda, "env", "list", "--json"], source, environment))["envs"]
    (prefix,) = (Path(each) for each in known if Path(each).name == _NAME)
    return prefix / "bin" / "python"


def _execute(command, cwd, environment):
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LONGEST_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("manager", ["uv", "uv -v", "virtualenv", "conda"])
def test_every_manager_gives_the_same_figures_to_the_last_digit(figures, manager):
    if manager not in figures:
        pytest.skip(f"{manager} is not here")
    assert len(figures["local"]) > 5
    assert figures[manager] == figures["local"]


def test_shuffled_rows_other_threads_and_another_backend_give_the_same_champion(
    make_store, tmp_path, read_artifact
):
    store = make_store()
    wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
    shuffled = tmp_path / "shuffled.csv"
    wines.sample(frac=1, random_state=3).to_csv(shuffled, index=False)
    first = store.main("model=ridge", OMP_NUM_THREADS="1")
    again = ["model=ridge", f"data={shuffled}", "cache=refresh", "backend=local"]
    second = store.main(*again, OMP_NUM_THREADS="2")
    assert first.parent.data.tags["pipeline.verdict"] == "promoted", first.terminal
    assert second.parent.data.tags["pipeline.verdict"] == "unchanged", second.terminal
    for step in ("prepare", "train", "evaluate"):
        digests = {run.step(step).data.tags["pipeline.output_digest"] for run in (first, second)}
        assert len(digests) == 1, step
    predictions = [
        pd.read_parquet(read_artifact(run.step("evaluate"), "predictions/*.parquet"))
        for run in (first, second)
    ]
    pd.testing.assert_frame_equal(*predictions, check_exact=True)
