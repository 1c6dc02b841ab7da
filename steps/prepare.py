"""prepare: reads, checks, describes and splits the table.

Called with `recipe`, `data`. Leaves train.parquet and test.parquet, both as datasets of the run,
where in the table each test row stands, a profile of the columns, and the counts of rows and
duplicates.
"""

import hashlib
from pathlib import Path

import click
import mlflow
import pandas as pd

from common.errors import InputError
from common.tags import OUTPUT_DIGEST
from common.words import counted
from modelling.files.table_file import has_decimal_comma
from modelling.kinds import KINDS, ROW_KEY
from modelling.models.sklearn_wrapper import read_column
from modelling.own_code import ask_check
from modelling.recipe import Recipe
from modelling.tables.cells import read_time
from modelling.tables.digest import table_digest
from modelling.tables.rows import ask_sides
from modelling.tables.split import split_table, time_in_days
from modelling.tables.table import CheckedTable, check_table, profile_table
from steps.reporting.report import report_step
from steps.runs.names import (
    DATA_SHA256,
    IN_DAYS,
    TEST_ROW_NUMBERS,
    TRAIN_GROUPS,
    TRAIN_TIMES,
    TRAIN_WEIGHTS,
)
from steps.runs.step import load_parts, run_step, step_run
from steps.sources.read_source import read_source
from steps.sources.table_source import fetch_data, source_sha256
from steps.sources.workspace import Workspace, find_recipe
from tracking.artifacts_logger import log_config, log_dataset, log_table, make_dataset
from tracking.mlflow_manager import log_artifact, log_metrics
from tracking.output_manager import temporary_folder, temporary_path

_DIGEST_LENGTH = 36  # the longest that MLflow keeps with a dataset


@click.command()
@click.option("--recipe", required=True)
@click.option("--data", default="auto")
def prepare(recipe: str, data: str) -> None:
    """Prepares the recipe's table, or the one that `data` names."""
    settings = load_parts(recipe, "prepare")
    with step_run("prepare", settings):
        source = Workspace(find_recipe(recipe)).table(settings.data.source, data)
        path = fetch_data(settings.data, source, temporary_folder("download"))
        table = read_source(path, settings, _plain_numbers(settings))
        mlflow.set_tag(DATA_SHA256, source_sha256(path))
        log_config(settings.model_dump(mode="json"), settings.name, None)
        _write_split(settings, table, source)


def _plain_numbers(recipe: Recipe) -> list[str]:
    """The columns whose text is numbers, written in the usual way."""
    columns = recipe.data.columns.items()
    names = [name for name, check in columns if KINDS[check.type].read_as == "number"]
    formats = {name: check.format for name, check in columns}
    if recipe.task == "regression":
        names.append(recipe.data.target)
        formats[recipe.data.target] = recipe.data.target_format
    return [name for name in names if not formats[name]]


