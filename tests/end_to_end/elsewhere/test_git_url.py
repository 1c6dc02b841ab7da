"""`mlflow run <git URL>` from an empty folder, served by a real `git daemon`."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end import git_daemon as daemon
from tests.end_to_end.store import artifact

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A repository with the project at its root, and a branch that lacks its newest commit."""
    folder = tmp_path_factory.mktemp("source") / "project"
    daemon.copy_project(folder)
    daemon.git(folder, "branch", "-f", "feature/one")
    daemon.git(folder, "commit", "-q", "--allow-empty", "-m", "the newest")
    return folder


@pytest.fixture(scope="module")
def mono(source, tmp_path_factory):
    """A repository that has the project in a folder, and a tag before its newest commit."""
    folder = tmp_path_factory.mktemp("mono")
    daemon.git(folder, "init", "-q", "-b", "main")
    shutil.copytree(source, folder / "projects" / "wine", ignore=shutil.ignore_patterns(".git"))
    (folder / "readme.txt").write_text("Something else.\n")
    daemon.git(folder, "add", "-A")
    daemon.git(folder, "commit", "-qm", "one of many")
    daemon.git(folder, "tag", "v1")
    daemon.git(folder, "commit", "-q", "--allow-empty", "-m", "the newest")
    return folder


@pytest.fixture(scope="module")
def url(source, mono, tmp_path_factory):
    """Where git daemon serves both, as `cuvee.git` and `mono.git`."""
    served = tmp_path_factory.mktemp("served")
    daemon.git(served, "clone", "-q", "--bare", str(source), "cuvee.git")
    daemon.git(served, "clone", "-q", "--bare", str(mono), "mono.git")
    with daemon.serve(served) as address:
        yield address


