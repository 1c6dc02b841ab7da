"""Writes docs/train/recipe_reference.md and recipes/recipe.schema.json from modelling/recipe.py.

    python scripts/write_recipe_reference.py

The second one is for editors, which complete and check a recipe by it while it is typed. A test
fails when one of them is not what this writes.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import modelling.recipe

_INTRODUCTION = """\
# Recipe reference

<!-- Written by scripts/write_recipe_reference.py from modelling/recipe.py: change it there. -->

All keys of a recipe. A key that is not here is refused, with the nearest one that is; so is one
that stands twice.
`recipes/wine_quality.yaml` and `recipes/customer_churn.yaml` show them at work; `draft_recipe`
writes a recipe for a table of yours ([bring_your_own_table.md](bring_your_own_table.md)).
"""


def write_reference() -> str:
    """Returns the page: a section for each model that the recipe has, in the order of its keys."""
    schema = modelling.recipe.Recipe.model_json_schema()
    schemas = {"Recipe": schema, **schema["$defs"]}
    texts = _texts_below_keys(inspect.getsource(modelling.recipe))
    sections = [
        "\n".join([f"## {place}\n", _text(schemas[name]["description"]), "", *_HEAD, *rows])
        for place, name in _places(schemas, "Recipe", "")
        if (rows := [_row(key, schemas[name], texts[name]) for key in schemas[name]["properties"]])
    ]
    return "\n".join([_INTRODUCTION, "\n\n".join(sections), ""])


def write_schema() -> str:
    """Returns the JSON schema of a recipe, with the text below each key as its description."""
    schema = modelling.recipe.Recipe.model_json_schema()
    texts = _texts_below_keys(inspect.getsource(modelling.recipe))
    for name, section in {"Recipe": schema, **schema["$defs"]}.items():
        for key, value in section["properties"].items():
            value["description"] = " ".join(texts[name][key].split())
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


_HEAD = ["| key | value | default | |", "|---|---|---|---|"]


def _texts_below_keys(source: str) -> dict[str, dict[str, str]]:
    """By class and key, the string that stands below the key."""
    return {
        node.name: {
            key.target.id: text.value.value
            for key, text in zip(node.body, node.body[1:], strict=False)
            if isinstance(key, ast.AnnAssign)
            and isinstance(key.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def _places(schemas: dict[str, Any], name: str, place: str) -> Iterator[tuple[str, str]]:
    """Each section's place in the recipe, such as `models.<name>`, and its model's name."""
    yield f"`{place}`" if place else "The recipe", name
    for key, value in schemas[name]["properties"].items():
        for below, is_named in _sections_in(value):
            path = f"{place}.{key}" if place else key
            yield from _places(schemas, below, f"{path}.<name>" if is_named else path)


def _sections_in(value: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """The models that a value is, or has by name."""
    for choice in value.get("anyOf", [value]):
        if "$ref" in choice:
            yield choice["$ref"].rpartition("/")[2], False
        for named in _by_name(choice):
            if "$ref" in named:
                yield named["$ref"].rpartition("/")[2], True


def _by_name(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of what a mapping may hold."""
    held = [value.get("additionalProperties"), *value.get("patternProperties", {}).values()]
    return [schema for schema in held if isinstance(schema, dict)]


def _row(key: str, schema: dict[str, Any], texts: dict[str, str]) -> str:
    value = schema["properties"][key]
    default = "**required**" if key in schema.get("required", []) else _default(value)
    return f"| `{key}` | {_kind(value)} | {default} | {_text(texts[key])} |"


def _text(words: str) -> str:
    """A docstring as a paragraph; what Markdown would take for something else is code."""
    return " ".join(words.split()).replace("+ - * / **", "`+ - * / **`").replace("|", "\\|")


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default is None or default == "" or isinstance(default, dict | list):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


_KINDS = {"string": "text", "boolean": "true, false", "null": ""}


def _kind(value: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(filter(None, map(_kind, value["anyOf"]))))
    if "$ref" in value or "enum" in value or "const" in value:
        names = value.get("enum") or [value["const"]] if "$ref" not in value else []
        return ", ".join(f"`{name}`" for name in names) or "keys below"
    kind = value.get("type", "any value")
    if kind in ("number", "integer"):
        return f"{kind}{_limits(value)}"
    if kind == "array":
        return f"list of {_kind(value['items'])}"
    if kind == "object":
        held = [_kind(each) for each in _by_name(value)]
        return f"by name: {held[0]}" if held else "by name: any value"
    return value.get("format") or _KINDS.get(kind, kind)


def _limits(value: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {value[name]:,}" for name, sign in signs.items() if name in value]
    return f" {' and '.join(limits)}" if limits else ""


if __name__ == "__main__":
    (PROJECT / "docs/train/recipe_reference.md").write_text(write_reference(), encoding="utf-8")
    (PROJECT / "recipes/recipe.schema.json").write_text(write_schema(), encoding="utf-8")
