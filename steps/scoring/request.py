"""What is to be scored: by which model, under which names, and where the answers go."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import mlflow
import pandas as pd
import pyarrow as arrow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from common.errors import InputError, unknown_name
from engine.command_line import typed_path
from modelling.drafting.column_look import is_free_text
from modelling.judging.answers import PREDICTION, PROBABILITY_PREFIX
from modelling.recipe import Recipe
from modelling.tables.stream import TableStream, as_frame
from steps.registry.versions import get_champion
from steps.runs.trained_model import TrainedModel
from steps.scoring.database import DatabaseTable
from steps.scoring.output import check_output
from steps.sources.table_source import check_path
from tracking.output_manager import temporary_path

VERSION, TIME = "model_version", "scored_at"
"""The columns of the output that say which model scored a row, and when."""
_REJECTS = "rejects.csv"
_LOOKED_AT = 1000
_INTERVAL = re.compile(r"prediction_(low|high|set)")
_EXPLAINED = re.compile(r"base|others|explained_class|(reason|contribution)_\d+")


@dataclass(frozen=True)
class Request:
    """What to score, where the answers go, and in which steps.

    answers: by the name of an answer, its own in the output; if empty, all under their names, with
    the model's version and the time. reasons: how many of them each row is given.
    """

    source: str
    stream: TableStream
    keys: list[str]
    output: Path | DatabaseTable
    rejects: Path
    batch_rows: int
    answers: dict[str, str] = field(default_factory=dict)
    reasons: int = 0

    @property
    def place(self) -> str:
        """Where the answers go, in words."""
        return str(self.output.absolute() if isinstance(self.output, Path) else self.output)

    @property
    def place_of_rejects(self) -> str:
        """Where the rows are that cannot be scored, in words."""
        if isinstance(self.output, DatabaseTable) and self.rejects.name == _REJECTS:
            return f"{_REJECTS} of the run {mlflow.active_run().info.run_id}"
        return str(self.rejects.absolute())


def output_paths(output: str, rejects: str, overwrite: bool) -> tuple[Path | DatabaseTable, Path]:
    """Returns where the scores go, and the rejected rows.

    Raises:
        InputError: one of them cannot be written, or both are the same.
    """
    if table := DatabaseTable.read(output):
        if rejects == "auto":
            return table, temporary_path(_REJECTS)
        others = typed_path(str(check_path(rejects, "rejects")))
        check_output(others, overwrite, [".csv"])
        return table, others
    scores = typed_path(str(check_path(output, "output")))
    check_output(scores, overwrite)
    stem = scores.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")
    others = (
        scores.with_name(f"{stem}.rejects.csv")
        if rejects == "auto"
        else typed_path(str(check_path(rejects, "rejects")))
    )
    check_output(others, overwrite, [".csv"])
    if others.absolute() == scores.absolute():
        raise InputError(f"output and rejects are both {output}")
    return scores, others


def with_date(place: str) -> str:
    """Returns the place of an output, with today's date where it says {date}."""
    return place.replace("{date}", datetime.now().astimezone().date().isoformat())


def name_answers(columns: str, trained: TrainedModel, keys: list[str]) -> dict[str, str]:
    """Returns the names that the answers are to have, by their own.

    They are of the probability of the class to find, and of the prediction; none for `auto`.

    Raises:
        InputError: there are as many names as no model gives answers, or two are the same.
    """
    if columns == "auto":
        return {}
    names = [name.strip() for name in columns.split(",")]
    answers = [PREDICTION]
    decision = trained.pyfunc.unwrap_python_model().features.get("decision")
    if decision:
        answers.insert(0, f"{PROBABILITY_PREFIX}{decision['positive_class']}")
    if len(names) not in (1, len(answers)) or not all(names):
        what = "the prediction" if not decision else "the probability and the prediction"
        raise InputError(f"columns: {columns!r} are not the names of {what}")
    if len({*names, *keys}) < len(names) + len(keys):
        raise InputError(f"columns: {columns!r}: each column of the output needs a name of its own")
    return dict(zip(answers[-len(names) :], names, strict=True))


def check_details(keys: list[str], reasons: int, trained: TrainedModel) -> None:
    """Checks that no key has the name of what is said of a row beside its answer.

    Raises:
        InputError: one has.
    """
    is_sure = has_intervals(trained.pyfunc.unwrap_python_model())
    taken = [_EXPLAINED] * bool(reasons) + [_INTERVAL] * is_sure
    for name in keys:
        if any(pattern.fullmatch(name) for pattern in taken):
            raise InputError(f"key: {name!r} is the name of a column of the output")


def has_intervals(model: Any) -> bool:
    """Says whether a logged model gives intervals, or sets of classes."""
    return bool(model.features.get("intervals"))


