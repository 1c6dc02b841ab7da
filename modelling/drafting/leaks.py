"""Columns that give the target away: what each says of it, or a few together."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from modelling.estimators.estimators import build_pipeline
from modelling.estimators.preprocessing import describe_inputs
from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import REGRESSION_METRICS
from modelling.kinds import KINDS
from modelling.models.features import fit_features
from modelling.models.sklearn_wrapper import apply_features
from modelling.recipe import Features, Model

SCORE = {"regression": "r2", "classification": "roc_auc"}

_MOST_ROWS = 10_000
_MOST_CELLS = 3_000_000  # a column is scored by as many rows as are enough, of many columns fewer
_FEWEST_OF_MANY = 2_000
_FOLDS = 3
_MOST_TOGETHER = 3
_KIND = {"regression": "Regressor", "classification": "Classifier"}
_LARGEST = float(np.finfo(np.float32).max)  # that a tree of scikit-learn takes
_TREE = {"max_depth": 8, "min_samples_leaf": 2}
_LITTLE = 0.9
_LINE = Model(estimator="sklearn.linear_model.LinearRegression")

Progress = Callable[[list[str]], Iterable[str]]


def _tree(task: str) -> Model:
    return Model(estimator=f"sklearn.tree.DecisionTree{_KIND[task]}", parameters=_TREE)


def _forest(task: str) -> Model:
    parameters = {"n_estimators": 50, "min_samples_leaf": 2}
    return Model(estimator=f"sklearn.ensemble.ExtraTrees{_KIND[task]}", parameters=parameters)


def sample_rows(targets: pd.Series, task: str, columns: int) -> pd.Index:
    """Returns the rows that are enough to judge columns by, of each class at least three.

    Args:
        targets: (n,) numbers or labels; a class with fewer rows is left out.
        task: regression or classification.
        columns: how many are to be judged.
    """
    most = max(_FEWEST_OF_MANY, min(_MOST_ROWS, _MOST_CELLS // columns))
    if task == "classification":
        targets = targets[targets.map(targets.value_counts()) >= _FOLDS]
    classes = targets.nunique() if task == "classification" else 0
    if len(targets) <= most + classes:  # each class must have one of those that are left
        return targets.index
    labels = targets if task == "classification" else None
    rows, _ = train_test_split(targets.index, train_size=most, random_state=0, stratify=labels)
    if labels is not None:
        rare = labels.map(labels[rows].value_counts()).fillna(0) < _FOLDS
        rows = rows.union(labels[rare].groupby(labels[rare]).head(_FOLDS).index)
    return rows


@dataclass(frozen=True)
class Score:
    """How well columns tell the target: of a regression r2, of a classification roc_auc.

    value: of several classes that of the class that is told best; label: which that is, if there
    are several. NaN where nothing can be said.
    """

    value: float
    label: Any = None


def score_each(
    frame: pd.DataFrame, kinds: Mapping[str, str], targets: pd.Series, task: str, progress: Progress
) -> dict[str, Score]:
    """Scores each column as the only one that a small tree is given.

    Args:
        frame: (n, columns) as `check_table` gives them.
        kinds: number, boolean, category or date, by column.
        targets: (n,) numbers or labels.
        task: regression or classification.
        progress: goes through the names, and shows how far it is.

    Returns:
        By column, over rows that the tree was not fitted on; of a regression that of a straight
        line, if it is better. NaN of a column that says little even of rows that it was fitted on.
    """
    scores = {}
    for name in progress(list(frame.columns)):
        if _at_most(frame[name], targets, task) < _LITTLE:
            scores[name] = Score(float("nan"))
            continue
        models = [_tree(task)]
        if task == "regression" and KINDS[kinds[name]].limit is float:
            models.append(_LINE)
        found = [_score(frame[[name]], kinds, targets, task, model) for model in models]
        scores[name] = max(found, key=lambda score: score.value)
    return scores


def _at_most(column: pd.Series, targets: pd.Series, task: str) -> float:
    """What a tree of one column, or a line, reaches on the very rows that it is fitted on."""
    labels, classes = pd.factorize(targets, sort=True)
    if column.dtype.kind == "M" or len(classes) < 2:
        return float("inf")
    if task == "regression":
        true = targets.to_numpy(dtype=float)
    else:
        true = np.eye(len(classes))[labels][:, int(len(classes) == 2) :]  # one of two tells both
    if column.dtype.kind != "f":
        groups = pd.DataFrame(true).groupby(pd.factorize(column)[0])
        said = groups.transform("mean").to_numpy().reshape(true.shape)
    else:
        values = column.clip(-_LARGEST, _LARGEST).to_numpy()[:, np.newaxis]
        tree = DecisionTreeRegressor(**_TREE, random_state=0)
        said = tree.fit(values, true).predict(values).reshape(true.shape)
    if task != "regression":
        told = zip(true.T, said.T, strict=True)
        return max(float(roc_auc_score(is_class, share)) for is_class, share in told)
    r2 = REGRESSION_METRICS["r2"](Answers(said), true)
    line = column.corr(targets) if column.dtype.kind == "f" else 0.0
    return max(r2, float(line) ** 2 if np.isfinite(line) else 0.0)


def score_together(
    frame: pd.DataFrame, kinds: Mapping[str, str], targets: pd.Series, task: str, label: Any = None
) -> float:
    """Scores all columns together, in a forest, as `score_each` scores each alone.

    Args:
        frame: (n, columns) as `check_table` gives them.
        kinds: number, boolean, category or date, by column.
        targets: (n,) numbers or labels.
        task: regression or classification.
        label: of several classes, the one that is to be told.
    """
    return _score(frame, kinds, targets, task, _forest(task), label).value


def find_sum(
    frame: pd.DataFrame, kinds: Mapping[str, str], targets: pd.Series, task: str, least: float
) -> tuple[list[str], float]:
    """Finds the few columns of numbers whose weighted sum, or product, tells the target.

    Args:
        frame: (n, columns) as `check_table` gives them.
        kinds: number, boolean, category or date, by column.
        targets: (n,) numbers or labels.
        task: regression or classification, of two classes.
        least: the score from which on it is told.

    Returns:
        At most three columns, and their score; none where more are needed, or one is enough.
    """
    quantities = [name for name in map(str, frame) if KINDS[kinds[name]].limit is float]
    numbers = frame[quantities].dropna()
    numbers = numbers.clip(-_LARGEST, _LARGEST)
    if numbers.shape[1] < 2 or len(numbers) < 2 * _FOLDS:
        return [], float("nan")
    targets = targets[numbers.index]
    counts = targets.value_counts()
    if task != "regression" and (len(counts) < 2 or counts.min() < _FOLDS):
        return [], float("nan")  # a class is hardly among the rows without gaps
    ways = [(numbers, targets)]
    if task == "regression" and (targets > 0).all():
        positive = numbers[[name for name in numbers if (numbers[name] > 0).all()]]
        ways.append((positive.map(np.log), targets.map(np.log)))
    for columns, sums in ways:
        if columns.shape[1] > 1 and _score_line(columns, sums, task) > least:
            ranked = _by_weight(columns, sums, task)
            for count in range(1, _MOST_TOGETHER + 1):
                chosen = ranked[:count]
                score = _score_line(columns[chosen], sums, task)
                if score > least:
                    return (chosen, score) if count > 1 else ([], float("nan"))
    return [], float("nan")


def _line(task: str) -> Any:
    model = LinearRegression() if task == "regression" else LogisticRegression(C=100, max_iter=200)
    return make_pipeline(StandardScaler(), model)


def _score_line(columns: pd.DataFrame, targets: pd.Series, task: str) -> float:
    folds = (KFold if task == "regression" else StratifiedKFold)(
        _FOLDS, shuffle=True, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = cross_val_score(_line(task), columns, targets, cv=folds, scoring=SCORE[task])
    return float(np.mean(scores))


def _by_weight(columns: pd.DataFrame, targets: pd.Series, task: str) -> list[str]:
    """The columns, those with the largest weights in a line first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = np.abs(_line(task).fit(columns, targets)[-1].coef_).ravel()
    return [str(columns.columns[place]) for place in np.argsort(-weights, kind="stable")]


def _score(
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    targets: pd.Series,
    task: str,
    model: Model,
    label: Any = None,
) -> Score:
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
        return Score(float("nan"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare categories: it is a rough look
        if task == "regression":
            predicted = cross_val_predict(pipeline, inputs, targets, cv=folds)
            return Score(REGRESSION_METRICS["r2"](Answers(predicted), targets.to_numpy()))
        probabilities: Values = cross_val_predict(
            pipeline, inputs, numbers, cv=folds, method="predict_proba"
        )
    of_each = [
        Score(roc_auc_score(numbers == number, probabilities[:, number]), name)
        for number, name in enumerate(labels)
        if label is None or name == label
    ]
    best = max(of_each, key=lambda score: score.value)
    return best if len(labels) > 2 else Score(best.value)
