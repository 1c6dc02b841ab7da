"""Hyperparameters as MLproject writes them."""

import os
import subprocess
import sys
from pathlib import Path

import click
import psutil
import pytest

from engine import command_line
from engine.command_line import (
    TAKES_HYPERPARAMETERS,
    TypedCommand,
    read_hyperparameters,
    typed_command,
)

PROJECT = Path(__file__).parents[2]


@click.command(context_settings=TAKES_HYPERPARAMETERS)
@click.option("--recipe")
@click.option("--jobs")
@click.pass_context
def command(context, recipe, jobs):
    return read_hyperparameters(context)


def read(given):
    return command.main(given, standalone_mode=False)


def test_pairs_are_read():
    given = ["--alpha", "-1", "--max_depth", "null", "--name", "--odd", "--recipe", "r.yaml"]
    assert read(given) == {"alpha": "-1", "max_depth": "null", "name": "--odd"}
    assert read(["--alpha=0.5", "--l1_ratio", "=", "--loss=a=b"]) == {
        "alpha": "0.5",
        "l1_ratio": "=",
        "loss": "a=b",
    }


@pytest.mark.parametrize("given", [["--alpha"], ["alpha", "1"], ["--alpha", "1", "x"]])
def test_anything_else_is_refused(given):
    with pytest.raises(click.UsageError, match="--name value"):
        read(given)


def test_a_slip_of_a_parameter_is_no_hyperparameter():
    with pytest.raises(click.UsageError, match="'recipes', did you mean 'recipe'"):
        read(["--recipes", "recipes/churn.yaml"])
    assert read(["--n_jobs", "2"]) == {"n_jobs": "2"}


def test_a_typed_path_starts_from_where_mlflow_run_was_typed(tmp_path):
    """That is, from where the nearest process stands that is not of the run."""
    program = f"import sys; sys.path.append({str(PROJECT)!r})\n" + (
        "from engine.command_line import typed_path\n"
        "import os; os.environ.pop('MLFLOW_RUN_ID', None)\n"
        "print(typed_path('a.csv'), typed_path('/b/a.csv'), sep='|')"
    )
    here = {name: text for name, text in os.environ.items() if name != "MLFLOW_RUN_ID"}
    for run_id, place in (({}, "a.csv"), ({"MLFLOW_RUN_ID": "1"}, str(Path.cwd() / "a.csv"))):
        said = subprocess.check_output(
            [sys.executable, "-c", program], cwd=tmp_path, env={**here, **run_id}, text=True
        )
        assert said.split("|") == [place, "/b/a.csv\n"]


GIT_URL = ["/env/bin/python", "-m", "mlflow", "run", "https://me:pw@example.org/cuvee.git"]


@pytest.mark.parametrize(
    ("typed", "again", "sweep"),
    [
        (
            [
                *GIT_URL,
                "-P",
                "data=auto",
                "-v",
                "v1.2",
                "--env-manager",
                "uv",
                "-P",
                "recipe=a b.yaml",
                "-P",
                "alpha=1",
            ],
            "mlflow run https://example.org/cuvee.git -v v1.2 --env-manager uv "
            "-P 'recipe=a b.yaml' -P model=ridge",
            "mlflow run https://example.org/cuvee.git -v v1.2 --env-manager uv -e sweep "
            "-P 'recipe=a b.yaml'",
        ),
        (
            ["mlflow", "run", "-e", "sweep", "--env-manager=local", "../cuvee"],
            "mlflow run --env-manager=local ../cuvee -P model=ridge",
            "mlflow run --env-manager=local ../cuvee -e sweep",
        ),
    ],
)
def test_a_hint_repeats_what_was_typed_before_mlflow_went_into_the_project(
    typed, again, sweep, monkeypatch
):
    # MLflow takes it out of os.environ when the run is opened.
    monkeypatch.setattr(psutil.Process, "environ", lambda _: {"MLFLOW_RUN_ID": "1"})
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setattr(command_line, "mlflow_run_above", lambda: (0.0, typed))
    command = typed_command()
    assert command.again(model="ridge") == again
    assert command.again("sweep") == sweep


@pytest.mark.parametrize(
    "given",
    [
        ["--recipe", "r.yaml", "--model", "x", "--data", "t.csv"],
        ["--recipe=r.yaml", "--model=x", "--data=t.csv"],
    ],
)
def test_a_hint_of_main_py_is_one_of_main_py_from_where_one_stands(monkeypatch, given):
    monkeypatch.setattr(psutil.Process, "environ", lambda _: {})
    monkeypatch.setattr(sys, "argv", ["../cuvee/main.py", *given])
    command = typed_command()
    again = "python ../cuvee/main.py --recipe r.yaml --data t.csv --model ridge"
    assert command.again(model="ridge") == again
    assert command.again("sweep") == (
        "mlflow run ../cuvee --env-manager local -e sweep -P recipe=r.yaml -P data=t.csv"
    )
    monkeypatch.setattr(sys, "argv", ["/cuvee/steps/draft_recipe.py"])
    assert typed_command() == TypedCommand()
