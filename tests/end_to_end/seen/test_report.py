"""What a pipeline leaves for people: its report, its poster, its descriptions."""

import json
import struct
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.end_to_end.forked import run_forked
from tests.end_to_end.store import PROJECT

SCRIPT = "<script>document.title='stolen'</script>"
STEPS = ("prepare", "train", "evaluate", "register")


@pytest.fixture(scope="module")
def strange(make_store):
    """A pipeline on a table that holds HTML and Markdown, up to its end, and one that fails."""
    store = make_store()
    rows = 240
    names = [SCRIPT, "**bold** | [link](http://example.org)", "Zürich & Genève", "plain"]
    x = [((7 * row) % 40) / 10 for row in range(rows)]
    table = pd.DataFrame({"<b>x</b>": x, "town": [names[row % 4] for row in range(rows)]})
    table["much"] = [3 * value + row % 4 for row, value in enumerate(x)]
    path = store.folder / "table.csv"
    table.to_csv(path, index=False)
    content = {
        "name": "strange",
        "task": "regression",
        "data": {"path": str(path), "target": "much"},
        "split": {"method": "random"},
        "models": {"line": {"estimator": "sklearn.linear_model.Ridge", "scale": True}},
    }
    recipe = store.folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    return store.main(f"recipe={recipe}"), store.main(f"recipe={recipe}", "alpha=-1")


@pytest.fixture(scope="module")
def done(strange):
    assert strange[0].code == 0, strange[0].terminal
    return strange[0]


@pytest.fixture(scope="module")
def failed(strange):
    assert strange[1].code == 1
    return strange[1]


@pytest.fixture(scope="module")
def report(done, read_artifact):
    return read_artifact(done.parent, "report.html").read_text(encoding="utf-8")


def test_pipeline_and_steps_have_a_report_below_three_megabytes(done, read_artifact):
    for run in (done.parent, *map(done.step, STEPS)):
        file = read_artifact(run, "report.html")
        assert 5_000 < file.stat().st_size < 3_000_000
        assert run.info.run_id in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["pipeline", "gate", "plots", "worst", "data", "model", "again"])
def test_the_report_has_all_its_parts(report, part):
    assert f'<section id="{part}"' in report


def test_the_report_says_what_the_run_found(done, report):
    metrics = done.step("evaluate").data.metrics
    assert "line is promoted" in report
    assert f"{metrics['rmse']:.4f}" in report
    assert f"{metrics['dummy_rmse']:.4f}" in report
    tags = done.parent.data.tags
    assert tags["pipeline.data_sha256"] in report
    assert tags["pipeline.lock_sha256"] in report
    assert f"-e reproduce -P run_id={done.parent.info.run_id}" in report


def test_html_in_the_table_is_text(report, done):
    assert SCRIPT not in report
    assert "&lt;script&gt;" in report
    assert "<b>x</b>" not in report
    assert "<b>x</b>" not in done.step("prepare").data.tags["mlflow.note.content"]


def test_both_sides_of_the_table_are_compared(done, read_artifact):
    profile = json.loads(read_artifact(done.step("prepare"), "report/data.json").read_bytes())
    assert profile["totals"] == {
        "train": done.step("prepare").data.metrics["train_rows"],
        "test": done.step("prepare").data.metrics["test_rows"],
    }
    assert [column["name"] for column in profile["columns"]] == ["much", "<b>x</b>", "town"]


def test_what_is_made_for_the_report_is_no_output_of_the_step(done):
    outputs = json.loads(done.step("prepare").data.tags["pipeline.outputs"])
    assert "train.parquet" in outputs
    assert not [name for name in outputs if name.startswith("report")]


def test_the_poster_is_a_picture_for_a_slide(done, read_artifact):
    png = read_artifact(done.parent, "poster.png").read_bytes()
    assert struct.unpack(">II", png[16:24]) == (1920, 1080)
    svg = read_artifact(done.parent, "poster.svg").read_text(encoding="utf-8")
    assert f"{done.step('evaluate').data.metrics['rmse']:.4f}" in svg
    for station in ("data", "prepare", "train", "evaluate", "gate", "registry"):
        assert f">{station}<" in svg


def test_the_description_leads_to_the_steps(done):
    note = done.parent.data.tags["mlflow.note.content"]
    assert "line is promoted" in note
    for name in STEPS:
        assert done.step(name).info.run_id in note


def test_a_failed_run_says_in_its_report_what_failed(failed, read_artifact):
    line = failed.parent.data.tags["pipeline.error"]
    assert "alpha" in line
    train = failed.step("train")
    for run in (failed.parent, train):
        text = read_artifact(run, "report.html").read_text(encoding="utf-8")
        assert '<section id="failure"' in text
        assert "&#39;alpha&#39; parameter" in text
        assert "Traceback" in text
    text = read_artifact(failed.parent, "report.html").read_text(encoding="utf-8")
    assert "The pipeline failed in train" in text
    assert "not reached" in text
    assert Path(read_artifact(failed.parent, "poster.png")).is_file()


def test_a_report_is_written_again_on_request(done, environment, read_artifact):
    file = read_artifact(done.step("evaluate"), "report.html")
    before = file.read_text(encoding="utf-8")
    file.unlink()
    store = f"sqlite:///{Path(file).parents[4] / 'mlflow.db'}"
    words = ["python", "-m", "steps.reporting.report", done.step("evaluate").info.run_id]
    again = run_forked(words, PROJECT, {**environment, "MLFLOW_TRACKING_URI": store})
    assert again.returncode == 0, again.stdout
    assert file.read_text(encoding="utf-8") == before


def test_the_registered_model_says_what_it_is_and_how_to_use_it(done):
    text = done.client.get_registered_model("strange").description
    assert "regression of **much**" in text
    assert 'load_model("models:/strange@champion")' in text
