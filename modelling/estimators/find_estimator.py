"""A recipe's estimator by its dotted name: its class, or one line that says why there is none."""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, signature
from itertools import takewhile
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils import all_estimators

from common.errors import InputError, unknown_name
from modelling.own_code import Files, find_named, is_own

_NEAREST = 5
_IS_FOR = {"regression": is_regressor, "classification": is_classifier}


@dataclass(frozen=True)
class Package:
    """What the estimators of a package need to be quiet, and the same at every fit.

    settings: values by parameter, where the recipe says nothing else; rivals: other names of the
    same, by parameter; takes_names: whether a column may have any name; takes_labels: whether
    classes may be called anything, and not 0, 1, …; why_not: why there are none to be used, in
    words.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    rivals: Mapping[str, Collection[str]] = field(default_factory=dict)
    takes_names: bool = True
    takes_labels: bool = True
    why_not: str = ""

    def settings_beside(self, given: Collection[str]) -> dict[str, Any]:
        """Returns the values of those parameters that are not among the given ones."""
        return {
            name: value
            for name, value in self.settings.items()
            if not {name, *self.rivals.get(name, ())} & set(given)
        }


_PACKAGES = {
    "lightgbm": Package(
        # It would choose by a measured time how to add up. 0 threads: as many as OpenMP may have.
        {"deterministic": True, "force_col_wise": True, "n_jobs": 0, "verbosity": -1},
        {"force_col_wise": ["force_row_wise"], "verbosity": ["verbose"]},
        takes_names=False,
    ),
    "xgboost": Package({"verbosity": 0}, takes_names=False, takes_labels=False),
    "catboost": Package(
        why_not="CatBoost's classes derive from none of scikit-learn's, and need a pickle"
    ),
}


def package_of(estimator: object) -> Package:
    """Returns what is known of the package that an estimator is of."""
    return _PACKAGES.get(_package_name(type(estimator)), Package())


def _package_name(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def find_estimator(path: str, task: str, code: Files | None = None) -> type[BaseEstimator]:
    """Returns the class of an estimator.

    Args:
        path: dotted, such as sklearn.linear_model.Ridge.
        task: the recipe's.
        code: its own code, which the class may be of.

    Raises:
        InputError: its package is not installed, or it does not exist, is no estimator, or is one
            of the other task.
    """
    if code and is_own(path, code):
        return _own_estimator(path, task, code)
    module, _, name = path.rpartition(".")
    if why_not := _PACKAGES.get(path.partition(".")[0], Package()).why_not:
        kind = "Regressor" if task == "regression" else "Classifier"
        raise InputError(f"{path} cannot be used: {why_not}; take lightgbm.LGBM{kind}")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError):
        _check_installed(path)
        found = None
    if _looks_like_one(found) and not issubclass(found, BaseEstimator):
        raise InputError(
            f"{path} is no estimator of scikit-learn: it does not derive from "
            "sklearn.base.BaseEstimator"
        )
    # Only an estimator is called: anything else that can be imported might do anything.
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise InputError(_unknown(path, task))
    other = "classification" if task == "regression" else "regression"
    if _is_for(found, other):
        nearest = get_close_matches(path, _known(task, module), n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise InputError(f"{path} is for a {other}, and the task is {task}{hint}")
    if not (_is_for(found, task) or required_parameters(found)):
        raise InputError(_unknown(path, task))
    return found


def _looks_like_one(found: Any) -> bool:
    """Says whether something is a class that can be fitted and predicts."""
    return isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "predict")


def find_inner(path: str, code: Files) -> type[BaseEstimator]:
    """Returns the class of an estimator or transformer that stands inside another estimator.

    Raises:
        InputError: it does not exist, or is neither.
    """
    kind = find_named(path, code)
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise InputError(f"{path} is no estimator: it does not derive from sklearn's BaseEstimator")
    return kind


def required_parameters(kind: type) -> list[str]:
    """Returns the parameters that an estimator cannot be made without: the ones that it holds."""
    plain = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return [
        each.name
        for each in _parameters(kind)
        if each.default is Parameter.empty and each.kind in plain
    ]


def check_task(estimator: BaseEstimator, task: str) -> None:
    """Checks that an estimator that holds others is of the recipe's task.

    Raises:
        InputError: it is not.
    """
    if not _IS_FOR[task](estimator):
        raise InputError(f"{type(estimator).__name__} is not for a {task} with what it holds")


def _own_estimator(path: str, task: str, code: Files) -> type[BaseEstimator]:
    kind = find_named(path, code)
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise InputError(
            f"{path} is no estimator: a class that derives from sklearn.base.BaseEstimator, and "
            "from RegressorMixin or ClassifierMixin"
        )
    mixin = {"regression": "RegressorMixin", "classification": "ClassifierMixin"}[task]
    try:
        is_one = _IS_FOR[task](kind())
    except TypeError as error:
        raise InputError(
            f"{path}() cannot be made: {error}; give its parameters defaults"
        ) from error
    if not is_one:
        raise InputError(
            f"{path} is for no {task}: derive it from sklearn.base.{mixin}, before BaseEstimator"
        )
    if task == "classification" and not hasattr(kind, "predict_proba"):
        raise InputError(f"{path} has no predict_proba: a classifier gives probabilities")
    return kind


def find_transformer(path: str, code: Files) -> type[BaseEstimator]:
    """Returns the class of a transformer, of own code or of an installed package.

    Raises:
        InputError: it does not exist, or is none.
    """
    kind = find_named(path, code)
    is_one = isinstance(kind, type) and issubclass(kind, BaseEstimator)
    if not (is_one and hasattr(kind, "fit") and hasattr(kind, "transform")):
        raise InputError(
            f"{path} is no transformer: a class with fit and transform, that derives from "
            "sklearn.base.TransformerMixin and BaseEstimator"
        )
    return kind


def _is_for(kind: type[BaseEstimator], task: str) -> bool:
    try:
        return bool(_IS_FOR[task](kind()))
    except TypeError:  # it needs another estimator
        return False


def _unknown(path: str, task: str) -> str:
    known = _known(task, path.rpartition(".")[0])
    nearest = get_close_matches(path, known, n=_NEAREST, cutoff=0.0)
    words = unknown_name(f"estimator of a {task}", path, nearest)
    return words.replace("allowed: ", "the nearest are ")


def _known(task: str, module: str) -> list[str]:
    """The estimators of scikit-learn that can be named alone, and those of a named module."""
    kinds = all_estimators("regressor" if task == "regression" else "classifier")
    known = [
        f"{_public_module(kind)}.{name}"
        for name, kind in kinds
        if all(parameter.default is not Parameter.empty for parameter in _parameters(kind))
        and (task == "regression" or hasattr(kind, "predict_proba"))
    ]
    others = [] if module.partition(".")[0] == "sklearn" else _classes_of(module)
    return known + [f"{module}.{kind.__name__}" for kind in others if _is_for(kind, task)]


def _classes_of(module: str) -> list[type[BaseEstimator]]:
    """The estimators that stand in a module that is imported."""
    found = vars(sys.modules[module]).values() if module in sys.modules else ()
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseEstimator)]


def _check_installed(path: str) -> None:
    """Raises InputError if the package of an estimator is what is missing, and is no slip."""
    package = path.partition(".")[0]
    is_one = package.isidentifier() and "." in path
    if is_one and not get_close_matches(package, ["sklearn"]) and find_spec(package) is None:
        raise InputError(
            f"{package} is not installed here; estimator {path} needs it where the pipeline runs"
        )


def _public_module(kind: type) -> str:
    parts = kind.__module__.split(".")
    return ".".join(takewhile(lambda part: not part.startswith("_"), parts))


def _parameters(kind: type) -> Iterable[Parameter]:
    return signature(kind).parameters.values()


def check_parameter(estimator: BaseEstimator, name: str, known: Iterable[str]) -> None:
    """Checks that an estimator has a parameter, or takes any, as one of `**kwargs`.

    Raises:
        InputError: it does not; the nearest is named.
    """
    takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in _parameters(type(estimator)))
    known = [*known]
    more = _more_parameters(_package_name(type(estimator))) if takes_any else ()
    if name in known or name in more or (takes_any and not more):
        return
    kind = f"hyperparameter of {type(estimator).__name__}"
    if close := get_close_matches(name, more, n=1):
        known.append(close[0])
    raise InputError(unknown_name(kind, name, known))


@cache
def _more_parameters(package: str) -> Collection[str]:
    """What else a package's estimators take, where it says so: a slip would change nothing."""
    if package != "lightgbm":
        return ()
    aliases = import_module("lightgbm.basic")._ConfigAliases._get_all_param_aliases()
    return {name for names in aliases.values() for name in names}
