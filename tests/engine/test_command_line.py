"""Hyperparameters as MLproject writes them."""

import click
import pytest

from engine.command_line import TAKES_HYPERPARAMETERS, read_hyperparameters


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
