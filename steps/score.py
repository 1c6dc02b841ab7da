"""score: a model on a table of any size, batch by batch.

Called with `recipe`, `model_uri`, `input`, `output`, `rejects`, `key`, `columns`, `explain`,
`overwrite`, `batch_rows`. Leaves the scores in the input's order, whole or not at all; the rows
that cannot be scored, with the reason, in a file of their own; and on its run the counts, a sample,
and the drift of the rows against those that the model was trained on.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as arrow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE
from tqdm import tqdm

from common.errors import InputError, unknown_name
from engine.command_line import typed_path
from engine.step_log import open_terminal
from modelling.drafting.column_look import is_free_text
from modelling.estimators.preprocessing import known_categories
from modelling.inspecting.drift import DriftCounts, profiled_answers
from modelling.judging.answers import PREDICTION, PROBABILITY_PREFIX
from modelling.recipe import Recipe
from modelling.reporting.markdown import paragraphs
from modelling.tables.stream import Batch, TableStream, as_frame, is_numeric_category, open_stream
from steps.registry.versions import get_champion
from steps.reporting.report import report_step
from steps.runs.drift import drift_counts, in_words, log_drift
from steps.runs.names import DRIFT, MODEL_DIGEST, MODEL_ID, MODEL_VERSION
from steps.runs.step import load_parts, run_step, step_run
from steps.runs.trained_model import TrainedModel, check_recent, load_trained
from steps.runs.whole_file import whole_file
from steps.scoring.database import DatabaseTable, TableWriter, open_table
from steps.scoring.output import RejectWriter, ScoreWriter, check_output
from steps.sources.table_source import check_path, fetch_table
from steps.sources.workspace import Workspace, find_recipe
from tracking.artifacts_logger import log_table
from tracking.mlflow_manager import log_artifact, log_metrics
from tracking.output_manager import temporary_folder, temporary_path

_SAMPLE_ROWS = 100
_SHOWN_REJECTS = 20
_REJECTS = "rejects.csv"
_LOOKED_AT = 1000
_SECONDS_BETWEEN_LINES = 10.0
_ROW, _VERSION, _TIME = "row", "model_version", "scored_at"
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


@click.command()
@click.option("--recipe", required=True)
@click.option("--model_uri", default="auto")
@click.option("--input", "source", required=True)
@click.option("--output", required=True)
@click.option("--rejects", default="auto")
@click.option("--key", default="auto")
@click.option("--columns", default="auto")
@click.option("--explain", default="none")
@click.option("--overwrite", default="false", type=click.BOOL)
@click.option("--batch_rows", default="131072", type=click.IntRange(1, 10_000_000))
def score(
    recipe: str,
    model_uri: str,
    source: str,
    output: str,
    rejects: str,
    key: str,
    columns: str,
    explain: str,
    overwrite: bool,
    batch_rows: int,
) -> None:
    """Scores a table with the champion of a recipe, or with the model that is named."""
    settings = load_parts(recipe, "score")
    reasons = _count_of_reasons(explain)
    with step_run("score", settings):
        paths = _output_paths(_dated(output), _dated(rejects), overwrite)
        column = settings.data.source_column
        place = Workspace(find_recipe(recipe)).place_of_typed(source)
        path = fetch_table(
            place,
            temporary_folder("download"),
            column,
            may_be_folder=True,
            encoding=settings.data.encoding,
            sheet=settings.data.sheet,
        )
        _check_apart(path, paths)
        version, uri = _find_version(model_uri, settings)
        stream = open_stream(path, settings.data.encoding)
        trained = load_trained(uri, settings.task, settings.name)
        check_recent(trained, uri)
        if reasons and not hasattr(trained.pyfunc.unwrap_python_model(), "explain"):
            raise InputError(f"explain: model {uri} is too old to explain; train it again")
        keys = _key_columns(key, settings, stream, source)
        _check_details(keys, reasons, trained)
        answers = _name_answers(columns, trained, keys)
        request = Request(source, stream, keys, *paths, batch_rows, answers, reasons)
        unused = _check_columns(request, trained)
        mlflow.set_tags(
            {
                MODEL_ID: str(trained.pyfunc.model_id),
                MODEL_DIGEST: trained.facts["model_digest"],
                MODEL_VERSION: version,
                "pipeline.model": trained.facts["model"],
                "pipeline.input": str(source),
                "pipeline.output": request.place,
                MLFLOW_RUN_NAME: f"score {settings.name} {trained.facts['model']}",
            }
        )
        drift = drift_counts(trained)
        try:
            result = _score_all(request, trained, version, drift)
        finally:
            if isinstance(request.output, DatabaseTable) and request.rejects.is_file():
                log_artifact(request.rejects)
        if unused:
            click.echo(f"score: not used by the model: {', '.join(unused)}")
        _report(request, settings, result, version, drift)


def _output_paths(output: str, rejects: str, overwrite: bool) -> tuple[Path | DatabaseTable, Path]:
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


def _dated(place: str) -> str:
    """The place of an output, with today's date where it says {date}."""
    return place.replace("{date}", datetime.now().astimezone().date().isoformat())


