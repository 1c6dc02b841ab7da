"""What the checks of a model look at: its figures, its columns, and a plain model beside it."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from common.errors import InputError
from common.words import three_digits
from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.estimators.preprocessing import describe_inputs
from modelling.judging.answers import Answers, Classes, Values, read_answers
from modelling.judging.checks import Facts, PlainModel
from modelling.judging.intervals import few_rows
from modelling.judging.metrics import BASELINE_PREFIX, TRAINING_PREFIX, Metric
from modelling.judging.resampling import adds_up, difference_interval
from modelling.models.sklearn_wrapper import answer, apply_features
from modelling.models.training import predictable_inputs
from modelling.recipe import Model, Promotion
from modelling.tables.profile import differing_columns, explain_target

_KIND = {"regression": "Regressor", "classification": "Classifier"}
_MOST_CELLS = 1_000_000  # times the classes: what is fitted in about two seconds
_MOST_ROWS = 20_000
_MOST_COLUMNS = 50
_MOST_SLICES = 3
_ROWS_TIMED = 1_000
_RULE = Promotion(resamples=300)


@dataclass(frozen=True)
class TrainingRows:
    """Rows that a model was fitted on.

    rows: with the target; total: how many there are, of which these may be some; weights: how much
    each counts, if not the same.
    """

    rows: pd.DataFrame
    total: int
    weights: pd.Series | None


@dataclass(frozen=True)
class ModelOnTest:
    """A model on its test rows.

    pipeline, features: of the model; rows: (n, raw columns), with the target, which has this name;
    answers and targets: (n,) of them, in the numbers that metrics take; classes: of a
    classification; groups: (n,) whose rows are drawn together.
    """

    pipeline: Any
    features: dict[str, Any]
    rows: pd.DataFrame
    target: str
    answers: Answers
    targets: Values
    classes: Classes | None = None
    groups: npt.NDArray[np.intp] | None = None

    def some(self, most: int) -> "ModelOnTest":
        """Returns the same of at most so many rows, evenly spread."""
        places = np.unique(np.linspace(0, len(self.rows) - 1, most).astype(int))
        return replace(
            self,
            rows=self.rows.iloc[places].reset_index(drop=True),
            answers=self.answers.of_rows(places),
            targets=self.targets[places],
            groups=None if self.groups is None else self.groups[places],
        )


def collect_facts(
    tested: ModelOnTest,
    known: TrainingRows,
    name: str,
    metric: Metric,
    figures: Mapping[str, float],
    importance: pd.DataFrame,
    slices: pd.DataFrame,
    seed: int,
) -> Facts:
    """Collects what the checks look at; of many rows 20,000, of many columns the 50 that matter.

    Args:
        tested: the model on its test rows.
        known: the rows that it was fitted on.
        name: of the metric that decides.
        metric: that one.
        figures: of the test, of the training rows and of the naive baseline.
        importance: as `compute_importance` gives it.
        slices: as `measure_slices` and `find_slices` do.
        seed: of what is random.
    """
    columns = importance.set_index("column")
    names = [column for column in columns.index if column in known.rows]
    most, target = names[:_MOST_COLUMNS], tested.target
    some = tested.some(_MOST_ROWS)
    sides = {"train": known.rows[[*most, target]], "test": some.rows[[*most, target]]}
    plain = seconds = None
    if not adds_up(metric, tested.answers, tested.targets):
        with suppress(InputError):  # of too few rows of a class, say
            plain, seconds = _hold_against_plain(some, known, metric, seed)
    means, deviations = columns["importance"], columns["deviation"]
    return Facts(
        metric=name,
        greater_is_better=metric.greater_is_better,
        test=figures[name],
        train=figures[TRAINING_PREFIX + name],
        naive=figures[BASELINE_PREFIX + name],
        plain=plain,
        seconds=seconds,
        importance={column: (means[column], deviations[column]) for column in names},
        explained=explain_target(sides, most, target) or None,
        apart=differing_columns({side: rows[most] for side, rows in sides.items()}),
        few_rows=few_rows(tested.targets, tested.classes),
        bad_slice=_in_words(slices),
        target=target,
    )


def _in_words(slices: pd.DataFrame) -> str:
    """The parts of the rows that it is worse for."""
    name = slices.columns[3]
    return "; ".join(
        f"{row['slice']}: {name} {three_digits(row[name])} of {row['rows']:,} rows, and "
        f"{three_digits(row[name] - row['difference'])} of all"
        for row in slices[slices["worse"]].head(_MOST_SLICES).to_dict("records")
    )


def _hold_against_plain(
    tested: ModelOnTest, known: TrainingRows, metric: Metric, seed: int
) -> tuple[PlainModel, float]:
    """Holds a model against a plain one; with the seconds that the model takes for 1,000 rows."""
    plain = _fit_plain(tested, known, seed)
    inputs = apply_features(tested.rows.drop(columns=tested.target), tested.features)
    weights = tested.answers.weights
    counts = None if weights is None else pd.Series(weights)
    theirs = read_answers(answer(plain, inputs, tested.features), tested.classes, counts)
    ends = difference_interval(
        metric, tested.targets, theirs, tested.answers, _RULE, seed, tested.groups
    )
    low, high = sorted(ends) if metric.greater_is_better else sorted(-end for end in ends)
    asked = inputs.iloc[np.resize(np.arange(len(inputs)), _ROWS_TIMED)]
    seconds = [_seconds(each, asked, tested.features) for each in (plain, tested.pipeline)]
    figure = metric(theirs, tested.targets)
    return PlainModel(figure, low > 0, high < 0, seconds[0]), seconds[1]


def _fit_plain(tested: ModelOnTest, known: TrainingRows, seed: int) -> Pipeline:
    """Fits gradient boosting without any settings, on as many rows as take about two seconds."""
    rows, classes = known.rows.drop(columns=tested.target), tested.classes
    most = max(1, _MOST_CELLS // (rows.shape[1] * (len(classes.labels) if classes else 1)))
    targets, weights = known.rows[tested.target], known.weights
    places = _evenly(targets, -(-len(rows) // most), is_of_each=classes is not None)
    inputs = predictable_inputs(rows.iloc[places].reset_index(drop=True), tested.features)
    targets = targets.iloc[places].reset_index(drop=True)[inputs.index]
    if weights is not None:
        weights = weights.iloc[places].reset_index(drop=True)[inputs.index]
    task = "regression" if classes is None else "classification"
    path = f"sklearn.ensemble.HistGradientBoosting{_KIND[task]}"
    described = describe_inputs(inputs, tested.features)
    pipeline = build_pipeline(Model(estimator=path), {}, seed, task, described)
    return fit_pipeline(pipeline, inputs, targets, weights=weights)


def _evenly(targets: pd.Series, every: int, is_of_each: bool) -> npt.NDArray[np.intp]:
    """The places of every so many rows, or of each class of every so many, but two at least."""
    if not is_of_each:
        return np.arange(0, len(targets), every)
    of_class = pd.Series(np.arange(len(targets))).groupby(targets.to_numpy())
    taken = [places[::every] if len(places) >= 2 * every else places[:2] for _, places in of_class]
    return np.sort(np.concatenate(taken))


def _seconds(pipeline: Any, rows: pd.DataFrame, features: dict[str, Any]) -> float:
    """The shorter one of two times."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        answer(pipeline, rows, features)
        times.append(time.perf_counter() - started)
    return min(times)
