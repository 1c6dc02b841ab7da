"""An estimator with all that it holds, as a recipe says it.

    estimator: sklearn.ensemble.VotingRegressor
    parameters:
      estimators:
        ridge: {estimator: sklearn.linear_model.Ridge, parameters: {alpha: 2}}
        forest: {estimator: sklearn.ensemble.RandomForestRegressor}

A parameter of an inner one has scikit-learn's own name: ridge__alpha.
"""

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator

from common.errors import InputError, unknown_name
from common.values import as_value
from modelling.models.find_estimator import (
    check_parameter,
    find_inner,
    package_of,
    required_parameters,
)
from modelling.own_code import Files

_SAID = {"estimator", "parameters"}


def make_estimator(
    kind: type[BaseEstimator], given: Mapping[str, Any], seed: int, code: Files
) -> BaseEstimator:
    """Makes an unfitted estimator.

    Args:
        kind: its class.
        given: its parameters; text is read as the value that it spells, and a mapping with
            `estimator` is another one.
        seed: the random_state of each, where it has one that nobody set.
        code: the recipe's own, which inner ones may be of.

    Raises:
        InputError: one has no such parameter, or needs one that is not given.
    """
    values = {name: _value(value, seed, code) for name, value in given.items()}
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


def _value(value: Any, seed: int, code: Files) -> Any:
    if not isinstance(value, dict):
        return as_value(value)
    if _is_estimator(value):
        kind = find_inner(str(value["estimator"]), code)
        return make_estimator(kind, value.get("parameters") or {}, seed, code)
    if value and all(isinstance(each, dict) and _is_estimator(each) for each in value.values()):
        return [(name, _value(each, seed, code)) for name, each in value.items()]
    return value


def _is_estimator(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("estimator"), str) and set(value) <= _SAID


def owner_of(estimator: BaseEstimator, name: str) -> BaseEstimator:
    """Returns the estimator that has a parameter: the outer one, or one that it holds."""
    holder, _, _ = name.rpartition("__")
    return estimator.get_params()[holder] if holder else estimator


def plain_parameters(estimator: BaseEstimator) -> dict[str, Any]:
    """Returns the parameters of an estimator and of those that it holds, without these."""
    shallow = estimator.get_params(deep=False)
    deep = estimator.get_params() if any(map(_holds_others, shallow.values())) else shallow
    return {name: value for name, value in deep.items() if not _holds_others(value)}


def _holds_others(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_others, value))
    return hasattr(value, "get_params") and not isinstance(value, type)
