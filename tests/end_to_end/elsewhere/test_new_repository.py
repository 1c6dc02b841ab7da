"""`-e new_repository`: a repository of one's own that is whole, runs at once, or is not there."""

import re
import shutil
import subprocess

import pytest
import yaml
from click.testing import CliRunner

from common.errors import InputError
from engine.processes.forkserver import PROJECT
from engine.provenance.project_state import GitState
from steps import new_repository
from tests.end_to_end.git_daemon import copy_project, git, serve
from tests.end_to_end.store import Store, clean_environment, execute

ADDRESS = "https://git.example.com/ours/cuvee.git"
COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def fetched(monkeypatch):
    """This Cuvée as it is when it was fetched from an address, at a commit without a tag."""
    state = GitState(COMMIT, None, ADDRESS, ".", (), ())
    monkeypatch.setattr(new_repository, "read_git", lambda _project: state)
    monkeypatch.setattr(new_repository, "run_git", _no_tag)


def _no_tag(*_arguments):
    raise OSError("no tag describes it")


def write(output):
    return CliRunner().invoke(new_repository.main, ["--output", str(output)])


def refusal(output):
    error = write(output).exception
    assert isinstance(error, InputError)
    return str(error)


def test_it_names_this_cuvee_by_its_address_and_commit(fetched, tmp_path):
    said = write(tmp_path / "team")
    assert said.exit_code == 0
    command = f"mlflow run {ADDRESS} -v {COMMIT} --env-manager uv"
    assert f"{command} -P recipe=recipes/deliveries.yaml" in said.output
    assert "git init -b main && git add ." in said.output
    texts = [
        file.read_text()
        for file in (tmp_path / "team").rglob("*")
        if file.is_file() and file.suffix not in (".csv", ".json")
    ]
    assert sum(ADDRESS in text for text in texts) == 4  # README, recipe and workflows
    assert not any("example.org" in text or "v1.2" in text for text in texts)
    assert (tmp_path / "team/recipes/recipe.schema.json").is_file()
    assert [each.name for each in tmp_path.iterdir()] == ["team"]


def test_without_an_address_it_says_where_to_write_one(monkeypatch, tmp_path):
    state = GitState(COMMIT, None, "/a/folder", ".", (), ())
    monkeypatch.setattr(new_repository, "read_git", lambda _project: state)
    (tmp_path / "empty").mkdir()
    said = write(tmp_path / "empty").output
    assert "write it in place of https://example.org/you/cuvee.git, and its version" in said
    assert "https://example.org/you/cuvee.git" in (tmp_path / "empty/README.md").read_text()


