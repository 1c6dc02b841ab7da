"""Which point a sweep tries next, by Optuna's samplers, and which trial is not worth going on.

Every choice depends on the seed, the trial's number and the trials that are known, and on nothing
else: the same sweep can be done again, or go on after it was cut off.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice, takewhile, zip_longest
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from common.errors import InputError
from common.values import spell
from modelling.search.space import Choices, Integers, Point, Range, Space, check_grid_size

_USUAL_TRIALS = 20
_MOST_IN_TIME = 10_000
# Optuna's TPE takes at most so many trials for good ones; of the others, a sample is as good as
# all, and the thousandth choice costs no more than the hundredth.
_MOST_GOOD = 25
_MOST_OTHERS = 100
_LEAST_KNOWN = 3
_MODEL = "model"

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class TrialResult:
    """A trial that is done.

    state: complete, pruned or failed; score: the mean over the folds of a complete one; folds: the
    scores of those that were done; run_id: the run that tells of it; reason: why it failed, or
    whose run stands for it; samples: the scores of the samples of the rows that came before;
    known_deviation: of the folds of one that is known from before, without their scores.
    """

    number: int
    point: Point
    state: str
    score: float | None = None
    folds: tuple[float, ...] = ()
    run_id: str | None = None
    reason: str = ""
    samples: tuple[float, ...] = ()
    known_deviation: float | None = None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the folds' scores, if it is known."""
        return float(np.std(self.folds, ddof=1)) if len(self.folds) > 1 else self.known_deviation

    @property
    def steps(self) -> tuple[float, ...]:
        """The scores that it was pruned by."""
        return self.folds or self.samples


def choose_sampler(space: Space, sampler: str) -> str:
    """Returns the sampler's name; `auto` is the grid for lists of values, and tpe otherwise."""
    if sampler == "auto":
        return "grid" if space.is_listed else "tpe"
    if sampler == "grid" and not space.is_finite:
        raise InputError("sampler grid needs lists of values or range(…): real numbers have no end")
    return sampler


def count_trials(space: Space, sampler: str, trials: int | None, in_time: bool = False) -> int:
    """Returns how many trials there will be; None is the whole grid, or else 20.

    Where a time ends the search, there is all but no limit.

    Raises:
        InputError: the whole grid is too large.
    """
    if sampler != "grid":
        return trials or (_MOST_IN_TIME if in_time else _USUAL_TRIALS)
    return min(trials, space.count()) if trials else check_grid_size(space)


