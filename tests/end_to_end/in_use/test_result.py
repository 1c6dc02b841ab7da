"""What came of an entry point, as JSON: with a verdict and without, failed, killed, misused."""

import json
import signal

import pytest

from engine.entry_point import Ending
from scripts.write_result_schema import FILE, schema_text
from steps.runs.result import Result, describe
from tests.end_to_end.store import artifact


def ending(run, **changed):
    facts = {"entry_point": "main", "run_id": run.info.run_id, "exit_code": 0, "line": None}
    return Ending(**{**facts, "seconds": 9.04, "result": None, "has_report": True, **changed})


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
