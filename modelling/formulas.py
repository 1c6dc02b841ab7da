"""Formulas of a recipe: arithmetic on columns and numbers, and nothing else.

A formula becomes a tree that JSON can hold and that the logged model evaluates without ever
parsing text: a number, `{"column": name}`, or `[operator, operand, operand]`.
"""

import ast
import re
from typing import TypeAlias

Tree: TypeAlias = "float | dict[str, str] | list[str | Tree]"

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_IN_BACKTICKS = re.compile(r"`([^`]+)`")


def parse_formula(formula: str) -> Tree:
    """Parses a formula such as ``"`free sulfur dioxide` / (pH + 1)"``.

    Names with spaces or signs stand in backticks. Allowed are + - * / **, brackets and numbers.

    Raises:
        ValueError: the formula is something else; one line says what.
    """
    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quoted.append(match[1])
        return f" _backtick_{len(quoted) - 1} "

    try:
        expression = ast.parse(_IN_BACKTICKS.sub(keep, formula).strip(), mode="eval").body
        return _tree(expression, quoted)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"formula {formula!r} cannot be read; write a name with spaces in `backticks`"
        ) from error
    except _NotArithmeticError as error:
        raise ValueError(
            f"formula {formula!r} holds {error}; allowed are columns, numbers, + - * / ** and ()"
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


def _tree(node: ast.expr, quoted: list[str]) -> Tree:
    match node:
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return [_OPERATORS[type(operator)], _tree(left, quoted), _tree(right, quoted)]
        case ast.UnaryOp(ast.USub(), operand):
            return ["-", 0.0, _tree(operand, quoted)]
        case ast.UnaryOp(ast.UAdd(), operand):
            return _tree(operand, quoted)
        case ast.Constant(bool() | str() | bytes() | complex() | None):
            raise _NotArithmeticError(repr(node.value))
        case ast.Constant(int() | float() as number):
            return float(number)
        case ast.Name(name):
            backtick = re.fullmatch(r"_backtick_(\d+)", name)
            return {"column": quoted[int(backtick[1])] if backtick else name}
        case _:
            raise _NotArithmeticError(f"a {type(node).__name__.lower()}")