def test_what_is_there_is_left_as_it_is(fetched, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    assert refusal(tmp_path / "full").endswith("is not empty, and is left as it is; name a new one")
    assert refusal(tmp_path / "full/mine.txt").endswith("is a file, and is left as it is")
    assert refusal(tmp_path / "no/where").endswith("no is not there")
    assert "is inside Cuvée" in refusal(PROJECT / "recipes/team")
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_whole_or_not_there(fetched, is_there, monkeypatch, tmp_path):
    def fail(*_paths, **_options):
        raise OSError(28, "No space left on device")

    if is_there:
        (tmp_path / "team").mkdir()
    monkeypatch.setattr(shutil, "copyfile", fail)
    says = refusal(tmp_path / "team")
    assert f"{tmp_path / 'team'} cannot be written: [Errno 28] No space left on device" in says
    assert [*tmp_path.rglob("*")] == ([tmp_path / "team"] if is_there else [])


_WORKFLOWS = (".github/workflows/pipeline.yml", ".gitlab-ci.yml")
_FAKES = {
    "pip": "exit 0",  # what is to be installed is here
    "uv": "exit 0",
    # As that of GitHub: there is no last comment yet.
    "gh": '[[ "$*" == *--edit-last* ]] && exit 1; cp "${@: -1}" "$RUNNER_TEMP/posted.md"',
}


def run_workflow(team, event, address, version, temporary):
    """Runs the lines of the GitHub workflow in their order."""
    commands = temporary / "bin"
    commands.mkdir(parents=True)
    for name, line in _FAKES.items():
        (commands / name).write_text(f"#!/bin/bash\n{line}\n")
        (commands / name).chmod(0o755)
    workflow = yaml.safe_load((team / ".github/workflows/pipeline.yml").read_text())
    clean = clean_environment()
    variables = {
        "PATH": f"{commands}:{clean['PATH']}",
        "RECIPE": workflow["env"]["RECIPE"],
        "CUVEE": address,
        "CUVEE_VERSION": version,
        "RUNNER_TEMP": str(temporary),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
        "GITHUB_RUN_ID": "42",
        "GITHUB_REF_NAME": "7/merge",
        "REPORT": "https://ci.example/7#artifacts",
        "PLOTS": "https://ci.example/raw/plots/7/merge/42",
        "PULL_REQUEST": "7",
    }
    for step in workflow["jobs"]["pipeline"]["steps"]:
        condition = step.get("if", "")
        is_of_another = "github.event_name" in condition and f"'{event}'" not in condition
        if "run" in step and not is_of_another:
            words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            done = execute(words, team / step.get("working-directory", "."), variables)
            assert done.returncode == 0, done.stdout


def run_gitlab(team, address, version, temporary):
    """Runs the lines of the GitLab job as its runner does, in one shell, on a merge request."""
    job = yaml.safe_load((team / ".gitlab-ci.yml").read_text())["pipeline"]
    (temporary / "bin/curl").write_text('#!/bin/bash\ncp reports/comment.md "$NOTE"\n')
    (temporary / "bin/curl").chmod(0o755)
    variables = {
        "PATH": f"{temporary / 'bin'}:{clean_environment()['PATH']}",
        "RECIPE": "recipes/deliveries.yaml",
        "CUVEE": address,
        "CUVEE_VERSION": version,
        "CI_PROJECT_DIR": str(team),
        "CI_JOB_URL": "https://ci.example/job",
        "CI_MERGE_REQUEST_IID": "7",
        "GITLAB_TOKEN": "glpat",
        "CI_API_V4_URL": "https://ci.example/api/v4",
        "CI_PROJECT_ID": "1",
        "NOTE": str(temporary / "note.md"),
    }
    lines = "\n".join(job["script"]).replace("/tmp/", f"{temporary}/gitlab/")  # noqa: S108
    done = execute(["bash", "-eo", "pipefail", "-c", lines], team, variables)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_lines_of_its_workflow_comment_on_a_pull_request(make_store, tmp_path):
    store = make_store()
    made = store.mlflow_run("output=équipe A", entry_point="new_repository")
    assert made.code == 0, made.terminal
    team = store.folder / "équipe A"  # where one stands
    git(team, "init", "-q", "-b", "main")
    git(team, "add", ".")
    git(team, "commit", "-qm", "first")
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(team, "remote", "add", "origin", str(origin))
    git(team, "push", "-q", "origin", "main")
    copy_project(tmp_path / "cuvee")
    version = git(tmp_path / "cuvee", "rev-parse", "HEAD")
    with serve(tmp_path) as url:
        run_workflow(team, "pull_request", f"{url}/cuvee", version, tmp_path / "job")
        run_gitlab(team, f"{url}/cuvee", version, tmp_path / "job")
    comment = (tmp_path / "job/posted.md").read_text()
    assert comment.startswith("### ✅ deliveries: line is promoted")
    assert "[report](https://ci.example/7#artifacts)" in comment
    assert (tmp_path / "job/summary.md").read_text() == comment
    pushed = git(origin, "ls-tree", "-r", "--name-only", "plots/7/merge").splitlines()
    assert "42/residuals.png" in pushed
    assert all(f"(https://ci.example/raw/plots/7/merge/{each})" in comment for each in pushed)
    assert (team / "reports/report.html").is_file()
    noted = (tmp_path / "job/note.md").read_text()
    assert noted.startswith("### ⚪ deliveries: ")
    shown = re.findall(r"!\[.+\]\(https://ci.example/job/artifacts/raw/reports/(.+)\)", noted)
    assert "plots/residuals.png" in shown
    assert all((team / "reports" / each).is_file() for each in shown)
    tags = Store(team / "store").runs()[0].data.tags  # the pipeline's, before its steps
    assert tags["pipeline.workspace_commit"] == git(team, "rev-parse", "HEAD")
    assert tags["pipeline.workspace_dirty"] == "false"


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="it is in requirements-dev.lock")
def test_actionlint_has_nothing_to_say_of_the_workflow():
    words = ["actionlint", "-no-color", "-shellcheck=", "-pyflakes=", _WORKFLOWS[0]]
    done = subprocess.run(
        words, cwd=PROJECT / "starter", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_both_workflows_give_cuvee_what_its_doors_take():
    texts = [(PROJECT / "starter" / name).read_text() for name in _WORKFLOWS]
    parameters = yaml.safe_load((PROJECT / "MLproject").read_text())["entry_points"]["main"]
    for text in texts:
        assert yaml.safe_load(text)
        given = set(re.findall(r"-P (\w+)=", text))
        assert given == {"recipe", "result"} <= set(parameters["parameters"])
        assert "scripts/compare_runs.py" in text
