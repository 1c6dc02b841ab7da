"""What a model does on new labelled rows, against what its evaluation promised."""

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from common.errors import InputError
from common.words import show_figure
from modelling.judging.answers import Answers, Classes, Values
from modelling.judging.metrics import OF_A_CLASS, Metric
from modelling.judging.resampling import adds_up, figure_interval
from modelling.recipe import Promotion


@dataclass(frozen=True)
class KeptPromise:
    """Whether a promise is kept: a metric now, and in the evaluation.

    low and high: the interval of now; limit: the worst that is allowed; resampled: the figures of
    resampled rows.
    """

    metric: str
    now: float
    low: float
    high: float
    promised: float
    limit: float
    greater_is_better: bool
    resampled: Values

    def __str__(self) -> str:
        now, low, high = map(self.show, (self.now, self.low, self.high))
        return f"{self.metric} {now} [{low}, {high}]"

    def show(self, figure: float) -> str:
        """Writes a figure of the metric."""
        return show_figure(figure, metric=self.metric)

    @property
    def is_broken(self) -> bool:
        """Whether it is worse than the limit, and chance alone does not make it so.

        That is when the whole interval is on the bad side of what was promised. A figure that is
        not finite keeps no promise.
        """
        if not math.isfinite(self.now):
            return True
        if self.greater_is_better:
            return self.now < self.limit and self.high < self.promised
        return self.now > self.limit and self.low > self.promised


def hold_against(
    name: str,
    metric: Metric,
    answers: Answers,
    targets: Values,
    promised: float,
    max_drop: float,
    promotion: Promotion,
    seed: int,
    groups: npt.NDArray[Any] | None = None,
) -> KeptPromise:
    """Holds a metric of the answers for n new rows against the figure of the evaluation.

    Args:
        name: of the metric.
        metric: the metric.
        answers: the model's.
        targets: (n,) true values.
        promised: by the evaluation, for as many rows.
        max_drop: by which share of that it may be worse.
        promotion: the confidence and the number of resamples.
        seed: of the resampling.
        groups: (n,) whose rows are drawn together.
    """
    low, high, resampled = figure_interval(metric, targets, answers, promotion, seed, groups)
    worse = -1 if metric.greater_is_better else 1
    limit = promised + worse * max_drop * abs(promised)
    now = metric(answers, targets)
    return KeptPromise(name, now, low, high, promised, limit, metric.greater_is_better, resampled)


def promise_for(
    metric: Metric, answers: Answers, targets: Values, promised: float, promised_rows: float
) -> float:
    """Returns what an evaluation promises for as many rows as there are now.

    That is what it found, unless the metric is a sum over the rows.

    Args:
        metric: the metric.
        answers: the model's for n new rows.
        targets: (n,) their true values.
        promised: what the evaluation found.
        promised_rows: of how many rows.
    """
    is_sum = adds_up(metric, answers, targets)
    return promised * (len(targets) / promised_rows if is_sum else 1)


def check_classes(metric: str, targets: Values, classes: Classes | None, source: str) -> None:
    """Checks that each class is there without which a metric says nothing of n rows.

    That is the positive class; for ROC AUC the other too; without a positive class, each.

    Args:
        metric: its name.
        targets: (n,) true values, encoded.
        classes: of the model; None for a regression.
        source: the table's path or URI, for messages.

    Raises:
        InputError: one has no row.
    """
    if classes is None or metric not in OF_A_CLASS:
        return
    is_of_one = classes.positive is not None and metric != "roc_auc"
    needed = (classes.positive,) if is_of_one else classes.labels
    for label, number in zip(needed, classes.encode(needed), strict=True):
        if number not in targets:
            raise InputError(
                f"table {source} has no row of the class {label}: {metric} cannot be measured"
            )