class Search:
    """Chooses the points of a sweep, one after the other."""

    def __init__(
        self,
        space: Space,
        sampler: str,
        trials: int,
        seed: int,
        greater_is_better: bool,
        known: Iterable[Point] = (),
        first: Sequence[Point] = (),
    ) -> None:
        """Takes a sampler other than auto, the number of trials, and the points of known ones.

        The `first` points are tried before the sampler is asked.

        Of a grid, a known point is not chosen again: it is known of a sweep of fewer trials, which
        went through the grid in another order.
        """
        self._space = space
        self._sampler = sampler
        self._seed = seed
        self._sign = -1 if greater_is_better else 1
        self._points = self._sequence(trials, {point.key for point in known})
        self._next = 0
        self._first = first

    def _sequence(self, trials: int, known: Set[str]) -> Iterator[Point]:
        if self._sampler == "grid":
            whole = trials == self._space.count()
            grid = self._space.grid() if whole else self._space.sample_grid(trials, self._seed)
            return (point for point in grid if point.key not in known)
        if self._sampler == "tpe":
            return iter(())
        if self._sampler == "random":
            return _endless(self._space, RandomSampler(seed=self._seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _endless(self._space, QMCSampler(scramble=True, seed=self._seed))

    def choose(self, number: int, tried: Sequence[TrialResult], pending: Sequence[Point]) -> Point:
        """Returns the point of a trial.

        Args:
            number: of the trial; of those that follow each other, none may be asked for twice.
            tried: the trials that are done, by number.
            pending: the points of those that are being tried.
        """
        if number < len(self._first):
            return self._first[number]
        if self._sampler == "tpe":
            return self._propose(number, tried, pending)
        if self._sampler == "grid":
            return next(self._points)
        skipped, self._next = number - self._next, number + 1
        return next(islice(self._points, skipped, None))

    def _propose(
        self, number: int, tried: Sequence[TrialResult], pending: Sequence[Point]
    ) -> Point:
        known = [one for one in tried if one.state != "failed"]
        good = min(math.ceil(0.1 * len(known)), _MOST_GOOD)
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = TPESampler(seed=seed, group=True, gamma=lambda _: good)
            study = optuna.create_study(sampler=sampler)
            study.add_trials([self._frozen(one) for one in self._representative(known, good)])
            study.add_trials([_running(self._space, point) for point in pending])
            return _suggest(self._space, study.ask())

    def _representative(self, known: Sequence[TrialResult], good: int) -> list[TrialResult]:
        """The good trials, and some of the others, evenly spread over the time."""
        ranked = sorted(known, key=lambda one: (one.score is None, self._loss(one)))
        best = {one.number for one in ranked[:good]}
        others = [one for one in known if one.number not in best]
        if len(others) > _MOST_OTHERS:
            chosen = np.linspace(0, len(others) - 1, _MOST_OTHERS).round().astype(int)
            others = [others[place] for place in chosen]
        kept = best | {one.number for one in others}
        return [one for one in known if one.number in kept]

    def _loss(self, one: TrialResult) -> float:
        return self._sign * (one.steps[-1] if one.score is None else one.score)

    def _frozen(self, one: TrialResult) -> FrozenTrial:
        return as_optuna(self._space, one, self._sign)


def _endless(space: Space, sampler: BaseSampler) -> Iterator[Point]:
    """The points of a sampler that does not look at scores.

    Every trial is asked for all hyperparameters of all models, since such a sampler takes no
    notice of a choice that depends on another.
    """
    everything = {name: kind for _, kinds in _distributions(space).items() for name, kind in kinds}
    if len(space.models) > 1:
        everything[_MODEL] = CategoricalDistribution(tuple(space.models))
    study = optuna.create_study(sampler=sampler)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = study.ask(everything)
        yield _suggest(space, trial)
        study.tell(trial, 0.0)


def _suggest(space: Space, trial: optuna.Trial) -> Point:
    """Asks an open trial for a model and for that model's hyperparameters only."""
    models = tuple(space.models)
    model = trial.suggest_categorical(_MODEL, models) if len(models) > 1 else models[0]
    values = {name: _ask(trial, name, kind) for name, kind in _distributions(space)[model]}
    return _point(space, model, values)


def _ask(trial: optuna.Trial, name: str, kind: BaseDistribution) -> Any:
    if isinstance(kind, CategoricalDistribution):
        return trial.suggest_categorical(name, kind.choices)
    if isinstance(kind, IntDistribution):
        return trial.suggest_int(name, kind.low, kind.high, step=kind.step)
    if isinstance(kind, FloatDistribution):
        return trial.suggest_float(name, kind.low, kind.high, log=kind.log)
    raise TypeError(f"no such distribution here: {kind}")


def _distributions(space: Space) -> dict[str, list[tuple[str, BaseDistribution]]]:
    """Optuna's distributions by model, under the names that Optuna knows them by."""
    return {
        model: [(_name(space, model, name), _distribution(found)) for name, found in ranges.items()]
        for model, ranges in space.models.items()
    }


def _name(space: Space, model: str, name: str) -> str:
    return name if len(space.models) == 1 else f"{model}.{name}"


def _distribution(found: Range) -> BaseDistribution:
    if isinstance(found, Choices):
        return CategoricalDistribution(tuple(map(spell, found.values)))
    if isinstance(found, Integers):
        return IntDistribution(found.start, found.values[-1], step=found.step)
    return FloatDistribution(found.low, found.high, log=found.log)


def _point(space: Space, model: str, values: Mapping[str, Any]) -> Point:
    ranges = space.models[model]
    return Point(
        model,
        {name: _value(found, values[_name(space, model, name)]) for name, found in ranges.items()},
    )


def _value(found: Range, label: Any) -> Any:
    if isinstance(found, Choices):
        return next(value for value in found.values if _label(found, value) == label)
    return label


def _label(found: Range, value: Any) -> Any:
    """A value as Optuna takes it: a choice as text, since 1, 1.0 and True are one to Python."""
    return spell(value) if isinstance(found, Choices) else value


def _params(space: Space, point: Point) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    kinds = dict(_distributions(space)[point.model])
    ranges = space.models[point.model]
    params = {
        _name(space, point.model, name): _label(ranges[name], value)
        for name, value in point.hyperparameters.items()
    }
    if len(space.models) > 1:
        kinds[_MODEL] = CategoricalDistribution(tuple(space.models))
        params[_MODEL] = point.model
    return params, kinds


def _running(space: Space, point: Point) -> FrozenTrial:
    params, kinds = _params(space, point)
    return optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=kinds)


_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def as_optuna(space: Space, one: TrialResult, sign: int = 1) -> FrozenTrial:
    """Returns a trial as Optuna has it, its scores times the sign."""
    params, kinds = _params(space, one.point)
    return optuna.trial.create_trial(
        state=_STATES[one.state],
        value=None if one.score is None else sign * one.score,
        params=params,
        distributions=kinds,
        intermediate_values={step: sign * score for step, score in enumerate(one.steps)},
    )


def find_rival(
    pruner: str, number: int, tried: Sequence[TrialResult], greater_is_better: bool
) -> list[float]:
    """Returns the fold scores that a trial is held against, none if it is not to be pruned.

    They are those of the best, or the medians, among the first half of the trials before it: those
    are done in any order of work, so that the same trials are pruned however many run at a time.
    Of halving, they are the medians of all that have a score of a sample, for each sample.

    Args:
        pruner: none, median, wilcoxon or halving.
        number: of the trial.
        tried: all trials before half of that number.
        greater_is_better: of the scores.
    """
    first = [one for one in tried if one.number < number // 2]
    if pruner == "halving":
        return _medians([one.samples for one in first])
    known = [one for one in first if one.score is not None]
    if pruner == "none" or len(known) < _LEAST_KNOWN:
        return []
    if pruner == "median":
        return [float(score) for score in np.median([one.folds for one in known], axis=0)]
    return list(best_of(known, greater_is_better).folds)


def _medians(scores: Sequence[Sequence[float]]) -> list[float]:
    """The median of each step, as far as enough have come."""
    steps = [[value for value in step if value is not None] for step in zip_longest(*scores)]
    known = takewhile(lambda step: len(step) >= _LEAST_KNOWN, steps)
    return [float(np.median(step)) for step in known]


def best_of(tried: Sequence[TrialResult], greater_is_better: bool) -> TrialResult:
    """Returns the complete trial with the best score; of equal ones, the first.

    Raises:
        InputError: there is none.
    """
    if not (best := ranked(tried, greater_is_better)):
        raise InputError("no trial has a score")
    return best[0]


def ranked(tried: Sequence[TrialResult], greater_is_better: bool) -> list[TrialResult]:
    """Returns the complete trials, the best first; of equal ones, the first."""
    sign = -1 if greater_is_better else 1
    complete = [one for one in tried if one.score is not None]
    return sorted(complete, key=lambda one: (sign * (one.score or 0.0), one.number))


def find_bar(
    model: str, tried: Sequence[TrialResult], greater_is_better: bool, count: int
) -> float | None:
    """Returns the score of the last one of so many best points of a model; None of fewer.

    A trial that is among so many in the end is so among any of them.
    """
    same = [one for one in tried if one.point.model == model]
    of_point = {one.point.key: one.score for one in ranked(same, greater_is_better)}
    best = list(of_point.values())[:count]
    return best[-1] if len(best) == count else None


def has_stalled(tried: Sequence[TrialResult], patience: int, greater_is_better: bool) -> bool:
    """Says whether none of the last `patience` of these trials, by number, was the best so far."""
    if len(tried) <= patience or not any(one.score is not None for one in tried):
        return False
    best = best_of(tried, greater_is_better)
    return len(tried) - 1 - [one.number for one in tried].index(best.number) >= patience
