"""What somebody whose model fell short may try."""

from pathlib import Path

import pytest

from modelling.recipe import Decision, Sweep, load_recipe
from steps.pipeline.advice import advise, commands_to_try

PROJECT = Path(__file__).parents[3]
PATH = "recipes/customer_churn.yaml"
CHURN = load_recipe(PATH, PROJECT)
FIXED = CHURN.model_copy(update={"decision": Decision(threshold=0.5)})
TUNED = CHURN.model_copy(update={"decision": Decision(threshold="tuned", metric="f1")})
FOUND = {"true_positives": 5.0, "false_positives": 0.0}
NOTHING = {"true_positives": 0.0, "false_positives": 0.0}


def advice(recipe=FIXED, verdict="promoted", figures=FOUND, was_sweep=False):
    return advise(recipe, PATH, "random_forest", verdict, figures, was_sweep)


@pytest.mark.parametrize("verdict", ["promoted", "challenger", "unchanged", None])
def test_where_all_is_well_there_is_none(verdict):
    assert advice(verdict=verdict) == []


def test_a_rejection_names_the_other_models_a_sweep_and_where_the_limits_stand():
    (words,) = advice(verdict="rejected")
    others = " or ".join(name for name in CHURN.models if name != "random_forest")
    assert f"another model (-P model={others})" in words
    assert "random_forest" not in words
    assert "-e sweep" in words
    assert f"gate in {PATH}" in words


def test_after_a_sweep_it_is_not_another_sweep():
    (words,) = advice(verdict="rejected", was_sweep=True)
    assert "-e sweep" not in words
    assert "more trials" in words


def test_a_classifier_that_finds_nothing_is_told_of_its_threshold():
    (words,) = advice(figures=NOTHING)
    assert "no test row is taken for leaves, since none reaches a probability of 0.5" in words
    assert advice(recipe=TUNED, figures=NOTHING) == []


def test_a_regression_has_no_threshold():
    wines = load_recipe("recipes/wine_quality.yaml", PROJECT)
    assert advice(recipe=wines, figures={"rmse": 0.6}) == []


def test_a_rejection_names_commands_that_can_be_copied():
    others = [name for name in CHURN.models if name != "random_forest"]
    start = "mlflow run . --env-manager uv"
    assert commands_to_try(CHURN, "random_forest", was_sweep=False) == [
        f"{start} -P model={others[0]}",
        f"{start} -e sweep",
    ]
    alone = CHURN.model_copy(
        update={"models": {"random_forest": CHURN.models["random_forest"]}, "sweep": Sweep()}
    )
    assert commands_to_try(alone, "random_forest", was_sweep=False) == []  # it would have no range
    of_one = CHURN.model_copy(update={"sweep": Sweep(models=("random_forest",))})
    assert f"{start} -e sweep" not in commands_to_try(of_one, "random_forest", was_sweep=False)
    assert commands_to_try(CHURN, "random_forest", was_sweep=True) == [
        f"{start} -P model={others[0]}"
    ]
