"""The trials of a sweep: which are known already, which are made, and what they gave."""

import hashlib
import json
import math
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any, Protocol

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from common.tags import CACHE_KEY, ERROR, TRIAL
from common.values import as_value
from engine.failures import end_run_unless_ended
from engine.trials.trial import Trial, TrialEnd, Trials
from modelling.recipe import Recipe
from modelling.search.search import Search, TrialResult, find_bar, find_rival, has_stalled
from modelling.search.space import Point, Space
from steps.sweeping.trial import FOLD, PRUNED, SAMPLE, STATE

SWEEP = "pipeline.sweep"
CONTINUED = "pipeline.sweep_continues"
TRIALS_KEY = "pipeline.trials_key"
POINT = "pipeline.trial_point"
PREPARED = "pipeline.prepared_digest"

MOST_OF_A_MODEL = 5
"""How many trials of a model leave what they predicted, to be among the best together."""

_SECONDS_BETWEEN_LOOKS = 0.5
_MOST_ATTEMPTS = 3
_PAGE = 1000
_LOOKED_AT = 100
_FROM_BEFORE = 3


@dataclass(frozen=True)
class Plan:
    """What a sweep is to do, with every `auto` resolved; patience is None where nothing was said.

    seconds: when it ends, if not after its trials. first: the points that it begins with.
    ensemble: whether the best together may win. trials_key: of all that a trial's score depends on,
    but the point; prepared: the digest of the prepared table.
    """

    recipe: Recipe
    space: Space
    sampler: str
    pruner: str
    trials: int
    folds: int
    seed: int
    patience: int | None
    greater_is_better: bool
    trials_key: str = ""
    seconds: int | None = None
    first: Sequence[Point] = ()
    ensemble: bool = False
    prepared: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """What must be the same for a sweep to be continued, by the words for it."""
        # In its order: a grid is gone through, and a sampler draws, in that.
        space = json.dumps(asdict(self.space), default=str)
        space += "".join(point.key for point in self.first)
        return {
            "the search space": hashlib.sha256(space.encode()).hexdigest()[:16],
            "sampler": self.sampler,
            "seed": str(self.seed),
            "pruner": self.pruner,
            "folds": str(self.folds),
            "the data, the recipe, the code or the lock": self.trials_key[:16],
        }

    def parameters(self, point: Point) -> dict[str, Any]:
        """Returns the hyperparameters of a point, the recipe's included."""
        given = self.recipe.models[point.model].parameters
        return {name: as_value(value) for name, value in given.items()} | dict(
            point.hyperparameters
        )

    def key(self, point: Point) -> str:
        """Returns the key of a trial: equal for trials that must give the same."""
        model = self.recipe.models[point.model].model_dump(mode="json", exclude={"parameters"})
        # Inner models count in their order, a point's own parameters in any.
        content = [self.trials_key, model, dict(sorted(self.parameters(point).items()))]
        text = json.dumps(content, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def trial(
        self,
        number: int,
        point: Point,
        against: Sequence[TrialResult],
        given: Mapping[str, str],
    ) -> Trial:
        """Returns a trial as the engine takes it.

        Args:
            number: of the trial.
            point: what it tries.
            against: the trials that are done.
            given: the parameters of `train`.
        """
        better = self.greater_is_better
        rival = find_rival(self.pruner, number, against, better)
        bar = find_bar(point.model, against, better, MOST_OF_A_MODEL)
        parameters = {name: str(value) for name, value in self.parameters(point).items()}
        return Trial(
            number,
            f"{number} {point}"[:250],
            {**given, "model": point.model, **parameters},
            {
                TRIAL: str(number),
                POINT: point.key,
                CACHE_KEY: self.key(point),
                TRIALS_KEY: self.trials_key,
                PREPARED: self.prepared,
                "pipeline.model": point.model,
            },
            {
                "model": point.model,
                "hyperparameters": dict(point.hyperparameters),
                "rival": rival,
                "bar": bar,
            },
        )


@dataclass(frozen=True)
class KnownTrials:
    """Trials that were made before.

    by_number: of the sweep that is continued; by_key: of any, that answer the same question.
    """

    by_number: Mapping[int, TrialResult]
    by_key: Mapping[str, TrialResult]


def find_known(
    plan: Plan, experiments: Sequence[str], continued: Sequence[str], any_sweep: bool
) -> KnownTrials:
    """Finds the trials of earlier sweeps that count in this one.

    Args:
        plan: of this sweep.
        experiments: where to look.
        continued: the sweeps that this one continues: their trials keep their numbers.
        any_sweep: whether the trials of others answer for equal points.
    """
    by_number: dict[int, TrialResult] = {}
    by_key: dict[str, TrialResult] = {}
    for run in _ended_trials(plan.trials_key, experiments):
        tried = _read(run, plan)
        if tried is None:
            continue
        if run.data.tags.get(MLFLOW_PARENT_RUN_ID) in continued:
            by_number.setdefault(tried.number, tried)
        elif not any_sweep:
            continue
        if tried.state == "complete":
            by_key.setdefault(run.data.tags[CACHE_KEY], tried)
    return KnownTrials(by_number, by_key)


def best_before(plan: Plan, experiments: Sequence[str]) -> list[Point]:
    """Returns the best points of finished sweeps on the same table, as far as the space has them.

    Args:
        plan: of this sweep; what it begins with is not named again.
        experiments: where to look.
    """
    client, metric = MlflowClient(), plan.recipe.metrics.primary
    way = "DESC" if plan.greater_is_better else "ASC"
    runs = client.search_runs(
        list(experiments),
        f"tags.`{PREPARED}` = '{plan.prepared}' and attributes.status = 'FINISHED'",
        order_by=[f"metrics.`{metric}` {way}"],
        max_results=_LOOKED_AT,
    )
    found: dict[str, Point] = {}
    finished: dict[str, bool] = {}
    begun = {point.key for point in plan.first}
    for run in runs:
        point, sweep = Point.from_key(run.data.tags[POINT]), run.data.tags[MLFLOW_PARENT_RUN_ID]
        if metric not in run.data.metrics or point.key in begun or not plan.space.has(point):
            continue
        if sweep not in finished:
            finished[sweep] = client.get_run(sweep).info.status == "FINISHED"
        if finished[sweep]:
            found.setdefault(point.key, point)
    return list(found.values())[:_FROM_BEFORE]


def _ended_trials(trials_key: str, experiments: Sequence[str]) -> Iterator[Run]:
    client, token = MlflowClient(), None
    while True:
        page = client.search_runs(
            list(experiments),
            f"tags.`{TRIALS_KEY}` = '{trials_key}' and attributes.status != 'RUNNING'",
            order_by=["attributes.start_time DESC"],
            max_results=_PAGE,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _read(run: Run, plan: Plan) -> TrialResult | None:
    """A trial as its run tells of it; None if it was cut off."""
    tags, run_id = run.data.tags, run.info.run_id
    metric = plan.recipe.metrics.primary
    number, point = int(tags[TRIAL]), Point.from_key(tags[POINT])
    if run.info.status == "FAILED":
        return TrialResult(number, point, "failed", run_id=run_id, reason=tags.get(ERROR, "failed"))
    if run.info.status != "FINISHED":
        return None
    steps: dict[str, Any] = {}
    if plan.pruner != "none":
        field, suffix = ("samples", SAMPLE) if plan.pruner == "halving" else ("folds", FOLD)
        history = MlflowClient().get_metric_history(run_id, metric + suffix)
        steps[field] = tuple(one.value for one in sorted(history, key=lambda one: one.step))
    if tags.get(STATE) == PRUNED:
        return TrialResult(number, point, "pruned", run_id=run_id, **steps)
    score = run.data.metrics.get(metric)
    if score is None:
        return None
    steps["known_deviation"] = run.data.metrics.get(f"{metric}_std")
    return TrialResult(number, point, "complete", score, run_id=run_id, **steps)


class Watcher(Protocol):
    """Is told what becomes of a sweep while it runs."""

    def show(self, tried: Sequence[TrialResult], running: Mapping[int, Point]) -> None:
        """Shows the trials that are done and those that are not."""


class SweepLoop:
    """Makes the trials of a plan."""

    def __init__(
        self,
        plan: Plan,
        trials: Trials,
        known: KnownTrials,
        given: Mapping[str, str],
        watcher: Watcher,
        is_interrupted: Callable[[], bool],
    ) -> None:
        """Takes the parameters of `train` that all trials have in `given`."""
        self._plan = plan
        self._trials = trials
        self._by_number = known.by_number
        self._answers = dict(known.by_key)
        self._given = given
        self._watcher = watcher
        self._is_interrupted = is_interrupted
        self._search = Search(
            plan.space,
            plan.sampler,
            plan.trials,
            plan.seed,
            plan.greater_is_better,
            [one.point for number, one in known.by_number.items() if number < plan.trials],
            plan.first,
        )
        self._next = 0
        self._tried: list[TrialResult] = []
        self._running: dict[int, Point] = {}
        self._equal: dict[str, list[int]] = {}  # numbers by the key of the trial they wait for
        self._attempts: Counter[int] = Counter()
        self._checked = 0
        self._chosen: set[str] = set()
        # In a time, numbers are all but endless; points may not be.
        has_end = plan.seconds is not None and plan.space.is_finite
        self._points = plan.space.count() if has_end else math.inf

    def run(self) -> list[TrialResult]:
        """Makes the trials, and returns those that count, by number."""
        while not (self._is_interrupted() or self._is_done()):
            self._fill()
            self._watcher.show(self._tried, self._running)
            if self._running:
                for ended in self._trials.wait(_SECONDS_BETWEEN_LOOKS):
                    self._take(ended)
                self._watcher.show(self._tried, self._running)
        return self._tried

    def _is_done(self) -> bool:
        """Whether all are made, or none of the last ones was better; later ones do not count."""
        patience = self._plan.patience
        if patience is not None:
            whole = self._whole()
            for length in range(self._checked + 1, len(whole) + 1):
                if has_stalled(whole[:length], patience, self._plan.greater_is_better):
                    self._tried = whole[:length]
                    return True
            self._checked = len(whole)
        return not self._has_more() and not self._running

    def _has_more(self) -> bool:
        return self._next < self._plan.trials and len(self._chosen) < self._points

    def _whole(self) -> list[TrialResult]:
        """The trials that are done, up to the first one that is not."""
        pairs = takewhile(lambda pair: pair[0] == pair[1].number, enumerate(self._tried))
        return [one for _, one in pairs]

    def _fill(self) -> None:
        while self._has_more() and self._trials.free() and self._may_start():
            if self._is_interrupted():  # also where each point is known, and takes no time
                return
            number, self._next = self._next, self._next + 1
            if number in self._by_number:
                known = self._by_number[number]
                self._note(known)
                self._chosen.add(known.point.key)
                self._answers.setdefault(self._plan.key(known.point), known)
                continue
            pending = list(self._running.values())
            point = self._search.choose(number, self._tried, pending)
            key = self._plan.key(point)
            self._chosen.add(point.key)
            if key in self._answers:
                self._note(_as(self._answers[key], number, point))
            elif key in self._equal:
                self._equal[key].append(number)
            else:
                self._equal[key] = []
                self._submit(number, point)

    def _may_start(self) -> bool:
        """Whether the trials are done that the next one is held against."""
        return self._plan.pruner == "none" or len(self._whole()) >= self._next // 2

    def _submit(self, number: int, point: Point) -> None:
        self._running[number] = point
        self._trials.submit(self._plan.trial(number, point, self._tried, self._given))

    def _take(self, ended: TrialEnd) -> None:
        point = self._running.pop(ended.number)
        if ended.lost:
            self._end_lost(ended)
            self._attempts[ended.number] += 1
            if self._attempts[ended.number] < _MOST_ATTEMPTS:
                self._submit(ended.number, point)
                return
        if ended.error is not None:
            tried = TrialResult(
                ended.number, point, "failed", run_id=ended.run_id, reason=ended.error
            )
        else:
            state, score = ended.result["state"], ended.result["score"]
            steps: dict[str, Any] = {
                name: tuple(ended.result[name]) for name in ("folds", "samples")
            }
            tried = TrialResult(ended.number, point, state, score, run_id=ended.run_id, **steps)
        self._note(tried)
        key = self._plan.key(point)
        # Whatever it is: an equal point that comes while this one runs gets the same answer.
        self._answers[key] = tried
        for number in self._equal.pop(key, []):
            self._note(_as(tried, number, point))

    def _note(self, tried: TrialResult) -> None:
        insort(self._tried, tried, key=lambda one: one.number)

    def _end_lost(self, ended: TrialEnd) -> None:
        own = mlflow.active_run()
        for run in MlflowClient().search_runs(
            [own.info.experiment_id],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{own.info.run_id}' and tags.`{TRIAL}` = "
            f"'{ended.number}' and attributes.status != 'FAILED'",
        ):
            end_run_unless_ended(run.info.run_id, "KILLED", str(ended.error))


def _as(tried: TrialResult, number: int, point: Point) -> TrialResult:
    """What a trial of an equal point gave, for another number."""
    reason = tried.reason or f"the cache: run {tried.run_id}"
    return replace(tried, number=number, point=point, reason=reason)
