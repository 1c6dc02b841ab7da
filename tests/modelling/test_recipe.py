"""A recipe is read, or refused in one line that says what, where and what is allowed."""

import warnings
from operator import attrgetter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.errors import InputError
from modelling.recipe import Recipe, load_recipe, only_parts

SMALL = """
name: small
task: regression
data: {path: table.csv, target: y, columns: {a: {}, b: {min: 0, max: 9}}}
models:
  ridge: {estimator: sklearn.linear_model.Ridge}
  lasso: {estimator: sklearn.linear_model.Lasso}
"""


@pytest.fixture
def recipe_file(tmp_path):
    """Writes the small recipe with `more` YAML merged into it, section by section."""

    def write(more=""):
        content = yaml.safe_load(SMALL)
        for key, value in (yaml.safe_load(more) or {}).items():
            both = isinstance(value, dict) and isinstance(content.get(key), dict)
            content[key] = {**content[key], **value} if both else value
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def test_the_wine_recipe_is_read(wine_recipe):
    assert wine_recipe.name == "wine_quality"
    assert wine_recipe.data.target == "quality"
    assert len(wine_recipe.data.columns) == 11
    assert wine_recipe.choose_model("auto")[0] == "elastic_net"
    assert wine_recipe.models["elastic_net"].parameters == {"alpha": 0.01, "l1_ratio": 0.5}
    assert wine_recipe.autologging is None


@pytest.mark.parametrize("webhook", ["none", "$HOOK", "https://host/path?key=1", "http://h:80/a@b"])
def test_a_webhook_is_a_url_or_a_variable(recipe_file, webhook):
    assert load_recipe(recipe_file(f"monitor: {{webhook: '{webhook}'}}")).monitor.webhook == webhook


@pytest.mark.parametrize("webhook", ["host/path", "$", "file:///etc/passwd", "https://a:b@host/"])
def test_another_webhook_is_refused(recipe_file, refusal, webhook):
    message = refusal(load_recipe, recipe_file(f"monitor: {{webhook: '{webhook}'}}"))
    assert "monitor.webhook: " in message


def test_a_password_in_the_recipe_is_not_repeated(recipe_file, refusal):
    message = refusal(load_recipe, recipe_file("monitor: {webhook: 'https://me:hunter2@host/'}"))
    assert "write $NAME" in message
    assert "hunter2" not in message


def test_defaults_are_the_documented_ones(recipe_file):
    recipe = load_recipe(recipe_file())
    assert (recipe.split.method, recipe.split.test_size) == ("hash", 0.2)
    assert recipe.metrics.primary == "rmse"
    assert recipe.gate["rmse"].min_absolute_change is None
    assert recipe.gate["rmse"].min_relative_change == 0.05
    assert recipe.decision.threshold == 0.5
    assert recipe.sampling.method == "none"
    assert (recipe.promotion.rule, recipe.promotion.confidence) == ("significant", 0.95)
    assert recipe.promotion.stage == "none"
    assert recipe.models["ridge"].serialization == "skops"


def test_a_recipe_cannot_be_changed(recipe_file):
    recipe = load_recipe(recipe_file())
    with pytest.raises(ValidationError, match="frozen"):
        recipe.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        recipe.split.seed = 1


def test_a_recipe_survives_its_own_dump(wine_recipe):
    assert Recipe.model_validate(wine_recipe.model_dump(mode="json")) == wine_recipe


@pytest.mark.filterwarnings("error")
def test_a_date_is_written_as_it_is_read(wine_recipe):
    content = wine_recipe.model_dump(mode="json")
    content["data"]["columns"]["bottled"] = {"type": "date", "min": "2017-03-06"}
    recipe = Recipe.model_validate(content)
    written = recipe.model_dump(mode="json")
    assert written["data"]["columns"]["bottled"]["min"] == "2017-03-06"
    assert Recipe.model_validate(written) == recipe


