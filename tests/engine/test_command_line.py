"""Hyperparameters as MLproject writes them."""

import click
import pytest

from engine.command_line import read_hyperparameters


def test_pairs_are_read():
    given = ["--alpha", "-1", "--max_depth", "null", "--name", "--odd"]
    assert read_hyperparameters(given) == {"alpha": "-1", "max_depth": "null", "name": "--odd"}


@pytest.mark.parametrize("given", [["--alpha"], ["alpha", "1"], ["--alpha", "1", "x"]])
def test_anything_else_is_refused(given):
    with pytest.raises(click.UsageError, match="--name value"):
        read_hyperparameters(given)
