"""What the key of each step holds: the estimator that is named, the order of columns."""

import shutil
from pathlib import Path

import pytest

from engine.cache import code_digests
from engine.cache import key as cache_key
from modelling.recipe import Transformer, load_recipe
from steps.pipeline.dependencies import StepDependencies

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes the module of an estimator, and what it imports beside it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text("from tolerance import LIMIT\n")

    def write(limit):
        (tmp_path / "tolerance.py").write_text(f"LIMIT = {limit}\n")
        cache_key.class_code.cache_clear()
        code_digests._read_all.cache_clear()
        code_digests._read_code.cache_clear()

    write(1)
    yield write
    cache_key.class_code.cache_clear()


# A file of each room, and the steps that run again when it is edited; of `tuned`, only where the
# recipe tunes its threshold.
EDITED = {
    "common/words.py": [],
    "engine/chain.py": [],
    "engine/cache/step_cache.py": [],
    "engine/processes/guard.py": [],
    "engine/provenance/checkout.py": [],
    "engine/trials/local_trials.py": [],
    "tracking/mlflow_manager.py": [],
    "steps/pipeline/order.py": [],
    "steps/registry/seen_rows.py": [],
    "steps/reporting/verdict.py": [],
    "steps/runs/step.py": [],
    "steps/scoring/output.py": [],
    "steps/sweeping/loop.py": [],
    "steps/sweeping/trial.py": ["trial"],
    "steps/prepare.py": ["prepare"],
    "steps/train.py": ["train", "tuned"],
    "steps/evaluate.py": ["evaluate"],
    "steps/register.py": ["register"],
    "modelling/recipe.py": ["prepare", "train", "tuned", "trial", "evaluate", "register"],
    "modelling/drafting/draft.py": [],
    "modelling/judging/gate.py": ["register"],
    "modelling/judging/metrics.py": ["tuned", "trial", "evaluate", "register"],
    "modelling/judging/plots.py": ["evaluate"],
    "modelling/judging/resampling.py": ["evaluate", "register"],
    "modelling/judging/thresholds.py": ["tuned", "trial"],
    "modelling/fitting/calibration.py": [],  # where a recipe calibrates
    "modelling/fitting/conformal.py": [],  # where it asks for intervals
    "modelling/models/row_details.py": ["train", "tuned"],
    "modelling/estimators/estimators.py": ["train", "tuned", "trial", "evaluate"],
    "modelling/reporting/report.py": [],
    "modelling/search/cross_validation.py": ["trial"],
    "modelling/files/table_file.py": ["prepare"],
    "modelling/judging/checks.py": ["evaluate"],
    "modelling/tables/cells.py": ["prepare"],
    "modelling/tables/profile.py": ["evaluate"],
    "modelling/tables/rows.py": ["prepare"],
    "modelling/tables/table.py": ["prepare"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what a key may hold."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("common", "engine", "modelling", "recipes", "steps", "tracking"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("conda.yaml", "requirements.lock"):
        shutil.copy(PROJECT / name, folder)
    return folder


def dependencies(project):
    wines, churn = (
        StepDependencies(project, load_recipe(f"recipes/{name}.yaml", project))
        for name in ("wine_quality", "customer_churn")
    )
    return {
        "prepare": wines.of_prepare("wines.csv", "table"),
        "train": wines.of_train("ridge", {}, "rows"),
        "tuned": churn.of_train("logistic_regression", {}, "rows"),
        "trial": wines.of_trials(3, "rows", ["ridge"]),
        "evaluate": wines.of_evaluate("rows", "model", None),
        "register": wines.of_register("figures", "none", "model"),
    }


def test_an_edited_file_is_a_reason_for_the_steps_whose_result_it_decides(project, client):
    before = dependencies(project)
    for name in EDITED:
        with (project / name).open("a", encoding="utf-8") as file:
            file.write("\nEDITED = 1\n")
    code_digests._read_all.cache_clear()
    code_digests._read_code.cache_clear()
    said = {step: now.changes_since(before[step]) for step, now in dependencies(project).items()}
    seen = {
        name: [step for step, changes in said.items() if f"{name} changed" in changes]
        for name in EDITED
    }
    assert seen == EDITED
    assert sum(map(len, said.values())) == sum(map(len, EDITED.values()))  # and nothing else


def test_results_of_other_rules_are_told_as_such(monkeypatch):
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    before = StepDependencies(PROJECT, recipe).of_train("ridge", {}, "rows")
    monkeypatch.setattr("steps.pipeline.dependencies.RESULTS_VERSION", 7)
    after = StepDependencies(PROJECT, recipe).of_train("ridge", {}, "rows")
    (said,) = after.changes_since(before)
    assert said.startswith("what decides a result is told by rules 7, and was by ")


STEPS = {
    "train": lambda depends: depends.of_train("ridge", {}, "rows"),
    "trials": lambda depends: depends.of_trials(3, "rows", ["elastic_net", "ridge"]),
    "evaluate": lambda depends: depends.of_evaluate("rows", "model", "mine.Own"),
}


INSIDE = {
    "estimator": "sklearn.ensemble.VotingRegressor",
    "parameters": {"estimators": {"own": {"estimator": "mine.Own"}}},
}


@pytest.mark.parametrize(
    ("of_step", "model"),
    [*((of_step, {"estimator": "mine.Own"}) for of_step in STEPS.values()),
     (STEPS["train"], INSIDE), (STEPS["trials"], INSIDE)],
)  # fmt: skip
def test_an_edited_class_of_ones_own_is_a_reason(own, tmp_path, of_step, model):
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    ridge = recipe.models["ridge"].model_copy(update=model)
    recipe = recipe.model_copy(update={"models": {**recipe.models, "ridge": ridge}})
    before = of_step(StepDependencies(PROJECT, recipe))
    assert of_step(StepDependencies(PROJECT, recipe)).key == before.key
    own(2)
    after = of_step(StepDependencies(PROJECT, recipe))
    assert after.changes_since(before) == [f"{tmp_path / 'tolerance.py'} changed"]


def test_own_code_is_a_reason_for_the_steps_that_name_something_of_it(tmp_path, client):
    """And a comment in it is none."""
    text = (PROJECT / "recipes/wine_quality.yaml").read_text()
    metric = "metrics:\n  functions: {m: {function: mine.m, greater_is_better: true}}\n"
    (tmp_path / "r.yaml").write_text(text.replace("metrics:\n", metric) + "\ncode: mine.py\n")

    def with_code(code):
        (tmp_path / "mine.py").write_text(code)
        depends = StepDependencies(PROJECT, load_recipe(tmp_path / "r.yaml"))
        return {
            "prepare": depends.of_prepare("wines.csv", "table"),
            "train": depends.of_train("ridge", {}, "rows"),
            "trial": depends.of_trials(3, "rows", ["ridge"]),
            "evaluate": depends.of_evaluate("rows", "model", None),
            "register": depends.of_register("figures", "none", "model"),
        }

    before = with_code("import hypothesis\nm = 1\n")
    same, changed = (
        with_code("import hypothesis\nm = 1  # !\n"),
        with_code("import hypothesis\nm = 2"),
    )
    assert all(same[step].key == before[step].key for step in before)
    said = {step: changed[step].changes_since(before[step]) for step in before}
    reason = ["mine.py changed"]
    assert said == {
        "prepare": [], "train": [], "trial": reason, "evaluate": reason, "register": reason
    }  # fmt: skip
    assert "hypothesis" in changed["evaluate"].environment  # what the code imports may change, too


def test_the_order_of_columns_and_features_is_a_reason_and_that_of_other_keys_is_none():
    """A model takes its columns in the recipe's order: another one gives other digits."""
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)

    def turned(values):
        return dict(reversed(values.items()))

    data = recipe.data.model_copy(update={"columns": turned(recipe.data.columns)})
    formulas = {"a": "pH * alcohol", "b": "pH + alcohol"}
    features = recipe.features.model_copy(update={"formulas": formulas})
    other = features.model_copy(update={"formulas": turned(formulas)})
    depends, others = (
        StepDependencies(PROJECT, recipe.model_copy(update=update))
        for update in (
            {"features": features},
            {"data": data, "features": other, "models": turned(recipe.models)},
        )
    )
    steps = {
        "columns": lambda one: one.of_prepare("wines.csv", "table"),
        "features": lambda one: one.of_train("ridge", {}, "rows"),
    }
    for what, of_step in steps.items():
        changes = of_step(others).changes_since(of_step(depends))
        assert changes == [f"the order of the {what} changed"]


def test_the_order_of_transformers_and_of_inner_models_is_a_reason():
    """The columns and the votes of a model come in it."""
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    steps = [Transformer(transformer=name, columns=("pH",)) for name in ("a.b", "c.d")]
    inner = {name: {"estimator": "sklearn.linear_model.Ridge"} for name in ("one", "two")}

    def reason(transformers, estimators):
        features = recipe.features.model_copy(update={"transformers": transformers})
        depends = StepDependencies(PROJECT, recipe.model_copy(update={"features": features}))
        return depends.of_train("ridge", {"estimators": estimators}, "rows")

    one = dict(zip(("first", "second"), steps, strict=True))
    then = reason(one, inner)
    turned = reason(dict(reversed(one.items())), inner)
    assert turned.changes_since(then) == ["the order of the features changed"]
    turned = reason(one, dict(reversed(inner.items())))
    assert turned.changes_since(then) == ["the order of the inner models changed"]
