"""Columns that had better be left out: identifiers of groups, and what gives the target away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from common.words import counted
from modelling.drafting.column_look import Look, show
from modelling.drafting.leaks import (
    SCORE,
    Progress,
    Score,
    find_sum,
    sample_rows,
    score_each,
    score_together,
)
from modelling.models.features import column_kinds
from modelling.recipe import Recipe

_FEWEST_GROUPS = 20
_SAME_IN_A_GROUP = 0.01
_FOLLOWS = 0.5  # of the difference of any two targets
_MANY_VALUES = 20
_LEAK = 0.995
_EASY = 0.99
_STRONG = 0.95


@dataclass
class Findings:
    """What there is to say of columns: why some had better be left out, and what to know of others.

    doubts: what is to be said on the terminal too. groups: the columns whose rows belong together.
    """

    suspects: dict[str, str]
    notes: dict[str, list[str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def note(self, names: Sequence[str], words: str) -> None:
        """Notes something of these columns together."""
        for name in names:
            self.notes.setdefault(name, []).append(words)
        first = f"{show(names[0])}: " if len(names) == 1 else ""
        self.doubts.append(first + words)


def find_suspects(
    frame: pd.DataFrame, looks: Mapping[str, Look], recipe: Recipe, progress: Progress
) -> Findings:
    """Finds what had better be left out of a table, and what must be told of it.

    Args:
        frame: (n, columns and target) as `check_table` gives them.
        looks: at each column.
        recipe: with the task, the target, and the checks of the columns that can be used.
        progress: goes through the names, and shows how far it is.
    """
    task, target, checks = recipe.task, recipe.data.target, recipe.data.columns
    found = Findings({name: looks[name].suspect for name in checks if looks[name].suspect})
    unique = frame.drop_duplicates()
    sample = unique.loc[sample_rows(unique[target], task, len(checks))]
    rest = sample[[name for name in checks if name not in found.suspects]]
    _find_groups(rest, frame, target, found)
    rest = rest.drop(columns=[name for name in rest if name in found.suspects])
    if rest.shape[1]:
        _find_leaks(rest, sample[target], recipe, progress, found)
    if len(found.suspects) == len(checks):
        kept = {
            name: [f"kept, since there is no other: {why}"] for name, why in found.suspects.items()
        }
        words = [f"{show(name)}: {why}" for name, (why,) in kept.items()]
        return Findings({}, kept, [*found.doubts, *words])
    return found


def _find_groups(rest: pd.DataFrame, frame: pd.DataFrame, target: str, found: Findings) -> None:
    """Finds identifiers that repeat, where the rows of one have one target."""
    rows = len(frame)
    names = [str(name) for name in rest if _may_identify(rest[name])]
    for name in names:
        groups = frame.groupby(name)[target]
        count: int = groups.ngroups
        if not _FEWEST_GROUPS < count <= rows / 2:
            continue
        is_number = str(frame[target].dtype) == "float64"
        spread = (
            groups.var(ddof=0).mean() / frame[target].var(ddof=0)
            if is_number
            else (groups.nunique() > 1).mean()
        )
        if spread < _SAME_IN_A_GROUP and not _follows(groups, is_number):
            found.suspects[name] = (
                f"{counted(count, 'value')} in {counted(rows, 'row')}, and the rows of one have "
                "one target: an identifier of what has several rows"
            )
            if rest[name].isna().any():
                where = "stand on both sides of the split, so that the figures promise too much"
            else:
                where = "are kept on one side of the split (group), so that the figures hold"
                found.groups.append(name)
            found.doubts.append(
                f"{show(name)} repeats: rows of one {show(name)} {where} for a new one"
            )


def _may_identify(column: pd.Series) -> bool:
    """Whether a column may number what its rows belong to: text, or whole numbers."""
    if isinstance(column.dtype, pd.StringDtype):
        return True
    return column.dtype.kind == "f" and bool((column.dropna() % 1 == 0).all())


def _follows(groups: Any, is_number: bool) -> bool:
    """Whether targets follow the order of what they are grouped by: a quantity, or grades.

    Von Neumann's ratio: neighbours of an order that tells nothing differ as any two do.
    """
    targets = groups.first()
    if is_number:
        return bool((targets.diff() ** 2).mean() < _FOLLOWS * 2 * targets.var(ddof=0))
    differ = 1 - (targets.value_counts(normalize=True) ** 2).sum()
    return bool((targets != targets.shift()).iloc[1:].mean() < _FOLLOWS * differ)


def _find_leaks(
    rest: pd.DataFrame, targets: pd.Series, recipe: Recipe, progress: Progress, found: Findings
) -> None:
    """Finds columns that give the target away, alone or a few together."""
    task, checks = recipe.task, recipe.data.columns
    kinds = column_kinds(rest, checks)
    scores = score_each(rest, kinds, targets, task, progress)
    leaks = [name for name, score in scores.items() if score.value > _LEAK]
    honest = rest.drop(columns=leaks)
    together = {
        label: score_together(honest, column_kinds(honest, checks), targets, task, label)
        for label in {scores[name].label for name in leaks if honest.shape[1]}
    }
    for name, score in scores.items():
        alone = f"alone it reaches {_in_words(score, task)}"
        others = together.get(score.label, 1.0)
        if score.value > _LEAK and others < _EASY and not _is_rule(rest[name], targets, task):
            words = f"{alone}, all others together {others:.3f}: it seems to give the target away"
            found.suspects[name] = words
        elif score.value > (_STRONG if score.label is None else _LEAK):
            found.note([name], f"{alone}: is it known when you predict?")
    if task == "regression" or recipe.is_binary:
        few, reached = find_sum(honest, kinds, targets, task, _LEAK)
        if few:
            names = f"{', '.join(map(show, few[:-1]))} and {show(few[-1])}"
            words = f"{names} together reach {SCORE[task]} {reached:.3f}: are they known when you"
            found.note(few, f"{words} predict?")


def _is_rule(column: pd.Series, targets: pd.Series, task: str) -> bool:
    """Whether classes lie on the sides of an edge in a column, each with many values of it.

    What is filled in after the fact has few values, or none, for some class.
    """
    if task == "regression" or column.dtype.kind != "f":
        return False
    groups = column.groupby(targets.to_numpy())
    return bool((groups.nunique() > np.minimum(_MANY_VALUES, groups.size() / 2)).all())


def _in_words(score: Score, task: str) -> str:
    of_class = "" if score.label is None else f" of the class {show(score.label)}"
    return f"{SCORE[task]} {score.value:.3f}{of_class}"
