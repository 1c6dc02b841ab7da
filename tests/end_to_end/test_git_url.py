"""`mlflow run <git URL>` from an empty folder, served by a real `git daemon`."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end import git_daemon as daemon

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A repository with the project at its root, a tag and a branch."""
    folder = tmp_path_factory.mktemp("source") / "project"
    daemon.copy_project(folder)
    daemon.git(folder, "tag", "v1")
    daemon.git(folder, "branch", "-f", "feature/one")
    return folder


@pytest.fixture(scope="module")
def url(source, tmp_path_factory):
    """Where git daemon serves it, as `cuvee.git`, and as a folder of `mono.git`."""
    served = tmp_path_factory.mktemp("served")
    daemon.git(served, "clone", "-q", "--bare", str(source), "cuvee.git")
    mono = tmp_path_factory.mktemp("mono")
    daemon.git(mono, "init", "-q", "-b", "main")
    shutil.copytree(source, mono / "projects" / "wine", ignore=shutil.ignore_patterns(".git"))
    (mono / "readme.txt").write_text("Something else.\n")
    daemon.git(mono, "add", "-A")
    daemon.git(mono, "commit", "-qm", "one of many")
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
    local = run.store.type(
        [sys.executable, "-m", "mlflow", "run", str(source), "--env-manager", "local"]
    )
    tags = local.parent.data.tags
    assert tags["pipeline.verdict"] == "unchanged", local.terminal
    statuses = {tags[f"pipeline.step.{step}.status"] for step in ("prepare", "train", "evaluate")}
    assert statuses == {"reused"}


def test_a_version_may_be_a_commit_a_branch_or_a_tag(run, source):
    commit = daemon.git(source, "rev-parse", "HEAD")
    for version in (commit, "feature/one", "v1"):
        outcome = run("cuvee.git", "-v", version, "-P", "until=prepare")
        assert outcome.parent.data.tags["mlflow.source.git.commit"] == commit


def test_a_project_in_a_subdirectory_with_a_table_from_elsewhere_and_a_relative_store(
    run, source, tmp_path
):
    table = tmp_path / "wines.csv"
    shutil.copyfile(source / "data" / "red-wine-quality.csv", table)
    options = ["-P", "until=prepare", "-P", f"data={table}"]
    outcome = run("mono.git#projects/wine", *options, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert outcome.step("prepare").data.metrics["rows"] == 1599
    provenance = outcome.client.download_artifacts(
        outcome.parent.info.run_id, "provenance.json", str(tmp_path)
    )
    assert '"folder": "projects/wine"' in Path(provenance).read_text()
    assert sorted(path.name for path in run.store.folder.iterdir()) == ["mlflow.db", "mlruns"]


def test_the_clone_goes_also_when_main_is_killed(url, make_store, short, environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "run", f"{url}/cuvee.git", "--env-manager", "local"],
        cwd=make_store().folder,
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
