"""What is odd about a model, its search or its table: a check looks at facts and says one thing.

A recipe mutes a check by its code, under `checks.mute`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.words import counted, three_digits
from modelling.recipe import CheckCode

SEVERE, NOTE = "severe", "note"

_MOST_NAMED = 3
_LONGEST_NAME = 40
_GIVES_AWAY = 0.95
_LOST = 0.5
_WORTH_SAYING = 0.02
_MUCH_SLOWER = 10
_NOT_SLOW = 0.1  # seconds for 1,000 rows


@dataclass(frozen=True)
class PlainModel:
    """A gradient boosting without any settings, on the same columns and test rows.

    figure: what it reaches there; is_better, is_worse: than the model, by more than chance;
    seconds: that it takes to predict 1,000 rows.
    """

    figure: float
    is_better: bool
    is_worse: bool
    seconds: float


@dataclass(frozen=True)
class Facts:
    """What is known; a check that lacks what it looks at says nothing, not even that all is well.

    metric: the one that decides, with its figures of the test rows, of the training rows and of the
    naive baseline; seconds: that the model takes to predict 1,000 rows; importance: by column, how
    much worse the metric gets without it, and the deviation of that; explained: by column, the
    share of the target that it explains alone; apart: by column whose distribution differs between
    the sides, its population stability index; edges: hyperparameters at the end of what was
    searched; few_rows, bad_slice: sentences; left_out: number of rows by the key that says so.
    """

    metric: str = ""
    greater_is_better: bool = False
    test: float = math.nan
    train: float = math.nan
    naive: float = math.nan
    plain: PlainModel | None = None
    seconds: float | None = None
    importance: Mapping[str, tuple[float, float]] | None = None
    explained: Mapping[str, float] | None = None
    apart: Mapping[str, float] | None = None
    edges: Sequence[str] | None = None
    few_rows: str | None = None
    bad_slice: str | None = None
    target: str = ""
    shared_rows: int | None = None
    rows: int | None = None
    duplicate_rows: int | None = None
    left_out: Mapping[str, int] | None = None
    constant: Sequence[str] | None = None


@dataclass(frozen=True)
class Check:
    """A check: find returns a sentence; empty if all is well, and None if it cannot tell."""

    code: CheckCode
    title: str
    severity: str
    find: Callable[[Facts], str | None]


@dataclass(frozen=True)
class Finding:
    """What came of a check: a sentence, or nothing where all is well.

    severity: `severe` (the figures or the model are not to be trusted as they are) or `note`.
    """

    code: str
    title: str
    severity: str
    sentence: str


def run_checks(facts: Facts) -> list[Finding]:
    """Returns what came of each check whose facts are known."""
    found = ((check, check.find(facts)) for check in CHECKS)
    return [
        Finding(check.code, check.title, check.severity, sentence)
        for check, sentence in found
        if sentence is not None
    ]


def first_of_each(findings: Iterable[Finding], mute: Iterable[str]) -> list[Finding]:
    """Returns one finding of each code that is not muted: the first; what was found comes first."""
    by_code: dict[str, Finding] = {}
    for finding in findings:
        by_code.setdefault(finding.code, finding)
    kept = [finding for code, finding in by_code.items() if code not in mute]
    order = {SEVERE: 0, NOTE: 1}
    return sorted(kept, key=lambda one: (not one.sentence, order.get(one.severity, 1)))


def _overfitting(facts: Facts) -> str | None:
    if facts.plain is None or not math.isfinite(facts.train):
        return None
    if not _is_learned_by_heart(facts):
        return ""
    train, test = three_digits(facts.train), three_digits(facts.test)
    return (
        f"{facts.metric} is {train} on the training rows and {test} on the test rows: the model "
        "learned the rows by heart. A gradient boosting without any settings reaches "
        f"{three_digits(facts.plain.figure)}"
    )


def _is_learned_by_heart(facts: Facts) -> bool:
    """Whether half of what it gains over the naive baseline is lost on rows that it has not seen.

    A forest always loses much of it, and is good nevertheless: so a plain model must be better.
    Where the sides differ, that may be why.
    """
    if facts.apart:
        return False
    sign = 1 if facts.greater_is_better else -1
    of_training, of_test = (sign * (figure - facts.naive) for figure in (facts.train, facts.test))
    is_lost = of_training > 0 and of_training - of_test >= _LOST * of_training
    return is_lost and facts.plain is not None and facts.plain.is_better


def _plain_model(facts: Facts) -> str | None:
    plain = facts.plain
    if plain is None:
        return None
    gap = abs(plain.figure - facts.test)
    is_worth_saying = plain.is_better and gap >= _WORTH_SAYING * abs(facts.test)
    if not is_worth_saying or _is_learned_by_heart(facts):
        return ""
    return (
        f"A gradient boosting without any settings reaches {facts.metric} "
        f"{three_digits(plain.figure)} on the same test rows, where this model has "
        f"{three_digits(facts.test)}: more than chance"
    )


def _slow(facts: Facts) -> str | None:
    plain = facts.plain
    if plain is None or facts.seconds is None:
        return None
    is_slow = facts.seconds > max(_NOT_SLOW, _MUCH_SLOWER * plain.seconds)
    if not is_slow or plain.is_worse:
        return ""
    return (
        f"It takes {facts.seconds:.2g} s to predict 1,000 rows; a gradient boosting takes "
        f"{plain.seconds:.2g} s and is no worse"
    )


def _useless_columns(facts: Facts) -> str | None:
    if facts.importance is None:
        return None
    useless = [name for name, (mean, deviation) in facts.importance.items() if mean <= deviation]
    if not useless:
        return ""
    return (
        f"{_listed(useless)}: without {'it' if len(useless) == 1 else 'them'} {facts.metric} is "
        "no worse"
    )


def _leak(facts: Facts) -> str | None:
    if facts.explained is None:
        return None
    given = {name: share for name, share in facts.explained.items() if share >= _GIVES_AWAY}
    if not given:
        return ""
    each = _listed([f"{_shown(name)} alone explains {share:.0%}" for name, share in given.items()])
    return f"{each} of {_shown(facts.target)}: is that known when a prediction is asked for?"


def _shared_rows(facts: Facts) -> str | None:
    if facts.shared_rows is None:
        return None
    if not facts.shared_rows:
        return ""
    rows = counted(facts.shared_rows, "test row stands", "test rows stand")
    return f"{rows} among the training rows too: the figures are better than they will be"


def _drift(facts: Facts) -> str | None:
    if facts.apart is None:
        return None
    if not facts.apart:
        return ""
    each = [f"{_shown(name)} ({index:.2f})" for name, index in facts.apart.items()]
    return (
        f"{_listed(each)}: the test rows are not like the training rows (population stability "
        "index above 0.25)"
    )


def _search_edge(facts: Facts) -> str | None:
    if facts.edges is None:
        return None
    return f"{_listed(facts.edges)}: a wider range may have a better one" if facts.edges else ""


def _left_out_rows(facts: Facts) -> str | None:
    if facts.left_out is None:
        return None
    each = [f"{number:,} by {key}" for key, number in facts.left_out.items() if number]
    return f"Rows of the table that do not count: {', '.join(each)}" if each else ""


def _duplicate_rows(facts: Facts) -> str | None:
    if facts.duplicate_rows is None or not facts.rows:
        return None
    number = facts.duplicate_rows
    if not number:
        return ""
    return f"{number:,} of {facts.rows:,} rows, {number / facts.rows:.1%}, are like another one"


def _constant_columns(facts: Facts) -> str | None:
    if facts.constant is None:
        return None
    return f"{_listed(facts.constant)}: the same in all training rows" if facts.constant else ""


CHECKS = (
    Check("few_rows", "Too few test rows to tell", SEVERE, lambda facts: facts.few_rows),
    Check("leak", "A column gives the target away", SEVERE, _leak),
    Check("shared_rows", "Test rows that were trained on", SEVERE, _shared_rows),
    Check("overfitting", "Overfitting", SEVERE, _overfitting),
    Check("bad_slice", "Much worse for some", NOTE, lambda facts: facts.bad_slice),
    Check("plain_model", "A plain model is better", NOTE, _plain_model),
    Check("search_edge", "Best value at the edge of the search", NOTE, _search_edge),
    Check("drift", "Test rows that are not like the training rows", NOTE, _drift),
    Check("slow", "Slow, and no better for it", NOTE, _slow),
    Check("useless_columns", "Columns that do not help", NOTE, _useless_columns),
    Check("constant_columns", "Columns with a single value", NOTE, _constant_columns),
    Check("left_out_rows", "Rows that are left out", NOTE, _left_out_rows),
    Check("duplicate_rows", "Rows that are alike", NOTE, _duplicate_rows),
)


def _listed(words: Sequence[str]) -> str:
    shown = [_shown(word, 2 * _LONGEST_NAME) for word in words[:_MOST_NAMED]]
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return ", ".join(shown) + more


def _shown(value: Any, longest: int = _LONGEST_NAME) -> str:
    text = str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
