"""From a recipe and its training rows to an unfitted model, the same for trainings and trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from common.errors import InputError
from modelling.estimators.estimators import build_pipeline
from modelling.estimators.preprocessing import describe_inputs
from modelling.models.features import column_kinds, fit_features
from modelling.models.sklearn_wrapper import OwnCodeError, apply_features, find_problems
from modelling.own_code import failures_named, files_read, names_own_code
from modelling.recipe import Recipe

_ROWS_ALONE = 5


@dataclass(frozen=True)
class Fitting:
    """What a Pipeline is fitted on: the fitted features, and (n, columns) that they gave."""

    features: dict[str, Any]
    inputs: pd.DataFrame


def fit_inputs(recipe: Recipe, raw: pd.DataFrame) -> Fitting:
    """Fits the recipe's features on (n, raw columns) training rows, without the target."""
    kinds = column_kinds(raw, recipe.data.columns)
    checks = recipe.data.columns
    gaps = [name for name in raw.columns if not checks or checks[name].missing]
    formats = {name: check.format for name, check in checks.items() if check.format}
    orders = {name: check.order for name, check in checks.items() if check.order}
    features = fit_features(raw, recipe.features, kinds, gaps, formats, orders, recipe.code)
    return Fitting(features, _apply(raw, features))


def _apply(raw: pd.DataFrame, features: dict[str, Any]) -> pd.DataFrame:
    try:
        return apply_features(raw, features)
    except OwnCodeError as error:
        raise InputError(str(error)) from error


def unseen_inputs(raw: pd.DataFrame, features: dict[str, Any]) -> pd.DataFrame:
    """Applies features to (n, raw columns) rows that they were not fitted on.

    Raises:
        InputError: a row cannot be predicted, since a formula has no value for it.
    """
    inputs = _apply(raw, features)
    problems = find_problems(raw, inputs, features)
    if problems:
        raise InputError(
            f"{len(problems)} of {len(raw)} rows that are not trained on cannot be predicted: "
            f"{problems[min(problems)]}"
        )
    return inputs


def predictable_inputs(raw: pd.DataFrame, features: dict[str, Any]) -> pd.DataFrame:
    """Applies features to (n, raw columns) rows, and returns those that can be predicted."""
    inputs = apply_features(raw, features)
    return inputs.drop(inputs.index[list(find_problems(raw, inputs, features))])


def check_predictions(recipe: Recipe, model: str, pipeline: Pipeline, inputs: pd.DataFrame) -> None:
    """Checks what an estimator or transformer of own code predicts.

    Args:
        recipe: whose code it is; of others nothing is checked.
        model: its name in the recipe.
        pipeline: fitted.
        inputs: (n, features) some rows.

    Raises:
        InputError: it gives another number of rows or no numbers, other ones for a row alone than
            among others, or reads a file.
    """
    chosen = recipe.models[model].model_dump(mode="json")
    transformers = {name: each.transformer for name, each in recipe.features.transformers.items()}
    if not names_own_code([chosen, transformers], recipe.code) or inputs.empty:
        return
    who = f"models.{model} with {next(iter(recipe.code))}"
    predict = pipeline.predict_proba if is_classifier(pipeline) else pipeline.predict
    with failures_named(recipe.code):
        with files_read() as files:
            together = _numbers(predict(inputs), len(inputs), who)
        if files:
            raise InputError(
                f"{who} reads {files[0]} when it predicts, which is not where the model goes: "
                "write what it needs into the code, or keep it when it is fitted"
            )
        for row in np.unique(np.linspace(0, len(inputs) - 1, _ROWS_ALONE).astype(int)):
            alone = _numbers(predict(inputs.iloc[[row]]), 1, who)
            if not np.allclose(alone[0], together[row], rtol=1e-6, atol=1e-9 * np.ptp(together)):
                raise InputError(
                    f"{who} predicts {alone[0].max():g} for a row alone and "
                    f"{together[row].max():g} among others: it must look at each row by itself"
                )


def _numbers(given: Any, rows: int, who: str) -> np.ndarray:
    values = np.asarray(given)
    if values.shape[:1] != (rows,):
        raise InputError(f"{who} predicts an array of shape {values.shape} for {rows} rows")
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)] if values.dtype.kind in "fiu" else values
        raise InputError(f"{who} predicts {wrong.flat[0].item()!r}; it gives a number for each row")
    return values


def unfitted_pipeline(
    recipe: Recipe, model: str, hyperparameters: Mapping[str, Any], fitting: Fitting
) -> Pipeline:
    """Builds the Pipeline of one of the recipe's models for these inputs.

    Raises:
        InputError: the estimator or a hyperparameter does not exist.
    """
    return build_pipeline(
        recipe.models[model],
        hyperparameters,
        recipe.split.seed,
        recipe.task,
        describe_inputs(fitting.inputs, fitting.features, recipe.features),
        recipe.code,
        recipe.target.transform,
    )
