"""A person's own code: found, checked, told what is wrong with it, and part of the model."""

import json
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
import skops.io

from common.errors import InputError
from modelling.estimators.estimators import build_pipeline, check_hyperparameter, fit_pipeline
from modelling.estimators.own_parts import check_predictions
from modelling.judging.answers import Answers
from modelling.judging.metrics import check_gate, metrics_of
from modelling.models.features import fit_features
from modelling.models.model_files import check_trusted, model_digest
from modelling.models.sklearn_wrapper import answer, apply_features, load_pipeline
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.own_code import (
    ask_check,
    ask_plot,
    check_own_code,
    code_digests,
    failures_named,
    find_named,
    own_module,
    own_name,
    own_packages,
)
from modelling.recipe import Features, Model, Recipe, load_recipe
from modelling.tables.rows import ask_sides
from modelling.tables.split import split_table
from modelling.tables.table import check_table

CODE = """
    import numpy as np
    import pandas as pd
    from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin

    SEEN = []

    def double(table):
        return table["a"] * 2

    def weighted(predictions, targets):
        return float(((predictions - targets) ** 2).mean())

    class Centred(TransformerMixin, BaseEstimator):
        def __init__(self, by=1.0):
            self.by = by
        def fit(self, X, y=None):
            self.means_ = np.asarray(X).mean(axis=0) * self.by
            return self
        def transform(self, X):
            return np.asarray(X) - self.means_

    class Mean(RegressorMixin, BaseEstimator):
        def __init__(self, shift=0.0):
            self.shift = shift
        def fit(self, X, y):
            self.mean_ = float(np.mean(y)) + self.shift
            return self
        def predict(self, X):
            return np.full(len(X), self.mean_)
"""
ROWS = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0) ** 2})