def count_of_reasons(explain: str) -> int:
    """Returns how many reasons each row is to be given.

    Raises:
        InputError: it is neither a number from 1 on nor none.
    """
    if explain == "none":
        return 0
    if not explain.isdecimal() or int(explain) < 1:
        raise InputError(f"explain: {explain!r} is no number of reasons, such as 3, and not none")
    return int(explain)


def check_apart(source: Path, paths: tuple[Path | DatabaseTable, Path]) -> None:
    """Checks that no output is the input, or lies in its folder.

    Raises:
        InputError: one does.
    """
    inside = source.resolve()
    for path in paths:
        if isinstance(path, DatabaseTable):
            continue
        where = path.resolve()
        if where == inside or inside in where.parents:
            raise InputError(f"output {path} is the input or lies in it; choose another place")


def find_version(model_uri: str, recipe: Recipe) -> tuple[str, str]:
    """Returns what the scores name as their model, and its URI.

    An alias may move while they are made: it is looked up once.

    Raises:
        InputError: there is no such model.
    """
    if model_uri == "auto":
        champion = get_champion(recipe.name)
        return str(champion.version), f"models:/{recipe.name}/{champion.version}"
    name, _, alias = model_uri.removeprefix("models:/").partition("@")
    if alias and model_uri.startswith("models:/"):
        try:
            number = MlflowClient().get_model_version_by_alias(name, alias).version
        except MlflowException as error:
            raise InputError(f"model {model_uri} cannot be loaded: {error.message}") from error
        return str(number), f"models:/{name}/{number}"
    return model_uri.rpartition("/")[2], model_uri


def kinds_of(trained: TrainedModel) -> dict[str, str]:
    """Returns the kind of each raw column that a model reads."""
    return dict(trained.pyfunc.unwrap_python_model().features["columns"])


def key_columns(key: str, recipe: Recipe, stream: TableStream, source: str) -> list[str]:
    """Returns the columns that are copied to the output, so that its rows can be found again.

    Args:
        key: their names; auto: what the recipe drops, but for free text; or none.
        recipe: of the model.
        stream: the table.
        source: its name in words.

    Raises:
        InputError: there is no such column, or it cannot be copied.
    """
    if key == "none":
        return []
    if key == "auto":
        dropped = [
            name
            for name in recipe.data.drop
            if name in stream.columns and not _is_result(name) and _can_be_copied(name, stream)
        ]
        notes = _free_texts(dropped, stream)
        if notes:
            click.echo(f"score: not copied, as free text (key=… copies it): {', '.join(notes)}")
        return [name for name in dropped if name not in notes]
    keys = [name.strip() for name in key.split(",") if name.strip()]
    for name in keys:
        if name not in stream.columns:
            raise InputError(
                f"key, table {source}: " + unknown_name("column", name, stream.columns)
            )
        if _is_result(name):
            raise InputError(f"key: {name!r} is the name of a column of the output")
        if not _can_be_copied(name, stream):
            raise InputError(
                f"key: the values of {name!r} are lists or bytes, or of different types in the "
                f"files of {source}, and cannot be copied"
            )
    return list(dict.fromkeys(keys))


def _can_be_copied(name: str, stream: TableStream) -> bool:
    kind = stream.types.get(name, arrow.string())
    return kind is not None and not (
        arrow.types.is_nested(kind)
        or arrow.types.is_binary(kind)
        or arrow.types.is_large_binary(kind)
        or arrow.types.is_fixed_size_binary(kind)
    )


def _free_texts(names: list[str], stream: TableStream) -> list[str]:
    """Those whose first rows are sentences: no keys, and not for everybody's eyes."""
    batch = next(stream.batches(names, _LOOKED_AT), None) if names else None
    if batch is None:
        return []
    rows, _ = as_frame(batch, {"columns": dict.fromkeys(names, "category")}, stream)
    texts = [name for name in names if isinstance(rows[name].dtype, pd.StringDtype)]
    return [name for name in texts if is_free_text(rows[name].dropna())]


def _is_result(name: str) -> bool:
    return name in (PREDICTION, VERSION, TIME) or name.startswith(PROBABILITY_PREFIX)


def check_columns(request: Request, trained: TrainedModel) -> list[str]:
    """Returns the columns that are there and not used.

    Raises:
        InputError: some that the model reads are missing.
    """
    kinds = kinds_of(trained)
    columns = request.stream.columns
    missing = [name for name in kinds if name not in columns]
    unused = [name for name in columns if name not in kinds and name not in request.keys]
    if missing:
        first = unknown_name("column", missing[0], unused)
        _, near, nearest = first.partition("did you mean ")
        hint = f" (for {missing[0]!r} is it {nearest.split('?')[0]}?)" if near else ""
        raise InputError(
            f"table {request.source}: missing columns: {', '.join(missing)}{hint}; it has "
            f"{', '.join(columns)}"
            + ("; is it for another recipe (-P recipe=…)?" if 2 * len(missing) > len(kinds) else "")
        )
    return unused
