"""Text from a command line or a YAML file, as the value that its author meant."""

import json
from typing import Any

_WORDS = {"none": None, "null": None, "true": True, "false": False}


def as_value(value: Any) -> Any:
    """Returns a value of a recipe: text is parsed, anything else is what it is."""
    return parse_value(value) if isinstance(value, str) else value


def parse_value(text: str) -> Any:
    """Turns text into None, a boolean, a number, a list, a mapping, or else leaves it text.

    `300` is an integer, `1e-4` a number (YAML 1.1 would say text), `null` and `None` are None,
    `[64, 32]` is a list; `'300'` in quotes stays text.
    """
    word = text.strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    for parse in (json.loads, float):
        try:
            return parse(word)
        except (ValueError, RecursionError):
            continue
    quoted = len(word) > 1 and word[0] == word[-1] == "'"
    return word[1:-1] if quoted else text


def spell(value: Any) -> str:
    """Returns the text that `parse_value` turns into this value."""
    if isinstance(value, str):
        return value if parse_value(value) == value else f"'{value}'"
    return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)
