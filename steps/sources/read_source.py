"""A table as a step reads it: as `read_table` does, or by the recipe's own loader."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from common.errors import InputError
from modelling.files.csv_files import composed
from modelling.files.table_file import check_names, not_there, read_table
from modelling.own_code import call, find_named, in_words, where
from modelling.recipe import Recipe


def read_source(path: Path, recipe: Recipe, numbers: Collection[str] = ()) -> pd.DataFrame:
    """Reads a table as `read_table` does, or by the recipe's own loader.

    Raises:
        InputError: it cannot be read, or the loader failed or gave no table.
    """
    if recipe.data.loader is None:
        return read_table(path, numbers, recipe.data.encoding)
    if not path.exists():
        raise not_there(path)
    function = find_named(recipe.data.loader, recipe.code)
    table = call(function, path)
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            f"{where(function)}{recipe.data.loader} gave {in_words(table)}; a loader gives a "
            "DataFrame"
        )
    if table.empty:
        raise InputError(f"{where(function)}{recipe.data.loader} gave a table without rows")
    table.columns = [composed(str(name)) for name in table.columns]
    check_names(list(table.columns), path)
    return table.reset_index(drop=True).astype(
        {name: "str" for name, dtype in table.dtypes.items() if _is_text_of_arrow(dtype)}
    )


def _is_text_of_arrow(dtype: object) -> bool:
    """Whether a column is text that pandas takes for values, as `dtype_backend="pyarrow"` gives."""
    return isinstance(dtype, pd.ArrowDtype) and dtype.type is str