def write_recipe(folder, source=CODE, **parts):
    """A recipe with own code, in a folder of its own."""
    (folder / "own.py").write_text(dedent(source), encoding="utf-8")
    content = {
        "name": "own",
        "task": "regression",
        "code": "own.py",
        "data": {"path": "t.csv", "target": "y", "columns": {"a": {}, "b": {}}},
        "models": {"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
        **parts,
    }
    path = folder / "own.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(folder, source=CODE, **parts):
    return load_recipe(write_recipe(folder, source, **parts))


def features_of(folder, function, **more):
    """The features that a function of own code gives for ROWS."""
    recipe = read(folder, function, features={"functions": {"f": "own.f"}}, **more)
    check_own_code(recipe)
    return fit_inputs(recipe, ROWS).inputs["f"]


CELLS = pd.DataFrame(
    {
        "a": ["1", "2", "3", "n/a", "5", "6"],
        "y": ["1", "2", "3", "4", "5", "6"],
        "day": ["2026-01-02", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01", "2026-06-01"],
    },
    dtype="str",
)


def rows_of(folder, source):
    """A recipe with its own filter and split, and CELLS after its filter."""
    recipe = read(
        folder,
        source,
        data={"path": "t.csv", "target": "y", "columns": {"a": {}}, "filter": "own.kept"},
        split={"method": "own", "function": "own.side"},
    )
    check_own_code(recipe)
    return recipe, check_table(CELLS, recipe, "t")


KEPT = "def kept(table): return table['a'] != 3\n"
SIDE = """
def side(table):
    return ["TEST" if day.month > 4 else "train" for day in table["day"]]
"""


def test_a_filter_and_a_split_see_all_columns_as_their_kinds(tmp_path, refusal):
    kept = KEPT.replace("!= 3", ".notna() & table['a'].ne(3)")
    recipe, checked = rows_of(tmp_path, kept + SIDE)
    assert checked.frame.index.tolist() == [0, 1, 4, 5]
    assert checked.rows_left_out["filter"] == 2
    sides = ask_sides(CELLS, recipe, checked.frame.index)
    split = split_table(checked.frame, "y", recipe.split, sides)
    assert sorted(split.train["a"]) == [1, 2]
    assert sorted(split.test["a"]) == [5, 6]
    assert refusal(split_table, checked.frame, "y", recipe.split, sides.map(lambda _: "test")) == (
        "a table of 4 rows cannot be split: 0 training and 4 test rows as own.side says, "
        "at least 2 each are needed"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("1 / 0", "own.py, line 1: kept failed: ZeroDivisionError: division by zero"),
        (
            "table['a'].head(2).notna()",
            "own.kept gave 2 rows of 6; it gives True or False",
        ),
        ("table['a'].notna().iloc[::-1]", "own.kept gave the rows in another order"),
        ("None", "own.py, line 1: own.kept gave None for 6 rows"),
        ("table['a']", "own.kept gave 1.0; it gives True or False for each row"),
        ("table['a'] > 9", "table t: data.filter: own.kept leaves no row"),
        (
            "[setattr(kept, 'n', getattr(kept, 'n', 0) + 1) or kept.n % 2 == 1] * 6",
            "own.kept gave something else when it was asked again: it must keep nothing, and what "
            "is random in it needs a seed",
        ),
    ],
)
def test_a_filter_that_cannot_be_is_told_in_a_line(body, says, tmp_path, refusal):
    assert says in refusal(rows_of, tmp_path, f"def kept(table): return {body}\n{SIDE}")


def test_a_split_says_train_or_test(tmp_path, refusal):
    kept = KEPT.replace("!= 3", ".notna()")
    recipe, checked = rows_of(tmp_path, kept + SIDE.replace('"TEST"', '"validation"'))
    assert refusal(ask_sides, CELLS, recipe, checked.frame.index) == (
        "own.py, line 3: own.side gave 'validation'; it gives train or test for each row"
    )
    for parts in ({"method": "own"}, {"function": "own.side"}):
        says = refusal(read, tmp_path, CODE, split=parts)
        assert "split: function goes with method: own, and only with it" in says


def test_a_recipe_that_was_read_needs_the_file_no_more(tmp_path):
    recipe = read(tmp_path)
    again = Recipe.model_validate(recipe.model_dump(mode="json"))
    (tmp_path / "own.py").unlink()
    assert again == recipe
    assert own_module(again.code).double(ROWS).tolist() == (ROWS["a"] * 2).tolist()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.py", None, "code: unknown file beside the recipe 'gone.py', did you mean 'gon.py'?"),
        ("../gon.py", None, "unknown file beside the recipe '../gon.py'"),
        ("two words.py", "", "'two words' is no name in Python"),
        ("steps.py", "", "steps is also the name of an installed module: rename steps.py"),
        ("json.py", "", "json is also the name of an installed module"),
        (
            "mine.py",
            "password = 'Hq7fe22kGt0x'",
            "mine.py would be recorded, and seems to hold a sec",
        ),
        ("notes.txt", "", "notes.txt is neither a file *.py nor a folder with __init__.py"),
    ],
)
def test_a_file_that_cannot_be_the_code_is_told(name, content, says, tmp_path, refusal):
    path = write_recipe(tmp_path, "", code=name)
    (tmp_path / "own.py").rename(tmp_path / "gon.py")
    if content is not None:
        (tmp_path / name).write_text(content)
    assert says in refusal(load_recipe, path)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def f(table:\n    pass", "own.py, line 1: SyntaxError:"),
        ("\nimport nowhere", "own.py, line 2: ModuleNotFoundError: No module named"),
        ("x = 1\ny = x / 0", "own.py, line 2: ZeroDivisionError: division by zero"),
        (
            "def ff(table): 1",
            "features.functions.f: unknown name in own.py 'f', did you mean 'ff'?",
        ),
        ("f = 3", "features.functions.f: own.f is no function: 3"),
        (
            "\ndef f(table, hour): pass",
            "own.py, line 2: own.f(table, hour) is called with the table: missing a required "
            "argument: 'hour'",
        ),
        (
            "def f(table):\n    x = 1\n    return table['c']",
            "own.py, line 3: f failed: KeyError: 'c'",
        ),
        ("def f(table): return [1.0]", "own.py, line 1: own.f gave an array of shape (1,) for 40"),
        ("def f(table): return None", "own.f gave None for 40 rows; it gives a number a row"),
        ("def f(table): return table['a'].head(3)", "own.f gave 3 rows of 40"),
        ("def f(table): return table['a'].sort_values(ascending=False)", "in another order"),
        ("def f(table): return table['a'].astype(str)", "own.f gave '0.0' of type str"),
        ("def f(table): return table['a'] - table['a'].mean()", "for row 1 alone and -19.5 among"),
        (
            "import itertools\nN = itertools.count()\ndef f(table): return table['a'] + next(N)",
            "it must look at each row by itself, and keep nothing",
        ),
        (
            "def f(table): return 1 / table['a']",
            "own.py, line 1: own.f gives no finite number for 1 of 40",
        ),
        ("def f(table):\n    open('zones.csv').close()\n    return table['a']", "reads zones.csv"),
    ],
)
def test_a_function_that_is_wrong_is_named_with_its_line(
    code, says, tmp_path, monkeypatch, refusal
):
    monkeypatch.chdir(tmp_path)
    Path("zones.csv").touch()
    assert says in refusal(features_of, tmp_path, code)


