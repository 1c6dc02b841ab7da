"""From a recipe's model to a fitted scikit-learn Pipeline."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from inspect import Parameter, signature
from itertools import takewhile
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, is_regressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from modelling.errors import InputError, unknown_name
from modelling.recipe import Model
from modelling.values import as_value


def build_pipeline(
    model: Model, hyperparameters: Mapping[str, Any], seed: int, impute: bool
) -> Pipeline:
    """Builds an unfitted Pipeline: impute, scale (each if asked for), then the estimator.

    Args:
        model: the recipe's estimator and parameters.
        hyperparameters: override the recipe's; text is read as the value that it spells.
        seed: the estimator's random_state, where it has one that nobody set.
        impute: whether missing values are replaced by the column's median.

    Raises:
        InputError: the estimator or a hyperparameter does not exist.
    """
    estimator = _find_estimator(model.estimator)()
    known = estimator.get_params(deep=False)
    values = {
        name: as_value(value) for name, value in {**model.parameters, **hyperparameters}.items()
    }
    for name in values:
        if name not in known:
            kind = f"hyperparameter of {type(estimator).__name__}"
            raise InputError(unknown_name(kind, name, known))
    if "random_state" in known:
        values.setdefault("random_state", seed)
    steps: list[tuple[str, BaseEstimator]] = []
    if impute:
        steps.append(("impute", SimpleImputer(strategy="median", keep_empty_features=True)))
    if model.scale:
        steps.append(("scale", StandardScaler()))
    return Pipeline([*steps, ("estimator", estimator.set_params(**values))])


def _find_estimator(path: str) -> type[BaseEstimator]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
        # Only an estimator is called: anything else that can be imported might do anything.
        if isinstance(found, type) and issubclass(found, BaseEstimator) and is_regressor(found()):
            return found
    except (ImportError, AttributeError, ValueError, TypeError):
        pass
    known = [
        f"{_public_module(kind)}.{name}"
        for name, kind in all_estimators("regressor")
        if all(parameter.default is not Parameter.empty for parameter in _parameters(kind))
    ]
    raise InputError(unknown_name("estimator of a regression", path, known))


def _public_module(kind: type) -> str:
    parts = kind.__module__.split(".")
    return ".".join(takewhile(lambda part: not part.startswith("_"), parts))


def _parameters(kind: type) -> Iterable[Parameter]:
    return signature(kind).parameters.values()


def fit_pipeline(pipeline: Pipeline, features: pd.DataFrame, targets: pd.Series) -> Pipeline:
    """Fits a Pipeline on (n, features) inputs and (n,) targets, and returns it.

    The BLAS uses one thread, and so does a prediction, whatever it was fitted with: threads add up
    in another order, and the last digits with them.

    Raises:
        InputError: scikit-learn refuses a hyperparameter or the data; the message is its own.
    """
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            pipeline.fit(features, targets)
    except (ValueError, OverflowError) as error:
        raise InputError(" ".join(str(error).split())) from error
    if "n_jobs" in pipeline["estimator"].get_params():
        pipeline["estimator"].set_params(n_jobs=None)
    return pipeline


def estimator_parameters(pipeline: Pipeline) -> dict[str, Any]:
    """Returns all parameters of the Pipeline's estimator, under their own names."""
    return dict(pipeline["estimator"].get_params(deep=False))