def _write_split(recipe: Recipe, table: pd.DataFrame, source: str) -> None:
    if table.attrs.get("encoding") == "cp1252" and not recipe.data.encoding:
        click.echo("prepare: the table is read as Windows-1252, since it is not UTF-8 text")
    checked = check_table(table, recipe, source)
    for path in recipe.data.checks:
        _check_by_own(path, checked.frame, recipe, source)
    _tell(checked)
    given = _read_given(table, checked, recipe, source)
    weights = checked.weights
    split = split_table(checked.frame, recipe.data.target, recipe.split, given, weights)
    left_out = {**checked.rows_left_out, "gap": split.rows_in_gap}
    if split.rows_in_gap:
        click.echo(f"prepare: {counted(split.rows_in_gap, 'row')} left out, as split.gap says")
    digests = [
        _write_side(getattr(split, name), name, source, recipe.data.target)
        for name in ("train", "test")
    ]
    # Beside the rows, whose digest is the same in whatever order the table has them.
    keys = split.rows[ROW_KEY].to_numpy()[split.test_rows]
    numbers = checked.frame.index.to_numpy()[split.test_rows] + 1
    places = pd.DataFrame({ROW_KEY: keys, "row": numbers})
    if given is not None and recipe.split.method in _RANKS:
        # By their rank: what orders or groups the folds need not be a column to train on.
        name, file = _RANKS[recipe.split.method]
        ranks = given.rank(method="dense")
        of_train = ranks.iloc[split.train_rows].to_frame(name)
        if recipe.split.gap:
            of_train[IN_DAYS] = time_in_days(given).iloc[split.train_rows]
        _log_parquet(of_train, file)
        digests.append(table_digest(of_train))
        places[name] = ranks.to_numpy()[split.test_rows]
    if weights is not None:
        of_train = weights.iloc[split.train_rows].to_frame("weight")
        _log_parquet(of_train, TRAIN_WEIGHTS)
        places["weight"] = weights.to_numpy()[split.test_rows]
        digests += map(table_digest, (of_train, places[["weight"]]))
    _log_parquet(places, TEST_ROW_NUMBERS)
    log_table(profile_table(checked.frame), "profile")
    log_metrics(
        {
            "rows": len(checked.frame),
            "columns": checked.frame.shape[1] - 1,
            "columns_left_out": len(checked.left_out),
            "train_rows": len(split.train_rows),
            "test_rows": len(split.test_rows),
            "rows_left_out": sum(left_out.values()),
            **{f"rows_left_out_{key}": n for key, n in left_out.items() if n},
            "duplicate_rows": split.duplicate_rows,
            "duplicates_across_split": split.duplicates_across_split,
        }
    )
    mlflow.set_tag("pipeline.columns_left_out", ", ".join(map(str, checked.left_out)) or "none")
    mlflow.set_tag(OUTPUT_DIGEST, hashlib.sha256("".join(digests).encode()).hexdigest())


def _tell(checked: CheckedTable) -> None:
    """Says what of the table is not trained on as it is."""
    if checked.left_out:
        click.echo(f"prepare: left out, not in the recipe: {', '.join(map(str, checked.left_out))}")
    for key, count in checked.rows_left_out.items():
        if count:
            click.echo(f"prepare: {counted(count, 'row')} left out, as data.{key} says")
    if checked.weights is not None:
        low, high = checked.weights.min(), checked.weights.max()
        click.echo(
            f"prepare: a row counts as its {checked.weights.name!r} says, {low:g} to {high:g}"
        )
    for words in checked.outside:
        click.echo(f"prepare: outside its limits: {words}")


_RANKS = {"time": ("time", TRAIN_TIMES), "group": ("group", TRAIN_GROUPS)}


def _read_given(
    table: pd.DataFrame, checked: CheckedTable, recipe: Recipe, source: str
) -> pd.Series | None:
    """What orders the rows that are trained on or tested, groups them, or says their side."""
    if recipe.split.function:
        return ask_sides(table, recipe, checked.frame.index)
    name = recipe.split.given_by
    if name is None:
        return None
    rows = table[name].reset_index(drop=True)[checked.frame.index]
    if recipe.split.column:
        return read_column(rows, "category")
    check = recipe.data.columns.get(name)
    return read_time(rows, source, check, has_decimal_comma(table))


def _check_by_own(path: str, frame: pd.DataFrame, recipe: Recipe, source: str) -> None:
    if said := ask_check(path, recipe.code, frame):
        raise InputError(f"table {source}: {said} ({path})")


def _log_parquet(frame: pd.DataFrame, name: str) -> None:
    path = temporary_path(name)
    frame.to_parquet(path, index=False)
    log_artifact(path)


def _write_side(side: pd.DataFrame, name: str, source: str, target: str) -> str:
    _log_parquet(side, f"{name}.parquet")
    digest = table_digest(side)
    dataset = make_dataset(
        side.drop(columns=ROW_KEY),
        source=source,
        targets=target,
        name=f"{Path(source).name} {name}",
        digest=digest[:_DIGEST_LENGTH],
    )
    log_dataset(dataset, context="training" if name == "train" else "testing")
    return digest


if __name__ == "__main__":
    run_step(prepare, report_step)
