"""With which evaluation of the champion a model is compared, and how that is told."""

from types import SimpleNamespace

import pytest

from common.errors import InputError
from common.tags import OUTPUT_DIGEST
from common.words import MINUS
from engine.processes.forkserver import PROJECT
from modelling.judging.gate import Comparison
from modelling.recipe import load_recipe
from steps.register import _champion_evaluation, _compare, _compared, _describe_model
from steps.registry.versions import CHAMPION, find_champion
from steps.runs.names import MODEL_DIGEST, PREPARE_RUN_ID

WINES = SimpleNamespace(name="wines")


def test_figures_of_a_small_scale_are_told_apart():
    row = Comparison(
        "rmse", "champion", 0.0002, 0.00031, "better", True, low=-0.00012346, high=-0.00009
    )
    assert _compared(row, False, SimpleNamespace(version="3")).reason == (
        "better than the champion: rmse 0.0002 against 0.00031 of the champion, version 3: "
        f"{MINUS}0.00011 (better), interval {MINUS}0.0001235 to {MINUS}9e-05"
    )


@pytest.mark.parametrize(
    ("greater_is_better", "low", "high", "says"),
    [
        (False, 0.01, 0.09, "worse with 95% confidence: rmse 0.65 against 0.6 "),
        (False, -0.01, 0.09, "not better with 95% confidence: rmse 0.65 against 0.6 "),
        (True, -0.01, 0.09, "not better with 95% confidence: rmse 0.65 against 0.6 "),
    ],
)
def test_a_challenger_is_told_whether_it_is_worse(greater_is_better, low, high, says):
    required = "better with 95% confidence"
    row = Comparison("rmse", "champion", 0.65, 0.6, required, False, low=low, high=high)
    reason = _compared(row, greater_is_better, SimpleNamespace(version="3")).reason
    assert says in reason.replace("0.6500", "0.65").replace("0.6000", "0.6")
    assert f"({'better' if greater_is_better else 'worse'})" in reason


def test_what_a_model_is_for_is_said_anew_unless_somebody_has_said_it(client):
    recipe = load_recipe(PROJECT / "recipes/wine_quality.yaml")
    client.create_registered_model(recipe.name)
    _describe_model(recipe)
    other = recipe.about.model_copy(update={"owner": "Ana", "title": "Red"})
    changed = recipe.model_copy(update={"about": other})
    _describe_model(changed)
    said = client.get_registered_model(recipe.name).description
    assert said.startswith("# Red\n\n")
    assert "**Owner:** Ana" in said
    client.update_registered_model(recipe.name, "our words")
    _describe_model(recipe)
    assert client.get_registered_model(recipe.name).description == "our words"


@pytest.fixture
def make_run(client):
    """Makes a finished run of a step, with some tags."""

    def make(step, tags):
        known = {"mlflow.project.entryPoint": step, "pipeline.recipe": "wines"}
        run_id = client.create_run("0", tags={**known, **tags}).info.run_id
        client.set_terminated(run_id)
        return client.get_run(run_id)

    return make


@pytest.fixture
def evaluate(make_run):
    """Evaluates a model of this digest on the rows of a prepare run."""
    return lambda rows, digest: make_run(
        "evaluate", {PREPARE_RUN_ID: rows.info.run_id, MODEL_DIGEST: digest}
    )


def test_the_champion_was_evaluated_on_the_same_rows_or_must_be(client, make_run, evaluate):
    rows, others = (make_run("prepare", {OUTPUT_DIGEST: name}) for name in ("rows", "others"))
    client.create_registered_model("wines")
    for digest in ("before", "in use"):
        tags = {
            MODEL_DIGEST: digest,
            "pipeline.evaluate_run_id": evaluate(rows, digest).info.run_id,
        }
        version = client.create_model_version("wines", "file:///nowhere", tags=tags)
    client.set_registered_model_alias("wines", CHAMPION, version.version)
    champion = find_champion("wines")
    own = champion.tags["pipeline.evaluate_run_id"]

    def found(candidate, champion_run_id="none"):
        return _champion_evaluation(WINES, candidate, champion, champion_run_id).info.run_id

    assert found(evaluate(rows, "new")) == own
    elsewhere = evaluate(others, "in use").info.run_id
    assert found(evaluate(others, "new"), elsewhere) == elsewhere
    # The champion was another one when main had it evaluated.
    assert found(evaluate(rows, "new"), evaluate(rows, "before").info.run_id) == own
    stranger = evaluate(rows, "new").info.run_id
    says = f"champion_run_id: run {stranger} did not evaluate the champion, version 2 of wines"
    with pytest.raises(InputError, match=says):
        found(evaluate(rows, "new"), stranger)
    says = rf"has a champion, version 2: .* \(-e evaluate -P prepare_run_id={others.info.run_id} "
    with pytest.raises(InputError, match=rf"{says}.*and give that run as champion_run_id"):
        _compare(WINES, evaluate(others, "new"), champion, "none")
