"""The rows that are scored, batch by batch."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as arrow
from tqdm import tqdm

from common.errors import InputError
from engine.step_log import open_terminal
from modelling.estimators.preprocessing import known_categories
from modelling.inspecting.drift import DriftCounts, profiled_answers
from modelling.tables.stream import (
    Batch,
    TableStream,
    as_frame,
    find_broken_text,
    is_numeric_category,
)
from steps.runs.trained_model import TrainedModel
from steps.runs.whole_file import whole_file
from steps.scoring.database import DatabaseTable, TableWriter, open_table
from steps.scoring.output import RejectWriter, ScoreWriter
from steps.scoring.request import TIME, VERSION, Request, has_intervals, kinds_of

_SAMPLE_ROWS = 100
_SHOWN_REJECTS = 20
_SECONDS_BETWEEN_LINES = 10.0
_ROW = "row"


@dataclass
class Result:
    """What became of the rows."""

    rows: int = 0
    scored: int = 0
    rejected: int = 0
    seconds: float = 0.0
    first_rejects: list[tuple[int, str]] = field(default_factory=list)
    sample: list[pd.DataFrame] = field(default_factory=list)

    @property
    def first_reason(self) -> str:
        """Why the first row of those was rejected; empty if none was."""
        return "row {}: {}".format(*self.first_rejects[0]) if self.first_rejects else ""


def score_all(request: Request, trained: TrainedModel, version: str, drift: DriftCounts) -> Result:
    """Scores all rows; the files appear at the end, both at once.

    Args:
        request: what to score, and where the answers go.
        trained: the model.
        version: of it, for the output.
        drift: counts the rows that are scored.

    Raises:
        InputError: there are no rows, or none can be scored; or the output cannot be written.
    """
    result = Result()
    scored_at = datetime.now(UTC).replace(microsecond=0)
    second = arrow.scalar(scored_at, arrow.timestamp("s", "UTC"))
    constants = {VERSION: arrow.scalar(version), TIME: second}
    kinds = kinds_of(trained)
    columns = list(dict.fromkeys([*request.keys, *kinds]))
    numeric = _numeric_categories(trained, drift)
    # Only there, a number that is corrected may have a comma for its point.
    separator = ";" if request.stream.decimal_comma else ","
    started = time.monotonic()
    with _told_with_its_name(request.place), ExitStack() as files:
        open_scores = _open_scores(request, files)
        rejects_path = files.enter_context(whole_file(request.rejects))
        with open_scores as scores, RejectWriter(rejects_path, columns, separator) as rejects:
            batches = request.stream.batches(columns, request.batch_rows)
            for batch in _with_progress(batches, request.stream):
                scored, reasons = _score_batch(batch, request, trained, drift, numeric)
                _write_rejects(rejects, batch, reasons, result)
                if scored is not None:
                    table = _as_batch(scored, {} if request.answers else constants)
                    scores.write(table)
                    _keep_sample(result, table)
                result.rows += len(batch.rows) + len(batch.broken)
        result.scored = result.rows - result.rejected
        if not result.rows:
            raise InputError(f"table {request.source} has no rows")
        if not result.scored:
            # The reasons are worth having, the scores are none.
            rejects_path.replace(request.rejects)
            raise InputError(
                f"none of the {result.rows} rows can be scored: {result.first_reason}; all reasons "
                f"are in {request.place_of_rejects}"
            )
    result.seconds = time.monotonic() - started
    return result


def _open_scores(
    request: Request, files: ExitStack
) -> AbstractContextManager[ScoreWriter | TableWriter]:
    """What writes the scores; a file has its name, and a table its rows, when `files` is closed."""
    if isinstance(request.output, DatabaseTable):
        return nullcontext(files.enter_context(open_table(request.output)))
    return ScoreWriter(files.enter_context(whole_file(request.output)), request.output)


@contextmanager
def _told_with_its_name(output: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"output {output} cannot be written: {error}") from error


def _score_batch(
    batch: Batch,
    request: Request,
    trained: TrainedModel,
    drift: DriftCounts,
    numeric_categories: list[str],
) -> tuple[arrow.Table | None, dict[int, str]]:
    """The key columns and answers of the rows that can be scored, and why the others cannot."""
    model = trained.pyfunc.unwrap_python_model()
    frame, reasons = as_frame(batch, model.features, request.stream, numeric_categories)
    reasons |= find_broken_text(batch, set(request.keys) - set(model.features["columns"]))
    positions = np.arange(len(frame))
    if reasons:
        positions = np.delete(positions, list(reasons))
        frame = frame.iloc[positions].reset_index(drop=True)
    if not len(frame):
        return None, reasons
    inputs, answers, problems = model.predict_valid(frame)
    reasons |= {int(positions[row]): reason for row, reason in problems.items()}
    if not len(answers):
        return None, reasons
    drift.add(inputs.drop(index=list(problems)) if problems else inputs)
    drift.add(profiled_answers(answers, model.features))
    valid = np.delete(positions, list(problems)) if problems else positions
    table = _key_values(batch, request, valid, answers)
    places = np.delete(np.arange(len(frame)), list(problems))
    for name, values in _details(request, model, frame, inputs, answers, places):
        table = table.append_column(name, arrow.array(values))
    return table, reasons


def _details(
    request: Request,
    model: Any,
    rows: pd.DataFrame,
    inputs: pd.DataFrame,
    answers: pd.DataFrame,
    places: npt.NDArray[np.int64],
) -> Iterator[tuple[str, pd.Series]]:
    """What is said of each row at these places beside its answer: how sure it is, and why."""
    if has_intervals(model) and not request.answers:
        for name, values in model.interval(inputs.iloc[places], answers).items():
            is_set = name == "prediction_set"
            yield name, values.map(lambda one: ", ".join(map(str, one))) if is_set else values
    if request.reasons:
        told = model.explain(rows.iloc[places], inputs.iloc[places], answers, request.reasons)
        yield from told.items()


def _numeric_categories(trained: TrainedModel, drift: DriftCounts) -> list[str]:
    """Of a model that knows no spellings, the categories that were numbers in training.

    By all their values or, where these are not known, the usual ones.
    """
    if "spellings" in trained.pyfunc.unwrap_python_model().features:
        return []
    known = known_categories(trained.pyfunc.unwrap_python_model().pipeline)
    return [
        name
        for name, kind in kinds_of(trained).items()
        if kind == "category" and is_numeric_category(known.get(name) or drift.values(name))
    ]


def _key_values(
    batch: Batch, request: Request, valid: npt.NDArray[np.int64], answers: pd.DataFrame
) -> arrow.Table:
    columns: dict[str, Any] = {}
    if request.keys:
        chosen = batch.table.select(request.keys)
        chosen = chosen if len(valid) == chosen.num_rows else chosen.take(arrow.array(valid))
        types = request.stream.types
        columns = {
            name: chosen[name].cast(types.get(name, chosen[name].type)) for name in request.keys
        }
    else:
        columns = {_ROW: arrow.array(batch.rows[valid])}
    named = request.answers or {str(name): str(name) for name in answers}
    own = {own: arrow.array(answers[name].to_numpy()) for name, own in named.items()}
    return arrow.table(columns | own)


def _as_batch(table: arrow.Table, constants: Mapping[str, arrow.Scalar]) -> arrow.RecordBatch:
    for name, value in constants.items():
        table = table.append_column(name, arrow.repeat(value, table.num_rows))
    return table.combine_chunks().to_batches()[0]


def _write_rejects(
    rejects: RejectWriter, batch: Batch, reasons: Mapping[int, str], result: Result
) -> None:
    if not (reasons or batch.broken):
        return
    rows = sorted(reasons)
    raw = batch.table.take(arrow.array(rows, arrow.int64())) if rows else None
    found: dict[int, tuple[str, dict[str, Any], str]] = {
        row: (reason, {}, line) for row, (reason, line) in batch.broken.items()
    }
    for place, row in enumerate(rows):
        values = {name: _raw(raw[name][place]) for name in raw.column_names} if raw else {}
        found[int(batch.rows[row])] = reasons[row], values, ""
    for number in sorted(found):
        reason, values, line = found[number]
        if len(result.first_rejects) < _SHOWN_REJECTS:
            result.first_rejects.append((number, reason))
        rejects.write(number, reason, values, line)
    result.rejected += len(found)


def _raw(value: arrow.Scalar) -> Any:
    """A value as the file has it; bytes that are no text as well as they can be shown."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.cast(arrow.binary()).as_py().decode(errors="backslashreplace")


def _keep_sample(result: Result, table: arrow.RecordBatch) -> None:
    wanted = _SAMPLE_ROWS - sum(map(len, result.sample))
    if wanted > 0:
        result.sample.append(table.slice(0, wanted).to_pandas())


def _with_progress(batches: Iterator[Batch], stream: TableStream) -> Iterator[Batch]:
    """A moving bar on a terminal, and elsewhere a line every ten seconds."""
    terminal = open_terminal()
    bar: tqdm[Any] = tqdm(
        total=stream.row_count,
        desc="score",
        unit=" rows",
        unit_scale=True,
        file=terminal,
        disable=terminal is None,
        leave=False,
    )
    said = started = time.monotonic()
    rows = 0
    with bar:
        for batch in batches:
            yield batch
            rows += len(batch.rows)
            bar.update(len(batch.rows))
            now = time.monotonic()
            if terminal is None and now - said > _SECONDS_BETWEEN_LINES:
                said = now
                of_all = f" of {stream.row_count:,}" if stream.row_count else ""
                speed = rows / (now - started)
                click.echo(f"score: {rows:,}{of_all} rows, {speed:,.0f} a second", err=True)
    if terminal:
        terminal.close()