def test_auto_is_the_default_model_or_else_the_first(recipe_file):
    assert load_recipe(recipe_file()).choose_model("auto")[0] == "lasso"
    assert load_recipe(recipe_file("default_model: ridge")).choose_model("auto")[0] == "ridge"
    assert load_recipe(recipe_file("default_model: ridge")).choose_model("lasso")[0] == "lasso"


def test_unknown_model_names_the_nearest(recipe_file, refusal):
    recipe = load_recipe(recipe_file())
    assert refusal(recipe.choose_model, "rigde") == (
        "unknown model 'rigde', did you mean 'ridge'? allowed: lasso, ridge"
    )


def test_missing_recipe_names_the_nearest_and_where_it_was_looked_up(tmp_path, refusal):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "wine_quality.yaml").touch()
    assert refusal(load_recipe, "recipes/wine_qualty.yaml", tmp_path) == (
        "unknown recipe 'recipes/wine_qualty.yaml', did you mean 'recipes/wine_quality.yaml'? "
        "allowed: recipes/wine_quality.yaml (looked up from the project's root, and from where you "
        "stand)"
    )


@pytest.mark.parametrize("name", [".", "recipe.yaml/inside"])
def test_what_is_no_file_is_a_missing_recipe(name, recipe_file, refusal):
    folder = recipe_file().parent
    assert "unknown recipe" in refusal(load_recipe, folder / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name: [1", "is not YAML: line 1, column 9: "),
        (b"name: a\n  b: 2\n", "is not YAML: line 2, column 4: mapping values are not allowed"),
        (b"\0", "is not YAML: unacceptable character"),
        (b"name: !!python/object:os.getcwd {}", "is not YAML: line 1, column 7: could not"),
        (
            b"name: a\ndata:\n  path: t.csv\n  where: a > 1\n  where: b < 2\n",
            "is not YAML: line 5, column 3: the key 'where' stands in line 4 already",
        ),
        (b"a: {1: x, 1: y}", "is not YAML: line 1, column 11: the key '1' stands in line 1"),
        (b"made: 2020-13-45", "is not YAML: month must be in 1..12"),
        (b"[" * 100_000, "is not YAML"),
        (b"\xff\xfe\xfa", "cannot be read: 'utf-8' codec"),
        (b"", "is not a mapping of keys to values"),
        (b"- name", "is not a mapping of keys to values"),
        (b"just text", "is not a mapping of keys to values"),
    ],
)
def test_what_is_not_yaml_is_refused(content, says, tmp_path, refusal):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    message = refusal(load_recipe, path)
    assert message.startswith(f"recipe {path} {says}")
    assert len(message) < 500


def test_what_is_merged_into_a_section_may_have_its_keys(tmp_path):
    text = """
name: small
task: regression
data: {path: table.csv, target: y, columns: {a: &a {min: 0}, b: &b {<<: *a, min: 1}, c: *b}}
models:
  ridge: &ridge {estimator: sklearn.linear_model.Ridge, parameters: &p {alpha: 1}}
  strong: {<<: *ridge, parameters: {<<: *p, alpha: 9}}
  other: {<<: *ridge}
"""
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(path)
    assert [column.min for column in recipe.data.columns.values()] == [0, 1, 1]
    assert [model.parameters["alpha"] for model in recipe.models.values()] == [1, 9, 1]


