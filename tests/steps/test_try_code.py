"""`python -m steps.try_code RECIPE`: what own code gives, in a line each, and no run."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from steps.try_code import try_code

CODE = """
def load(path):
    import pandas as pd
    return pd.read_csv(path)
def twice(table): return table["a"] * 2
def off(predictions, targets): return (predictions - targets).abs().mean()
def check(table): return "no b" if "b" not in table else None
def kept(table): return table["a"] < 250
def side(table): return (table["a"] % 5 == 0).map({True: "Test", False: "training"})
def plot(rows):
    from matplotlib.figure import Figure
    return Figure()
def odd(rows):
    return f"{(rows['prediction'] > 250).sum()} of {len(rows)} rows are above 250"
def half(table): return table["a"] / 2
"""


@pytest.fixture
def recipe(tmp_path):
    """A recipe that uses each kind of own code."""
    pd.DataFrame({"a": range(300), "y": range(300)}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "own.py").write_text(CODE)
    content = {
        "name": "own",
        "task": "regression",
        "code": "own.py",
        "data": {
            "path": str(tmp_path / "t.csv"),
            "target": "y",
            "loader": "own.load",
            "filter": "own.kept",
            "checks": ["own.check"],
        },
        "split": {"method": "own", "function": "own.side"},
        "features": {
            "functions": {"twice": "own.twice", "half": "own.half"},
            "drop": ["half"],
        },
        "models": {"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
        "metrics": {"functions": {"off": {"function": "own.off", "greater_is_better": False}}},
        "plots": {"nothing": "own.plot"},
        "checks": {"functions": {"high": "own.odd"}},
    }
    (tmp_path / "r.yaml").write_text(json.dumps(content))
    return tmp_path / "r.yaml"


def test_each_is_said_in_a_line(recipe):
    said = CliRunner().invoke(try_code, [str(recipe)])
    lines = dict(line.split(maxsplit=1) for line in said.output.splitlines())
    assert said.exit_code == 0, said.output
    assert list(lines) == [
        "data.loader", "own.kept", "own.check", "own.side",
        "own.twice", "own.half", "models.ridge", "metrics.off", "plots.nothing", "checks.high",
    ]  # fmt: skip
    assert lines["data.loader"] == "300 rows: a, y"
    assert lines["own.kept"] == "leaves out 50 rows"
    assert lines["own.check"] == "no b"
    assert lines["checks.high"].endswith("rows are above 250")
    assert lines["own.side"] == "200 training and 50 test rows"
    assert lines["own.twice"] == "0, 4, 10, … from 0 to 498"
    assert lines["own.half"] == "0, 1, 2.5, … from 0 to 124.5"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('table["a"] * 2', 'table["c"]', "own.py, line 5: twice failed: KeyError: 'c'"),
        ("def off(predictions, targets)", "def off(predictions)", "own.off(predictions) is called"),
        (
            'table["a"] * 2',
            'table["a"] * 1j',
            "try_code: 3 things wrong: own.twice: own.py",
        ),
        (
            "    return Figure()",
            "    return 3",
            "own.plot gave 3; a plot gives a matplotlib Figure",
        ),
        ("return Figure()", "return 1 / 0", "own.py, line 12: plot failed: ZeroDivisionError"),
        ("{True", "{2", "own.py, line 9: own.side gave nan; it gives train or test for each row"),
        ("< 250", "", "own.py, line 8: own.kept gave 0.0; it gives True or False for each row"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_is_tried(before, after, says, recipe):
    (recipe.parent / "own.py").write_text(CODE.replace(before, after))
    said = CliRunner().invoke(try_code, [str(recipe)])
    assert said.exit_code == 1
    assert says in f"{said.output}try_code: {said.exception}"
    assert "Traceback" not in said.output
