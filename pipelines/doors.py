"""Runs an entry point of Cuvée in the project's own environment, and reads what came of it.

What the three orchestrators and `steps/refresh.py` share. Standard library only: an orchestrator
has an environment of its own, which lacks the packages of requirements.lock. CUVEE_BIN is the
folder of the programs of the environment that has them; without it, that of this Python.

    python pipelines/doors.py monitor --recipe=recipes/wine_quality.yaml --data=last_week.csv

prints what came of it as its last line: the answer, which an alert is and a rejection, or of a
failure `error`, the one line that says why, and `is_final`. It ends with 0 if it could tell.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
TRAINING = {"train": "main", "sweep": "sweep"}
"""The entry point of each way to train: the models of the recipe as they are, or a search."""

_SHOWN = ("verdict", "reason", "alert", "metric", "model_uri", "report", "run_id")
_WRONG_USAGE = 2
_SECONDS = 3600.0  # of an hour


class DoorError(Exception):
    """An entry point failed; its message is the one line that says why.

    is_final: whether to try again is useless, since it was called with what it does not know;
    run_id: its run, if it came to one.
    """

    def __init__(self, line: str, exit_code: int, run_id: str | None = None) -> None:
        super().__init__(line)
        self.is_final = exit_code == _WRONG_USAGE
        self.run_id = run_id


def run_door(
    entry_point: str, parameters: Mapping[str, str], say: Callable[[str], object], hours: float = 6
) -> dict[str, Any]:
    """Runs an entry point to its end and returns its result.json: docs/use/programs.md.

    Args:
        entry_point: `main`, or one of `steps/`.
        parameters: as MLproject has them.
        say: called with each line that it prints, but the empty ones.
        hours: after which it is ended.

    Raises:
        DoorError: it failed, was refused, took too long, or was killed.
    """
    with TemporaryDirectory(prefix="cuvee-") as folder:
        result = Path(folder, "result.json")
        options = [f"--{name}={value}" for name, value in {**parameters, "result": result}.items()]
        exit_code = _run([*_program(entry_point), *options], say, hours)
        if not result.exists():
            line = f"{entry_point} ended with the exit code {exit_code} and told nothing"
            raise DoorError(line, exit_code)
        answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if answer["status"] not in ("done", "alert"):
        raise DoorError(f"{entry_point}: {answer['error']}", exit_code, answer["run_id"])
    return answer


def shown(answer: Mapping[str, Any]) -> dict[str, str]:
    """What a person is shown of a result: the verdict first, nothing that is not there."""
    told = {name: answer[name] for name in _SHOWN if answer[name] is not None}
    if answer["metric"] is not None:
        told["metric"] = _in_words(answer["metric"])
    return told


def _in_words(metric: Mapping[str, Any]) -> str:
    figures = [metric[part] for part in ("value", "low", "high")]
    value, low, high = ("not finite" if each is None else f"{each:.4g}" for each in figures)
    interval = "" if None in figures else f" [{low}, {high}]"
    return f"{metric['name']} {value}{interval}"


def _program(entry_point: str) -> list[str]:
    python = str(Path(_programs(), "python"))
    return [python, *(["main.py"] if entry_point == "main" else ["-m", f"steps.{entry_point}"])]


def _programs() -> str:
    return os.environ.get("CUVEE_BIN", str(Path(sys.executable).parent))


def _own_variables() -> dict[str, str]:
    """This process's, but the run that it may have: an entry point has one of its own."""
    return {name: text for name, text in os.environ.items() if name != "MLFLOW_RUN_ID"}


def _run(command: list[str], say: Callable[[str], object], hours: float) -> int:
    """Runs a command, which ends with this process, and returns its exit code."""
    path = os.pathsep.join([_programs(), os.environ.get("PATH", os.defpath)])
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**_own_variables(), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:

        def end() -> None:
            say(f"it takes longer than {hours:g} hours, and is ended")
            process.terminate()

        limit = threading.Timer(hours * _SECONDS, end)
        limit.start()
        try:
            for line in process.stdout or ():
                if line.strip():  # each has a time of its own in a log
                    say(line.rstrip("\n"))
        except BaseException:  # the orchestrator ends the task
            process.terminate()
            raise
        finally:
            limit.cancel()
    return process.returncode


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    options = [word.removeprefix("--").partition("=") for word in sys.argv[2:]]
    try:
        answer = run_door(sys.argv[1], {name: value for name, _, value in options}, _print)
    except DoorError as error:
        answer = {"error": str(error), "is_final": error.is_final}
    _print(json.dumps(answer))