def test_a_recipe_that_the_system_cannot_open_is_refused(refusal):
    assert "cannot be read: [Errno 36] File name too long" in refusal(load_recipe, "x" * 5000)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("modles: {}", "unknown key 'modles', did you mean 'models'? allowed: name, task, data"),
        ("1: 2", "unknown key '1'; allowed: name, task"),
        ("data: {targt: y}", "data: unknown key 'targt', did you mean 'target'? allowed: path"),
        ("data: {columns: {a: {mim: 0}}}", "data.columns.a: unknown key 'mim', did you mean 'min'"),
        ("split: {testsize: 0.2}", "split: unknown key 'testsize', did you mean 'test_size'?"),
        ("features: {formula: {}}", "features: unknown key 'formula', did you mean 'formulas'?"),
        (
            "features: {quantile_scores: {s: {columns: {a: rising}, bin: 3}}}",
            "features.quantile_scores.s: unknown key 'bin', did you mean 'bins'?",
        ),
        (
            "models: {ridge: {estimator: r, params: {}}}",
            "models.ridge: unknown key 'params', did you mean 'parameters'?",
        ),
        ("metrics: {primry: mae}", "metrics: unknown key 'primry', did you mean 'primary'?"),
        ("gate: {rmse: {treshold: 1}}", "gate.rmse: unknown key 'treshold', did you mean 'thresh"),
        ("promotion: {Rule: better}", "promotion: unknown key 'Rule', did you mean 'rule'?"),
    ],
)
def test_unknown_key_names_its_section_and_the_nearest(more, says, recipe_file, refusal):
    assert f": {says}" in refusal(load_recipe, recipe_file(more))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("name: 5", "name: Input should be a valid string, got 5"),
        ("name: a/b", "name: String should match pattern"),
        ("name: ''", "name: String should match pattern"),
        ("task: classificaton", "task: Input should be 'regression' or 'classification', got"),
        ("data: 5", "data: Input should be a valid dictionary"),
        ("data: {path: 5}", "data.path: Input should be a valid string, got 5"),
        ("data: {columns: [a]}", "data.columns: Input should be a valid dictionary, got ['a']"),
        (
            "data: {columns: {a: {min: low}}}",
            "data.columns.a.min: neither a number nor a date like 2026-11-21: 'low'",
        ),
        (
            "data: {columns: {a: {type: date, min: 5}}}",
            "data.columns.a: 5.0 is no limit of a date",
        ),
        ("data: {columns: {a: {max: 2026-01-01}}}", "data.columns.a: 2026-01-01 is no limit of a"),
        (
            "data: {columns: {a: {type: category, max: 1}}}",
            "data.columns.a: a category has no min and no max",
        ),
        (
            "data: {columns: {a: {type: date, min: 2026-01-02, max: 2026-01-01}}}",
            "data.columns.a: min 2026-01-02 is above max 2026-01-01",
        ),
        ("data: {positive_class: 1}", "data.positive_class is for task: classification only"),
        ("sampling: {method: over}", "sampling is for task: classification only"),
        ("decision: {threshold: 0.4}", "decision is for task: classification only"),
        (
            "decision: {threshold: 1.4}",
            "decision.threshold: neither a probability from 0 to 1 nor 'tuned': 1.4",
        ),
        ("decision: {threshold: tuned}", "decision: metric goes with threshold: tuned, and only"),
        ("decision: {metric: f1}", "decision: metric goes with threshold: tuned, and only"),
        ("sampling: {method: smote}", "sampling.method: Input should be 'none', 'class_weight'"),
        (
            "sampling: {sampling_strategy: 0.5}",
            "sampling: sampling_strategy goes with method: over or under",
        ),
        (
            "{task: classification, decision: {threshold: 0.4}}",
            "decision.threshold needs data.positive_class",
        ),
        (
            "metrics: {business_score: {true_positive: 1}}",
            "metrics.business_score.false_positive: Field required (and 2 more)",
        ),
        ("data: {columns: {a: {missing: 2}}}", "data.columns.a.missing: Input should be less than"),
        ("data: {columns: {a: {type: txt}}}", "data.columns.a.type: Input should be 'number', 'i"),
        (
            "data: {columns: {a: {type: ordinal}}}",
            "data.columns.a: order goes with type: ordinal, and only with it",
        ),
        (
            "data: {columns: {a: {type: ordinal, order: [yes, no]}}}",
            "data.columns.a.order: write yes, no, true and false in quotes",
        ),
        (
            "data: {columns: {a: {type: ordinal, order: [1, 1]}}}",
            "data.columns.a: an order has at least two values, each once",
        ),
        ("data: {columns: {a: {min: 2, max: 1}}}", "data.columns.a: min 2 is above max 1"),
        ("data: {target: [y, z]}", "data.target: a recipe predicts one target; write a recipe for"),
        ("data: {encoding: cp9999}", "data.encoding: unknown encoding 'cp9999'; some are utf-8"),
        ("data: {drop: [y]}", "data: the target 'y' cannot be dropped or be a feature"),
        ("data: {columns: {y: {}}}", "data: the target 'y' cannot be dropped or be a feature"),
        (
            "data: {target: prediction}",
            "data: the target cannot be named 'prediction', as a column of the results is",
        ),
        ("data: {target: row_key}", "data: the target cannot be named 'row_key'"),
        ("data: {drop: [b]}", "data: 'b' stands under both drop and columns"),
        (
            "data: {sql: select 1, connection: $DB}",
            "data: path and sql are two tables; give one of them",
        ),
        ("data: {connection: $DB}", "data: sql goes with connection, and only with it"),
        ("data: {connection: 'postgresql://u:p@h/d'}", "data.connection: String should match"),
        ("data: {path: ['a, b']}", "data.path: a path in a list cannot hold a comma and a blank"),
        ("data: {where: a}", "data.where: condition 'a' holds a name where a comparison should be"),
        ("data: {sample: 0}", "data.sample: Input should be greater than 0, got 0"),
        ("split: {test_size: 0}", "split.test_size: Input should be greater than 0, got 0"),
        ("split: {test_size: 1}", "split.test_size: Input should be less than 1, got 1"),
        ("split: {test_size: .nan}", "split.test_size: Input should be less than 1, got nan"),
        ("split: {test_size: half}", "split.test_size: Input should be a valid number"),
        ("split: {seed: -1}", "split.seed: Input should be greater than or equal to 0, got -1"),
        ("split: {method: hasch}", "split.method: Input should be 'hash', 'random', 'stratified'"),
        ("split: {method: time}", "split: time_column goes with method: time, and only with it"),
        ("split: {method: group}", "split: column goes with method: group or column"),
        ("split: {gap: 3}", "split: gap goes with method: time only"),
        ("split: {stratify: true}", "split: stratify goes with method: group only"),
        (
            "split: {method: group, column: g, stratify: true}",
            "split.stratify is for task: classification only",
        ),
        ("split: {method: group, column: y}", "split: the target 'y' cannot say where a row goes"),
        ("split: {time_column: a}", "split: time_column goes with method: time, and only with it"),
        ("features: {formulas: {f: a.b}}", "features.formulas: formula 'a.b' holds an attribute"),
        ("features: {formulas: {f: a + q}}", "feature 'f': unknown column 'q'; allowed: a, b"),
        ("features: {formulas: {f: a + y}}", "feature 'f' reads the target"),
        ("features: {formulas: {a: b + 1}}", "feature 'a' has the name of a column"),
        ("features: {quantile_scores: {s: {columns: {}}}}", "features.quantile_scores.s.columns: "),
        (
            "features: {quantile_scores: {s: {columns: {a: up}}}}",
            "features.quantile_scores.s.columns.a: Input should be 'rising' or 'falling', got 'up'",
        ),
        (
            "features: {quantile_scores: {s: {columns: {a: rising}, bins: 1}}}",
            "features.quantile_scores.s.bins: Input should be greater than or equal to 2, got 1",
        ),
        (
            "features: {formulas: {s: a + 1}, quantile_scores: {s: {columns: {a: rising}}}}",
            "features: 's' is both a formula and a quantile score",
        ),
        ("default_model: rigde", "unknown default_model 'rigde', did you mean 'ridge'? allowed: "),
        ("models: {auto: {estimator: r}}", "models: no model may be named 'auto'"),
        ("models: [ridge]", "models: Input should be a valid dictionary, got ['ridge']"),
        ("models: {a/b: {estimator: r}}", "models.a/b.[key]: String should match pattern"),
        ("models: {ridge: {scale: yes}}", "models.ridge.estimator: Field required"),
        (
            "models: {ridge: {estimator: r, serialization: pickle}}",
            "models.ridge.serialization: Input should be 'skops' or 'cloudpickle', got 'pickle'",
        ),
        ("gate: {rmse: {}}", "gate.rmse: empty; give one of threshold, min_absolute_change, min_"),
        (
            "gate: {rmse: {min_absolute_change: -1}}",
            "gate.rmse.min_absolute_change: Input should be greater than or equal to 0, got -1",
        ),
        (
            "promotion: {confidence: 95}",
            "promotion.confidence: Input should be less than 1, got 95",
        ),
        ("promotion: {rule: best}", "promotion.rule: Input should be 'significant' or 'better'"),
        ("promotion: {stage: production}", "promotion.stage: Input should be 'none', 'Staging'"),
        ("autologging: on", "autologging: Input should be a valid dictionary, got True"),
    ],
)
def test_wrong_value_names_its_place_and_what_is_allowed(more, says, recipe_file, refusal):
    path = recipe_file(more)
    assert refusal(load_recipe, path).startswith(f"recipe {path}: {says}")


