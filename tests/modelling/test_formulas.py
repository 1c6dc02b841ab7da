"""Formulas are arithmetic on columns, and nothing else."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from modelling.formulas import check_kinds, columns_of, parse_condition, parse_formula
from modelling.models.sklearn_wrapper import apply_features, read_column
from modelling.models.sklearn_wrapper import evaluate as evaluate_tree


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


MIXED = pd.DataFrame(
    {
        "x": [4.0, -1.0, np.nan],
        "city": ["Lyon", "if (x)", None],
        "start": ["2026-11-21 08:30", "2026-01-05", "2026-11-21"],
        "end": ["2026-11-22 20:30", "2026-01-05", None],
    }
)
KINDS_OF_MIXED = {"x": "number", "city": "category", "start": "date", "end": "date"}


def of_mixed(formula, parse=parse_formula):
    tree = json.loads(json.dumps(parse(formula)))
    check_kinds(tree, KINDS_OF_MIXED)
    cells = {
        name: read_column(MIXED[name], kind).to_numpy() for name, kind in KINDS_OF_MIXED.items()
    }
    return [None if np.isnan(value) else value for value in evaluate_tree(tree, cells, 3).tolist()]


@pytest.mark.parametrize(
    ("formula", "values"),
    [
        ("abs(x) + max(x, 0, 2) - min(x, 3)", [5, 4, None]),
        ("sqrt(x)", [2, None, None]),
        ("exp(log(x)) - log1p(0) + floor(2.7)", [pytest.approx(6), None, None]),
        ("hour(start)", [8, 0, 0]),
        ("weekday(start) * 100 + month(start) + year(start)", [2537, 2027, 2537]),
        ("days(end - start)", [1.5, 0, None]),
        ("floor(days(start))", [20778, 20458, 20778]),
        ("if(x > 0, x, 0 - x)", [4, 1, None]),
        ("if(city == 'Lyon' or x < 0, 1, 0)", [1, 1, None]),
        ('if(not city == "if (x)", 1, 2)', [1, 2, None]),
        ("if(start >= '2026-11-01', 1, 0)", [1, 0, 1]),
    ],
)
def test_functions_and_conditions(formula, values):
    assert of_mixed(formula) == values


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("x > 0 and city != 'Paris'", [1, 0, None]),
        ("0 < x <= 4", [1, 0, None]),
        ("end > start", [1, 0, None]),
        ("days(end - start) == 0", [0, 1, None]),
    ],
)
def test_conditions_tell_rows(condition, values):
    assert of_mixed(condition, parse_condition) == values


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("logg(x)", "formula 'logg(x)' holds an unknown function 'logg'; allowed are columns"),
        ("log(x, 2)", "holds a function log of 2 in place of 1"),
        ("min(x)", "holds a function min of 1 in place of 2"),
        ("if(x, 1, 2)", "holds a name where a comparison should be"),
        ("if(x > 1, 2)", "holds a function if of 2 in place of 3"),
        ("if(x in y, 1, 2)", "holds the word 'in'"),
        ("hour(x + 1)", "holds a hour of what is no column of dates"),
        ("log(x=1)", "holds a call"),
        ("x.log(1)", "holds a call"),
        ("hour(x)", "column 'x' is a number; hour needs a date"),
        ("start + 1", "column 'start' is a date; arithmetic needs numbers"),
        ("if(city < 'b', 1, 2)", "'city': category and text cannot be compared by <"),
        ("if(city == x, 1, 2)", "'city', 'x': category and number cannot be compared by =="),
        ("if(start > 'soon', 1, 2)", "'soon' is no date such as '2026-11-21'"),
        ("if(start > '20261121', 1, 2)", "'20261121' is no date such as '2026-11-21'"),
        ("if(start > '2026-W47', 1, 2)", "'2026-W47' is no date such as '2026-11-21'"),
        ("if(start > '2026-02-30', 1, 2)", "'2026-02-30' is no date such as '2026-11-21'"),
    ],
)
def test_what_has_no_meaning_is_refused_in_a_line(formula, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        of_mixed(formula)


@pytest.mark.parametrize("condition", ["x", "x + 1", "log(x)", "x > 0 and y", "x > 0 if y else z"])
def test_what_is_no_condition_is_refused(condition):
    with pytest.raises(ValueError, match=r"condition .* holds .*comparison should be; allowed are"):
        parse_condition(condition)


TEXTS = {"note": "text", "city": "category", "fare": "number", "day": "date"}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('contains(note, "Ur")', [1, 0, np.nan]),
        ('contains(lower(note), "ur") and fare > 1', [0, 1, np.nan]),
        ('not contains(note, ".")', [1, 1, np.nan]),
        ('lower(city) == "lyon"', [1, 0, 0]),
        ("length(note) > 3", [1, 1, np.nan]),
    ],
)
def test_text_is_looked_into(condition, holds):
    tree = json.loads(json.dumps(parse_condition(condition)))
    check_kinds(tree, TEXTS)
    columns = {
        "note": pd.Series(["Urgent", "tour", None], dtype="str").to_numpy(),
        "city": pd.Series(["LYON", "Paris", "x"], dtype="str").to_numpy(),
        "fare": np.array([1.0, 2.0, 3.0]),
    }
    np.testing.assert_array_equal(evaluate_tree(tree, columns, 3), holds)


def test_the_length_of_a_text_is_a_number():
    tree = parse_formula('length(note) + if(contains(note, "o"), 10, 0)')
    assert columns_of('length(note) + if(contains(note, "o"), 10, 0)') == {"note"}
    values = {"note": pd.Series(["", "four", None], dtype="str").to_numpy()}
    np.testing.assert_array_equal(evaluate_tree(tree, values, 3), [0, 14, np.nan])


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ('contains(fare, "1")', "column 'fare' is a number; contains needs text"),
        ("length(day) > 1", "column 'day' is a date; length needs text"),
        ('lower(fare) == "1"', "column 'fare' is a number; lower needs text"),
        ('lower(city) < "b"', "'city': category and text cannot be compared by <"),
    ],
)
def test_text_is_needed_where_it_is_looked_into(condition, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        check_kinds(parse_condition(condition), TEXTS)


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        (
            'contains(note, "a") + 1',
            "a contains where a number should be, as if(contains(",
        ),
        ("lower(note)", "a lower where a number should be"),
        ("length(3)", "a constant where a column of text should be"),
        ("upper(note)", "an unknown function 'upper'; allowed are columns, numbers"),
    ],
)
def test_what_is_no_number_of_a_text_is_told(formula, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_formula(formula)


@pytest.mark.parametrize(
    "name", ["dose_\u00b5g", "area_m\u00b2", "\ufb01rst", "\u212bngstr\u00f6m", "\u00aa"]
)
def test_a_name_that_python_reads_as_another_is_the_column_of_that_name(name):
    assert columns_of(f"log({name}) + `{name}` * if({name} > 1, x_{name}, 1e5)") == {
        name, f"x_{name}",
    }  # fmt: skip
    assert parse_condition(f"{name} == '{name}'") == ["==", {"column": name}, {"text": name}]
