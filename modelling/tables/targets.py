"""The targets of new rows, as a model knows them."""

import numpy as np
import pandas as pd

from common.errors import InputError, unknown_name
from modelling.judging.answers import Classes
from modelling.kinds import number_as_text
from modelling.models.sklearn_wrapper import is_missing
from modelling.tables.cells import label_text, read_cells


def read_targets(
    column: pd.Series,
    classes: Classes | None,
    source: str,
    form: str = "",
    decimal_comma: bool = False,
) -> pd.Series:
    """Reads (n,) targets of new rows, as the model knows them; missing where the cell is empty.

    Args:
        column: as `read_table` gives it, numbered from 0.
        classes: of the model; None for a regression.
        source: the table's path or URI, for messages.
        form: how text writes the numbers of a regression, as `read_column` takes it.
        decimal_comma: whether 1,5 is a number, if nothing is said.

    Raises:
        InputError: a value is no number, or no class that the model knows.
    """
    known = {} if classes is None else {str(label): label for label in classes.labels}
    if classes is None:
        read = read_cells(column, "number", form, decimal_comma)
        wrong = (read.isna() & ~is_missing(column)).to_numpy()
    else:
        text = label_text(column)
        plain = text.map(number_as_text, "ignore")
        read = text.where(text.isin(known), plain).map(known)
        wrong = (read.isna() & text.notna()).to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = str(column.iloc[row])[:60]
        what = unknown_name("class", value, known) if known else f"{value!r} is no number"
        raise InputError(
            f"table {source}: target {column.name!r}, row {column.index[row] + 1}: {what}"
        )
    return read