def _name_answers(columns: str, trained: TrainedModel, keys: list[str]) -> dict[str, str]:
    """The names that the answers are to have: of the probability of the class to find, and of it.

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


def _check_details(keys: list[str], reasons: int, trained: TrainedModel) -> None:
    """Checks that no key has the name of what is said of a row beside its answer."""
    has_intervals = _has_intervals(trained.pyfunc.unwrap_python_model())
    taken = [_EXPLAINED] * bool(reasons) + [_INTERVAL] * has_intervals
    for name in keys:
        if any(pattern.fullmatch(name) for pattern in taken):
            raise InputError(f"key: {name!r} is the name of a column of the output")


def _has_intervals(model: Any) -> bool:
    return bool(model.features.get("intervals"))


def _count_of_reasons(explain: str) -> int:
    if explain == "none":
        return 0
    if not explain.isdecimal() or int(explain) < 1:
        raise InputError(f"explain: {explain!r} is no number of reasons, such as 3, and not none")
    return int(explain)


def _check_apart(source: Path, paths: tuple[Path | DatabaseTable, Path]) -> None:
    inside = source.resolve()
    for path in paths:
        if isinstance(path, DatabaseTable):
            continue
        where = path.resolve()
        if where == inside or inside in where.parents:
            raise InputError(f"output {path} is the input or lies in it; choose another place")


def _find_version(model_uri: str, recipe: Recipe) -> tuple[str, str]:
    """What the scores name as their model, and its URI: an alias may move while they are made."""
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


def _kinds(trained: TrainedModel) -> dict[str, str]:
    return dict(trained.pyfunc.unwrap_python_model().features["columns"])


def _key_columns(key: str, recipe: Recipe, stream: TableStream, source: str) -> list[str]:
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
    return name in (PREDICTION, _VERSION, _TIME) or name.startswith(PROBABILITY_PREFIX)


def _check_columns(request: Request, trained: TrainedModel) -> list[str]:
    """Names what is missing; returns what is there and not used."""
    kinds = _kinds(trained)
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


def _score_all(request: Request, trained: TrainedModel, version: str, drift: DriftCounts) -> Result:
    """Scores all rows; the files appear at the end, both at once."""
    result = Result()
    scored_at = datetime.now(UTC).replace(microsecond=0)
    second = arrow.scalar(scored_at, arrow.timestamp("s", "UTC"))
    constants = {_VERSION: arrow.scalar(version), _TIME: second}
    kinds = _kinds(trained)
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
    if _has_intervals(model) and not request.answers:
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
        for name, kind in _kinds(trained).items()
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


def _report(
    request: Request, recipe: Recipe, result: Result, version: str, drift: DriftCounts
) -> None:
    drifted = log_drift(drift, recipe.drift.limit, recipe.name)
    sample = pd.concat(result.sample)
    log_table(sample.astype({name: "str" for name in sample if name == _TIME}), "sample")
    log_table(pd.DataFrame(result.first_rejects, columns=["row", "reason"]), "first_rejects")
    mlflow.set_tag("pipeline.rejects", request.place_of_rejects if result.rejected else "none")
    log_metrics(
        {
            "rows": result.rows,
            "scored": result.scored,
            "rejected": result.rejected,
            "seconds": result.seconds,
            "rows_per_second": result.rows / max(result.seconds, 1e-9),
        }
    )
    words = in_words(drifted)
    lines = _summary(request, recipe, result, version, drifted, words)
    mlflow.set_tags({DRIFT: words[:5000] or "none", MLFLOW_RUN_NOTE: paragraphs(lines)})
    for line in lines:
        click.echo(f"score: {line}")


def _summary(
    request: Request,
    recipe: Recipe,
    result: Result,
    version: str,
    drifted: pd.DataFrame,
    words: str,
) -> list[str]:
    speed = result.rows / max(result.seconds, 1e-9)
    lines = [
        f"{result.scored:,} of {result.rows:,} rows of {request.source} by {recipe.name} version "
        f"{version}, in {result.seconds:.1f} s, {speed:,.0f} a second",
        f"the scores are in {request.place}",
    ]
    if result.rejected:
        lines.append(
            f"{result.rejected:,} {'row' if result.rejected == 1 else 'rows'} could not be scored "
            f"({result.first_reason}, …): see {request.place_of_rejects}"
        )
    if words:
        worst = drifted.iloc[0]
        lines.append(
            f"WARNING: the rows are not like those of the training (population stability index "
            f"above {recipe.drift.limit:g}, and above chance): {words}"
        )
        lines.append(
            f"most of all {worst['column']}: {worst['bin']} in {worst['in training']:.1%} of the "
            f"training rows, now in {worst['now']:.1%}; plot and table are in the run "
            f"{mlflow.active_run().info.run_id}"
        )
    else:
        lines.append("the rows are like those of the training")
    return lines


if __name__ == "__main__":
    run_step(score, report_step)
