"""Formulas of a recipe: arithmetic on columns, a few functions, conditions, and nothing else.

A formula becomes a tree that JSON can hold and that the logged model evaluates without ever
parsing text: a number, `{"column": name}`, `{"text": constant}`, or `[operator, operand, …]`.
"""

import ast
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from modelling.kinds import KINDS

Tree: TypeAlias = "float | dict[str, str] | list[str | Tree]"

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARISONS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_OF_NUMBERS = {
    **dict.fromkeys(("log", "log1p", "exp", "sqrt", "abs", "floor"), 1),
    **dict.fromkeys(("min", "max"), 2),
}
_OF_DATES = ("hour", "weekday", "month", "year", "days")
_OF_TEXTS = ("length", "contains", "lower")
_FUNCTIONS = (*_OF_NUMBERS, *_OF_DATES, *_OF_TEXTS, "if")
_SPECIAL = re.compile(
    r"""(?P<text>'[^']*'|"[^"]*")|`(?P<name>[^`]+)`|(?P<if>\bif\s*\()|(?P<word>[^\W\d]\w*)"""
)
_DEEPEST = 200  # what the model evaluates, and JSON holds, wherever it is loaded
_LONGEST_QUOTE = 100
# Of ISO 8601, what NumPy takes for the same.
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?)?")
_ALLOWED = (
    "allowed are columns, numbers, + - * / **, () and the functions "
    f"{', '.join(_FUNCTIONS)}(condition, then, else)"
)


def parse_formula(formula: str) -> Tree:
    """Parses a formula such as ``"`free sulfur dioxide` / (pH + 1)"``.

    Names with spaces or signs stand in backticks. Allowed are + - * / **, brackets, numbers, and
    `log log1p exp sqrt abs floor min max`; of dates `hour weekday month year days(a) days(a - b)`;
    of text `length(a)`; and `if(condition, then, else)`.

    Raises:
        ValueError: the formula is something else; one line says what.
    """
    return _Parser(formula, "formula").number()


def parse_condition(condition: str) -> Tree:
    """Parses a condition such as `fare > 0 and city != "Lyon"`.

    It compares (< <= > >= == !=) what formulas compute, text, `lower(a)` and dates such as
    "2026-11-21", or says `contains(a, "text")`, with and, or, not. Its value is 1, 0 or, where
    something is missing, missing.

    Raises:
        ValueError: it is something else; one line says what.
    """
    return _Parser(condition, "condition").condition()


def is_condition(text: str) -> bool:
    """Says whether a text compares something, and so is no plain name."""
    return any(sign in text for sign in "<>=!")


def columns_of(formula: str) -> set[str]:
    """Returns the names of the columns that a formula reads.

    Raises:
        ValueError: it is not arithmetic on columns.
    """
    return columns_in(parse_formula(formula))


def columns_in(tree: Tree) -> set[str]:
    """Returns the names of the columns that a parsed formula or condition reads."""
    names: set[str] = set()
    pending: list[Tree | str] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            names |= {node["column"]} if "column" in node else set()
        elif isinstance(node, list):
            pending.extend(node)
    return names


def check_kinds(tree: Tree, kinds: Mapping[str, str]) -> None:
    """Checks that each column of a formula is of a kind that is used there as it is.

    Args:
        tree: a parsed formula or condition.
        kinds: by column.

    Raises:
        ValueError: it is not; one line says which and why.
    """
    if isinstance(tree, dict):
        name = tree["column"]
        if not KINDS[kinds[name]].is_number:
            raise ValueError(f"column {name!r} is a {kinds[name]}; arithmetic needs numbers")
    elif isinstance(tree, list):
        operator, *operands = tree
        if operator in _COMPARISONS.values():
            _check_compared(str(operator), operands, kinds)
            return
        if operator in (*_OF_TEXTS, *_OF_DATES):
            _check_columns(str(operator), tree, kinds)
            return
        for operand in operands:
            check_kinds(operand, kinds)  # type: ignore[arg-type]


