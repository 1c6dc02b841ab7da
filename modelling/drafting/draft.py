"""A recipe for a table that nobody has described yet, with the reason for each choice."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jinja2
import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from common.errors import InputError, unknown_name
from common.words import counted
from modelling.drafting.column_look import Look, look_at_column, show
from modelling.drafting.leaks import (
    SCORE,
    Progress,
    Score,
    find_sum,
    sample_rows,
    score_each,
    score_together,
)
from modelling.drafting.tries import LEAST_ABOVE_CHANCE, reachable, try_models
from modelling.drafting.written import Habits, Written, find_habits, find_written
from modelling.kinds import ROW_KEY
from modelling.models.features import column_kinds
from modelling.models.sklearn_wrapper import is_missing, read_column
from modelling.recipe import (
    ColumnCheck,
    Data,
    Decision,
    Metrics,
    Model,
    Recipe,
    Split,
    Sweep,
    Target,
    Threshold,
)
from modelling.search.families import usual_models, usual_space
from modelling.tables.split import split_table
from modelling.tables.table import check_table, label_text, read_labels

Task = Literal["regression", "classification"]

_TEMPLATE = Path(__file__).with_name("draft.yaml.j2")
_FEWEST_ROWS = 10
_MOST_CODES = 10
_ROWS_OF_A_CODE = 10
_TINY = 200
_SMALL = 1000
_MOST_NAMED = 3
_FEWEST_GROUPS = 20
_MOST_SEEDS = 10  # that are tried until a split by group has each class on both sides
_SAME_IN_A_GROUP = 0.01
_FOLLOWS = 0.5  # of the difference of any two targets
_MANY_VALUES = 20
_RARE = 0.1
_FEWEST_TO_TUNE = 50
_FEWEST_TEST_ROWS_OF_A_CLASS = 20
_LEAK = 0.995
_EASY = 0.99
_STRONG = 0.95
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
class Draft:
    """A recipe, and why it is as it is.

    seen: of each column to train on, what it holds. dropped: why each dropped column is; keep: the
    check that it would have, if it can be used as it is. task_reason, positive_reason and
    split_reason: in words. dates: the columns by whose time the table could be split. doubts: in
    words, what only whoever knows the table can say. tried: in words, what the models reached.
    """

    recipe: Recipe
    rows: int
    seen: Mapping[str, str]
    dropped: Mapping[str, str]
    keep: Mapping[str, ColumnCheck]
    task_reason: str
    positive_reason: str
    split_reason: str
    dates: Sequence[str]
    doubts: Sequence[str] = ()
    tried: Sequence[str] = ()


def draft_recipe(
    table: pd.DataFrame,
    target: str,
    name: str,
    path: str,
    task: str = "auto",
    progress: Progress = iter,
    seconds: float = 0.0,
    trying: Progress = iter,
) -> Draft:
    """Looks at a table and drafts a recipe that its `prepare` accepts.

    Args:
        table: as `read_table` gives it.
        target: the column to predict.
        name: of the recipe.
        path: of the table, as it is to stand in the recipe.
        task: regression, classification, or auto: as the target looks.
        progress: goes through names of columns, and shows how far it is.
        seconds: how long the models may be tried on folds of the training rows.
        trying: goes through the models, and shows how far it is.

    Raises:
        InputError: there is no such column, or nothing to learn, or nothing to learn it from; with
            the row where one is wrong.
    """
    if target not in table.columns:
        several = [part.strip() for part in target.split(",")]
        if len(several) > 1 and {*several} <= {*table.columns}:
            raise InputError(f"target {target}: a recipe predicts one target; draft one for each")
        raise InputError(f"table {path}: " + unknown_name("target", target, table.columns))
    if len(table) < _FEWEST_ROWS:
        raise InputError(
            f"table {path} has {len(table)} rows; at least {_FEWEST_ROWS} are needed to draft from"
        )
    try:
        Data(path=path, target=target)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"table {path}: {problem}") from error
    habits = find_habits(table)
    found = _look_at_target(table[target], task, path, habits)
    looks = {
        str(name): look_at_column(table[name], habits) for name in table.columns if name != target
    }
    checks = _usable_checks(looks, path)
    own = {"path": path, "columns": checks, "outside_limits": "keep"}
    data = Data.model_validate({**own, **found.data})
    first = Recipe(name=name, task=found.task, data=data, models={"none": Model(estimator="none")})
    frame = check_table(table, first, path).frame
    findings = _find_suspects(frame, looks, first, progress)
    suspects, notes = findings.suspects, findings.notes
    chosen = [name for name in checks if name not in suspects]
    groups = frame[findings.groups[0]] if findings.groups else None
    split, split_reason = _find_split(frame[[*chosen, target]], target, found.task, groups)
    left = {
        "drop": [name for name in looks if name not in chosen],
        "columns": {name: checks[name] for name in chosen},
    }
    data = Data.model_validate({**dict(data), **left})
    recipe = _finish(first, data, split, frame[target], groups)
    tried: Sequence[str] = ()
    if seconds > 0:
        recipe, tried = choose_best(recipe, frame[[*chosen, target]], groups, seconds, trying)
    return Draft(
        recipe=recipe,
        rows=len(frame),
        seen={name: "; ".join([looks[name].seen, *notes.get(name, [])]) for name in chosen},
        dropped={name: looks[name].useless or suspects[name] for name in data.drop},
        keep={name: check for name in data.drop if (check := looks[name].check)},
        task_reason=found.reason,
        positive_reason=found.positive_reason,
        split_reason=split_reason,
        dates=[name for name in chosen if checks[name].type == "date"],
        doubts=[
            *found.doubts,
            *(f"{show(name)}: {look.doubt}" for name, look in looks.items() if look.doubt),
            *findings.doubts,
        ],
        tried=tried,
    )


def _usable_checks(looks: Mapping[str, Look], path: str) -> dict[str, ColumnCheck]:
    """What the recipe would say of each column that something can be learnt from."""
    found = {name: look.check for name, look in looks.items() if look.check and not look.useless}
    if not found:
        reasons = "; ".join(f"{show(name)!r}: {look.useless}" for name, look in looks.items())
        raise InputError(
            f"table {path} has no column to learn from beside the target"
            + (f" ({reasons})" if reasons else "")
        )
    return found


def recipe_name(text: str) -> str:
    """Turns the name of a file into one that a recipe may have."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", ascii_text).strip("_").lower()[:100] or "table"


