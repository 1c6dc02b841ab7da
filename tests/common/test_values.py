"""Text from a command line as the value that its author meant."""

import json
import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.values import parse_value, spell

NOT_TEXT = {"none", "null", "true", "false", "nan", "inf", "infinity"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300", 300),
        ("0.50", 0.5),
        ("1e-4", 1e-4),
        (" 7 ", 7),
        ("null", None),
        ("None", None),
        ("true", True),
        ("False", False),
        ("[64, 32]", [64, 32]),
        ('{"a": 1}', {"a": 1}),
        ("'300'", "300"),
        ('"300"', "300"),
        ("log2", "log2"),
        ("", ""),
        ("'", "'"),
        ("[64, 32", "[64, 32"),
    ],
)
def test_text_becomes_the_value_it_spells(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.integers() | st.booleans() | st.none() | st.lists(st.integers(), max_size=5))
def test_json_comes_back_with_its_type(value):
    parsed = parse_value(json.dumps(value))
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.floats())
def test_every_float_comes_back(value):
    parsed = parse_value(repr(value))
    assert isinstance(parsed, float)
    assert parsed == value or (math.isnan(parsed) and math.isnan(value))


@given(st.text())
def test_any_text_has_a_value(text):
    parse_value(text)


@given(st.text(string.ascii_letters, min_size=1).filter(lambda word: word.lower() not in NOT_TEXT))
def test_a_word_stays_text(word):
    assert parse_value(word) == word


@given(st.text())
def test_text_in_quotes_stays_text(text):
    assert parse_value(f"'{text}'") == text


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_huge_nesting_stays_text(opening):
    assert parse_value(opening * 100_000) == opening * 100_000


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(st.text(), VALUES, max_size=3))
def test_a_value_comes_back_from_the_command_line_of_a_step(value):
    parsed = parse_value(spell(value))
    assert parsed == value
    assert type(parsed) is type(value)