def _check_columns(operator: str, tree: Tree, kinds: Mapping[str, str]) -> None:
    needed = "text" if operator in _OF_TEXTS else "a date"
    for name in sorted(columns_in(tree)):
        kind = kinds[name]
        if not (KINDS[kind].is_text if operator in _OF_TEXTS else kind == "date"):
            raise ValueError(f"column {name!r} is a {kind}; {operator} needs {needed}")


def _check_compared(
    operator: str, operands: "Sequence[Tree | str]", kinds: Mapping[str, str]
) -> None:
    shown = {_kind(operand, kinds) for operand in operands}
    if shown == {"number"}:
        for operand in operands:
            check_kinds(operand, kinds)  # type: ignore[arg-type]
        return
    for operand in operands:
        if isinstance(operand, list):
            check_kinds(operand, kinds)
    texts = [each["text"] for each in operands if isinstance(each, dict) and "text" in each]
    if shown <= {"date", "text"} and "date" in shown:
        for text in texts:
            _check_date(text)
        return
    if shown <= {"category", "text"} and operator in ("==", "!="):
        return
    names = ", ".join(repr(name) for name in sorted(columns_in(["", *operands]))) or "text"
    raise ValueError(f"{names}: {' and '.join(sorted(shown))} cannot be compared by {operator}")


def _kind(operand: "Tree | str", kinds: Mapping[str, str]) -> str:
    if isinstance(operand, list) and operand[0] == "lower":
        return "category"
    if not isinstance(operand, dict):
        return "number"
    if "text" in operand:
        return "text"
    kind = KINDS[kinds[operand["column"]]]
    return "number" if kind.is_number else "category" if kind.is_text else "date"


def _check_date(text: str) -> None:
    try:
        is_date = _DATE.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        is_date = False
    if not is_date:
        raise ValueError(f"{text[:_LONGEST_QUOTE]!r} is no date such as '2026-11-21'")


class _NotAllowedError(Exception):
    """Something in a formula that has no place there."""


