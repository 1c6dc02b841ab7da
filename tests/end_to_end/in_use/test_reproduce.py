"""`-e reproduce`: a pipeline made again from its commit, its diff, its data and its lock."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from common.errors import InputError
from steps.runs.provenance_read import find_recorded
from tests.end_to_end.git_daemon import git
from tests.end_to_end.project_copy import Project

PROJECT = Path(__file__).parents[3]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(make_store, tmp_path_factory):
    return Project(tmp_path_factory.mktemp("reproduce"), make_store())


@pytest.fixture(scope="module")
def recorded(project):
    """A run made with a dirty tree, on which its figures depend; the tree is clean again."""
    metrics = project.folder / "modelling" / "judging" / "metrics.py"
    text = metrics.read_text()
    assert text.count("np.sum(targets) / 2") == 1
    metrics.write_text(text.replace("np.sum(targets) / 2", "halved(np.sum(targets))") + "\n")
    metrics.write_text("from modelling.halves import halved\n" + metrics.read_text())
    (project.folder / "modelling" / "halves.py").write_text(
        '"""Not committed."""\n\n\ndef halved(value):\n    """Returns more than half."""\n'
        "    return value / 2 + 1\n"
    )
    outcome = project.main(f"data={project.table}", "alpha=0.02")
    assert outcome.code == 0, outcome.terminal
    assert outcome.parent.data.tags["pipeline.git_dirty"] == "true"
    assert outcome.aliases == {"champion": 1}
    git(project.folder, "checkout", "-q", ".")
    git(project.folder, "clean", "-qfd")
    return outcome


def figures(run):
    metrics = run.data.metrics
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def verdict(outcome):
    tags = outcome.of("reproduce").data.tags
    return tags["pipeline.verdict"], tags["pipeline.verdict_reason"]


def test_a_run_with_a_dirty_tree_is_identical_and_nothing_else_changes(
    project, recorded, read_artifact
):
    index = (project.folder / ".git" / "index").read_bytes()
    outcome = project.reproduce(recorded.parent.info.run_id)
    assert outcome.code == 0, outcome.terminal
    assert verdict(outcome)[0] == "identical", outcome.terminal
    assert "verdict  identical" in outcome.terminal
    own, again = outcome.of("reproduce"), outcome.of("main")
    assert own.info.status == again.info.status == "FINISHED"
    assert again.data.tags["mlflow.parentRunId"] == own.info.run_id
    assert again.data.params["alpha"] == "0.02"
    assert figures(again) == figures(recorded.parent)
    table = json.loads(read_artifact(own, "comparison.json").read_text())
    steps = [row[table["columns"].index("step")] for row in table["data"]]
    assert list(dict.fromkeys(steps)) == ["data", "prepare", "train", "evaluate"]
    assert all("pipeline.cache_key" not in run.data.tags for run in outcome.runs)
    assert list(outcome.versions) == [1]
    assert list(project.temporary.iterdir()) == []
    assert git(project.folder, "status", "--porcelain") == ""
    assert (project.folder / ".git" / "index").read_bytes() == index


def test_the_pipeline_of_a_version_is_one_that_finished(project, recorded, monkeypatch):
    """Here the one that evaluated it failed later, and the next one reused the evaluation."""
    client, experiment = project.store.client, recorded.parent.info.experiment_id
    failed = client.create_run(experiment, tags={"mlflow.project.entryPoint": "main"}).info.run_id
    client.set_terminated(failed, "FAILED")
    evaluated = client.create_run(experiment, tags={"mlflow.parentRunId": failed}).info.run_id
    next_one = project.forge(recorded.parent, lambda *_: None)
    client.set_tag(next_one, "pipeline.step.evaluate.run_id", evaluated)
    client.create_registered_model("resumed")
    tags = {"pipeline.evaluate_run_id": evaluated}
    client.create_model_version("resumed", project.store.folder.as_uri(), tags=tags)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", project.store.uri)
    assert find_recorded("models:/resumed/1").run_id == next_one
    client.delete_registered_model("resumed")


@pytest.mark.exhaustive
def test_another_scikit_learn_is_named(project, recorded, tmp_path, type_command):
    """A registered version, in an environment that is as locked but for what is forced."""
    python = tmp_path / "environment" / "bin" / "python"
    for words in (
        ["venv", "--quiet", "--python", sys.executable, str(tmp_path / "environment")],
        ["pip", "install", "--quiet", "--python", str(python), "-r", "requirements.lock"],
        ["pip", "install", "--quiet", "--python", str(python), "--no-deps", "scikit-learn==1.8.*"],
    ):
        done = type_command(["uv", *words], project.folder)
        if done.returncode:
            pytest.skip(f"the environment cannot be had: {done.stdout}")
    version = ["--run_id", "models:/wine_quality@champion", "--environment", "current"]
    command = [str(python), "-m", "steps.reproduce", *version]
    outcome = project.store.type(command, cwd=project.folder, variables=project.variables)
    reproduced = outcome.of("reproduce").data.tags["pipeline.reproduced_run_id"]
    assert reproduced == recorded.parent.info.run_id
    word, reason = verdict(outcome)
    assert word in ("different", "equal within tolerance"), outcome.terminal
    assert (outcome.code == 0) == (word != "different")
    assert "other versions: scikit-learn 1.8." in reason
    assert "instead of 1.9." in reason


def test_one_changed_cell_is_different_and_the_reason_is_the_data(project, recorded):
    kept = project.table.read_bytes()
    wines = pd.read_csv(project.table)
    wines.iloc[7, 3] += 0.5
    wines.to_csv(project.table, index=False)
    outcome = project.reproduce(recorded.parent.info.run_id)
    project.table.write_bytes(kept)
    assert outcome.code != 0
    (run,) = outcome.runs
    assert run.info.status == "FAILED"
    assert run.data.tags["pipeline.first_difference"] == "data"
    assert verdict(outcome)[0] == "different"
    assert "the data changed" in run.data.tags["pipeline.error"]
    assert outcome.terminal.count("the data changed") == 1
    assert "Traceback" not in outcome.terminal


def _without_git(content, files):
    content["git"] = None


def _without_commit(content, files):
    content["git"]["commit"] = "0" * 40


def _with_an_option_for_a_commit(content, files):
    content["git"]["commit"] = "--upload-pack=true"


def _without_table(content, files):
    request = json.loads(files["request.json"])
    files["request.json"] = json.dumps({**request, "data": "data/nowhere.csv"})


def _with_another_diff(content, files):
    files["git_diff.txt"] = "--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n"


def _with_too_large_a_diff(content, files):
    content["git"]["left_out_of_diff"] = ["everything: the diff has 12.3 MB"]


def refused(outcome, words):
    """One line, exit code not 0; the runs that there are have failed, and nothing else changed."""
    assert outcome.code != 0
    assert "Traceback" not in outcome.terminal
    said = [line for line in outcome.terminal.splitlines() if words[0] in line]
    assert len(said) == 1, outcome.terminal
    assert said[0].startswith("reproduce: ")
    assert [word for word in words if word not in said[0]] == []
    assert {run.info.status for run in outcome.runs} <= {"FAILED"}
    assert list(outcome.versions) == [1]


def test_a_lock_that_cannot_be_installed_is_refused_in_one_line(project, recorded):
    lock = project.folder / "requirements.lock"
    lock.write_text(f"no-such-package-cuvee==1.0 --hash=sha256:{'0' * 64}\n" + lock.read_text())
    diff = git(project.folder, "diff", "--binary", "--full-index") + "\n"
    git(project.folder, "checkout", "-q", ".")
    run_id = project.forge(recorded.parent, lambda _, files: files.update({"git_diff.txt": diff}))
    refused(project.reproduce(run_id), ["the lock cannot be installed", "no-such-package-cuvee"])
    assert list((project.folder.parent / "cache/cuvee/environments").glob("*[!k]")) == []
    assert list(project.temporary.iterdir()) == []
    assert git(project.folder, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_commit, [f"commit {'0' * 40} is not in this repository"]),
        (_without_table, ["its table data/nowhere.csv is not there any more"]),
        (_with_another_diff, ["the recorded diff does not fit commit"]),
    ],
)
def test_what_is_gone_is_refused_in_one_line(project, recorded, change, words):
    refused(project.reproduce(project.forge(recorded.parent, change)), words)
    assert list(project.temporary.iterdir()) == []


def test_what_is_no_pipeline_to_make_again_is_refused_before_anything(
    project, recorded, monkeypatch
):
    failed = project.main("data=no/such/table.csv").parent.info.run_id
    client, experiment = project.store.client, recorded.parent.info.experiment_id
    alone = client.create_run(experiment, tags={"mlflow.project.entryPoint": "main"}).info.run_id
    client.set_terminated(alone)
    train = recorded.step("train").info.run_id
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", project.store.uri)
    for run_id, words in {
        train: ["is of train, not of main", recorded.parent.info.run_id],
        failed: ["is FAILED, not FINISHED", "no/such/table.csv"],
        alone: ["from a folder without git"],
        "models:/wine_quality/9": ["no model version 'models:/wine_quality/9'"],
        "models:/wine_quality": ["names no version"],
        project.forge(recorded.parent, _without_git): ["does not tell where it comes from"],
        project.forge(recorded.parent, _with_an_option_for_a_commit): ["is no commit"],
        project.forge(recorded.parent, _with_too_large_a_diff): ["too large", "12.3 MB"],
    }.items():
        with pytest.raises(InputError) as caught:
            find_recorded(run_id)
        assert [word for word in words if word not in str(caught.value)] == []
        assert "\n" not in str(caught.value)
    refused(project.reproduce("0123456789abcdef"), ["there is no run '0123456789abcdef'"])
    assert list(project.temporary.iterdir()) == []


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="SIGKILL"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.exhaustive),
    ],
)
def test_killed_in_the_middle_it_leaves_no_folder(project, recorded, environment, number):
    run_id = recorded.parent.info.run_id
    process = subprocess.Popen(
        [sys.executable, "-m", "steps.reproduce", "--run_id", run_id],
        cwd=project.folder,
        env={**environment, **project.variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if line.startswith("train "):
            break
    (folder,) = (path for path in project.temporary.iterdir() if path.is_dir())
    assert (folder / "project" / "main.py").is_file()
    os.kill(process.pid, number)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 20
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [path for path in project.temporary.iterdir() if path.is_dir()] == []
    assert git(project.folder, "status", "--porcelain") == ""
