"""The features that a recipe declares, fitted on the training rows."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common.errors import InputError, unknown_name
from modelling.formulas import check_kinds, parse_formula
from modelling.kinds import KINDS, kind_of_values, number_as_text
from modelling.models.sklearn_wrapper import OwnCodeError, apply_features
from modelling.own_code import Files, files_read, find_named, is_own, own_name, where
from modelling.recipe import ColumnCheck, Features, QuantileScore

_ROWS_ALONE = 5


def fit_features(
    frame: pd.DataFrame,
    features: Features,
    kinds: Mapping[str, str] | None = None,
    may_miss: Collection[str] | bool = False,
    formats: Mapping[str, str] | None = None,
    orders: Mapping[str, Sequence[str]] | None = None,
    code: Files | None = None,
) -> dict[str, Any]:
    """Fits the declared features: quantiles are taken from these rows, formulas need no fit.

    Args:
        frame: (n, raw columns), the training rows without the target, as `check_table` gives them.
        features: as the recipe declares them.
        kinds: number, boolean, category or date, by column; all are numbers if not said.
        may_miss: the columns in which a value may be missing when it is to be predicted, or whether
            all are; the Pipeline imputes if there is one.
        formats: how text writes a column's numbers or dates, where it is not the usual way.
        orders: of ordinals, their values, the lowest first.
        code: the recipe's own code, whose functions features may be.

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
        try:
            if name in features.formulas:
                check_kinds(parse_formula(features.formulas[name]), kinds)
            for column in sorted(inputs) if name in features.quantile_scores else ():
                check_kinds({"column": column}, kinds)
        except ValueError as error:
            raise InputError(f"feature {name!r}: {error}") from error
    gaps = list(frame.columns) if may_miss is True else list(may_miss or ())
    fitted = {
        "columns": {name: kinds[name] for name in frame.columns},
        "formats": dict(formats or {}),
        "spellings": _spellings(frame, kinds),
        "gaps": sorted(gaps),
        "imputes": bool(gaps),
        "formulas": {name: parse_formula(text) for name, text in features.formulas.items()},
        "quantile_scores": {
            name: _fit_quantiles(frame, score) for name, score in features.quantile_scores.items()
        },
    }
    if orders:
        fitted["orders"] = {name: list(order) for name, order in orders.items()}
    fitted |= _hours(frame, kinds)
    fitted |= _functions(features, code or {})
    _check_finite(frame, features, fitted, code or {})
    return fitted


def _hours(frame: pd.DataFrame, kinds: Mapping[str, str]) -> dict[str, Any]:
    """The dates that are of several hours of the day."""
    dates = [name for name in frame.columns if kinds[name] == "date"]
    hours = [name for name in dates if frame[name].dt.hour.nunique() > 1]
    return {"hours": hours} if hours else {}


def _functions(features: Features, code: Files) -> dict[str, Any]:
    """By feature, the path of its function, and under which name its code is imported."""
    functions = {
        name: {"path": path, "own_code": own_name(code) if is_own(path, code) else ""}
        for name, path in features.functions.items()
    }
    return {"functions": functions} if functions else {}


def _spellings(frame: pd.DataFrame, kinds: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """By category, how training writes what pandas takes for a number or a boolean: 02139."""
    found = {}
    for name in frame.columns:
        if KINDS[kinds[name]].is_text:
            values = frame[name].dropna().unique().tolist()
            plain = {value: text for value in values if (text := number_as_text(value))}
            often = Counter(plain.values())  # which of 7, 07 and 007 a 7 is: its own text, or none
            found[name] = {
                text: value
                for value, text in sorted(plain.items())
                if often[text] == 1 and text != value
            }
    return {name: others for name, others in found.items() if others}


def column_kinds(frame: pd.DataFrame, declared: Mapping[str, ColumnCheck]) -> dict[str, str]:
    """Returns what each column of a checked table is: number, boolean, category or date."""
    return {
        name: KINDS[
            declared[name].type if name in declared else kind_of_values(frame[name].dtype)
        ].read_as
        for name in frame.columns
    }


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


def _check_finite(
    frame: pd.DataFrame, features: Features, fitted: dict[str, Any], code: Files
) -> None:
    if not features.inputs():
        return
    try:
        computed = apply_features(frame, fitted)
        if features.functions:
            _check_each_row_alone(frame, fitted, computed, code)
    except OwnCodeError as error:
        raise InputError(str(error)) from error
    for name, inputs in features.inputs().items():
        if name in features.functions and fitted["imputes"]:
            continue  # a gap is a value like another
        known = frame[sorted(inputs)].notna().all(axis=1)
        undefined = int((known & ~np.isfinite(computed[name])).sum())
        if not undefined:
            continue
        if path := features.functions.get(name):
            raise InputError(
                f"{where(find_named(path, code))}{path} gives no finite number for {undefined} of "
                f"{len(frame)} training rows"
            )
        raise InputError(
            f"feature {name!r} = {features.formulas.get(name)} has no finite value in {undefined} "
            f"of {len(frame)} training rows: a division by zero?"
        )


def _check_each_row_alone(
    frame: pd.DataFrame, fitted: dict[str, Any], computed: pd.DataFrame, code: Files
) -> None:
    """Checks that a function gives the same for a row alone as among others, and reads no file."""
    rows = np.unique(np.linspace(0, len(frame) - 1, _ROWS_ALONE).astype(int)).tolist()
    for name, function in fitted["functions"].items():
        who = f"{where(find_named(function['path'], code))}{function['path']}"
        only = {**fitted, "formulas": {}, "quantile_scores": {}, "functions": {name: function}}
        for row in rows:
            with files_read() as files:
                alone = float(apply_features(frame.iloc[[row]], only)[name].iloc[0])
            if files:
                raise InputError(
                    f"{who} reads {files[0]}, which is not where the model goes: write what it "
                    "needs into the code"
                )
            among = float(computed[name].iloc[row])
            if not np.isclose(among, alone, rtol=1e-9, atol=0, equal_nan=True):
                raise InputError(
                    f"{who} gives {alone:g} for row {row + 1} alone and {among:g} among the "
                    "others: it must look at each row by itself, and keep nothing"
                )
