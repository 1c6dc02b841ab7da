"""The same numbers whoever builds the environment: uv, virtualenv, conda, or nobody."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end import git_daemon as daemon

PROJECT = Path(__file__).parents[3]
# Where a stand-in for conda may be found, on machines that have none.
TOOLS = Path(os.environ.get("CUVEE_TEST_TOOLS") or PROJECT.parent / "shared" / "tools")
_NAME = "cuvee-test"
_LONGEST_SECONDS = 900

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A repository with the project, and a branch that lacks its newest commit."""
    folder = tmp_path_factory.mktemp("source") / "project"
    daemon.copy_project(folder)
    daemon.git(folder, "branch", "-f", "older")
    daemon.git(folder, "commit", "-q", "--allow-empty", "-m", "the newest")
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


@pytest.fixture
def run(url, make_store):
    """Runs main by its URL in an empty folder."""

    def type_it(words, **variables):
        store = make_store(is_empty=True)
        command = [sys.executable, "-m", "mlflow", "run", url, *words]
        outcome = store.type(command, None, variables)
        assert outcome.code == 0, outcome.terminal
        assert {run.info.status for run in outcome.runs} == {"FINISHED"}
        assert outcome.parent.data.tags["pipeline.verdict"] == "promoted"
        assert outcome.aliases == {"champion": 1}
        assert {path.name for path in store.folder.iterdir()} == {"mlflow.db", "mlruns"}
        return outcome

    return type_it


@pytest.fixture
def of_nobody(template):
    """The figures of a run in the environment that is there, as locked."""
    found = figures(template("champion").outcomes["first"])
    assert len(found) > 5
    return found


def figures(outcome):
    metrics = outcome.parent.data.metrics
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def test_uv_gives_the_same_figures_to_the_last_digit_for_a_commit(run, source, folder, of_nobody):
    commit = daemon.git(source, "rev-parse", "older")
    outcome = run(["--env-manager", "uv", "-v", commit], MLFLOW_ENV_ROOT=str(folder / "uv"))
    assert figures(outcome) == of_nobody
    assert outcome.parent.data.tags["mlflow.source.git.commit"] == commit


@pytest.mark.exhaustive
def test_uv_gives_them_in_an_environment_that_may_be_there(run, folder, of_nobody):
    outcome = run(["--env-manager", "uv"], MLFLOW_ENV_ROOT=str(folder / "uv"))
    assert figures(outcome) == of_nobody


@pytest.mark.exhaustive
def test_virtualenv_gives_them(run, folder, of_nobody):
    if not shutil.which("pyenv"):
        pytest.skip("pyenv is not here")
    outcome = run([], MLFLOW_ENV_ROOT=str(folder / "virtualenv"))
    assert figures(outcome) == of_nobody


@pytest.mark.exhaustive
def test_conda_gives_them(run, source, folder, environment, of_nobody):
    python = _conda_environment(source, folder / "conda", environment)
    if python is None:
        pytest.skip("conda is not here")
    path = os.pathsep.join([str(python.parent), environment["PATH"]])
    assert figures(run(["--env-manager", "local"], PATH=path)) == of_nobody


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


def test_shuffled_rows_another_number_of_threads_and_another_backend_give_the_same_champion(
    template, make_store, tmp_path, read_artifact
):
    first = template("champion").outcomes["first"]
    wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
    shuffled = tmp_path / "shuffled.csv"
    wines.sample(frac=1, random_state=3).to_csv(shuffled, index=False)
    again = [f"data={shuffled}", "cache=refresh", "backend=local"]
    second = make_store(like="champion").main(*again, OMP_NUM_THREADS="1")
    assert second.parent.data.tags["pipeline.verdict"] == "unchanged", second.terminal
    threads = {run.step("train").data.tags["pipeline.threads"] for run in (first, second)}
    assert len(threads) == (1 if os.cpu_count() == 1 else 2)
    for step in ("prepare", "train", "evaluate"):
        digests = {run.step(step).data.tags["pipeline.output_digest"] for run in (first, second)}
        assert len(digests) == 1, step
    predictions = [
        pd.read_parquet(read_artifact(run.step("evaluate"), "predictions/*.parquet"))
        for run in (first, second)
    ]
    pd.testing.assert_frame_equal(*predictions, check_exact=True)
