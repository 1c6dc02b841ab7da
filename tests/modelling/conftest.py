"""What the tests of modelling/ share: a small recipe, the wines, and how a refusal is read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from common.errors import InputError
from modelling.recipe import Recipe, load_recipe

PROJECT = Path(__file__).parents[2]

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Several test processes with a thread for each core only hinder each other."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Calls a function that must refuse its input, and returns the one line that it says."""

    def refuse(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        with pytest.raises(InputError) as caught:
            call(*arguments, **named)
        message = str(caught.value)
        assert message
        assert "\n" not in message
        return message

    return refuse


@pytest.fixture
def recipe_with() -> Callable[..., Recipe]:
    """Builds a recipe of two features `a`, `b` and a target `y`, with some sections replaced."""

    def build(**sections: Any) -> Recipe:
        content = {
            "name": "small",
            "task": "regression",
            "data": {"path": "table.csv", "target": "y", "columns": {"a": {}, "b": {}}},
            "models": {"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
        }
        return Recipe.model_validate({**content, **sections})

    return build


@pytest.fixture(scope="session")
def wine_recipe() -> Recipe:
    return load_recipe(PROJECT / "recipes" / "wine_quality.yaml")


@pytest.fixture(scope="session")
def wines() -> pd.DataFrame:
    return pd.read_csv(PROJECT / "data" / "red-wine-quality.csv").astype("float64")