def test_a_feature_is_computed_from_columns_read_as_their_kinds(tmp_path):
    code = "def f(table): return table['a'].gt(3) & table['b'].lt(100)"
    assert features_of(tmp_path, code).sum() == 6
    assert features_of(tmp_path, "def f(table): return table['a'].tolist()").tolist() == [
        *range(40)
    ]


@pytest.mark.parametrize("row", ["None if a < 3 else a", "Decimal(a)", "Fraction(a)", "a > 3"])
def test_a_number_is_one_whatever_python_calls_it(row, tmp_path):
    code = "from decimal import Decimal\nfrom fractions import Fraction\n"
    code += f"def f(table): return [{row} for a in table['a']]\n"
    columns = {"a": {"missing": True}, "b": {}}
    data = {"path": "t.csv", "target": "y", "columns": columns}
    assert features_of(tmp_path, code, data=data)[4:].ge(1).all()


def test_what_is_dropped_only_functions_read(tmp_path):
    recipe = read(tmp_path, features={"functions": {"f": "own.double"}, "drop": ["a", "b"]})
    fitting = fit_inputs(recipe, ROWS)
    pipeline = unfitted_pipeline(recipe, "ridge", {}, fitting).fit(fitting.inputs, ROWS["b"])
    assert pipeline["estimator"].n_features_in_ == 1


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({"drop": ["c"]}, "features.drop: unknown column 'c'"),
        ({"functions": {"a": "own.double"}}, "feature 'a' has the name of a column"),
        (
            {"functions": {"f": "own.double"}, "formulas": {"f": "a + b"}},
            "'f' is both a formula and a function",
        ),
        ({"functions": {"f": "double"}}, "features.functions.f"),
        (
            {
                "drop": ["a"],
                "transformers": {"t": {"transformer": "own.Centred", "columns": ["a"]}},
            },
            "'a' stands twice",
        ),
    ],
)
def test_features_that_contradict_each_other_are_refused(features, says, tmp_path, refusal):
    assert says in refusal(read, tmp_path, features=features)


def test_a_transformer_and_an_estimator_travel_without_pickle(tmp_path):
    recipe = read(
        tmp_path,
        features={
            "functions": {"f": "own.double"},
            "transformers": {
                "centred": {
                    "transformer": "own.Centred",
                    "columns": ["a", "f"],
                    "parameters": {"by": 0.5},
                }
            },
        },
        models={"mean": {"estimator": "own.Mean", "parameters": {"shift": 1}}},
    )
    check_own_code(recipe)
    fitting = fit_inputs(recipe, ROWS)
    pipeline = unfitted_pipeline(recipe, "mean", {"shift": "2"}, fitting)
    pipeline.fit(fitting.inputs, ROWS["b"])
    parts = dict((name, columns) for name, _, columns in pipeline["columns"].transformers)
    assert parts == {"own centred": ["a", "f"], "numbers": ["b"]}
    assert pipeline["columns"].transformers_[0][1].means_.tolist() == [9.75, 19.5]
    path = tmp_path / "p.skops"
    skops.io.dump(pipeline, path)
    name = own_name(recipe.code)
    with pytest.raises(InputError, match=rf"skops does not trust: {name}.Centred, {name}.Mean"):
        check_trusted(path)
    check_trusted(path, name)
    loaded = load_pipeline(path, name)
    given = answer(loaded, fitting.inputs, {"decision": None})["prediction"]
    assert given.tolist() == [ROWS["b"].mean() + 2] * 40
    check_hyperparameter(recipe.models["mean"], "shift", 3, "regression", recipe.code)


