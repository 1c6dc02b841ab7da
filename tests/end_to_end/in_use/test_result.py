"""What came of an entry point, as JSON: with a verdict and without, failed, killed, misused."""

import json
import re
import signal
from itertools import product

import pandas as pd
import pytest
import yaml

from common.tags import ERROR
from engine.entry_point import Ending
from scripts.write_result_schema import FILE, schema_text
from steps.runs.result import Result, describe
from tests.end_to_end.store import PROJECT, artifact


def ending(run, **changed):
    facts = {"entry_point": "main", "run_id": run.info.run_id, "exit_code": 0, "line": None}
    return Ending(**{**facts, "seconds": 9.04, "result": None, "has_report": True, **changed})


ENTRY_POINTS = yaml.safe_load((PROJECT / "MLproject").read_text(encoding="utf-8"))["entry_points"]
SCHEMA = json.loads(FILE.read_text(encoding="utf-8"))


def check(text):
    """Checks a result against the schema as it stands in the documentation; returns it."""
    result = json.loads(text)
    assert result.keys() == SCHEMA["properties"].keys()
    kinds = {str: "string", int: "integer", float: "number", type(None): "null", dict: "object"}
    for name, value in result.items():
        rules = SCHEMA["properties"][name]
        allowed = {each.get("type", "object") for each in rules.get("anyOf", [rules])}
        kind = kinds[type(value)]
        assert kind in allowed or (kind == "integer" and "number" in allowed), name
    Result.model_validate(result)
    return result


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_each_entry_point_tells_what_came_of_it(name):
    entry_point = ENTRY_POINTS[name]
    assert entry_point["parameters"]["result"] == {"type": "string", "default": "none"}
    assert entry_point["command"].endswith(' --result {result}"') or entry_point[
        "command"
    ].endswith(" --result {result}")
    program = re.search(r"python (main\.py|-m steps\.(\w+))", entry_point["command"])
    file = PROJECT / (f"steps/{program[2]}.py" if program[2] else program[1])
    text = file.read_text(encoding="utf-8")
    assert re.search(r"^    run_(command\(.*write_result|step\()", text, re.MULTILINE), file


@pytest.mark.parametrize(
    ("exit_code", "status"),
    [(0, "done"), (1, "failed"), (2, "failed"), (3, "alert"), (143, "killed")],
)
def test_each_ending_of_each_entry_point_fits_the_schema(template, exit_code, status):
    runs = [outcome.parent for outcome in template("wines").outcomes.values()]
    for name, run in product(ENTRY_POINTS, [None, *runs]):
        line = None if exit_code == 0 else "what was wrong"
        ending = Ending(name, run and run.info.run_id, exit_code, line, 1.0, None, has_report=True)
        result = check(describe(ending, run).model_dump_json())
        assert (result["entry_point"], result["status"]) == (name, status)
        assert (result["error"] is None) is (status in ("done", "alert"))


@pytest.mark.exhaustive
def test_what_each_entry_point_writes_fits_the_schema(make_store, tmp_path):
    """Each is typed once as it is meant, and where that is cheap once as it is not."""
    store, file = make_store(like="champion"), tmp_path / "r.json"
    wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
    wines.assign(quality=11 - wines["quality"]).to_csv(tmp_path / "turned.csv", index=False)
    first = next(run for run in store.runs() if "pipeline.verdict" in run.data.tags)

    def step(name):
        return first.data.tags[f"pipeline.step.{name}.run_id"]

    rows, own = f"data={PROJECT}/data/red-wine-quality.csv", f"prepare_run_id={step('prepare')}"
    typed = [
        ("prepare", [], "done"),
        ("train", [own], "done"),
        ("train", [own, "alpha=word"], "failed"),
        ("evaluate", [own, "model_uri=models:/wine_quality/1"], "done"),
        ("evaluate", [own, "model_uri=models:/wine_quality/9"], "failed"),
        ("register", [f"evaluate_run_id={step('evaluate')}"], "done"),
        ("register", ["evaluate_run_id=nothing"], "failed"),
        ("score", [rows.replace("data=", "input="), f"output={tmp_path / 's.csv'}"], "done"),
        ("score", ["input=/nowhere.csv", f"output={tmp_path / 't.csv'}"], "failed"),
        ("monitor", [rows], "done"),
        ("monitor", [f"data={tmp_path / 'turned.csv'}"], "alert"),
        ("refresh", [rows], "done"),
        ("sweep", ["model=ridge", "alpha=0.1,1", "jobs=1"], "done"),
        ("sweep", ["model=rigde"], "failed"),
        ("rollback", ["version=1"], "failed"),
        ("reproduce", [f"run_id={first.info.run_id}", "environment=current"], "done"),
        (
            "draft_recipe",
            [rows, "target=quality", f"output={tmp_path / 'd.yaml'}", "seconds=0"],
            "done",
        ),
        ("draft_recipe", [rows, "target=qualty"], "failed"),
    ]
    for name, parameters, status in typed:
        file.unlink(missing_ok=True)
        done = store.step(name, *parameters, f"result={file}")
        result = check(file.read_text(encoding="utf-8"))
        assert (result["entry_point"], result["status"]) == (name, status), done.terminal
        if status == "failed" and result["run_id"]:
            assert result["error"] == store.client.get_run(result["run_id"]).data.tags[ERROR]


