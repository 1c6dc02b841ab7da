"""An entry point that a program runs: its answer, its failure, its end."""

import ast
import json
import signal
import subprocess
import sys
import time

import pytest

from pipelines.doors import DoorError, run_door, shown
from tests.pipelines.conftest import PIPELINES, PROJECT

_FAKE = """#!{python} -I
import json, os, sys, time
options = dict(word[2:].split("=", 1) for word in sys.argv if word.startswith("--"))
print("called", sys.argv[1:-1], os.getcwd(), os.environ["PATH"].split(":")[0], flush=True)
said = json.loads(options["data"])
if "seconds" in said:
    time.sleep(said["seconds"])
if said:
    with open(options["result"], "w") as file:
        json.dump(said, file)
sys.exit(said.get("exit_code", 9))
"""
DONE = {"status": "done", "exit_code": 0, "error": None, "run_id": "1f"}
SLOW = {**DONE, "seconds": 60}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The project's environment, whose Python answers what it is told as `data`."""
    python = tmp_path / "python"
    python.write_text(_FAKE.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setenv("CUVEE_BIN", str(tmp_path))
    return tmp_path


def ask(answer, entry_point="monitor", say=lambda _line: None, **more):
    return run_door(entry_point, {"data": json.dumps(answer)}, say, **more)


@pytest.mark.parametrize(
    ("entry_point", "program"), [("main", ["main.py"]), ("score", ["-m", "steps.score"])]
)
def test_it_is_run_in_the_project_by_the_projects_programs(programs, entry_point, program):
    said = []
    assert ask(DONE, entry_point, said.append) == DONE
    words = [*program, f"--data={json.dumps(DONE)}"]
    assert said == [f"called {words} {PROJECT} {programs}"]


def test_an_alert_is_an_answer(programs):
    alert = {"status": "alert", "exit_code": 3, "error": None, "alert": "rmse"}
    assert ask(alert) == alert


@pytest.mark.parametrize(("exit_code", "is_final"), [(1, False), (2, True)])
def test_a_failure_is_its_one_line(programs, exit_code, is_final):
    with pytest.raises(DoorError, match=r"^monitor: no table$") as caught:
        ask({"status": "failed", "exit_code": exit_code, "error": "no table", "run_id": "1f"})
    assert caught.value.run_id == "1f"
    assert caught.value.is_final is is_final


def test_who_tells_nothing_has_failed(programs):
    with pytest.raises(DoorError, match="monitor ended with the exit code 9 and told nothing"):
        ask({})


def test_what_takes_too_long_is_ended(programs):
    said = []
    with pytest.raises(DoorError, match=f"exit code {-signal.SIGTERM} "):
        ask(SLOW, say=said.append, hours=0.5 / 3600)
    assert said[-1].startswith("it takes longer than 0.0001")


def test_it_ends_with_the_task_of_the_orchestrator(programs):
    def end(_line):
        raise SystemExit

    began = time.monotonic()
    with pytest.raises(SystemExit):
        ask(SLOW, say=end)
    assert time.monotonic() - began < 30


def command(answer):
    return [sys.executable, PIPELINES / "doors.py", "monitor", f"--data={json.dumps(answer)}"]


def test_the_command_prints_last_what_came_of_it_and_an_alert_is_an_answer(programs):
    alert = {"status": "alert", "exit_code": 3, "error": None, "alert": "rmse"}
    done = subprocess.run(command(alert), capture_output=True, text=True, check=True)
    first, last = done.stdout.splitlines()
    assert first.startswith("called")
    assert json.loads(last) == alert
    failed = {**DONE, "status": "failed", "exit_code": 2, "error": "no table"}
    done = subprocess.run(command(failed), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "error": "monitor: no table",
        "is_final": True,
    }


def test_the_command_takes_the_entry_point_with_it(programs):
    with subprocess.Popen(command(SLOW), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("called")
        process.terminate()
        assert process.stdout.read() == ""  # the other end is closed: nobody is left
    assert process.returncode == 128 + signal.SIGTERM


def test_a_person_is_shown_what_there_is():
    nothing = dict.fromkeys(
        ("verdict", "reason", "alert", "metric", "model_uri", "report", "run_id")
    )
    metric = {"name": "rmse", "value": 0.62997, "low": 0.5, "high": 0.7}
    assert shown({**nothing, "verdict": "promoted", "metric": metric}) == {
        "verdict": "promoted",
        "metric": "rmse 0.63 [0.5, 0.7]",
    }
    metric = {"name": "rmse", "value": None, "low": None, "high": None}
    assert shown({**nothing, "metric": metric}) == {"metric": "rmse not finite"}


def test_any_python_runs_it():
    """The environment of an orchestrator has nothing of the project's."""
    tree = ast.parse((PIPELINES / "doors.py").read_text(encoding="utf-8"))
    names = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