@pytest.fixture
def short(tmp_path_factory):
    """A temporary folder whose path leaves room for that of a socket."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture
def run(url, make_store, short):
    """Types `mlflow run` of a repository in an empty folder, with a temporary folder of its own."""
    store = make_store(is_empty=True)

    def type_it(repository, *options, **variables):
        command = [sys.executable, "-m", "mlflow", "run", f"{url}/{repository}", *options]
        outcome = store.type(
            [*command, "--env-manager", "local"],
            variables={"TMPDIR": str(short), **variables},
        )
        assert outcome.code == 0, outcome.terminal
        assert list(short.iterdir()) == []
        return outcome

    type_it.store = store
    return type_it


def test_a_url_is_all_it_takes_and_a_local_clone_reuses_every_step(run, source, url):
    outcome = run("cuvee.git")
    assert outcome.aliases == {"champion": 1}
    tags = outcome.parent.data.tags
    assert tags["mlflow.source.git.commit"] == daemon.git(source, "rev-parse", "HEAD")
    assert tags["mlflow.source.git.repoURL"] == f"{url}/cuvee.git"
    assert tags["pipeline.git_dirty"] == "false"
    for each in outcome.runs:
        assert each.info.artifact_uri.startswith(str(run.store.folder / "mlruns"))
    # What is written goes to where one stands, not to the clone, which is gone.
    files = ["input=data/red-wine-quality.csv", "output=scores.csv", "result=told.json"]
    run("cuvee.git", "-e", "score", *(word for file in files for word in ("-P", file)))
    assert len((run.store.folder / "scores.csv").read_text().splitlines()) == 1600
    assert json.loads((run.store.folder / "told.json").read_text())["status"] == "done"
    local = run.store.main(project=source, MLFLOW_EXPERIMENT_ID="0")
    tags = local.parent.data.tags
    assert tags["pipeline.verdict"] == "unchanged", local.terminal
    statuses = {tags[f"pipeline.step.{step}.status"] for step in ("prepare", "train", "evaluate")}
    assert statuses == {"reused"}


def test_a_tag_of_a_project_in_a_subdirectory_with_a_table_from_elsewhere_and_a_relative_store(
    run, mono, tmp_path
):
    table = tmp_path / "wines.csv"
    shutil.copyfile(daemon.PROJECT / "data" / "red-wine-quality.csv", table)
    options = ["-v", "v1", "-P", "until=prepare", "-P", f"data={table}"]
    outcome = run("mono.git#projects/wine", *options, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert outcome.step("prepare").data.metrics["rows"] == 1599
    provenance = outcome.client.download_artifacts(
        outcome.parent.info.run_id, "provenance.json", str(tmp_path)
    )
    git = json.loads(Path(provenance).read_text())["git"]
    assert git["folder"] == "projects/wine"
    assert git["commit"] == daemon.git(mono, "rev-parse", "v1")
    assert outcome.parent.data.tags["mlflow.source.git.commit"] == git["commit"]
    assert sorted(path.name for path in run.store.folder.iterdir()) == ["mlflow.db", "mlruns"]


def test_the_clone_of_a_branch_goes_also_when_main_is_killed(
    url, source, make_store, short, environment
):
    store, branch = make_store(), ["-v", "feature/one", "--env-manager", "local"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "run", f"{url}/cuvee.git", *branch],
        cwd=store.folder,
        env={**environment, "TMPDIR": str(short)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("train "):
            break
    assert list(short.glob("tmp*/main.py"))
    (main,) = (
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "main.py" in child.cmdline()
    )
    main.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 20
    while list(short.glob("tmp*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(short.glob("tmp*")) == []
    (parent,) = (
        run for run in store.runs() if run.data.tags["mlflow.project.entryPoint"] == "main"
    )
    commit = daemon.git(source, "rev-parse", "feature/one")
    assert parent.data.tags["mlflow.source.git.commit"] == commit


_LOADED = """
import sys
import mlflow, pandas as pd
rows, said = (pd.read_parquet(path) for path in sys.argv[2:])
answers = mlflow.pyfunc.load_model(sys.argv[1]).predict(rows)
assert (pd.Series(answers).to_numpy() == said["prediction"].to_numpy()).all()
assert not {"steps", "modelling", "taxi", "red_or_white"} & sys.modules.keys()
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["taxi_fares", "red_or_white"])
def test_a_port_of_another_repository_predicts_the_same_in_an_environment_of_its_own_pins(
    run, name, tmp_path
):
    team, free = run.store.folder, {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    shutil.copytree(daemon.PROJECT / "recipes/examples", team / "recipes")
    shutil.copytree(daemon.PROJECT / "data", team / "data")
    (team / ".gitignore").write_text("mlflow.db*\nmlruns/\n")
    daemon.git(team, "init", "-q", "-b", "main")
    daemon.git(team, "add", "-A")
    daemon.git(team, "commit", "-qm", "both ports")
    outcome = run("cuvee.git", "-P", f"recipe=recipes/{name}.yaml", **free)
    tags = outcome.parent.data.tags
    assert tags["pipeline.workspace_commit"] == daemon.git(team, "rev-parse", "HEAD")
    assert (
        outcome.versions[1].tags["pipeline.workspace_commit"] == tags["pipeline.workspace_commit"]
    )
    (model,) = outcome.step("train").outputs.model_outputs
    found = outcome.client.get_logged_model(model.model_id).artifact_location
    folder = shutil.copytree(found, tmp_path / "model")
    test = shutil.copy(artifact(outcome.step("prepare"), "test.parquet"), tmp_path)
    (kept,) = artifact(outcome.step("evaluate"), "predictions").glob("*.parquet")
    kept = shutil.copy(kept, tmp_path / "kept.parquet")
    shutil.rmtree(team)
    (tmp_path / "empty").mkdir()
    uv = [sys.executable, "-m", "uv"]
    python = str(tmp_path / "env/bin/python")
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True)
    pins = ["--python", python, "-r", folder / "requirements.txt"]
    subprocess.run([*uv, "pip", "install", "-q", *pins], check=True)
    subprocess.run(
        [python, "-c", _LOADED, folder, test, kept],
        cwd=tmp_path / "empty",
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **free},
        check=True,
    )
