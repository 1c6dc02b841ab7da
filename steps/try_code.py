"""try_code: what each function and class of a recipe's own code gives for a hundred rows.

    python -m steps.try_code recipes/examples/taxi_fares.yaml

Makes no run, and writes nothing but the file of `--result`. Ends with 1 if something is wrong.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import pandas as pd

from common.errors import InputError
from common.words import counted
from engine.entry_point import run_command
from engine.failures import one_line
from engine.processes.forkserver import PROJECT
from modelling.estimators.estimators import fit_pipeline
from modelling.estimators.own_parts import check_predictions
from modelling.judging.answers import (
    Answers,
    Values,
    encode_targets,
    find_classes,
    read_answers,
)
from modelling.judging.metrics import Metric, check_gate, metrics_of
from modelling.models.sklearn_wrapper import answer
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.own_code import Files, ask_check, ask_plot, check_own_code, failures_named
from modelling.recipe import Recipe, load_recipe
from modelling.tables.rows import ask_sides
from modelling.tables.split import split_table
from modelling.tables.table import CheckedTable, check_table
from steps.runs.result import write_result
from steps.sources.read_source import read_source
from steps.sources.table_source import fetch_data
from steps.sources.workspace import Workspace, find_recipe

_ROWS = 100
_SHOWN = 3
_WIDTH = 30

Tries = Iterator[tuple[str, Callable[[], str]]]
"""What is tried, and the function that does so and says what came out."""


@click.command("try_code")
@click.argument("recipe")
@click.option("--data", default="auto")
def try_code(recipe: str, data: str) -> None:
    """Tries a recipe's own code on rows of its table, or of the one that `data` names."""
    told: list[str | None] = []
    try:
        recipe = find_recipe(recipe)
        settings = load_recipe(recipe, PROJECT)
        check_own_code(settings)
        check_gate(settings)
        source = Workspace(recipe).table(settings.data.source, data)
        table = _read(settings, source)
        checked = check_table(table, settings, source)
        for each in chain(
            _tries_of_rows(settings, table, checked), _tries(settings, checked.frame)
        ):
            told.append(_tell(*each))
    except InputError as error:
        told.append(_tell(Path(recipe).name, partial(str, error), is_wrong=True))
    wrong = [line for line in told if line]
    if wrong:
        raise ValueError(f"{counted(len(wrong), 'thing')} wrong: {'; '.join(wrong)}")


def _tell(what: str, tried: Callable[[], str], is_wrong: bool = False) -> str | None:
    """Says in one line what came out; returns the line if it is wrong."""
    try:
        words = tried()
    except Exception as error:
        words, is_wrong = one_line(error), True
    click.secho(f"{what:<{_WIDTH}} {words}", fg="red" if is_wrong else None)
    return f"{what}: {words}" if is_wrong else None


def _read(recipe: Recipe, source: str) -> pd.DataFrame:
    with TemporaryDirectory(prefix="cuvee-") as folder:
        table = read_source(PROJECT / fetch_data(recipe.data, source, Path(folder)), recipe)
    names = ", ".join(map(str, table.columns))
    _tell("data.loader" if recipe.data.loader else "data", lambda: f"{len(table):,} rows: {names}")
    return table


def _tries_of_rows(recipe: Recipe, table: pd.DataFrame, checked: CheckedTable) -> Tries:
    if recipe.data.filter:
        left_out = checked.rows_left_out.get("filter", 0)
        yield recipe.data.filter, lambda: f"leaves out {counted(left_out, 'row')}"
    for path in recipe.data.checks:
        yield path, partial(_said, path, recipe.code, checked.frame, "accepts the table")
    if recipe.split.function:
        yield recipe.split.function, partial(_split, recipe, table, checked.frame)


def _split(recipe: Recipe, table: pd.DataFrame, frame: pd.DataFrame) -> str:
    sides = ask_sides(table, recipe, frame.index)
    split = split_table(frame, recipe.data.target, recipe.split, sides)
    return f"{len(split.train_rows):,} training and {len(split.test_rows):,} test rows"


def _tries(recipe: Recipe, table: pd.DataFrame) -> Tries:
    # From all of it: the first ones may be of one class.
    places = np.unique(np.linspace(0, len(table) - 1, _ROWS).astype(int))
    rows = table.iloc[places].reset_index(drop=True)
    raw = rows.drop(columns=recipe.data.target)
    for name, path in recipe.features.functions.items():
        yield path, partial(_feature, recipe, raw, name)
    for name in recipe.models:
        yield f"models.{name}", partial(_model, recipe, rows, name)
    answered = _answer_of_chosen(recipe, rows)
    classes = find_classes(recipe, rows[recipe.data.target])
    true, answers = (
        encode_targets(rows[recipe.data.target], classes),
        read_answers(answered, classes),
    )
    metrics = metrics_of(recipe)
    for name in recipe.metrics.functions:
        yield f"metrics.{name}", partial(_figure, metrics[name], answers, true)
    for name, path in recipe.plots.items():
        yield f"plots.{name}", partial(_drawn, path, recipe.code, rows.join(answered))
    for name, path in recipe.checks.functions.items():
        told = partial(_said, path, recipe.code, rows.join(answered), "finds nothing odd")
        yield f"checks.{name}", told


def _answer_of_chosen(recipe: Recipe, rows: pd.DataFrame) -> pd.DataFrame:
    chosen, _ = recipe.choose_model("auto")
    try:
        return _answer(recipe, rows, chosen)
    except Exception as error:
        raise InputError(
            f"metrics, plots and checks are not tried: models.{chosen} gives no answers"
        ) from error


def _said(path: str, code: Files, table: pd.DataFrame, nothing: str) -> str:
    return ask_check(path, code, table) or nothing


def _figure(metric: Metric, answers: Answers, targets: Values) -> str:
    return f"{metric(answers, targets):.6g}"


def _drawn(path: str, code: Files, rows: pd.DataFrame) -> str:
    return str(ask_plot(path, code, rows))


def _feature(recipe: Recipe, raw: pd.DataFrame, name: str) -> str:
    alone = {"functions": {name: recipe.features.functions[name]}, "formulas": {}}
    features = recipe.features.model_copy(update={**alone, "quantile_scores": {}})
    values = fit_inputs(recipe.model_copy(update={"features": features}), raw).inputs[name]
    shown = ", ".join(f"{value:g}" for value in values.head(_SHOWN))
    missing = f", {values.isna().sum()} missing" if values.hasnans else ""
    return f"{shown}, … from {values.min():g} to {values.max():g}{missing}"


def _model(recipe: Recipe, rows: pd.DataFrame, name: str) -> str:
    shown = _answer(recipe, rows, name)["prediction"].head(_SHOWN)
    return f"{', '.join(map(str, shown))}, … for rows that it was fitted on"


def _answer(recipe: Recipe, rows: pd.DataFrame, name: str) -> pd.DataFrame:
    targets = rows[recipe.data.target]
    fitting = fit_inputs(recipe, rows.drop(columns=recipe.data.target))
    pipeline = unfitted_pipeline(recipe, name, {}, fitting)
    with failures_named(recipe.code):
        fitted = fit_pipeline(pipeline, fitting.inputs, targets, None, recipe.split.seed)
    check_predictions(recipe, name, fitted, fitting.inputs)
    return answer(fitted, fitting.inputs, {"decision": None})


if __name__ == "__main__":
    run_command(try_code, write_result, keep_log=False)
