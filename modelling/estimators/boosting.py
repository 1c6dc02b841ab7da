"""Boosted estimators: which stop early, how a package is asked to, and what it refuses."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.class_weight import compute_sample_weight

from common.errors import InputError
from modelling.estimators.threads import threads_for

_OF_ONE_VALUE = re.compile(r"config_auto\.cpp|exceed bound")
"""What LightGBM and XGBoost say of a value that no other hyperparameter makes right."""


@dataclass(frozen=True)
class Rows:
    """(n, inputs) as an estimator takes them, (n,) targets, and how much each row counts."""

    inputs: Any
    targets: Any
    weights: npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Package:
    """How the estimators of a package are stopped.

    find: fits one on rows until others were no better for so many rounds, and returns how many were
    best; name: of the parameter that says how many there are; settings: that go with it.
    """

    find: Callable[[Any, Rows, Rows, int], int]
    name: str = "n_estimators"
    settings: Mapping[str, Any] | None = None


def _find_of_lightgbm(estimator: Any, fitted: Rows, others: Rows, patience: int) -> int:
    from lightgbm import early_stopping

    with warnings.catch_warnings():
        # It says that eval_set is to be eval_X and eval_y, which do not take labels that are text.
        warnings.simplefilter("ignore")
        estimator.fit(
            fitted.inputs,
            fitted.targets,
            sample_weight=fitted.weights,
            eval_set=[(others.inputs, others.targets)],
            eval_sample_weight=[others.weights],
            callbacks=[early_stopping(patience, verbose=False)],
        )
    return int(estimator.best_iteration_ or 0)


def _find_of_xgboost(estimator: Any, fitted: Rows, others: Rows, patience: int) -> int:
    estimator.set_params(early_stopping_rounds=patience).fit(
        fitted.inputs,
        fitted.targets,
        sample_weight=fitted.weights,
        eval_set=[(others.inputs, others.targets)],
        sample_weight_eval_set=[others.weights],
        verbose=False,
    )
    return int(estimator.best_iteration) + 1


def _find_of_scikit_learn(estimator: Any, fitted: Rows, others: Rows, patience: int) -> int:
    of_classes = estimator.get_params().get("class_weight")
    if isinstance(of_classes, dict):  # by label, and scikit-learn looks its codes up in it
        estimator.set_params(class_weight=None)
        fitted, others = (
            replace(rows, weights=rows.weights * compute_sample_weight(of_classes, rows.targets))
            for rows in (fitted, others)
        )
    estimator.set_params(early_stopping=True, n_iter_no_change=patience).fit(
        fitted.inputs,
        fitted.targets,
        fitted.weights,
        X_val=others.inputs,
        y_val=others.targets,
        sample_weight_val=others.weights,
    )
    # The first one is from before any round.
    return max(1, int(np.argmax(estimator.validation_score_)))


# LightGBM's names for it; XGBoost's is one of them.
_NEED_ROWS = {"early_stopping", "early_stopping_round", "early_stopping_rounds", "n_iter_no_change"}

_PACKAGES = {
    "lightgbm.": _Package(_find_of_lightgbm),
    "xgboost.": _Package(_find_of_xgboost),
    "sklearn.ensemble._hist_gradient_boosting.": _Package(
        _find_of_scikit_learn, "max_iter", {"early_stopping": False}
    ),
}


def _package_of(estimator: BaseEstimator) -> _Package | None:
    modules = [kind.__module__ for kind in type(estimator).__mro__]
    found = [each for start, each in _PACKAGES.items() if any(m.startswith(start) for m in modules)]
    return found[0] if found else None


def refused_value(estimator: BaseEstimator) -> str:
    """Says what is wrong with a value that no other hyperparameter makes right; else nothing.

    LightGBM and XGBoost check values in a fit only: one round on a few rows.
    """
    if _package_of(estimator) is None:
        return ""
    rows, targets = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    short = clone(estimator).set_params(**rounds_as_parameters(estimator, 1))
    try:
        with _without_standard_error(), threads_for(pd.DataFrame(rows)):
            short.fit(rows, targets)
    except Exception as error:  # what it is, is said by its words
        return in_one_line(error) if _OF_ONE_VALUE.search(str(error)) else ""
    return ""


def is_of_lightgbm(error: Exception) -> bool:
    """Says whether LightGBM's own code refuses something, by an error that is no ValueError."""
    return type(error).__module__.startswith("lightgbm.")


def in_one_line(error: Exception) -> str:
    """Returns what an error of a fit says, without the place in LightGBM's own code."""
    said = " ".join(str(error).split())
    return said.partition(" at /")[0] if is_of_lightgbm(error) else said


@contextmanager
def _without_standard_error() -> Iterator[None]:
    """Hides what LightGBM's own code, and not Python's, writes there of a value that it refuses."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def check_stopping(
    estimator: BaseEstimator, parameters: Collection[str], patience: int | None
) -> None:
    """Checks what a recipe says of early stopping.

    Args:
        estimator: unfitted.
        parameters: names of those that are given.
        patience: the model's `early_stopping`.

    Raises:
        InputError: it cannot be stopped by held-out rows, or has a parameter that needs some.
    """
    package = _package_of(estimator)
    if patience is not None and package is None:
        raise InputError(
            f"early_stopping: {type(estimator).__name__} does not stop by held-out rows; those of "
            "LightGBM and XGBoost do, and HistGradientBoosting"
        )
    if package and package.name == "n_estimators" and (wrong := _NEED_ROWS & set(parameters)):
        raise InputError(
            f"{min(wrong)} needs rows that are held out: write early_stopping beside the parameters"
        )


def count_rounds(estimator: BaseEstimator, fitted: Rows, others: Rows, patience: int) -> int:
    """Fits an estimator on rows, until it was no better on others for so many rounds.

    Better is what the estimator itself says: by its loss, or the metric of its parameters.

    Returns:
        The number of rounds after which it was best.

    Raises:
        InputError: there is none, as with `boosting_type: dart`.
    """
    package = _package_of(estimator)
    rounds = package.find(estimator, fitted, others, patience) if package else 0
    if rounds < 1:
        raise InputError(f"early_stopping: {type(estimator).__name__} says of no round it is best")
    return rounds


def rounds_of(estimator: BaseEstimator) -> int:
    """Returns how many rounds an estimator has, or may have at most."""
    rounds = estimator.get_params(deep=False)[_names(estimator)[-1]]
    # Where nothing is said, XGBoost's is None.
    return int(estimator.get_num_boosting_rounds() if rounds is None else rounds)


def rounds_as_parameters(estimator: BaseEstimator, rounds: int) -> dict[str, Any]:
    """Returns the parameters that give an estimator so many rounds."""
    package = _package_of(estimator)
    settings = package.settings if package else None
    return dict.fromkeys(_names(estimator), rounds) | dict(settings or {})


def _names(estimator: BaseEstimator) -> list[str]:
    """The parameters that say how many, the one that counts last: LightGBM has many for it."""
    package = _package_of(estimator)
    assert package  # noqa: S101 - as checked
    if package is not _PACKAGES["lightgbm."]:
        return [package.name]
    from lightgbm.basic import _ConfigAliases

    others = _ConfigAliases.get("num_iterations") & estimator.get_params(deep=False).keys()
    return [package.name, *sorted(others - {package.name})]