@pytest.mark.parametrize(
    ("estimator", "task", "says"),
    [
        ("own.Men", "regression", "unknown name in own.py 'Men', did you mean 'Mean'?"),
        ("own.double", "regression", "own.double is no estimator: a class that derives from"),
        (
            "own.Mean",
            "classification",
            "is for no classification: derive it from sklearn.base.Clas",
        ),
        ("own.Mean.fit", "regression", "own.Mean.fit is no estimator"),
    ],
)
def test_what_is_no_estimator_of_own_code_is_told_so(estimator, task, says, tmp_path, refusal):
    code = read(tmp_path).code
    assert says in refusal(build_pipeline, Model(estimator=estimator), {}, 0, task, None, code)


@pytest.mark.parametrize(
    ("transformer", "says"),
    [
        ("own.double", "own.double is no transformer: a class with fit and transform"),
        ("sklearn.linear_model.Ridge", "Ridge is no transformer"),
        ("sklearn.preprocessing.Scaler", "there is no sklearn.preprocessing.Scaler in what"),
        ("own.Centred", "unknown hyperparameter of Centred 'to'; allowed: by"),
    ],
)
def test_what_is_no_transformer_is_told_so(transformer, says, tmp_path, refusal):
    parts = {"transformer": transformer, "columns": ["a"], "parameters": {"to": 1}}
    recipe = read(tmp_path, features={"transformers": {"t": parts}})
    message = refusal(unfitted_pipeline, recipe, "ridge", {}, fit_inputs(recipe, ROWS))
    assert message.startswith("features.transformers.t: ")
    assert says in message


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        ("X.iloc[:5]", "an array of shape (5, 1) for 40 rows"),
        ("X * 1j", "0j of type complex"),
        ("np.full(X.shape, 10**400, dtype=object)", "a number of 1329 bits of type int"),
        (
            "X.astype('datetime64[ns]')",
            "Timestamp('1970-01-01 00:00:00') of type Timestamp",
        ),
        ("np.asarray(X)[:, 0]", "an array of shape (40,) for 40 rows"),
        ("X.astype(str) + 'a'", "'0.0a' of type str"),
        ("None", "None"),
        ("X * np.nan", "nan"),
    ],
)
def test_what_a_transformer_gave_that_no_model_can_be_fitted_with_is_told(
    gives, says, tmp_path, refusal
):
    code = f"""
        import numpy as np
        from sklearn.base import BaseEstimator, TransformerMixin

        class T(TransformerMixin, BaseEstimator):
            def fit(self, X, y=None):
                return self
            def transform(self, X):
                return {gives}
    """
    parts = {"transformer": "own.T", "columns": ["a"]}
    recipe = read(tmp_path, code, features={"transformers": {"t": parts}})
    fitting = fit_inputs(recipe, ROWS)
    pipeline = unfitted_pipeline(recipe, "ridge", {}, fitting)
    assert refusal(fit_pipeline, pipeline, fitting.inputs, ROWS["b"]) == (
        f"own.py, line 8: features.transformers.t gave {says}; it gives a row of numbers for each "
        "row"
    )


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        ("X.astype(str)", "gave '0.0' of type str; it gives a row of numbers for each row"),
        ("X - X.mean()", "gives 0 for a row alone and -19.5 among others: it must look at each"),
        ("np.repeat(X.to_numpy(), len(X), axis=1)", "gives 1 column for a row alone and 40 among"),
        ("open('zones.csv').close() or X", "reads zones.csv when it predicts, which is not where"),
    ],
)
def test_what_a_transformer_gives_that_a_model_was_fitted_with_is_tried(
    gives, says, tmp_path, monkeypatch, refusal
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zones.csv").touch()
    code = CODE.replace("return np.asarray(X) - self.means_", f"return {gives}")
    parts = {"transformer": "own.Centred", "columns": ["a"]}
    recipe = read(tmp_path, code, features={"transformers": {"t": parts}})
    fitting = fit_inputs(recipe, ROWS)
    pipeline = fit_pipeline(
        unfitted_pipeline(recipe, "ridge", {}, fitting), fitting.inputs, ROWS["b"]
    )
    message = refusal(check_predictions, recipe, "ridge", pipeline, fitting.inputs)
    assert message.startswith(f"own.py, line 20: features.transformers.t {says}")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            "            return self\n        def transform",
            "            pass\n        def transform",
            "own.py, line 17: fit of features.transformers.t gave None; it gives self",
        ),
        (
            "self.mean_",
            "self.mean",
            "own.py, line 26: fit of Mean keeps nothing whose name ends with _, by which",
        ),
    ],
)
def test_a_fit_that_scikit_learn_does_not_know_as_one_is_told(
    before, after, says, tmp_path, refusal
):
    code = dedent(CODE.replace(before, after))
    recipe = read(
        tmp_path,
        code,
        features={"transformers": {"t": {"transformer": "own.Centred", "columns": ["a"]}}},
        models={"mean": {"estimator": "own.Mean"}},
    )
    fitting = fit_inputs(recipe, ROWS)
    pipeline = unfitted_pipeline(recipe, "mean", {}, fitting)
    assert says in refusal(fit_pipeline, pipeline, fitting.inputs, ROWS["b"])


