"""The features that a recipe declares, fitted on the training rows."""

from typing import Any

import numpy as np
import pandas as pd

from modelling.errors import InputError, unknown_name
from modelling.formulas import parse_formula
from modelling.recipe import Features, QuantileScore
from modelling.sklearn_wrapper import apply_features


def fit_features(frame: pd.DataFrame, features: Features) -> dict[str, Any]:
    """Fits the declared features: quantiles are taken from these rows, formulas need no fit.

    Args:
        frame: (n, raw columns) float64, the training rows without the target.
        features: as the recipe declares them.

    Returns:
        What `apply_features` of the logged model needs, as plain JSON values.

    Raises:
        InputError: a feature reads an unknown column, has a column's name, or divides by zero.
    """
    for name, inputs in features.inputs().items():
        if name in frame.columns:
            raise InputError(f"feature {name!r} has the name of a column")
        for column in sorted(inputs - set(frame.columns)):
            raise InputError(f"feature {name!r}: " + unknown_name("column", column, frame.columns))
    fitted = {
        "columns": list(frame.columns),
        "formulas": {name: parse_formula(text) for name, text in features.formulas.items()},
        "quantile_scores": {
            name: _fit_quantiles(frame, score) for name, score in features.quantile_scores.items()
        },
    }
    _check_finite(frame, features, fitted)
    return fitted


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
    computed = apply_features(frame, fitted)
    for name, inputs in features.inputs().items():
        known = frame[sorted(inputs)].notna().all(axis=1)
        undefined = int((known & ~np.isfinite(computed[name])).sum())
        if undefined:
            raise InputError(
                f"feature {name!r} = {features.formulas[name]} has no finite value in {undefined} "
                f"of {len(frame)} training rows: a division by zero?"
            )
