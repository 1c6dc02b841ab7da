"""A recipe for a table that nobody has described yet, with the reason for each choice."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from pydantic import ValidationError

from common.errors import InputError, unknown_name
from modelling.drafting.column_look import Look, look_at_column, show
from modelling.drafting.leaks import Progress
from modelling.drafting.suspects import find_suspects
from modelling.drafting.target_look import FEWEST_ROWS, look_at_target
from modelling.drafting.tries import LEAST_ABOVE_CHANCE, reachable, try_models, with_best
from modelling.drafting.written import find_habits
from modelling.kinds import ROW_KEY
from modelling.models.sklearn_wrapper import read_column
from modelling.recipe import (
    ColumnCheck,
    Data,
    Decision,
    Metrics,
    Model,
    Recipe,
    Split,
    Sweep,
    Threshold,
)
from modelling.search.families import usual_models, usual_space
from modelling.tables.split import split_table
from modelling.tables.table import check_table

_TEMPLATE = Path(__file__).with_name("draft.yaml.j2")
_NAMESAKE = re.compile(r"(.+) \(\d+\)")
_TINY = 200
_SMALL = 1000
_MOST_SEEDS = 10  # that are tried until a split by group has each class on both sides
_RARE = 0.1
_FEWEST_TO_TUNE = 50
_FEWEST_TEST_ROWS_OF_A_CLASS = 20


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
    reading: Mapping[str, str] | None = None,
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
        reading: how the table was read, where that was said: encoding and sheet of the section
            data.

    Raises:
        InputError: there is no such column, or nothing to learn, or nothing to learn it from; with
            the row where one is wrong.
    """
    if target not in table.columns:
        several = [part.strip() for part in target.split(",")]
        if len(several) > 1 and {*several} <= {*table.columns}:
            raise InputError(f"target {target}: a recipe predicts one target; draft one for each")
        raise InputError(f"table {path}: " + unknown_name("target", target, table.columns))
    if len(table) < FEWEST_ROWS:
        raise InputError(
            f"table {path} has {len(table)} rows; at least {FEWEST_ROWS} are needed to draft from"
        )
    try:
        Data(path=path, target=target)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"table {path}: {problem}") from error
    habits = find_habits(table)
    found = look_at_target(table[target], task, path, habits)
    looks = {
        str(name): _look_at_namesake(table, str(name), look_at_column(table[name], habits))
        for name in table.columns
        if name != target
    }
    checks = _usable_checks(looks, path)
    own = {"path": path, **(reading or {}), "columns": checks, "outside_limits": "keep"}
    data = Data.model_validate({**own, **found.data})
    first = Recipe(name=name, task=found.task, data=data, models={"none": Model(estimator="none")})
    frame = check_table(table, first, path).frame
    findings = find_suspects(frame, looks, first, progress)
    suspects, notes = findings.suspects, findings.notes
    chosen = [name for name in checks if name not in suspects]
    groups = None
    if findings.groups:  # as prepare has them, for the same rows on the same side
        column = table[findings.groups[0]].reset_index(drop=True)
        groups = read_column(column[frame.index], "category")
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


def _look_at_namesake(table: pd.DataFrame, name: str, look: Look) -> Look:
    """The look at a column, and of `x (2)`, as a table's second `x` is called, what that is."""
    found = _NAMESAKE.fullmatch(name)
    if found is None or found[1] not in table or look.useless:
        return look
    if table[name].equals(table[found[1]]):
        return replace(look, useless=f"it is the same as {show(found[1])}")
    return replace(
        look, doubt=f"the table has a column {show(found[1])} before it; which is which?"
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
        gate = {name: reachable(asked, tries, name) for name, asked in recipe.gate.items()}
        recipe = with_best(recipe, tries.tried[0]).model_copy(update={"gate": gate})
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
