"""The best trials of a sweep together, as one model that `train` makes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from common.errors import InputError
from common.words import counted, show_figure
from modelling.recipe import TOGETHER
from modelling.search.cross_validation import CrossValidation
from modelling.search.search import TrialResult, ranked
from modelling.search.together import Folds, choose_together, members_of
from steps.sweeping.loop import MOST_OF_A_MODEL, Plan
from steps.sweeping.trial import read_predicted


@dataclass(frozen=True)
class Ensemble:
    """The members with their shares of the mean, the largest first, and the scores of the folds."""

    members: Sequence[tuple[TrialResult, int]]
    score: float

    def hyperparameters(self, plan: Plan) -> dict[str, Any]:
        """Returns the members as `train` takes them: each a model with its own preprocessing."""
        models = {
            f"{one.point.model}_{one.number}".replace("__", "_"): plan.recipe.models[
                one.point.model
            ].model_copy(update={"parameters": plan.parameters(one.point)})
            for one, _ in self.members
        }
        return members_of(models, [share for _, share in self.members])

    def words(self, plan: Plan, alone: TrialResult) -> str:
        """Says what it is made of, and what it gains."""
        metric = plan.recipe.metrics.primary
        score, one = (show_figure(each or 0.0, metric=metric) for each in (self.score, alone.score))
        shares = ", ".join(
            f"trial {each.number} ({each.point.model}) x {share}" for each, share in self.members
        )
        return (
            f"the best together: {counted(len(self.members), 'model')}, {metric} {score} on the "
            f"folds (the best alone {one}): {shares}"
        )

    def table(self) -> pd.DataFrame:
        """Returns a row a member."""
        rows: list[Mapping[str, Any]] = [
            {
                "trial": one.number,
                "share": share / sum(each for _, each in self.members),
                "model": one.point.model,
                "score alone": one.score,
                "hyperparameters": str(one.point).partition(" ")[2],
                "run_id": one.run_id,
            }
            for one, share in self.members
        ]
        return pd.DataFrame(rows)


def find_ensemble(
    plan: Plan,
    tried: Sequence[TrialResult],
    validation: CrossValidation,
    read: Callable[[str], Folds] = read_predicted,
) -> Ensemble | None:
    """Returns the trials that are best together, if they are better than the best alone.

    Args:
        plan: of the sweep.
        tried: its trials.
        validation: scores what they predicted.
        read: gives that, by the run; only the best of each model have left it.
    """
    if not plan.ensemble or not plan.recipe.may_be_together:
        return None
    candidates = _candidates(plan, tried)
    known: dict[int, Folds] = {}
    for place, one in enumerate(candidates):
        with suppress(InputError):  # of a sweep that asked for none
            known[place] = read(str(one.run_id))
    if not known.keys() - {0}:
        return None
    if 0 not in known:  # the best alone, which the others are held against
        point = candidates[0].point
        known[0] = list(validation.predict(point.model, point.hyperparameters))
    candidates = [candidates[place] for place in sorted(known)]
    predicted = [known[place] for place in sorted(known)]
    better = plan.greater_is_better
    found = choose_together(predicted, lambda folds: list(validation.score(folds)), better)
    if found is None or candidates[0].number != ranked(tried, better)[0].number:
        return None
    shares = sorted(found.shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return Ensemble([(candidates[place], share) for place, share in shares], found.score)


def _candidates(plan: Plan, tried: Sequence[TrialResult]) -> list[TrialResult]:
    """The best trials of each model that needs no pickle, the best first, each point once."""
    best: dict[str, TrialResult] = {}
    count: dict[str, int] = {}
    for one in ranked(tried, plan.greater_is_better):
        model = plan.recipe.models[one.point.model]
        is_one = model.serialization == "skops" and one.point.model != TOGETHER
        if not is_one or one.point.key in best:
            continue
        count[one.point.model] = count.get(one.point.model, 0) + 1
        if count[one.point.model] <= MOST_OF_A_MODEL:
            best[one.point.key] = one
    return list(best.values())