def test_a_transformer_of_a_column_that_is_not_there_names_the_nearest(tmp_path, refusal):
    parts = {"transformer": "own.Centred", "columns": ["aa"]}
    recipe = read(tmp_path, features={"transformers": {"t": parts}})
    message = refusal(unfitted_pipeline, recipe, "ridge", {}, fit_inputs(recipe, ROWS))
    assert message.startswith("features: unknown column 'aa', did you mean 'a'?")


def with_metric(folder, code, said="own.m", **metrics):
    return read(folder, code, metrics={"functions": {"mine": said}, **metrics})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def m(predictions, targets): return (predictions - targets).abs().max()", False),
        (
            "from mlflow.models import make_metric\n"
            "def worst(predictions, targets, metrics): return (predictions - targets).abs().max()\n"
            "m = make_metric(eval_fn=worst, greater_is_better=False)",
            None,
        ),
    ],
    ids=["a function", "of make_metric"],
)
def test_a_metric_of_own_code_is_one_like_others(code, said, tmp_path):
    given = "own.m" if said is None else {"function": "own.m", "greater_is_better": said}
    recipe = with_metric(tmp_path, code, given, primary="mine")
    check_gate(recipe)
    metric = metrics_of(recipe)["mine"]
    assert not metric.greater_is_better
    assert metric(np.array([1.0, 2.0]), np.array([1.5, 5.0])) == 3


@pytest.mark.parametrize(
    ("code", "said", "says"),
    [
        ("def m(predictions, targets): return 1.0", {}, "say greater_is_better: true or false"),
        ("def m(predictions): return 1.0", {}, "own.py, line 1: own.m(predictions) is called with"),
        ("", {}, "metrics.functions.mine: unknown name in own.py 'm'"),
        ("m = 1", {"takes_probabilities": True}, "metrics.functions.mine: own.m is no function: 1"),
    ],
)
def test_a_metric_that_cannot_be_used_is_told(code, said, says, tmp_path, refusal):
    recipe = with_metric(tmp_path, code, {"function": "own.m", **said})
    assert says in refusal(check_gate, recipe)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def m(predictions, targets): pass", "own.py, line 1: own.m gave nothing; a metric"),
        (
            "def m(predictions, targets):\n    raise KeyError('x')",
            "own.py, line 2: m failed: KeyErr",
        ),
        ("def m(predictions, targets): return predictions", "gave an array of shape (2,)"),
        ("def m(predictions, targets): return predictions.iloc[0] * 1j", "gave np.complex128(1j)"),
        ("def m(predictions, targets): return 10**5000", "gave a number of 16610 bits; a metric"),
        (
            "def m(predictions, targets): return [[1], 2]",
            "gave [[1], 2]; a metric gives one",
        ),
    ],
)
def test_a_metric_that_gives_no_number_is_named_with_its_line(code, says, tmp_path, refusal):
    recipe = with_metric(tmp_path, code, {"function": "own.m", "greater_is_better": True})
    assert says in refusal(metrics_of(recipe)["mine"], np.ones(2), np.ones(2))


def test_the_name_of_a_metric_is_used_once(tmp_path, refusal):
    recipe = read(tmp_path, metrics={"functions": {"rmse": "own.weighted"}})
    assert "metrics.functions: 'rmse' is the name of another metric" in refusal(check_gate, recipe)


def test_a_package_folder_is_code_too(tmp_path):
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .times import double\n")
    (folder / "times.py").write_text("def double(table): return table['a'] * 2\n")
    path = write_recipe(tmp_path, "", code="team")
    recipe = load_recipe(path)
    assert list(recipe.code) == ["team/__init__.py", "team/times.py"]
    for name in ("team.double", "team.times.double"):
        fitted = fit_features(ROWS, Features(functions={"f": name}), code=recipe.code)
        assert apply_features(ROWS, fitted)["f"].tolist() == (ROWS["a"] * 2).tolist()


