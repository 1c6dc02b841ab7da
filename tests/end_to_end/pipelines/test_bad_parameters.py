"""A bad recipe or parameter: one line that says what is wrong, FAILED runs, nothing registered."""

from pathlib import Path

import click
import pytest

from common.errors import InputError
from main import main
from steps.pipeline.request import resolve

PROJECT = Path(__file__).parents[3]
RECIPE = "recipes/wine_quality.yaml"


@pytest.fixture(scope="module")
def store(make_store):
    """A store with a champion: what it has prepared is used."""
    return make_store(like="champion")


@pytest.fixture
def recipe_with(tmp_path):
    """Writes the recipe with a word changed; returns its path."""

    def write(old, new):
        text = (PROJECT / RECIPE).read_text()
        assert text.count(old) == 1
        path = tmp_path / "recipe.yaml"
        path.write_text(text.replace(old, new))
        return str(path)

    return write


# The whole way once for what main refuses, what its command line does, and scikit-learn.


@pytest.mark.slow
def test_unknown_name_under_mlflow_run(store):
    outcome = store.mlflow_run("alpa=0.5")
    words = ["unknown hyperparameter of ElasticNet 'alpa', did you mean 'alpha'?", "fit_intercept"]
    outcome.assert_refused("main", words)
    assert list(outcome.versions) == [1]


@pytest.mark.parametrize("parameter", ["alpa=0.5", "cache=reuse"])
def test_unknown_name_is_refused_before_any_run_is_made(make_store, parameter):
    outcome = make_store(is_empty=True).main(parameter)
    assert outcome.code == 2
    assert outcome.terminal.startswith("main: ")
    assert outcome.terminal.count("\n") == 1
    assert not outcome.runs


def test_value_that_scikit_learn_refuses(store):
    outcome = store.main("alpha=-1")
    outcome.assert_refused("train", ["'alpha' parameter of ElasticNet", "[0.0, inf)", "-1"])
    assert list(outcome.versions) == [1]


# The same words for everything else that main refuses.


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "  target: ",
            "  taget: ",
            ["recipe.yaml: data: unknown key 'taget', did you mean 'target'?", "allowed: path, "],
        ),
        ("name:", "name: [", ["recipe.yaml is not YAML: line "]),
        ("seed: 0", "seed: zero", ["split.seed: ", "valid integer", "got 'zero'"]),
        ("test_size: 0.2", "test_size: 0", ["split.test_size: ", "greater than 0", "got 0"]),
        ("test_size: 0.2", "test_size: 1", ["split.test_size: ", "less than 1", "got 1"]),
    ],
)
def test_bad_recipe(recipe_with, old, new, words):
    _assert_refused(words, recipe=recipe_with(old, new))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"recipe": "recipes/wine_qualty.yaml"},
            ["unknown recipe", "did you mean 'recipes/wine_quality.yaml'?", "the project's root"],
        ),
        (
            {"model": "elastic_nett"},
            ["unknown model 'elastic_nett', did you mean 'elastic_net'?", "ridge, random_forest"],
        ),
    ],
)
def test_unknown_name(parameters, words):
    _assert_refused(words, **parameters)


def _assert_refused(words, **parameters):
    asked = {"recipe": RECIPE, "model": "auto", "data": "auto", "until": "register", "given": {}}
    with pytest.raises(InputError) as caught:
        resolve(**{**asked, **parameters})
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--cache", "reuse"], "'reuse' is not one of 'use', 'refresh', 'off'"),
        (["--until", "deploy"], "'deploy' is not one of 'prepare', 'train'"),
        (["--backend", "cold"], "'cold' is not one of 'warm', 'local'"),
    ],
)
def test_unknown_choice(option, words):
    with pytest.raises(click.UsageError, match=words):
        main.make_context("main", option)
