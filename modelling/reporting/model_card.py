"""What a fitted Pipeline tells of itself: the parameters that were chosen, and its weights."""

from copy import copy
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from modelling.estimators.estimators import fitted_estimator
from modelling.estimators.nested import inner_models
from modelling.estimators.preprocessing import TEXT

_OF_LOG_ODDS = ("LinearDiscriminantAnalysis", "LogisticRegression", "LogisticRegressionCV")
# By package, what it calls the gain of all splits; if not asked, one counts splits, one has means.
_GAIN = {"lightgbm": "gain", "xgboost": "total_gain"}
# By what is done with the inputs, the step that a coefficient is of.
_STEPS = {
    "numbers": "one unit of a number more",
    "skewed": "one standard deviation of a skewed number more",
    "flags": "a flag that is set",
    "few": "a category that is there",
    "many": "one standard deviation of a category's mean target more",
}


def describe_pipeline(pipeline: Pipeline, positive: Any = None) -> dict[str, Any]:
    """Describes a fitted Pipeline.

    Args:
        pipeline: of the model.
        positive: the positive class of a binary classification; the second, if not said.

    Returns:
        chosen: names of the parameters that are not scikit-learn's defaults; weights: title, unit
        and values, each with the name of its input, or None where there is not one for each. Plain
        JSON values.
    """
    estimator = fitted_estimator(pipeline["estimator"])
    defaults = {
        name: parameter.default for name, parameter in signature(type(estimator)).parameters.items()
    }
    chosen = [
        name
        for name, value in estimator.get_params(deep=False).items()
        if defaults.get(name) != value
    ]
    return {"chosen": chosen, "weights": _weights(pipeline, positive)}


def _weights(pipeline: Pipeline, positive: Any) -> dict[str, Any] | None:
    estimator = fitted_estimator(pipeline["estimator"])
    if models := inner_models(estimator):
        shares = estimator.get_params(deep=False).get("weights") or [1] * len(models)
        pairs = [
            (name, share / sum(shares)) for (name, _), share in zip(models, shares, strict=True)
        ]
        return {"title": "Models together", "unit": "share of the mean", "values": pairs}
    if hasattr(estimator, "coef_") and np.ndim(np.squeeze(estimator.coef_)) <= 1:
        values, what = _coefficients(estimator, positive)
        title, unit = "Coefficients", f"change of the {what} for {_step(pipeline)}"
    elif hasattr(estimator, "feature_importances_"):
        values, title = _gains(estimator), "Importance in the trees"
        unit = "share of the gain of all splits; the whole is 1"
    else:
        return None
    names = _names(pipeline)
    if len(names) != len(values):
        return None
    pairs = list(zip(names, map(float, values), strict=True))
    return {"title": title, "unit": unit, "values": pairs}


def _gains(estimator: BaseEstimator) -> Any:
    """What all splits by each input gain, of 1 in all."""
    package = type(estimator).__module__.partition(".")[0]
    if package in _GAIN:
        estimator = copy(estimator)
        estimator.importance_type = _GAIN[package]
    gains = np.asarray(estimator.feature_importances_, dtype=float)
    return gains / (gains.sum() or 1)


def _coefficients(estimator: BaseEstimator, positive: Any) -> tuple[Any, str]:
    """The coefficients, and what they add up to; scikit-learn's are of the second class."""
    values = np.ravel(estimator.coef_)
    if not is_classifier(estimator):
        return values, "logarithm of the prediction" if _has_log_link(estimator) else "prediction"
    first, second = estimator.classes_[0], estimator.classes_[-1]
    what = "log-odds" if type(estimator).__name__ in _OF_LOG_ODDS else "score"
    if str(positive) == str(first):
        return -values, f"{what} of the class {first}"
    return values, f"{what} of the class {second}"


def _has_log_link(estimator: BaseEstimator) -> bool:
    name = type(estimator).__name__
    if name != "TweedieRegressor":
        return name in ("GammaRegressor", "PoissonRegressor")
    return estimator.link == "log" or (estimator.link == "auto" and estimator.power > 0)


def _step(pipeline: Pipeline) -> str:
    """From where to where a coefficient's input goes; not all are scaled where numbers are."""
    unit = "one standard deviation" if _is_scaled(pipeline) else "one unit"
    if "columns" not in pipeline.named_steps:
        return f"{unit} of the column more"
    parts = pipeline["columns"].named_transformers_
    steps = [step for part, step in _STEPS.items() if part in parts]
    return ", or ".join(steps).replace("one unit", unit)


def _is_scaled(pipeline: Pipeline) -> bool:
    numbers = pipeline
    if "columns" in pipeline.named_steps:
        numbers = pipeline["columns"].named_transformers_.get("numbers")
    return isinstance(numbers, Pipeline) and "scale" in numbers.named_steps


def _names(pipeline: Pipeline) -> list[str]:
    before = pipeline[:-1]
    if len(before):
        for encoder in _encoders(pipeline):
            encoder.feature_name_combiner = _category
        try:
            names = before.get_feature_names_out()
        except AttributeError:  # a transformer of one's own need not have names
            return []
        if "columns" in pipeline.named_steps:  # which puts the name of the part in front
            names = [_without_part(name) for name in names]
        return [_readable(name) for name in names]
    return list(getattr(pipeline["estimator"], "feature_names_in_", []))


def _without_part(name: str) -> str:
    part, own = name.split("__", 1)
    if not part.startswith(TEXT):
        return own
    return f"{part.removeprefix(TEXT)} (words, part {int(own.removeprefix('truncatedsvd')) + 1})"


def _encoders(pipeline: Pipeline) -> list[OneHotEncoder]:
    if "columns" not in pipeline.named_steps:
        return []
    parts = pipeline["columns"].named_transformers_.values()
    return [part for part in parts if isinstance(part, OneHotEncoder)]


def _category(column: str, value: Any) -> str:
    if value is None or value != value:
        return f"{column} is missing"
    return f"{column} is rare" if value == "infrequent_sklearn" else f"{column} = {value}"


def _readable(name: str) -> str:
    """The name of an input, where it is scikit-learn's own, in words."""
    bare = name.removeprefix("missingindicator_")
    return name if bare == name else f"{bare} is missing"
