"""The step cache: in a copy of the project that is changed between commands.

Its code is the project's at first, so that the runs of the template count in it as a colleague's.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.git_daemon import copy_project, git
from tests.end_to_end.store import clean_environment

pytestmark = pytest.mark.slow  # quick ones: engine/cache, steps/pipeline/test_dependencies.py

STEPS = ("prepare", "train", "evaluate", "register")
REUSED = dict.fromkeys(STEPS, "reused")


class Copy:
    """A copy of the project, and the commands typed in it, all in one store."""

    def __init__(self, folder, store):
        copy_project(folder)
        self.folder = folder
        self.store = store
        self.variables = {"XDG_CACHE_HOME": str(folder.parent / "cache")}
        self.last = None

    def main(self, *parameters):
        self.last = self.store.main(*parameters, project=self.folder, **self.variables)
        return self.last

    def change(self, file, old, new):
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new))


def statuses(outcome):
    assert outcome.code == 0, outcome.terminal
    tags = outcome.parent.data.tags
    return {name: tags.get(f"pipeline.step.{name}.status") for name in STEPS}


def reason(outcome, step):
    """Why a step ran: the same on the terminal and in its run."""
    said = [line for line in outcome.terminal.splitlines() if line.startswith(f"{step:<17} runs: ")]
    (line,) = said
    told = outcome.step(step).data.tags["pipeline.rerun_reason"]
    assert line.partition("runs: ")[2] == told
    return told


@pytest.fixture(scope="module")
def copy(make_store, tmp_path_factory):
    """A copy in whose store the project has made a champion."""
    return Copy(tmp_path_factory.mktemp("copy") / "project", make_store(like="champion"))


def test_a_colleagues_runs_count_and_what_changes_no_result_is_no_reason(copy):
    """A comment, a docstring, a commit, another model's settings, a value said twice."""
    metrics, docstring = "modelling/judging/metrics.py", '"""The metrics of a recipe'
    copy.change(metrics, "import numpy as np", "# a comment\nimport numpy as np")
    copy.change(metrics, docstring, '"""All metrics of a recipe')
    recipe, ridge = "recipes/wine_quality.yaml", "parameters: {alpha: 1.0}"
    copy.change(recipe, ridge, "parameters: {alpha: 2.0}")
    with (copy.folder / "README.md").open("a") as file:
        file.write("\nOne more line.\n")
    git(copy.folder, "commit", "-qam", "README")
    assert statuses(copy.main("alpha=0.01")) == REUSED


def test_a_line_of_code_is_a_reason_for_the_steps_that_run_it(copy):
    copy.change("modelling/judging/metrics.py", "np.sum(targets) / 2", "np.sum(targets) * 0.5")
    outcome = copy.main()
    assert statuses(outcome) == {**REUSED, "evaluate": "ran", "register": "ran"}
    assert reason(outcome, "evaluate") == "modelling/judging/metrics.py changed"


def test_a_parameter_is_a_reason_for_train_and_is_told(copy):
    outcome = copy.main("alpha=0.5")  # rejected: the registry stays as it is
    assert statuses(outcome) == {**REUSED, "train": "ran", "evaluate": "ran", "register": "ran"}
    assert reason(outcome, "train") == "alpha went from 0.01 to 0.5"
    assert reason(outcome, "evaluate") == "the model changed"


def test_what_was_damaged_is_made_again_and_equal_content_is_no_reason(copy, read_artifact):
    """A table that lost its end, and the model of the last command, which lost a file."""
    prepare, train = (copy.last.step(name) for name in ("prepare", "train"))
    table = read_artifact(prepare, "train.parquet")
    table.write_bytes(table.read_bytes()[:-9])
    model = copy.store.client.get_logged_model(train.outputs.model_outputs[0].model_id)
    file = Path(model.artifact_location, "artifacts/features.json")
    file.unlink()
    outcome = copy.main("alpha=0.5")
    ran = ("prepare", "train", "evaluate")
    assert statuses(outcome) == {**REUSED, **dict.fromkeys(ran, "ran")}
    assert reason(outcome, "prepare") == f"of run {prepare.info.run_id}, train.parquet was altered"
    lost = f"model {model.model_id}/artifacts/features.json is missing"
    assert reason(outcome, "train") == f"of run {train.info.run_id}, {lost}"
    assert reason(outcome, "evaluate").endswith(lost)


