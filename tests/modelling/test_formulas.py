"""Formulas are arithmetic on columns, and nothing else."""

import json

import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from modelling.models.formulas import columns_of, parse_formula
from modelling.models.sklearn_wrapper import apply_features


def evaluate(formula, **columns):
    """What the logged model computes, the tree having been through JSON."""
    fitted = {
        "columns": dict.fromkeys(columns, "number"),
        "formulas": {"value": json.loads(json.dumps(parse_formula(formula)))},
        "quantile_scores": {},
    }
    return float(apply_features(pd.DataFrame(columns, index=[0]), fitted)["value"].iloc[0])


names_and_numbers = st.sampled_from(["x", "y", "0.0", "0.5", "1.0", "3.0", "7.25", "1e3"])
powers = st.builds("{} ** {}".format, names_and_numbers, st.integers(0, 3))
arithmetic = st.recursive(
    names_and_numbers | powers,
    lambda inner: (
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner)
        | st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner)
        | st.builds("{}{}".format, st.sampled_from("+-"), inner)
    ),
    max_leaves=12,
)
columns = st.integers(-50, 50).map(lambda number: number / 4)


@given(arithmetic, columns, columns)
def test_a_formula_is_what_python_computes(formula, x, y):
    try:
        expected = eval(formula, {"__builtins__": {}}, {"x": x, "y": y})  # noqa: S307 - the reference
    except ZeroDivisionError:
        assume(False)
    assert evaluate(formula, x=x, y=y) == expected


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("8 / 4 / 2", 1),
        ("8 - 4 - 2", 2),
        ("2 ** -1", 0.5),
        ("--x", 3),
        ("+x", 3),
        ("`free so2` / (x + 1)", 10),
        ("`a+b` - `x`", 4),
        ("1_000 * x", 3000),
    ],
)
def test_precedence_and_backticks(formula, value):
    assert evaluate(formula, **{"x": 3.0, "free so2": 40.0, "a+b": 7.0}) == value


@given(st.text())
@example("1" * 400)
@example("_backtick_0")
@example("\0")
@example("a\ud800")
@example("\n")
@example("1e999")
@example(repr("x\n" * 1000))
def test_any_text_is_parsed_or_refused_in_one_line(text):
    message = "formula "
    try:
        parse_formula(text)
    except ValueError as error:
        message = str(error)
    assert message.startswith("formula ")
    assert "\n" not in message


@given(st.text("ab`_019.+-*/() e\n'#[,:", max_size=30))
def test_text_that_looks_like_a_formula_is_parsed_or_refused(text):
    try:
        names = columns_of(text)
    except ValueError:
        return
    evaluate(text, **dict.fromkeys(names, 1.0), other=1.0)


@pytest.mark.parametrize(
    "formula",
    [
        "print(x)",
        "__import__('os').system('true')",
        "x.__class__",
        "x[0]",
        "x < y",
        "x == y",
        "lambda: x",
        "x if y else 1",
        "x and y",
        "not x",
        "~x",
        "x // y",
        "x % y",
        "x @ y",
        "x | y",
        "[x]",
        "{x}",
        "{x: y}",
        "(x, y)",
        "[i for i in x]",
        "(x := 1)",
        "'text'",
        "f'{x}'",
        "b'x'",
        "True",
        "None",
        "1j",
        "...",
        "await x",
        "1" * 400,
        "1e999",
    ],
)
def test_what_is_no_arithmetic_is_refused(formula):
    with pytest.raises(ValueError, match=r"holds .*; allowed are columns, numbers, \+ - \* / \*\*"):
        parse_formula(formula)


@pytest.mark.parametrize("formula", ["", "x y", "x +", "(x", "x)", "x; y", "import os", "`x", "x="])
def test_what_cannot_be_read_is_refused(formula):
    with pytest.raises(ValueError, match="cannot be read; write a name with spaces in `backticks`"):
        parse_formula(formula)


@pytest.mark.parametrize("depth", [100_000, 5_000, 900, 300])
@pytest.mark.parametrize(
    "nest",
    [
        lambda depth: "(" * depth + "x" + ")" * depth,
        lambda depth: "-" * depth + "x",
        lambda depth: "+".join(["x"] * depth),
        lambda depth: "**".join(["x"] * depth),
        lambda depth: "(1+" * depth + "x" + ")" * depth,
    ],
    ids=["brackets", "minus", "sum", "power", "both"],
)
def test_huge_nesting_is_refused(nest, depth):
    with pytest.raises(ValueError, match="formula ") as caught:
        parse_formula(nest(depth))
    assert len(str(caught.value)) < 500


def test_a_sum_of_a_hundred_columns_is_a_formula():
    assert evaluate("+".join(["x"] * 100), x=0.25) == 25


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("1 + 2", set()),
        ("x / (y - x)", {"x", "y"}),
        ("`free so2` * pH", {"free so2", "pH"}),
        ("_backtick_0 + `x`", {"_backtick_0", "x"}),
        ("-`(odd) name's`", {"(odd) name's"}),
    ],
)
def test_columns_of_a_formula(formula, columns):
    assert columns_of(formula) == columns
