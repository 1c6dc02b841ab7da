"""Columns that give the target away: what each alone says of it, by cross-validation."""

import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, train_test_split

from modelling.answers import Answers, Values
from modelling.estimators import build_pipeline, describe_inputs
from modelling.features import fit_features
from modelling.metrics import MULTICLASS_METRICS, REGRESSION_METRICS
from modelling.recipe import Features, Model
from modelling.sklearn_wrapper import apply_features

SCORE = {"regression": "r2", "classification": "roc_auc"}

_MOST_ROWS = 10_000
_FOLDS = 3
_KIND = {"regression": "Regressor", "classification": "Classifier"}
_LARGEST = float(np.finfo(np.float32).max)  # that a tree of scikit-learn takes
_LINE = Model(estimator="sklearn.linear_model.LinearRegression")

Progress = Callable[[list[str]], Iterable[str]]


def _tree(task: str) -> Model:
    parameters = {"max_depth": 8, "min_samples_leaf": 2}
    return Model(estimator=f"sklearn.tree.DecisionTree{_KIND[task]}", parameters=parameters)


def _forest(task: str) -> Model:
    parameters = {"n_estimators": 50, "min_samples_leaf": 2}
    return Model(estimator=f"sklearn.ensemble.ExtraTrees{_KIND[task]}", parameters=parameters)


def sample_rows(targets: pd.Series, task: str) -> pd.Index:
    """Returns the rows that are enough to judge columns by, of each class at least three.

    Args:
        targets: (n,) numbers or labels; a class with fewer rows is left out.
        task: regression or classification.
    """
    if task == "classification":
        targets = targets[targets.map(targets.value_counts()) >= _FOLDS]
    if len(targets) <= _MOST_ROWS:
        return targets.index
    labels = targets if task == "classification" else None
    rows, _ = train_test_split(
        targets.index, train_size=_MOST_ROWS, random_state=0, stratify=labels
    )
    if labels is not None:
        rare = labels.map(labels[rows].value_counts()).fillna(0) < _FOLDS
        rows = rows.union(labels[rare].groupby(labels[rare]).head(_FOLDS).index)
    return rows


def score_each(
    frame: pd.DataFrame, kinds: Mapping[str, str], targets: pd.Series, task: str, progress: Progress
) -> dict[str, float]:
    """Scores each column as the only one that a small tree is given.

    Args:
        frame: (n, columns) as `check_table` gives them.
        kinds: number, boolean, category or date, by column.
        targets: (n,) numbers or labels.
        task: regression or classification.
        progress: goes through the names, and shows how far it is.

    Returns:
        By column, over rows that the tree was not fitted on: r2 of a regression (of a straight
        line, if that is better), roc_auc of a classification (with several classes the mean over
        them, each against all others); NaN where nothing can be said.
    """
    scores = {}
    for name in progress(list(frame.columns)):
        models = [_tree(task)]
        if task == "regression" and kinds[name] == "number":
            models.append(_LINE)
        scores[name] = max(_score(frame[[name]], kinds, targets, task, model) for model in models)
    return scores


def score_together(
    frame: pd.DataFrame, kinds: Mapping[str, str], targets: pd.Series, task: str
) -> float:
    """Scores all columns together, in a forest, as `score_each` scores each alone."""
    return _score(frame, kinds, targets, task, _forest(task))


def _score(
    frame: pd.DataFrame, kinds: Mapping[str, str], targets: pd.Series, task: str, model: Model
) -> float:
    known = {name: kinds[name] for name in frame.columns}
    fitted = fit_features(frame, Features(), known, may_miss=True)
    inputs = apply_features(frame, fitted)
    numeric = inputs.select_dtypes("number")
    inputs[numeric.columns] = numeric.clip(-_LARGEST, _LARGEST)
    pipeline = build_pipeline(model, {}, 0, task, describe_inputs(inputs, fitted))
    folds = (KFold if task == "regression" else StratifiedKFold)(
        _FOLDS, shuffle=True, random_state=0
    )
    numbers, labels = pd.factorize(targets, sort=True)
    if len(inputs) < 2 * _FOLDS or len(labels) < 2:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare categories: it is a rough look
        if task == "regression":
            predicted = cross_val_predict(pipeline, inputs, targets, cv=folds)
            return REGRESSION_METRICS["r2"](Answers(predicted), targets.to_numpy())
        probabilities: Values = cross_val_predict(
            pipeline, inputs, numbers, cv=folds, method="predict_proba"
        )
    answers = Answers(np.argmax(probabilities, axis=1).astype(float), probabilities)
    return MULTICLASS_METRICS["roc_auc"](answers, numbers.astype(float))