def test_the_gate_is_a_reason_for_register_only(copy):
    copy.change("recipes/wine_quality.yaml", "relative_change: 0.05", "relative_change: 0.06")
    outcome = copy.main()
    assert statuses(outcome) == {**REUSED, "register": "ran"}
    told = reason(outcome, "register")
    assert told == "recipe.gate.rmse.min_relative_change went from 0.05 to 0.06"
    assert outcome.parent.data.tags["pipeline.verdict"] == "unchanged"
    assert list(outcome.versions) == [1]


def test_refresh_can_be_reused_and_off_cannot_and_until_stops_there(copy):
    refreshed = copy.main("cache=refresh", "until=prepare")
    assert statuses(refreshed) == {**dict.fromkeys(STEPS), "prepare": "ran"}
    assert reason(refreshed, "prepare") == "cache is refresh"
    assert "pipeline.verdict" not in refreshed.parent.data.tags
    off = copy.main("cache=off", "until=prepare")
    assert statuses(off) == {**dict.fromkeys(STEPS), "prepare": "ran"}
    assert reason(off, "prepare") == "cache is off"
    assert "pipeline.cache_key" not in off.step("prepare").data.tags
    outcome = copy.main()
    assert statuses(outcome) == REUSED
    assert outcome.step("prepare").info.run_id == refreshed.step("prepare").info.run_id


def test_one_cell_of_the_table_is_a_reason_for_all(copy):
    path = copy.folder / "data/red-wine-quality.csv"
    path.write_text(path.read_text().replace("7.4,0.7,0,1.9", "7.5,0.7,0,1.9", 1))
    outcome = copy.main()
    assert statuses(outcome) == dict.fromkeys(STEPS, "ran")
    assert reason(outcome, "prepare") == "the table changed"
    assert reason(outcome, "train") == "the prepared table changed"
    assert outcome.parent.data.tags["pipeline.step.evaluate_champion.status"] == "ran"


def test_a_step_that_writes_nothing_has_failed(copy):
    copy.change(
        "steps/evaluate.py",
        '    settings = load_parts(recipe, "evaluate")\n',
        '    return\n    settings = load_parts(recipe, "evaluate")\n',
    )
    outcome = copy.main()
    assert outcome.code == 1
    assert "evaluate: ended without writing its outputs" in outcome.terminal.splitlines()
    assert outcome.step("evaluate").info.status == "FAILED"
    assert outcome.parent.info.status == "FAILED"


@pytest.mark.exhaustive
def test_the_backend_local_gives_the_same(make_store, template):
    warm = template("champion").outcomes["first"]
    local = make_store().main("backend=local")
    for step in STEPS:
        ours, theirs = warm.step(step), local.step(step)
        assert _content(warm.client, ours) == _content(local.client, theirs)
        assert (
            ours.data.tags["pipeline.output_digest"] == theirs.data.tags["pipeline.output_digest"]
        )


def _content(client, run):
    differ = re.compile(
        r"(prepare|evaluate)_run_id|model_uri|sha256/.+\.skops"
    )  # it holds the time
    metrics = run.data.metrics.items()
    params = run.data.params.items()
    return {
        "metrics": {name: value for name, value in metrics if not name.startswith("system/")},
        "machine": {name for name, _ in metrics if name.startswith("system/")},
        "params": {name: None if differ.fullmatch(name) else value for name, value in params},
        "tags": set(run.data.tags),
        "artifacts": sorted(_artifacts(client, run.info.run_id, "")),
    }


def _artifacts(client, run_id, folder):
    for found in client.list_artifacts(run_id, folder):
        if found.is_dir:
            yield from _artifacts(client, run_id, found.path)
        else:
            yield found.path


def test_what_is_edited_while_the_pipeline_runs_counts_the_next_time(make_store, tmp_path):
    copy = Copy(tmp_path / "project", make_store(like="champion"))
    command = [sys.executable, str(copy.folder / "main.py"), "--alpha", "0.02"]
    with subprocess.Popen(
        command,
        cwd=copy.store.folder,
        env={**clean_environment(), **copy.variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as started:
        said = next(line for line in started.stdout if line.startswith("train "))
        copy.change("modelling/judging/metrics.py", "np.sum(targets) / 2", "np.sum(targets) * 0.5")
        copy.change("recipes/wine_quality.yaml", "relative_change: 0.05", "relative_change: 0.99")
        said += started.stdout.read()
    assert started.returncode == 0, said
    assert (
        "evaluate          will run again: modelling/judging/metrics.py was edited meanwhile"
        in said
    )
    assert "verdict  promoted" in said  # by the recipe as it was
    outcome = copy.main("alpha=0.02")
    assert statuses(outcome) == {**REUSED, "evaluate": "ran", "register": "ran"}
    assert outcome.parent.data.tags["pipeline.verdict"] == "rejected"
