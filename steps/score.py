"""score: a model on a table of any size, batch by batch.

Called with `recipe`, `model_uri`, `input`, `output`, `rejects`, `key`, `columns`, `explain`,
`overwrite`, `batch_rows`. Leaves the scores in the input's order, whole or not at all; the rows
that cannot be scored, with the reason, in a file of their own; and on its run the counts, a sample,
and the drift of the rows against those that the model was trained on.
"""

import click
import mlflow
import pandas as pd
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from common.errors import InputError
from common.tags import LONGEST_TAG
from common.words import counted
from modelling.inspecting.drift import DriftCounts
from modelling.recipe import Recipe
from modelling.reporting.markdown import paragraphs
from modelling.tables.stream import open_stream
from steps.reporting.report import report_step
from steps.runs.drift import drift_counts, in_words, log_drift
from steps.runs.names import DRIFT, MODEL_DIGEST, MODEL_ID, MODEL_VERSION
from steps.runs.step import load_parts, run_step, step_run
from steps.runs.trained_model import check_recent, load_trained
from steps.scoring.batches import Result, score_all
from steps.scoring.database import DatabaseTable
from steps.scoring.request import (
    TIME,
    Request,
    check_apart,
    check_columns,
    check_details,
    count_of_reasons,
    find_version,
    key_columns,
    name_answers,
    output_paths,
    with_date,
)
from steps.sources.table_source import fetch_table
from steps.sources.workspace import Workspace, find_recipe
from tracking.artifacts_logger import log_table
from tracking.mlflow_manager import log_artifact, log_metrics
from tracking.output_manager import temporary_folder


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
    reasons = count_of_reasons(explain)
    with step_run("score", settings):
        paths = output_paths(with_date(output), with_date(rejects), overwrite)
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
        check_apart(path, paths)
        version, uri = find_version(model_uri, settings)
        stream = open_stream(path, settings.data.encoding)
        trained = load_trained(uri, settings.task, settings.name)
        check_recent(trained, uri)
        if reasons and not hasattr(trained.pyfunc.unwrap_python_model(), "explain"):
            raise InputError(f"explain: model {uri} is too old to explain; train it again")
        keys = key_columns(key, settings, stream, source)
        check_details(keys, reasons, trained)
        answers = name_answers(columns, trained, keys)
        request = Request(source, stream, keys, *paths, batch_rows, answers, reasons)
        unused = check_columns(request, trained)
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
            result = score_all(request, trained, version, drift)
        finally:
            if isinstance(request.output, DatabaseTable) and request.rejects.is_file():
                log_artifact(request.rejects)
        if unused:
            click.echo(f"score: not used by the model: {', '.join(unused)}")
        _report(request, settings, result, version, drift)


def _report(
    request: Request, recipe: Recipe, result: Result, version: str, drift: DriftCounts
) -> None:
    drifted = log_drift(drift, recipe.drift.limit, recipe.name)
    sample = pd.concat(result.sample)
    log_table(sample.astype({name: "str" for name in sample if name == TIME}), "sample")
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
    mlflow.set_tags({DRIFT: words[:LONGEST_TAG] or "none", MLFLOW_RUN_NOTE: paragraphs(lines)})
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
            f"{counted(result.rejected, 'row')} could not be scored "
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
