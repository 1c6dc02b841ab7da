"""What the file of each orchestrator asks of the pipeline; test_nights.py runs the real ones."""

import json
import os
import re
import subprocess
from types import SimpleNamespace

import pytest
import yaml
from jinja2 import Template

from tests.pipelines.conftest import PIPELINES, PassiveObject

NAMES = sorted(path.stem for path in PIPELINES.glob("*_ML_Pipeline.py"))
ALL = {"rows": "new.csv", "scores": "scores.csv", "labelled": "week.csv"}
SCORE = {"input": "new.csv", "output": "scores.csv", "overwrite": "true"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_at_once(name):
    text = (PIPELINES / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") <= 120
    assert "airflow-provider-mlflow" not in text
    assert "0 2 * * *" in text


@pytest.mark.parametrize("name", [name.partition("_")[0].lower() for name in NAMES])
def test_the_requirements_are_pins(name):
    lines = (PIPELINES / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
    pin = re.compile(r"[\w.-]+(\[[\w,.-]+\])?==[\w.+!]+( ; .+)?")
    assert [line for line in lines if not pin.fullmatch(line)] == []
    package = {"airflow": "apache-airflow"}.get(name, name)
    assert [line for line in lines if line.startswith(f"{package}==")]
    assert [
        line for line in lines if re.match(r"airflow-provider-mlflow|dagster-mlflow", line)
    ] == []


def test_nothing_is_told_to_their_makers():
    dagster = yaml.safe_load((PIPELINES / "dagster.yaml").read_text(encoding="utf-8"))
    assert not dagster["telemetry"]["enabled"]
    settings = (PIPELINES / "settings.sh").read_text(encoding="utf-8")
    for line in (
        "DO_NOT_TRACK=1",
        "PREFECT_SERVER_ANALYTICS_ENABLED=false",
        "DAGSTER_DISABLE_TELEMETRY=1",
    ):
        assert f"export {line}\n" in settings


def run_prefect(load, doors, **form):
    module = load("Prefect_ML_Pipeline")
    module.run_door = doors.run_door
    return module.night(**form).named


def test_prefect_trains_scores_and_monitors(load, doors):
    state = run_prefect(load, doors, **ALL)
    recipe = {"recipe": "recipes/wine_quality.yaml"}
    assert doors.asked == [
        ("main", {**recipe, "data": "auto", "model": "auto"}),
        ("score", {**recipe, **SCORE}),
        ("monitor", {**recipe, "data": "week.csv"}),
    ]
    assert state["name"] == "Unchanged"


def test_prefect_trains_again_on_an_alert_and_says_both(load, doors):
    doors.answers = {
        "monitor": {"status": "alert", "alert": "rmse"},
        "sweep": {"verdict": "rejected", "reason": "too bad"},
    }
    state = run_prefect(load, doors, labelled="week.csv", method="sweep", model="ridge")
    assert [entry_point for entry_point, _ in doors.asked] == ["sweep", "monitor", "sweep"]
    assert [given.get("data") for _, given in doors.asked] == ["auto", "week.csv", "week.csv"]
    assert doors.asked[2][1]["model"] == "ridge"
    assert (state["name"], state["message"]) == ("Alert, rejected", "too bad")


def test_prefect_does_a_training_step_by_step(load, doors):
    module = load("Prefect_ML_Pipeline")
    module.run_door = doors.run_door
    module.steps(model="ridge")
    assert [given["until"] for _, given in doors.asked] == [
        "prepare",
        "train",
        "evaluate",
        "register",
    ]


def run_dagster(load, doors, **form):
    """What each asset of the night gives, by its name; None if it gives nothing."""
    module = load("Dagster_ML_Pipeline")
    module.run_door = doors.run_door
    night, context, tags = module.Night(), PassiveObject(), []
    vars(context)["instance"] = SimpleNamespace(add_run_tags=lambda _run, more: tags.append(more))
    vars(night).update(form)
    made = {"model": module.model(context, night).named, "tags": tags}
    for name in ("scores", "monitoring"):
        made[name] = next((each.named for each in getattr(module, name)(context, night)), None)
    is_good = made["monitoring"] is None or made["monitoring"]["value"]
    (made["retrained"],) = [each.named for each in module.retrained(context, night, is_good)] or [
        None
    ]
    return made


def test_dagster_trains_scores_and_monitors(load, doors):
    made = run_dagster(load, doors, **ALL)
    recipe = {"recipe": "recipes/wine_quality.yaml"}
    assert doors.asked == [
        ("main", {**recipe, "data": "auto", "model": "auto"}),
        ("score", {**recipe, **SCORE}),
        ("monitor", {**recipe, "data": "week.csv"}),
    ]
    assert made["model"]["metadata"] == {"verdict": "unchanged", "reason": ""}
    assert made["tags"] == [{"verdict": "unchanged"}]
    assert [made[name]["check_results"][0].named["passed"] for name in ("model", "monitoring")] == [
        True,
        True,
    ]
    assert made["retrained"] is None


def test_dagster_trains_again_on_an_alert_and_warns(load, doors):
    doors.answers = {
        "monitor": {"status": "alert", "alert": "rmse"},
        "sweep": {"verdict": "rejected", "reason": "too bad"},
    }
    made = run_dagster(load, doors, labelled="week.csv", method="sweep", model="ridge")
    assert [entry_point for entry_point, _ in doors.asked] == ["sweep", "monitor", "sweep"]
    assert [given.get("data") for _, given in doors.asked] == ["auto", "week.csv", "week.csv"]
    assert made["scores"] is None
    checks = [made[name]["check_results"][0].named for name in ("model", "monitoring")]
    assert [(check["check_name"], check["passed"], check["description"]) for check in checks] == [
        ("gate", False, "too bad"),
        ("still_good", False, "rmse"),
    ]
    assert made["tags"] == [{"verdict": "rejected"}, {"verdict": "alert, rejected"}]
    assert made["retrained"]["metadata"] == {"verdict": "rejected", "reason": "too bad"}


@pytest.fixture
def run_task(load, doors, tmp_path, monkeypatch):
    """Has the shell run a task of Airflow; returns its exit code and what it asks for."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("CUVEE_BIN", str(tmp_path))
    module = load("Airflow_ML_Pipeline")
    defaults = {name: param.given[0] for name, param in module._FORM.items()}

    def run(name, **form):
        params = {**defaults, **form}
        task = getattr(module, name).named
        command, variables = (
            Template(task["bash_command"]).render(params=params),
            {name: Template(text).render(params=params) for name, text in task["env"].items()},
        )
        done = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, **variables},
            cwd=task["cwd"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.returncode, None
        file, entry_point, *options = done.stdout.splitlines()
        assert file == "pipelines/doors.py"
        given = dict(option.removeprefix("--").split("=", 1) for option in options)
        doors.check(entry_point, given)
        return entry_point, given

    return run


def test_airflow_asks_for_the_same(run_task):
    recipe = {"recipe": "recipes/wine_quality.yaml"}
    assert run_task("train") == ("main", {**recipe, "data": "auto", "model": "auto"})
    assert run_task("score", **ALL) == ("score", {**recipe, **SCORE})
    assert run_task("monitor", **ALL) == ("monitor", {**recipe, "data": "week.csv"})
    sweep = {"method": "sweep", "model": "ridge"}
    assert run_task("retrain", **ALL, **sweep) == (
        "sweep",
        {**recipe, "data": "week.csv", "model": "ridge"},
    )


def test_airflow_skips_what_is_not_wanted(run_task):
    assert [run_task(name)[0] for name in ("score", "monitor")] == [99, 99]


def test_airflow_takes_no_value_for_a_command(run_task):
    ugly = """a b'$(exit 7)"; exit 8 #"""
    assert run_task("train", recipe=ugly, model=ugly)[1] == {
        "recipe": ugly,
        "model": ugly,
        "data": "auto",
    }
    assert run_task("train", method=ugly)[0] == "main"


def test_airflow_trains_again_after_an_alert_only(load):
    module = load("Airflow_ML_Pipeline")
    assert [module.alert({"status": status}) for status in ("alert", "done")] == [True, False]


def test_airflow_goes_on_to_the_verdict_of_the_night(load, caplog):
    module = load("Airflow_ML_Pipeline")
    caplog.set_level("INFO")
    trained, retrained = (
        {"verdict": verdict, "reason": "so"} for verdict in ("unchanged", "rejected")
    )
    assert module.verdict(trained, None) == "unchanged"
    assert module.verdict(trained, retrained) == "rejected"
    assert caplog.messages == ["unchanged: so", "rejected: so"]


def test_airflow_fails_with_the_line_and_tries_wrong_usage_once(load):
    module = load("Airflow_ML_Pipeline")
    module.AirflowException, module.AirflowFailException = ValueError, SyntaxError
    assert module.read_answer('{"status": "alert"}') == {"status": "alert"}
    for is_final, error in ((False, ValueError), (True, SyntaxError)):
        with pytest.raises(error, match=r"^main: no table$"):
            module.read_answer(json.dumps({"error": "main: no table", "is_final": is_final}))
