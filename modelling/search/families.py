"""The families of models that are tried on a table that nobody has tuned for, cheap ones first."""

from collections.abc import Mapping
from typing import Any

from modelling.recipe import Model

_SMALL = 1000
_MIDDLE = 10_000
_FEW_LEAVES = 15

_SPACES: Mapping[str, Mapping[str, str]] = {
    "Ridge": {"alpha": "log(1e-3, 1e3)"},
    "LogisticRegression": {"C": "log(1e-3, 100)"},
    "LGBM": {
        "n_estimators": "range(100, 1001, 100)",
        "learning_rate": "log(0.01, 0.2)",
        "num_leaves": "range(4, 65, 4)",
        "min_child_samples": "range(5, 61, 5)",
        "colsample_bytree": "interval(0.4, 1)",
    },
    "HistGradientBoosting": {
        "learning_rate": "log(0.02, 0.3)",
        "max_leaf_nodes": "range(7, 64, 8)",
    },
    "GradientBoosting": {"learning_rate": "log(0.01, 0.2)", "max_depth": "range(2, 7)"},
    "RandomForest": {"min_samples_leaf": "range(1, 21)", "max_features": "interval(0.2, 1)"},
}


def usual_space(estimator: str) -> Mapping[str, str]:
    """Returns what a sweep searches of an estimator, by its path; nothing of an unknown one."""
    return _SPACES.get(_family(estimator), {})


def rank_of_cost(estimator: str) -> int:
    """Returns the place of an estimator, by its path, among those that take ever more time."""
    return list(_SPACES).index(name) if (name := _family(estimator)) in _SPACES else len(_SPACES)


def _family(estimator: str) -> str:
    return estimator.rpartition(".")[2].removesuffix("Regressor").removesuffix("Classifier")


def usual_models(rows: int, task: str) -> dict[str, Model]:
    """Returns a linear model, boosted trees and a forest for a table of so many rows.

    Their parameters suit its size, and their order is that of the time that they take.
    """
    kind = "Regressor" if task == "regression" else "Classifier"
    models = dict([_line(task), _lightgbm(kind, rows)])
    if rows >= _SMALL:
        rate = 0.05 if rows <= _MIDDLE else 0.1
        models["hist_gradient_boosting"] = _model(
            f"sklearn.ensemble.HistGradientBoosting{kind}", max_iter=200, learning_rate=rate
        )
        # Where there is much to learn, these are better by a tenth; where there is not, worse.
        models["lightgbm_long"] = _boosted(kind, 1000, _FEW_LEAVES, 10)
    if rows <= _MIDDLE:
        models["gradient_boosting"] = _model(
            f"sklearn.ensemble.GradientBoosting{kind}",
            n_estimators=150,
            learning_rate=0.05,
            max_depth=3,
            subsample=0.8,
        )
    models["random_forest"] = _model(
        f"sklearn.ensemble.RandomForest{kind}",
        n_estimators=200,
        min_samples_leaf=max(2, rows // 5000),
    )
    return models


def _model(estimator: str, **parameters: Any) -> Model:
    return Model(estimator=estimator, parameters=parameters)


def _line(task: str) -> tuple[str, Model]:
    name, estimator, parameters = (
        ("ridge", "Ridge", {"alpha": 1.0})
        if task == "regression"
        else ("logistic_regression", "LogisticRegression", {"C": 1.0, "max_iter": 1000})
    )
    model = Model(
        estimator=f"sklearn.linear_model.{estimator}",
        scale=True,
        preprocess="spread",
        parameters=parameters,
    )
    return name, model


def _lightgbm(kind: str, rows: int) -> tuple[str, Model]:
    """Many small steps; of few rows small trees, each of a part of the columns."""
    size = (200, _FEW_LEAVES, 10) if rows < _SMALL else (300, 31, 20)
    return "lightgbm", _boosted(kind, *size)


def _boosted(kind: str, trees: int, leaves: int, rows_of_a_leaf: int) -> Model:
    return _model(
        f"lightgbm.LGBM{kind}",
        n_estimators=trees,
        num_leaves=leaves,
        min_child_samples=rows_of_a_leaf,
        learning_rate=0.05,
        colsample_bytree=0.7,
    )
