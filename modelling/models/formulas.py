"""Formulas of a recipe: arithmetic on columns and numbers, and nothing else.

A formula becomes a tree that JSON can hold and that the logged model evaluates without ever
parsing text: a number, `{"column": name}`, or `[operator, operand, operand]`.
"""

import ast
import re
import sys
from collections.abc import Mapping
from typing import TypeAlias

Tree: TypeAlias = "float | dict[str, str] | list[str | Tree]"

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_IN_BACKTICKS = re.compile(r"`([^`]+)`")
_DEEPEST = 200  # what the model evaluates, and JSON holds, wherever it is loaded
_LONGEST_QUOTE = 100


def parse_formula(formula: str) -> Tree:
    """Parses a formula such as ``"`free sulfur dioxide` / (pH + 1)"``.

    Names with spaces or signs stand in backticks. Allowed are + - * / **, brackets and numbers.

    Raises:
        ValueError: the formula is something else; one line says what.
    """
    quoted: dict[str, str] = {}

    def keep(match: re.Match[str]) -> str:
        name = "_" * (formula.count("_") + 1) + str(len(quoted))  # no name of the formula's own
        quoted[name] = match[1]
        return f" {name} "

    shown = repr(formula[:_LONGEST_QUOTE]) + ("…" if len(formula) > _LONGEST_QUOTE else "")
    try:
        expression = ast.parse(_IN_BACKTICKS.sub(keep, formula).strip(), mode="eval").body
        return _tree(expression, quoted, _DEEPEST)
    except (SyntaxError, UnicodeError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"formula {shown} cannot be read; write a name with spaces in `backticks`"
        ) from error
    except _NotArithmeticError as error:
        raise ValueError(
            f"formula {shown} holds {error}; allowed are columns, numbers, + - * / ** and ()"
        ) from error


def columns_of(formula: str) -> set[str]:
    """Returns the names of the columns that a formula reads.

    Raises:
        ValueError: it is not arithmetic on columns.
    """
    names: set[str] = set()
    pending: list[Tree | str] = [parse_formula(formula)]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            names.add(node["column"])
        elif isinstance(node, list):
            pending.extend(node)
    return names


class _NotArithmeticError(Exception):
    """Something in a formula that is no arithmetic."""


def _tree(node: ast.expr, quoted: Mapping[str, str], depth: int) -> Tree:
    if not depth:
        raise _NotArithmeticError(f"more than {_DEEPEST} operations inside each other")
    match node:
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            operands = [_tree(operand, quoted, depth - 1) for operand in (left, right)]
            return [_OPERATORS[type(operator)], *operands]
        case ast.UnaryOp(ast.USub(), operand):
            return ["-", 0.0, _tree(operand, quoted, depth - 1)]
        case ast.UnaryOp(ast.UAdd(), operand):
            return _tree(operand, quoted, depth - 1)
        case ast.Constant(value):
            return _number(value)
        case ast.Name(name):
            return {"column": quoted.get(name, name)}
        case _:
            word = type(node).__name__.lower()
            raise _NotArithmeticError(f"{'an' if word[0] in 'aeiou' else 'a'} {word}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NotArithmeticError(repr(value)[:_LONGEST_QUOTE])
    if value > sys.float_info.max:
        raise _NotArithmeticError("a number that is too large")
    return float(value)