def test_two_versions_keep_their_own_code_in_one_process(tmp_path):
    fitted = []
    for factor in (2, 3):
        recipe = read(tmp_path, f"def f(table): return table['a'] * {factor}")
        fitted.append(fit_features(ROWS, Features(functions={"f": "own.f"}), code=recipe.code))
    first, second = (apply_features(ROWS, one)["f"] for one in fitted)
    assert (second[1:] / first[1:]).eq(1.5).all()
    path = tmp_path / "empty.skops"
    skops.io.dump({}, path)
    assert model_digest(path, fitted[0]) != model_digest(path, fitted[1])


def test_comments_are_no_change_and_imports_are_known(tmp_path):
    code = {"own.py": "import pandas as pd\nx = 1\n"}
    assert code_digests(code) == code_digests({"own.py": "import pandas as pd  # !\n\nx = 1\n"})
    assert code_digests(code) != code_digests({"own.py": "import pandas as pd\nx = 2\n"})
    imports = "import os, numpy.linalg\nfrom . import b\ndef f(): import yaml"
    assert own_packages({"a.py": imports}) == ["numpy", "yaml"]


def test_what_own_code_imports_is_not_among_the_names_that_it_has(tmp_path, refusal):
    source = "import numpy as np\nfrom pathlib import Path\nLIMIT = 3\ndef hour(table): pass\n"
    recipe = read(tmp_path, source, features={"functions": {"f": "own.hours"}})
    assert refusal(check_own_code, recipe) == (
        "features.functions.f: unknown name in own.py 'hours', did you mean 'hour'? allowed: hour"
    )


PREDICTED = "return np.full(len(X), self.mean_)"


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        (
            "return np.full(3, 1.0)",
            "m with own.py predicts an array of shape (3,) for 40 rows",
        ),
        ("return np.full(len(X), np.nan)", "predicts nan; it gives a number for each row"),
        ("return ['good'] * len(X)", "predicts 'good' of type str; it gives a number for each row"),
        ("return np.full(len(X), float(len(X)))", "predicts 1 for a row alone and 40 among others"),
        ("open('zones.csv').close(); return np.ones(len(X))", "own.py reads zones.csv when it"),
        ("return X['a'] * 1j", "own.py, line 29: models.m with own.py predicts 0j of type complex"),
        ("return X[['a']]", "predicts an array of shape (40, 1) for 40 rows"),
        ("return [1, 'x', None, 2] * 10", "predicts 'x' of type str; it gives a number for each"),
        ("return X['a'] > 3", "predicts values of type bool; it gives a number for each row"),
        ("return X.nothing", "own.py, line 30: predict failed: AttributeError: 'DataFrame' object"),
        (PREDICTED, ""),
    ],
)
def test_what_own_code_predicts_is_tried(instead, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zones.csv").touch()
    recipe = read(
        tmp_path, CODE.replace(PREDICTED, instead), models={"m": {"estimator": "own.Mean"}}
    )
    fitting = fit_inputs(recipe, ROWS)
    pipeline = unfitted_pipeline(recipe, "m", {}, fitting).fit(fitting.inputs, ROWS["a"])
    if not says:
        check_predictions(recipe, "m", pipeline, fitting.inputs)
        return
    with pytest.raises(InputError) as refused:
        check_predictions(recipe, "m", pipeline, fitting.inputs)
    assert says in str(refused.value)


PROBABILITIES = """
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Sure(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self
        def predict(self, X):
            return self.classes_[np.zeros(len(X), dtype=int)]
        def predict_proba(self, X):
            return np.tile([{row}], (len(X), 1))
"""


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("0.5, 0.6", "predicts 0.5, 0.6; probabilities are not below 0 and add up to 1"),
        ("-0.5, 1.5", "predicts -0.5, 1.5; probabilities are not below 0 and add up to 1"),
        ("0.5", "predicts an array of shape (40, 1) for 40 rows and 2 classes"),
    ],
)
def test_what_are_no_probabilities_is_told(row, says, tmp_path, refusal):
    recipe = read(
        tmp_path,
        PROBABILITIES.format(row=row),
        task="classification",
        models={"m": {"estimator": "own.Sure"}},
    )
    fitting = fit_inputs(recipe, ROWS)
    pipeline = unfitted_pipeline(recipe, "m", {}, fitting)
    fit_pipeline(pipeline, fitting.inputs, pd.Series(["yes", "no"] * 20))
    message = refusal(check_predictions, recipe, "m", pipeline, fitting.inputs)
    assert message == f"own.py, line 11: models.m with own.py {says}"
    unsure = PROBABILITIES.format(row=row).replace("predict_proba", "proba")
    code = read(tmp_path, unsure, task="classification").code
    assert refusal(
        build_pipeline, Model(estimator="own.Sure"), {}, 0, "classification", None, code
    ) == ("own.Sure has no predict_proba: a classifier gives probabilities")


