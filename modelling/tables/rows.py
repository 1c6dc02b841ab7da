"""Which rows of a table count, and on which side a function of one's own puts them."""

from typing import Any

import numpy as np
import pandas as pd

from common.errors import InputError, unknown_name
from modelling.files.table_file import has_decimal_comma
from modelling.formulas import check_kinds, columns_in, parse_condition
from modelling.models.sklearn_wrapper import evaluate
from modelling.own_code import ask_rows
from modelling.recipe import ColumnCheck, Recipe
from modelling.tables.cells import read_cells, shown_type
from modelling.tables.split import is_side


def rows_that_count(
    table: pd.DataFrame, recipe: Recipe, source: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leaves out the rows that do not count, by data.where and data.filter of a recipe.

    Args:
        table: n rows as read, numbered from 0.
        recipe: whose data.columns say how they are read.
        source: the table's path or URI, for messages.

    Returns:
        The others, with their numbers; and by key how many are left out, where any are.

    Raises:
        InputError: a column is missing, or no row is left, or the function of one's own fails.
    """
    table, elsewhere = _where(table, recipe, source)
    table, filtered = _filter(table, recipe, source)
    counts = {"where": elsewhere, "filter": filtered}
    return table, {key: count for key, count in counts.items() if count}


def _where(table: pd.DataFrame, recipe: Recipe, source: str) -> tuple[pd.DataFrame, int]:
    """The rows of which the recipe's condition holds, and how many others there are."""
    data = recipe.data
    if not data.where:
        return table, 0
    tree = parse_condition(data.where)
    decimal_comma = has_decimal_comma(table)
    cells, kinds = {}, {}
    for name in sorted(columns_in(tree)):
        if name not in table.columns:
            raise InputError(
                f"table {source}: data.where: " + unknown_name("column", name, table.columns)
            )
        check = _check_of(table[name], recipe, decimal_comma)
        kinds[name] = check.type
        cells[name] = read_cells(table[name], check.type, check.format, decimal_comma).to_numpy()
    try:
        check_kinds(tree, kinds)
    except ValueError as error:
        raise InputError(f"data.where: {error}") from error
    kept = evaluate(tree, cells, len(table)) == 1
    if not kept.any():
        raise InputError(f"table {source}: data.where: {data.where} leaves no row")
    return table[kept], int((~kept).sum())


def _filter(table: pd.DataFrame, recipe: Recipe, source: str) -> tuple[pd.DataFrame, int]:
    """The rows that the recipe's own function keeps, and how many others there are."""
    path = recipe.data.filter
    if not path:
        return table, 0
    rows = _read_all(table, recipe)
    kept = ask_rows(path, recipe.code, rows, "True or False", _is_bool).to_numpy(dtype=bool)
    if not kept.any():
        raise InputError(f"table {source}: data.filter: {path} leaves no row")
    return table[kept], int((~kept).sum())


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def ask_sides(table: pd.DataFrame, recipe: Recipe, rows: pd.Index) -> pd.Series:
    """Asks the recipe's own function of the split where rows go.

    Args:
        table: as read.
        recipe: with split.function.
        rows: the n numbers, from 0, of those that are trained on or tested.

    Returns:
        (n,) train or test, as text, by the rows' numbers.

    Raises:
        InputError: the function raises, or gives something else.
    """
    read = _read_all(table, recipe).loc[rows].reset_index(drop=True)
    path = str(recipe.split.function)
    return ask_rows(path, recipe.code, read, "train or test", is_side).set_axis(rows)


def _read_all(table: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows with all columns, each read as its kind; what cannot be read is missing."""
    decimal_comma = has_decimal_comma(table)
    table = table.reset_index(drop=True)
    columns = {}
    for name in table.columns:
        check = _check_of(table[name], recipe, decimal_comma)
        columns[name] = read_cells(table[name], check.type, check.format, decimal_comma)
    return pd.DataFrame(columns)


def _check_of(column: pd.Series, recipe: Recipe, decimal_comma: bool) -> ColumnCheck:
    """How any column of the table is read: as declared, or as it shows."""
    name = str(column.name)
    if name in recipe.data.columns:
        return recipe.data.columns[name]
    if name == recipe.data.target and recipe.task == "regression":
        return ColumnCheck(format=recipe.data.target_format)
    return ColumnCheck(type=shown_type(column, decimal_comma))
