"""The features that a recipe declares, fitted on the training rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from modelling.errors import InputError, unknown_name
from modelling.formulas import parse_formula
from modelling.recipe import ColumnCheck, Features, QuantileScore
from modelling.sklearn_wrapper import apply_features


def fit_features(
    frame: pd.DataFrame,
    features: Features,
    kinds: Mapping[str, str] | None = None,
    may_miss: bool = False,
) -> dict[str, Any]:
    """Fits the declared features: quantiles are taken from these rows, formulas need no fit.

    Args:
        frame: (n, raw columns), the training rows without the target, as `check_table` gives them.
        features: as the recipe declares them.
        kinds: number, boolean, category or date, by column; all are numbers if not said.
        may_miss: whether rows with missing values are to be predicted; the Pipeline imputes then.

    Returns:
        What `apply_features` of the logged model needs, as plain JSON values.

    Raises:
        InputError: a feature reads an unknown column or one that holds no numbers, has a column's
            name, or divides by zero.
    """
    kinds = kinds or dict.fromkeys(frame.columns, "number")
    for name, inputs in features.inputs().items():
        if name in frame.columns:
            raise InputError(f"feature {name!r} has the name of a column")
        for column in sorted(inputs - set(frame.columns)):
            raise InputError(f"feature {name!r}: " + unknown_name("column", column, frame.columns))
        for column in sorted(inputs):
            if kinds[column] in ("category", "date"):
                raise InputError(
                    f"feature {name!r}: column {column!r} is a {kinds[column]}; arithmetic needs "
                    "numbers"
                )
    fitted = {
        "columns": {name: kinds[name] for name in frame.columns},
        "imputes": may_miss,
        "formulas": {name: parse_formula(text) for name, text in features.formulas.items()},
        "quantile_scores": {
            name: _fit_quantiles(frame, score) for name, score in features.quantile_scores.items()
        },
    }
    _check_finite(frame, features, fitted)
    return fitted


def column_kinds(frame: pd.DataFrame, declared: Mapping[str, ColumnCheck]) -> dict[str, str]:
    """Returns what each column of a checked table is: number, boolean, category or date."""
    return {name: _kind(frame[name].dtype, declared.get(name)) for name in frame.columns}


def _kind(dtype: Any, declared: ColumnCheck | None) -> str:
    if isinstance(dtype, pd.StringDtype):
        return "category"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    return "boolean" if declared and declared.type == "boolean" else "number"


def _fit_quantiles(frame: pd.DataFrame, score: QuantileScore) -> list[dict[str, Any]]:
    inner = np.linspace(0, 1, score.bins + 1)[1:-1]
    return [
        {
            "column": column,
            "direction": direction,
            "edges": np.nanquantile(frame[column], inner).tolist(),
        }
        for column, direction in score.columns.items()
    ]


def _check_finite(frame: pd.DataFrame, features: Features, fitted: dict[str, Any]) -> None:
    if not features.inputs():
        return
    computed = apply_features(frame, fitted)
    for name, inputs in features.inputs().items():
        known = frame[sorted(inputs)].notna().all(axis=1)
        undefined = int((known & ~np.isfinite(computed[name])).sum())
        if undefined:
            raise InputError(
                f"feature {name!r} = {features.formulas[name]} has no finite value in {undefined} "
                f"of {len(frame)} training rows: a division by zero?"
            )