@pytest.mark.parametrize("key", ["name", "task", "data", "models"])
def test_missing_key_is_named(key, recipe_file, refusal):
    path = recipe_file()
    content = yaml.safe_load(path.read_text())
    del content[key]
    path.write_text(yaml.safe_dump(content))
    assert refusal(load_recipe, path) == f"recipe {path}: {key}: Field required"


def test_several_mistakes_are_counted(recipe_file, refusal):
    message = refusal(load_recipe, recipe_file("split: {test_size: 2, seed: -1}"))
    assert "split.test_size" in message
    assert message.endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ("autologging: off", None),
        ("autologging: none", None),
        ("autologging: {disable: true}", None),
        ("autologging: {disable: false}", {"disable": False}),
        ("autologging: {}", {}),
        ("autologging: {max_tuning_runs: 1}", {"max_tuning_runs": 1}),
    ],
)
def test_autologging_is_off_or_its_arguments(more, settings, recipe_file):
    assert load_recipe(recipe_file(more)).autologging == settings


def test_features_without_declared_columns_wait_for_the_table(recipe_file):
    path = recipe_file("features: {formulas: {f: anything + 1}}")
    content = yaml.safe_load(path.read_text())
    del content["data"]["columns"]
    path.write_text(yaml.safe_dump(content))
    assert load_recipe(path).features.inputs() == {"f": {"anything"}}