class _Parser:
    """Turns one text into a tree, by Python's own grammar."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._quoted: dict[str, str] = {}
        self._if = "_" * (text.count("_") + 1) + "if"  # no name of the formula's own

    def number(self) -> Tree:
        """Parses the whole text as a number."""
        return self._parse(self._number)

    def condition(self) -> Tree:
        """Parses the whole text as a condition."""
        return self._parse(self._condition)

    def _parse(self, rule: Callable[[ast.expr, int], Tree]) -> Tree:
        shown = repr(self._text[:_LONGEST_QUOTE])
        shown += "…" if len(self._text) > _LONGEST_QUOTE else ""
        try:
            expression = ast.parse(_SPECIAL.sub(self._keep, self._text).strip(), mode="eval").body
            return rule(expression, _DEEPEST)
        except (SyntaxError, UnicodeError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"{self._what} {shown} cannot be read; write a name with spaces in `backticks`"
            ) from error
        except _NotAllowedError as error:
            raise ValueError(f"{self._what} {shown} holds {error}; {_ALLOWED}") from error

    def _keep(self, match: re.Match[str]) -> str:
        if match["text"] is not None:
            return match["text"]
        if match["if"]:
            return f"{self._if}("
        word = match["word"]
        # Python reads µ as μ; a column has the name that it has.
        if word and unicodedata.normalize("NFKC", word) == word:
            return word
        name = "_" * (self._text.count("_") + 1) + str(len(self._quoted))
        self._quoted[name] = word or match["name"]
        return f" {name} "

    def _number(self, node: ast.expr, depth: int) -> Tree:
        _check_depth(depth)
        match node:
            case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
                operands = [self._number(operand, depth - 1) for operand in (left, right)]
                return [_OPERATORS[type(operator)], *operands]
            case ast.UnaryOp(ast.USub(), operand):
                return ["-", 0.0, self._number(operand, depth - 1)]
            case ast.UnaryOp(ast.UAdd(), operand):
                return self._number(operand, depth - 1)
            case ast.Constant(value):
                return _constant(value)
            case ast.Name(name):
                return {"column": self._quoted.get(name, name)}
            case ast.Call(ast.Name(name), arguments, []):
                return self._call(name, arguments, depth - 1)
            case _:
                raise _NotAllowedError(_with_article(node))

    def _call(self, name: str, arguments: list[ast.expr], depth: int) -> Tree:
        if name == self._if:
            self._check_count("if", arguments, 3)
            condition, *others = arguments
            return [
                "if",
                self._condition(condition, depth),
                *(self._number(other, depth) for other in others),
            ]
        if name in _OF_NUMBERS:
            if _OF_NUMBERS[name] == 1 or len(arguments) < _OF_NUMBERS[name]:
                self._check_count(name, arguments, _OF_NUMBERS[name])
            return [name, *(self._number(argument, depth) for argument in arguments)]
        if name == "length":
            self._check_count(name, arguments, 1)
            return [name, self._textual(arguments[0], depth)]
        if name in _OF_TEXTS:
            raise _NotAllowedError(f"a {name} where a number should be, as if({name}(…), 1, 0) is")
        return self._of_dates(name, arguments)

    def _of_dates(self, name: str, arguments: list[ast.expr]) -> Tree:
        if name not in _OF_DATES:
            raise _NotAllowedError(f"an unknown function {self._quoted.get(name, name)!r}")
        self._check_count(name, arguments, 1)
        match arguments[0]:
            case ast.Name(date):
                return [name, {"column": self._quoted.get(date, date)}]
            case ast.BinOp(ast.Name(end), ast.Sub(), ast.Name(start)) if name == "days":
                columns = (self._quoted.get(date, date) for date in (end, start))
                return [name, *({"column": column} for column in columns)]
        raise _NotAllowedError(f"a {name} of what is no column of dates")

    def _check_count(self, name: str, arguments: list[ast.expr], count: int) -> None:
        if len(arguments) != count:
            raise _NotAllowedError(f"a function {name} of {len(arguments)} in place of {count}")

    def _condition(self, node: ast.expr, depth: int) -> Tree:
        _check_depth(depth)
        match node:
            case ast.BoolOp(operator, operands):
                word = "and" if isinstance(operator, ast.And) else "or"
                return [word, *(self._condition(operand, depth - 1) for operand in operands)]
            case ast.UnaryOp(ast.Not(), operand):
                return ["not", self._condition(operand, depth - 1)]
            case ast.Compare(first, operators, others):
                sides = [self._compared(side, depth - 1) for side in (first, *others)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                found: list[Tree] = [
                    [_comparison(operator), left, right] for operator, left, right in pairs
                ]
                return ["and", *found] if len(found) > 1 else found[0]
            case ast.Call(ast.Name("contains"), [text, ast.Constant(str(part))], []):
                return ["contains", self._textual(text, depth - 1), {"text": part}]
            case _:
                raise _NotAllowedError(f"{_with_article(node)} where a comparison should be")

    def _compared(self, node: ast.expr, depth: int) -> Tree:
        match node:
            case ast.Constant(str(text)):
                return {"text": text}
            case ast.Call(ast.Name("lower"), [_], []):
                return self._textual(node, depth)
            case _:
                return self._number(node, depth)

    def _textual(self, node: ast.expr, depth: int) -> Tree:
        _check_depth(depth)
        match node:
            case ast.Name(name):
                return {"column": self._quoted.get(name, name)}
            case ast.Call(ast.Name("lower"), [text], []):
                return ["lower", self._textual(text, depth - 1)]
            case _:
                raise _NotAllowedError(f"{_with_article(node)} where a column of text should be")


def _check_depth(depth: int) -> None:
    if not depth:
        raise _NotAllowedError(f"more than {_DEEPEST} operations inside each other")


def _comparison(operator: ast.cmpop) -> str:
    if type(operator) not in _COMPARISONS:
        raise _NotAllowedError(f"the word {type(operator).__name__.lower()!r}")
    return _COMPARISONS[type(operator)]


def _with_article(node: ast.expr) -> str:
    word = type(node).__name__.lower()
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _constant(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NotAllowedError(repr(value)[:_LONGEST_QUOTE])
    if value > sys.float_info.max:
        raise _NotAllowedError("a number that is too large")
    return float(value)