@pytest.mark.parametrize("given", ["False", "np.float64(1)", "table['a']"])
def test_a_check_gives_a_sentence_or_nothing_and_a_plot_a_figure(given, tmp_path, refusal):
    recipe = read(tmp_path, f"import numpy as np\n\ndef f(table): return {given}\n")
    message = refusal(ask_check, "own.f", recipe.code, ROWS)
    assert message.startswith("own.py, line 3: own.f gave ")
    assert message.endswith("; a check gives nothing, or a sentence")
    message = refusal(ask_plot, "own.f", recipe.code, ROWS)
    assert message.endswith("; a plot gives a matplotlib Figure")


def test_a_failing_fit_of_own_code_says_where_and_other_failures_pass(tmp_path):
    recipe = read(tmp_path)
    mean = own_module(recipe.code).Mean(shift="a")
    says = r"own.py, line 27: fit failed: TypeError: unsupported"
    with pytest.raises(InputError, match=says), failures_named(recipe.code):
        mean.fit([[1.0]], [1.0])
    with pytest.raises(KeyError), failures_named(recipe.code):
        raise KeyError("another's")


METRIC = """
def far(predictions, targets):
    return float((predictions - targets).abs().mean())
"""
ROOT = """
from sklearn.base import BaseEstimator, TransformerMixin
class Root(TransformerMixin, BaseEstimator):
    def fit(self, rows, targets=None):
        return self
    def transform(self, rows):
        return rows**0.5
"""
LOADER = """
import pandas as pd
def load(path):
    return pd.read_json(path)
"""
# By the words of docs/train/own_code.md: what is new in the recipe, below what it has; in the file.
SHORTEST = {
    "a metric": (
        [
            "code: own.py",
            "metrics:",
            "  functions: {far: {function: own.far, greater_is_better: false}}",
        ],
        [],
        METRIC,
    ),
    "a transformer": (
        [
            "code: own.py",
            "features:",
            "  transformers: {root: {transformer: own.Root, columns: [a]}}",
        ],
        [],
        ROOT,
    ),
    "LightGBM": ([], ["  trees: {estimator: lightgbm.LGBMRegressor}"], ""),
    "a loader": (["code: own.py", "data: {path: t.json, target: y, loader: own.load}"], [], LOADER),
}


@pytest.mark.parametrize("what", SHORTEST)
def test_own_code_takes_as_many_lines_as_the_page_says(what, tmp_path):
    lines, models, code = SHORTEST[what]
    recipe = ["name: short", "task: regression"]
    if what != "a loader":
        recipe.append("data: {path: t.csv, target: y}")
    recipe += [*lines, "models:", *(models or ["  ridge: {estimator: sklearn.linear_model.Ridge}"])]
    (tmp_path / "own.py").write_text(code)
    (tmp_path / "r.yaml").write_text("\n".join(recipe))
    read_recipe = load_recipe(tmp_path / "r.yaml")
    check_own_code(read_recipe)
    fitting = fit_inputs(read_recipe, ROWS)
    (model,) = read_recipe.models
    pipeline = unfitted_pipeline(read_recipe, model, {}, fitting)
    predicted = fit_pipeline(pipeline, fitting.inputs, ROWS["b"]).predict(fitting.inputs)
    assert len(predicted) == len(ROWS)
    if what == "a metric":
        answers = Answers(pd.Series(predicted))
        assert metrics_of(read_recipe)["far"](answers, ROWS["b"]) >= 0
    if what == "a loader":
        ROWS.to_json(tmp_path / "t.json")
        assert find_named("own.load", read_recipe.code)(tmp_path / "t.json").shape == ROWS.shape
    count = (len(lines) + len(models), len(code.strip().splitlines()))
    page = Path(__file__).parents[2].joinpath("docs/train/own_code.md").read_text()
    assert f"| {what} | {count[0]} | {count[1]} |" in page
