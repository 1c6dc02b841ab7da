"""What the target of an unknown table is: numbers or classes, and which class is to be found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from common.errors import InputError
from common.words import counted
from modelling.drafting.column_look import show
from modelling.drafting.written import Habits, Written, find_written
from modelling.models.sklearn_wrapper import is_missing, read_column
from modelling.tables.cells import label_text, read_labels

Task = Literal["regression", "classification"]

FEWEST_ROWS = 10
"""Of fewer nothing is drafted."""

_MOST_NAMED = 3

_MOST_CODES = 10
_ROWS_OF_A_CODE = 10
_FEWEST_OF_A_CLASS = 2
_POSITIVE = {
    *("true", "yes", "y", "positive", "pos", "oui", "vrai", "ja", "wahr", "si", "sí", "sim"),
    *("case", "treated", "sick", "ill", "malignant", "spam", "fraud", "churned", "abnormal"),
}
_NEGATIVE = {
    *(
        "0",
        "-1",
        "false",
        "f",
        "no",
        "n",
        "negative",
        "neg",
        "non",
        "faux",
        "nein",
        "falsch",
        "nee",
    ),
    *("não", "nao", "none", "control", "placebo", "healthy", "well", "benign", "ham", "normal"),
    *("untreated", "absent", "nothing", "other", "good", "ok", "never"),
}


@dataclass(frozen=True)
class TargetLook:
    """What was seen of the target: the task, and what the recipe's section data says of it."""

    task: Task
    reason: str
    data: Mapping[str, Any]
    positive_reason: str
    doubts: Sequence[str]


def look_at_target(column: pd.Series, asked: str, path: str, habits: Habits) -> TargetLook:
    """Looks at the target.

    Args:
        column: (n,) its raw values, under its name.
        asked: regression, classification, or auto: as they look.
        path: of the table, for errors.
        habits: how the table writes numbers and dates.

    Raises:
        InputError: there is nothing to learn, or too few rows have a target.
    """
    name = str(column.name)
    known = column[~is_missing(column)]
    written = find_written(known, habits)
    if written.kind in ("category", "boolean"):
        known = column[label_text(column).notna()]
    task, reason = _find_task(known, written, asked, f"table {path}: target {name!r}")
    data: dict[str, Any] = {"target": name}
    doubts = [f"{show(name)}: {written.doubt}"] if written.doubt else []
    positive_reason = ""
    missing = is_missing(column) if task == "regression" else label_text(column).isna()
    if task == "regression":
        data["target_format"] = written.form
    else:
        labels = read_labels(column[~missing])
        counts = labels.value_counts()
        rare = counts[counts < _FEWEST_OF_A_CLASS]
        if len(rare) and len(counts) - len(rare) > 1:
            data["rare_classes"] = "drop"
            doubts.append(
                f"{show(name)}: {counted(len(rare), 'row')} left out, the only one of its class: "
                + ", ".join(show(label) for label in rare.index[:_MOST_NAMED])
            )
            counts = counts.drop(rare.index)
        doubts += _alike(name, counts.index)
        data["positive_class"], positive_reason = _find_positive(counts)
    if missing.any():
        data["missing_target"] = "drop"
        doubts.append(f"{show(name)}: {counted(int(missing.sum()), 'row')} without it left out")
        if len(column) - missing.sum() < FEWEST_ROWS:
            raise InputError(
                f"table {path} has {len(column) - missing.sum()} rows with a target; at least "
                f"{FEWEST_ROWS} are needed to draft from"
            )
    return TargetLook(task, reason, data, positive_reason, doubts)


def _alike(name: str, labels: pd.Index) -> list[str]:
    """Labels that somebody may have meant to be one."""
    texts = [label for label in labels if isinstance(label, str)]
    same: dict[str, list[str]] = {}
    for text in texts:
        same.setdefault(" ".join(text.casefold().split()), []).append(text)
    return [
        f"{show(name)}: {' and '.join(map(repr, found))} are {len(found)} classes, though they "
        "differ in capitals or blanks only; write them alike if they are one"
        for found in same.values()
        if len(found) > 1
    ]


def _find_task(known: pd.Series, written: Written, asked: str, place: str) -> tuple[Task, str]:
    """The task, and why."""
    kind = written.kind
    is_text = kind in ("category", "boolean")
    values = label_text(known) if is_text else read_column(known, kind, written.form)
    _check_target(values, kind, place)
    if asked == "classification":
        return "classification", "as asked for"
    if asked == "regression":
        return "regression", "as asked for"
    if is_text:
        return "classification", f"{values.nunique()} different texts"
    least, most = f"{values.min():g}", f"{values.max():g}"
    if values.nunique() == 2 and (values % 1 == 0).all():
        return "classification", f"two values, {least} and {most}"
    if _are_codes(values):
        return "classification", f"whole numbers from {least} to {most}; else -P task=regression"
    return "regression", f"numbers from {least} to {most}"


def _check_target(values: pd.Series, kind: str, place: str) -> None:
    if values.empty:
        raise InputError(f"{place} is empty")
    if values.nunique() == 1:
        raise InputError(
            f"{place} is constant, always {show(values.iloc[0])}: there is nothing to learn"
        )
    if kind == "date":
        raise InputError(f"{place} holds dates; numbers and classes can be predicted")
    if kind == "category" and values.nunique() == len(values):
        raise InputError(
            f"{place} is text that differs in every row: neither numbers nor classes to predict"
        )


def _are_codes(values: pd.Series) -> bool:
    """Whether numbers look like the codes of classes: few, from 0 or 1 on without a gap."""
    counts = values.value_counts()
    distinct = len(counts)
    return bool(
        (values % 1 == 0).all()
        and values.min() in (0, 1)
        and values.max() - values.min() == distinct - 1
        and distinct <= _MOST_CODES
        and len(values) >= _ROWS_OF_A_CODE * distinct
        and counts.min() > 1
    )


def _find_positive(counts: pd.Series) -> tuple[Any, str]:
    """The positive class of two, as the table writes it, and why; None of more.

    Args:
        counts: (classes,) rows of each label, the most frequent first.
    """
    if len(counts) != 2:
        return None, ""
    shares = counts / counts.sum()
    words = [str(label).strip().lower() for label in shares.index]
    for number, other in ((0, 1), (1, 0)):
        if words[other] in _NEGATIVE and words[number] not in _NEGATIVE:
            return _plain_label(shares.index[number]), f"{shares.iloc[number]:.1%} of the rows"
    for number in (0, 1):
        if words[number] in _POSITIVE and words[1 - number] not in _POSITIVE:
            return _plain_label(shares.index[number]), f"{shares.iloc[number]:.1%} of the rows"
    return _plain_label(shares.index[1]), f"the rarer one, {shares.iloc[1]:.1%} of the rows"


def _plain_label(label: Any) -> bool | int | str:
    """A label as YAML writes it."""
    if isinstance(label, bool | np.bool_):
        return bool(label)
    return label if isinstance(label, str) else int(label)