def test_a_command_line_with_an_unknown_option_is_told_too(make_store, tmp_path):
    refused = make_store().step("prepare", "nonsense=1", f"result={tmp_path / 'r.json'}")
    result = check((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (refused.code, result["exit_code"], result["status"]) == (2, 2, "failed")
    assert "--nonsense" in result["error"]


def test_the_schema_is_that_of_the_documentation():
    assert FILE.read_text(encoding="utf-8") == schema_text()


@pytest.fixture(scope="module")
def outcomes(template):
    return template("wines").outcomes


@pytest.mark.parametrize(
    ("name", "verdict", "version", "before"),
    [
        ("first", "promoted", "1", None),
        ("rejected", "rejected", None, "1"),
        ("forest", "promoted", "2", "1"),
        ("weaker", "challenger", "3", "2"),
    ],
)
def test_each_verdict_is_told_with_what_it_rests_on(outcomes, name, verdict, version, before):
    run = outcomes[name].parent
    result = Result.model_validate_json(artifact(run, "result.json").read_text())
    described = describe(ending(run, seconds=result.seconds), run)
    assert result == described.model_copy(update={"tracking_uri": result.tracking_uri})
    assert result.tracking_uri.endswith("/mlflow.db")
    assert (result.verdict, result.model_version, result.champion_before) == (
        verdict,
        version,
        before,
    )
    assert result.model_uri == (version and f"models:/wine_quality/{version}")
    assert (result.metric.name, result.metric.value) == ("rmse", run.data.metrics["rmse"])
    assert result.report.endswith(f"{run.info.run_id}/artifacts/report.html")


def test_a_step_of_a_pipeline_leaves_the_telling_to_it(outcomes):
    with pytest.raises(ValueError, match="not enough values"):
        artifact(outcomes["first"].step("train"), "result.json")


def test_a_step_alone_and_a_wrong_value_are_told_to_the_file(make_store, tmp_path):
    store, file = make_store(like="champion"), tmp_path / "result.json"
    done = store.step("rollback", f"result={file}")
    result = Result.model_validate_json(file.read_text())
    assert (result.status, result.exit_code) == ("failed", done.code) == ("failed", 1)
    assert result.error.startswith("wine_quality had no champion before version 1")
    wrong = store.step("rollback", f"result={tmp_path / 'nowhere' / 'r.json'}")
    assert wrong.code == 2
    assert "result: there is no folder" in wrong.terminal
    assert json.loads(file.read_text())["run_id"] == done.of("rollback").info.run_id
    assert [path.name for path in tmp_path.iterdir() if "result" in path.name] == ["result.json"]


def test_who_was_killed_has_the_code_of_the_signal():
    code = 128 + signal.SIGTERM
    result = describe(
        Ending("main", None, code, "ended by SIGTERM", 1.0, None, has_report=False), None
    )
    assert (result.status, result.error, result.run_id) == ("killed", "ended by SIGTERM", None)
