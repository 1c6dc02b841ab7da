"""What a fitted Pipeline tells of itself: the parameters that were chosen, and its weights."""

from inspect import Parameter, signature
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder


def describe_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """Describes a fitted Pipeline.

    Returns:
        chosen: names of the parameters that are not scikit-learn's defaults; weights: title, unit
        and values by input, or None where there is not one for each. Plain JSON values.
    """
    estimator = pipeline["estimator"]
    defaults = {
        name: parameter.default for name, parameter in signature(type(estimator)).parameters.items()
    }
    chosen = [
        name
        for name, value in estimator.get_params(deep=False).items()
        if defaults.get(name, Parameter.empty) != value
    ]
    return {"chosen": chosen, "weights": _weights(pipeline)}


def _weights(pipeline: Pipeline) -> dict[str, Any] | None:
    estimator = pipeline["estimator"]
    if hasattr(estimator, "coef_") and np.ndim(np.squeeze(estimator.coef_)) <= 1:
        values, title = np.ravel(estimator.coef_), "Coefficients"
        what = "log-odds" if is_classifier(estimator) else "prediction"
        step = "standard deviation" if _is_scaled(pipeline) else "unit"
        unit = f"change of the {what} for one {step} of the column more"
    elif hasattr(estimator, "feature_importances_"):
        values, title = estimator.feature_importances_, "Importance in the trees"
        unit = "share of the gain of all splits; the whole is 1"
    else:
        return None
    names = _names(pipeline)
    if len(names) != len(values):
        return None
    by_name = dict(zip(names, map(float, values), strict=True))
    return {"title": title, "unit": unit, "values": by_name}


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
        return [_readable(name.split("__", 1)[-1]) for name in before.get_feature_names_out()]
    return list(getattr(pipeline["estimator"], "feature_names_in_", []))


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
