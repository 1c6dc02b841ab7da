"""An estimator with all that it holds, as a recipe says it.

    estimator: sklearn.ensemble.VotingRegressor
    parameters:
      estimators:
        ridge: {estimator: sklearn.linear_model.Ridge, parameters: {alpha: 2}}
        forest: {estimator: sklearn.ensemble.RandomForestRegressor}

A parameter of an inner one has scikit-learn's own name: ridge__alpha. One that says what is done
with the columns before it (`preprocess`) is a model of its own, with these steps in front.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from common.errors import InputError, unknown_name
from common.values import as_value
from modelling.estimators.find_estimator import (
    check_parameter,
    find_inner,
    package_of,
    required_parameters,
)
from modelling.own_code import Files

_SAID = {"estimator", "parameters"}
_SAID_OF_MODEL = _SAID | {"preprocess", "scale", "early_stopping"}

_HOLD_OTHERS = {"estimator", "estimators", "regressor", "classifier", "steps", "final_estimator"}
_WRITTEN = "an inner model is written {estimator: its path, parameters: {…}}"

NUMBERED = "of_numbered_classes"
"""The name of the one estimator in a vote that only numbers the classes for it."""

Build = Callable[[Mapping[str, Any]], Pipeline]
"""Makes the unfitted Pipeline of an inner model, as it is said."""


def make_estimator(
    kind: type[BaseEstimator], given: Mapping[str, Any], seed: int, code: Files, build: Build
) -> BaseEstimator:
    """Makes an unfitted estimator.

    Args:
        kind: its class.
        given: its parameters; text is read as the value that it spells, and a mapping with
            `estimator` is another one.
        seed: the random_state of each, where it has one that nobody set.
        code: the recipe's own, which inner ones may be of.
        build: makes the inner ones that have columns of their own.

    Raises:
        InputError: one has no such parameter, or needs one that is not given.
    """
    values = {name: _value(value, seed, code, build) for name, value in given.items()}
    for name in _HOLD_OTHERS & values.keys():
        if isinstance(values[name], Mapping):
            raise InputError(f"{name}: {_WRITTEN}, got: {values[name]}")
    own = {name: value for name, value in values.items() if "__" not in name}
    missing = [name for name in required_parameters(kind) if name not in own]
    if missing:
        raise InputError(
            f"{kind.__name__} holds other estimators: give {missing[0]} under its parameters"
        )
    estimator = kind(**{name: own[name] for name in required_parameters(kind)})
    known = estimator.get_params(deep=False)
    for name in own:
        check_parameter(estimator, name, known)
    own |= package_of(estimator).settings_beside(own)
    if "random_state" in known:
        own.setdefault("random_state", seed)
    estimator.set_params(**own)
    inner = {name: value for name, value in values.items() if "__" in name}
    deep = estimator.get_params() if inner else {}
    for name in inner:
        if name not in deep:
            raise InputError(
                unknown_name(f"hyperparameter of {type(estimator).__name__}", name, deep)
            )
    return estimator.set_params(**inner)


def _value(given: Any, seed: int, code: Files, build: Build) -> Any:
    value = as_value(given)
    if not isinstance(value, dict):
        return value
    if _is_estimator(value):
        _check_keys(value)
        if "preprocess" in value:
            return build(value)
        kind = find_inner(str(value["estimator"]), code)
        return make_estimator(kind, value.get("parameters") or {}, seed, code, build)
    if not any(map(_is_estimator, value.values())):
        return value
    for name, each in value.items():
        if not _is_estimator(each):
            raise InputError(f"{name}: {_WRITTEN}, got: {each}")
    if any("preprocess" in each for each in value.values()):
        # Each gets the columns then, and not what is made of them for all.
        value = {name: {"preprocess": "auto", **each} for name, each in value.items()}
    return [(name, _value(each, seed, code, build)) for name, each in value.items()]


def _is_estimator(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("estimator"), str)


def _check_keys(value: Mapping[str, Any]) -> None:
    said = _SAID_OF_MODEL if "preprocess" in value else _SAID
    for key in value:
        if key not in said:
            needs = "; it goes with preprocess" if key in _SAID_OF_MODEL else ""
            raise InputError(unknown_name("key of an inner model", key, sorted(said)) + needs)


def packages_in(estimator: BaseEstimator) -> list[str]:
    """Names the packages that an estimator, and what it holds, are of."""
    held = [each for each in estimator.get_params().values() if hasattr(each, "get_params")]
    return sorted({type(each).__module__.partition(".")[0] for each in (estimator, *held)})


def inner_models(estimator: BaseEstimator) -> list[tuple[str, Pipeline]]:
    """Returns what an unfitted estimator holds, if each has columns of its own; else nothing."""
    held = estimator.get_params(deep=False).get("estimators") or []
    is_of_models = all(
        isinstance(each, Pipeline) and "estimator" in each.named_steps for _, each in held
    )
    return list(held) if is_of_models else []


def named_estimator(estimator: BaseEstimator) -> BaseEstimator:
    """Returns the estimator that the recipe names: the last of a Pipeline, or within that."""
    # With a function it is the recipe's `target.transform`, around the estimator that is named.
    if getattr(estimator, "func", None) is not None and hasattr(estimator, "regressor"):
        return estimator.regressor
    held = getattr(estimator, "estimators", None) or ()
    return dict(held).get(NUMBERED, estimator)


def owner_of(estimator: BaseEstimator, name: str) -> BaseEstimator:
    """Returns the estimator that has a parameter: the outer one, or one that it holds."""
    holder, _, _ = name.rpartition("__")
    return estimator.get_params()[holder] if holder else estimator


def plain_parameters(estimator: BaseEstimator) -> dict[str, Any]:
    """Returns the parameters of an estimator and of those that it holds, without these.

    Of a model inside, they are its estimator's: `ridge__alpha` as of one without columns.
    """
    estimator = named_estimator(estimator)
    shallow = estimator.get_params(deep=False)
    if models := inner_models(estimator):
        own = {name: value for name, value in shallow.items() if not _holds_others(value)}
        return own | {
            f"{name}__{key}": value
            for name, model in models
            for key, value in plain_parameters(model["estimator"]).items()
        }
    deep = estimator.get_params() if any(map(_holds_others, shallow.values())) else shallow
    return {name: value for name, value in deep.items() if not _holds_others(value)}


def _holds_others(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_others, value))
    return hasattr(value, "get_params") and not isinstance(value, type)