def test_a_relative_path_is_looked_up_from_the_root(recipe_file):
    path = recipe_file()
    assert load_recipe(path.name, path.parent) == load_recipe(path)


def test_parts_of_a_recipe_are_plain_values(recipe_file):
    parts = only_parts(load_recipe(recipe_file()), ["name", "split.seed", "data.drop"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parts.model_dump(mode="json") == {
            "name": "small",
            "split": {"seed": 0},
            "data": {"drop": []},
        }


def test_a_part_that_was_not_asked_for_cannot_be_read(recipe_file):
    recipe = load_recipe(recipe_file())
    parts = only_parts(recipe, ["name", "data.target", "split"])
    assert (parts.name, parts.data.target, parts.split) == ("small", "y", recipe.split)
    for missing in ["models", "gate", "data.path"]:
        with pytest.raises(AttributeError):
            attrgetter(missing)(parts)
    assert recipe.data.path == "table.csv"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(section=st.sampled_from(sorted(Recipe.model_fields)), value=json_values)
def test_any_value_of_any_section_is_read_or_refused_in_one_line(section, value, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "recipe.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SMALL), section: value}), encoding="utf-8")
    message = f"recipe {path}"
    try:
        load_recipe(path)
    except InputError as error:
        message = str(error)
    assert message.startswith(f"recipe {path}")
    assert "\n" not in message
