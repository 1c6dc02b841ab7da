"""The kinds of columns, and what each step takes from their records."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from modelling.estimators.preprocessing import Inputs
from modelling.kinds import KINDS, ColumnType, kind_of_values
from modelling.models.sklearn_wrapper import read_column


def test_each_kind_that_a_recipe_may_name_has_a_record() -> None:
    assert set(get_args(ColumnType)) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_what_the_model_reads_is_of_the_type_that_its_record_says(name: str) -> None:
    read = read_column(pd.Series(["1", "2026-11-21", "no number"]), KINDS[name].read_as)
    assert KINDS[name].is_number == (read.dtype == np.float64)
    assert KINDS[name].is_text == isinstance(read.dtype, pd.StringDtype)
    assert KINDS[KINDS[name].read_as].read_as == KINDS[name].read_as
    assert hasattr(Inputs(), KINDS[name].encoded) or KINDS[name].encoded == "categories"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5], "number"),
        ([True], "boolean"),
        (["a"], "category"),
        (pd.to_datetime(["2026-11-21"]), "date"),
    ],
)
def test_an_undeclared_column_is_of_the_kind_of_its_values(values, kind) -> None:
    assert kind_of_values(pd.Series(values).dtype) == kind
