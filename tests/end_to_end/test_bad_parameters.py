"""A bad recipe or parameter: one line that says what is wrong, FAILED runs, nothing registered."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


RECIPES = {
    "not YAML": ("name:", "name: [", ["recipe.yaml is not YAML: line "]),
    "unknown key": (
        "  target: ",
        "  taget: ",
        ["recipe.yaml: data: unknown key 'taget', did you mean 'target'?", "allowed: path, target"],
    ),
    "wrong type": ("seed: 0", "seed: zero", ["split.seed: ", "valid integer", "got 'zero'"]),
    "test size 0": (
        "test_size: 0.2",
        "test_size: 0",
        ["split.test_size: ", "greater than 0", "got 0"],
    ),
    "test size 1": (
        "test_size: 0.2",
        "test_size: 1",
        ["split.test_size: ", "less than 1", "got 1"],
    ),
}


@pytest.mark.parametrize(("old", "new", "words"), RECIPES.values(), ids=RECIPES)
def test_bad_recipe(store, tmp_path, old, new, words):
    text = (PROJECT / "recipes/wine_quality.yaml").read_text()
    assert text.count(old) == 1
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace(old, new))
    outcome = store.mlflow_run(f"recipe={path}")
    outcome.assert_refused("main", words)
    assert not outcome.versions


PARAMETERS = {
    "recipe=recipes/wine_qualty.yaml": (
        "main",
        ["unknown recipe", "did you mean 'recipes/wine_quality.yaml'?", "from the project's root"],
    ),
    "model=elastic_nett": (
        "main",
        ["unknown model 'elastic_nett', did you mean 'elastic_net'?", "ridge, random_forest"],
    ),
    "cache=reuse": ("main", ["'reuse' is not one of 'use', 'refresh', 'off'"]),
    "until=deploy": ("main", ["'deploy' is not one of 'prepare', 'train'"]),
    "backend=cold": ("main", ["'cold' is not one of 'warm', 'local'"]),
    "alpa=0.5": (
        "main",
        ["unknown hyperparameter of ElasticNet 'alpa', did you mean 'alpha'?", "fit_intercept"],
    ),
}


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_unknown_name_under_mlflow_run(store, parameter):
    step, words = PARAMETERS[parameter]
    outcome = store.mlflow_run(parameter)
    outcome.assert_refused(step, words)
    assert not outcome.versions


@pytest.mark.parametrize("parameter", ["alpa=0.5", "cache=reuse", "model=elastic_nett"])
def test_unknown_name_is_refused_before_any_run_is_made(make_store, parameter):
    outcome = make_store().main(parameter)
    assert outcome.code == 1
    assert outcome.terminal.startswith("main: ")
    assert outcome.terminal.count("\n") == 1
    assert not outcome.runs


@pytest.mark.parametrize("value", ["-1", "abc"])
def test_value_that_scikit_learn_refuses(store, value):
    outcome = store.main(f"alpha={value}")
    outcome.assert_refused("train", ["'alpha' parameter of ElasticNet", "[0.0, inf)", value])
    assert not outcome.versions
