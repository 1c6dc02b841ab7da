"""From a recipe and its training rows to an unfitted model, the same for trainings and trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from common.errors import InputError
from modelling.estimators.estimators import build_pipeline
from modelling.estimators.preprocessing import Inputs, describe_inputs
from modelling.models.features import column_kinds, fit_features
from modelling.models.sklearn_wrapper import OwnCodeError, apply_features, find_problems
from modelling.recipe import Features, Recipe


@dataclass(frozen=True)
class Fitting:
    """What a Pipeline is fitted on: the fitted features, and (n, columns) that they gave."""

    features: dict[str, Any]
    inputs: pd.DataFrame
    declared: Features

    @cached_property
    def described(self) -> Inputs:
        """What each column is; found out once, since many models may be fitted on them.

        Raises:
            InputError: the recipe's features name a column that is not there.
        """
        return describe_inputs(self.inputs, self.features, self.declared)


def fit_inputs(recipe: Recipe, raw: pd.DataFrame) -> Fitting:
    """Fits the recipe's features on (n, raw columns) training rows, without the target.

    Raises:
        InputError: own code fails.
    """
    kinds = column_kinds(raw, recipe.data.columns)
    checks = recipe.data.columns
    gaps = [name for name in raw.columns if not checks or checks[name].missing]
    formats = {name: check.format for name, check in checks.items() if check.format}
    orders = {name: check.order for name, check in checks.items() if check.order}
    features = fit_features(raw, recipe.features, kinds, gaps, formats, orders, recipe.code)
    return Fitting(features, _apply(raw, features), recipe.features)


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
        fitting.described,
        recipe.code,
        recipe.target.transform,
    )