def render_draft(draft: Draft, source: str, command: str, schema: str = "") -> str:
    """Writes a draft as YAML with comments.

    Args:
        draft: what to write.
        source: the name of the table's file.
        command: runs it.
        schema: where the JSON schema of recipes is, from the draft, for editors; empty if nowhere.

    Raises:
        AssertionError: the text would not be read as this recipe.
    """
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - it writes YAML, and quotes by the filter below
    )
    environment.filters |= {"yaml": _yaml, "plain": _plain, "show": show}
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    words = {"source": source, "command": command, "schema": schema}
    text = template.render(draft=draft, recipe=draft.recipe, **words)
    if Recipe.model_validate(yaml.safe_load(text)) != draft.recipe:
        raise AssertionError(f"the text of the recipe {draft.recipe.name} is not its content")
    return text


def _plain(section: ColumnCheck | Threshold) -> dict[str, Any]:
    """A section as a recipe writes it: nothing that need not be said, 16 in place of 16.0."""
    content = section.model_dump(exclude_defaults=True)
    if isinstance(section, ColumnCheck):
        content = {"type": section.type, **content}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in content.items()
    }


def _yaml(value: Any) -> str:
    """A value on one line of YAML, quoted where it must be."""
    if isinstance(value, str) and not value.isprintable():
        text = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf)
    else:
        text = yaml.safe_dump(
            value, default_flow_style=True, allow_unicode=True, width=math.inf, sort_keys=False
        )
    return text.removesuffix("\n").removesuffix("\n...")


@dataclass(frozen=True)
class _Target:
    """What was seen of the target: the task, and what the recipe's section data says of it."""

    task: Task
    reason: str
    data: Mapping[str, Any]
    positive_reason: str
    doubts: Sequence[str]


def _look_at_target(column: pd.Series, asked: str, path: str, habits: Habits) -> _Target:
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
        if len(column) - missing.sum() < _FEWEST_ROWS:
            raise InputError(
                f"table {path} has {len(column) - missing.sum()} rows with a target; at least "
                f"{_FEWEST_ROWS} are needed to draft from"
            )
    return _Target(task, reason, data, positive_reason, doubts)


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


@dataclass
class _Findings:
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


def _find_suspects(
    frame: pd.DataFrame, looks: Mapping[str, Look], recipe: Recipe, progress: Progress
) -> _Findings:
    task, target, checks = recipe.task, recipe.data.target, recipe.data.columns
    found = _Findings({name: looks[name].suspect for name in checks if looks[name].suspect})
    unique = frame.drop_duplicates()
    sample = unique.loc[sample_rows(unique[target], task)]
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
        return _Findings({}, kept, [*found.doubts, *words])
    return found


def _find_groups(rest: pd.DataFrame, frame: pd.DataFrame, target: str, found: _Findings) -> None:
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
        is_text = isinstance(rest[name].dtype, pd.StringDtype)
        if spread < _SAME_IN_A_GROUP and (is_text or not _follows(groups, is_number)):
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
    """Whether targets follow the numbers that they are grouped by, which then are a quantity.

    Von Neumann's ratio: neighbours of an order that tells nothing differ as any two do.
    """
    targets = groups.first()
    if is_number:
        return bool((targets.diff() ** 2).mean() < _FOLLOWS * 2 * targets.var(ddof=0))
    differ = 1 - (targets.value_counts(normalize=True) ** 2).sum()
    return bool((targets != targets.shift()).iloc[1:].mean() < _FOLLOWS * differ)


