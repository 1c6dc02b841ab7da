"""Hyperparameters as MLproject writes them."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters

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