def _find_leaks(
    rest: pd.DataFrame, targets: pd.Series, recipe: Recipe, progress: Progress, found: _Findings
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


def _find_split(
    frame: pd.DataFrame, target: str, task: str, groups: pd.Series | None
) -> tuple[Split, str]:
    """How to split, and why: by content, unless a class or the table is too small for that."""
    rows = len(frame) if groups is None else groups.nunique()
    size = 0.3 if rows < _TINY else 0.25 if rows < _SMALL else 0.2
    if groups is not None:
        for seed in range(_MOST_SEEDS):
            settings = {"method": "group", "column": str(groups.name)}
            split = Split.model_validate({**settings, "test_size": size, "seed": seed})
            with suppress(InputError):
                split_table(frame, target, split, groups)
                return split, f"all rows of one {show(groups.name)} on one side"
    reasons = {
        "hash": "by content: a row stays on its side when the table grows",
        "random": "by content, one side would be too small",
    }
    if task == "classification":
        rarest = int(frame[target].value_counts().min())
        size = max(size, math.ceil(100 / rarest) / 100)
        reasons.pop("random")
        reasons["stratified"] = f"as many of each class on both sides; the rarest has {rarest} rows"
        if rarest < _RARE * rows or rarest * size < _FEWEST_TEST_ROWS_OF_A_CLASS:
            reasons.pop("hash")
    *others, last = reasons
    for method in others:
        with suppress(InputError):
            return _try_split(frame, target, method, size), reasons[method]
    return _try_split(frame, target, last, size), reasons[last]


def _try_split(frame: pd.DataFrame, target: str, method: str, size: float) -> Split:
    """The split, if the table can be split like that; else InputError says why not."""
    split = Split.model_validate({"method": method, "test_size": size})
    split_table(frame, target, split)
    return split


def _finish(
    first: Recipe, data: Data, split: Split, targets: pd.Series, groups: pd.Series | None
) -> Recipe:
    """Chooses models, metrics, decision and gate."""
    models = usual_models(len(targets), first.task)
    spaces = {name: dict(usual_space(model.estimator)) for name, model in models.items()}
    primary, decision = "rmse", Decision()
    gate = {"rmse": Threshold(min_relative_change=0.05)}
    if first.task == "classification":
        counts = targets.value_counts()
        primary = "roc_auc"
        # Many rows of a group tell no more of chance than one.
        alone = counts if groups is None else targets[~groups.duplicated()].value_counts()
        gate = {"roc_auc": Threshold(min_absolute_change=_beyond_chance(alone, split))}
        if first.is_binary and counts.min() < _RARE * len(targets):
            primary = "average_precision"
            if counts.min() >= _FEWEST_TO_TUNE:
                decision = Decision(threshold="tuned", metric="f1")
    return Recipe(
        name=first.name,
        task=first.task,
        data=data,
        split=split,
        decision=decision,
        default_model=_default_model(models, len(targets)),
        models=models,
        sweep=Sweep(models=tuple(models), space=spaces),
        metrics=Metrics(primary=primary),
        gate=gate,
    )


def choose_best(
    recipe: Recipe,
    frame: pd.DataFrame,
    groups: pd.Series | None,
    seconds: float,
    trying: Progress = iter,
) -> tuple[Recipe, list[str]]:
    """Makes the best of a recipe's models its default, whose gate asks for no more than it reached.

    Args:
        recipe: a draft's.
        frame: (n, columns and target) of all rows; the models see the training rows only.
        groups: (n,) of a split by group.
        seconds: how long models may be tried.
        trying: goes through the models, and shows how far it is.

    Returns:
        The recipe, and in words what the models reached.
    """
    split = split_table(frame, recipe.data.target, recipe.split, groups)
    rows = split.train.drop(columns=ROW_KEY)
    of_rows = None
    if groups is not None:
        of_rows = groups.iloc[split.train_rows].reset_index(drop=True)
    tries = try_models(recipe, rows, seconds, trying, of_rows)
    if tries.tried:
        best = tries.tried[0]
        changed = {
            "default_model": best.model,
            "target": Target.model_validate({"transform": best.transform}),
            "gate": {name: reachable(asked, tries, name) for name, asked in recipe.gate.items()},
        }
        recipe = recipe.model_copy(update=changed)
    return recipe, [*tries.words(next(iter(recipe.models)))]


def _default_model(models: Mapping[str, Model], rows: int) -> str:
    """Untried, the linear one for small tables, boosting for others."""
    if rows < _SMALL:
        return next(iter(models))
    return "gradient_boosting" if "gradient_boosting" in models else "hist_gradient_boosting"


def _beyond_chance(counts: pd.Series, split: Split) -> float:
    """By how much a ROC AUC must be above 0.5 not to be chance: twice its standard deviation.

    That of the Mann-Whitney statistic for the test rows of the rarest class against all others, in
    twentieths, at least one and at most five.
    """
    rare = counts.min() * split.test_size
    others = (counts.sum() - counts.min()) * split.test_size
    deviation = math.sqrt((rare + others + 1) / (12 * rare * others))
    return min(0.25, max(LEAST_ABOVE_CHANCE, math.ceil(40 * deviation) / 20))
