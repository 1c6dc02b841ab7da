"""monitor: the champion on new labelled rows, against what its evaluation promised.

Called with `recipe`, `data`. Leaves the metrics of these rows beside the promised ones, the drift
of each column, and `pipeline.alert`: what crosses the limits of the recipe, or none. An alert fails
the run: its exit code is not 0, and MLflow writes FAILED over whatever a run with such a code says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import click
import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from common.errors import InputError, unknown_name
from common.tags import LONGEST_TAG
from engine.failures import FindingError
from modelling.files.table_file import has_decimal_comma
from modelling.inspecting.drift import profiled_answers
from modelling.inspecting.monitoring import KeptPromise, check_classes, hold_against, promise_for
from modelling.inspecting.reliability import coverage_figures, measure_coverage
from modelling.judging.answers import (
    Answers,
    Classes,
    Values,
    encode_targets,
    find_classes,
    read_answers,
)
from modelling.judging.metrics import Metric, compute_metrics, metrics_of
from modelling.judging.plots import plot_resampled
from modelling.models.row_evidence import hold_intervals
from modelling.models.sklearn_wrapper import read_column
from modelling.recipe import Recipe
from modelling.reporting.markdown import escape, paragraphs
from modelling.tables.cells import read_numbers, read_weights
from modelling.tables.rows import rows_that_count
from modelling.tables.targets import read_targets
from steps.registry.versions import get_champion
from steps.reporting.report import report_step
from steps.runs.artifacts import find_run
from steps.runs.drift import drift_counts, in_words, log_drift
from steps.runs.names import (
    ALERT,
    DATA_SHA256,
    DRIFT,
    MODEL_DIGEST,
    MODEL_ID,
    MODEL_VERSION,
    PRIMARY_METRIC,
    TEST_WEIGHT,
)
from steps.runs.step import load_parts, load_whole, run_step, step_run
from steps.runs.trained_model import TrainedModel, check_recent, load_trained
from steps.runs.webhook import tell
from steps.sources.read_source import read_source
from steps.sources.table_source import fetch_data, source_sha256
from steps.sources.workspace import Workspace, find_recipe
from tracking.artifacts_logger import log_config, log_plot, log_table
from tracking.mlflow_manager import log_metrics
from tracking.output_manager import save_temporary, temporary_folder


@dataclass(frozen=True)
class Measurement:
    """What the model says of the rows whose target is known, and what became of the others.

    rows: those that count; uncounted: how many do not, by the key of the recipe that says so.
    drifted: the columns that did, of all that count; grown: those that can only grow, and did;
    coverage: how often its intervals hold what is true, if it has some, and how often they should;
    groups: (n,) of the rows that are measured, if the split is by groups and the table has them.
    """

    answers: Answers
    targets: Values
    rows: int
    without_target: int
    first_problem: str | None
    drifted: pd.DataFrame
    grown: pd.DataFrame
    coverage: pd.DataFrame | None = None
    uncounted: Mapping[str, int] = field(default_factory=dict)
    groups: npt.NDArray[np.intp] | None = None

    @property
    def left_out(self) -> str:
        """The rows that are not measured, in words; empty if there are none."""
        refused = self.rows - self.without_target - len(self.targets)
        parts = [
            *(f"{count:,} by data.{key}" for key, count in self.uncounted.items()),
            f"{self.without_target:,} without a target" if self.without_target else "",
            f"{refused:,} that cannot be predicted ({self.first_problem})" if refused else "",
        ]
        return ", ".join(filter(None, parts))


@click.command()
@click.option("--recipe", required=True)
@click.option("--data", required=True)
def monitor(recipe: str, data: str) -> None:
    """Compares the champion on new labelled rows with what its evaluation promised."""
    settings = load_parts(recipe, "monitor")
    metrics = metrics_of(settings)
    with step_run("monitor", settings) as run:
        data = Workspace(find_recipe(recipe)).place_of_typed(data)
        path = fetch_data(settings.data, data, temporary_folder("download"))
        table = read_source(path, settings)
        mlflow.set_tag(DATA_SHA256, source_sha256(path))
        log_config(load_whole(recipe).model_dump(mode="json"), settings.name, None)
        champion = get_champion(settings.name)
        promised = _promised(champion, settings)
        trained = _load(champion, settings)
        table, uncounted = rows_that_count(table, settings, data)
        measured = replace(_measure(table, trained, settings, data), uncounted=uncounted)
        promised = _for_as_many_rows(promised, measured, metrics)
        kept = _hold_to_promise(measured, promised, metrics, settings)
        alerts = _alerts(kept, measured, settings)
        _log(measured, kept, promised, metrics, settings)
        _tell(measured, kept, champion, alerts, data)
        if alerts:
            tell(
                settings,
                f"version {champion.version}: {'; '.join(alerts)}",
                run.info.run_id,
                version=str(champion.version),
                alerts=alerts,
                metric=kept.metric,
                now=_plain(kept.now),
                promised=_plain(kept.promised),
                limit=_plain(kept.limit),
            )
    if alerts:
        raise FindingError(f"ALERT: {'; '.join(alerts)}")


def _promised(champion: ModelVersion, recipe: Recipe) -> dict[str, float]:
    """The metrics of the evaluation by which the champion was registered."""
    try:
        run_id = champion.tags.get("pipeline.evaluate_run_id", "none")
        evaluated: Run = find_run(run_id, "evaluate", recipe)
    except InputError as error:
        raise InputError(
            f"nothing is promised: the evaluation of version {champion.version} of {recipe.name} "
            "is not there any more"
        ) from error
    figures = dict(evaluated.data.metrics)
    if recipe.metrics.primary not in figures:
        raise InputError(
            f"nothing is promised: the evaluation of version {champion.version} of {recipe.name} "
            f"has no {recipe.metrics.primary}"
        )
    return figures


def _load(champion: ModelVersion, recipe: Recipe) -> TrainedModel:
    uri = f"models:/{recipe.name}/{champion.version}"
    trained = load_trained(uri, recipe.task, recipe.name)
    check_recent(trained, uri)
    mlflow.set_tags(
        {
            MODEL_ID: str(trained.pyfunc.model_id),
            MODEL_DIGEST: trained.facts["model_digest"],
            MODEL_VERSION: champion.version,
            "pipeline.model": trained.facts["model"],
            PRIMARY_METRIC: recipe.metrics.primary,
            MLFLOW_RUN_NAME: f"monitor {recipe.name} {trained.facts['model']}",
        }
    )
    return trained


def _measure(table: pd.DataFrame, trained: TrainedModel, recipe: Recipe, data: str) -> Measurement:
    model = trained.pyfunc.unwrap_python_model()
    target = recipe.data.target
    for name in (*model.features["columns"], target, *filter(None, [recipe.data.weight])):
        if name not in table.columns:
            raise InputError(f"table {data}: " + unknown_name("column", name, table.columns))
    labels = model.pipeline.classes_.tolist() if recipe.task == "classification" else []
    classes = find_classes(recipe, labels)
    decimal_comma = has_decimal_comma(table)
    targets = read_targets(table[target], classes, data, recipe.data.target_format, decimal_comma)
    rows = read_numbers(table, model.features, decimal_comma)
    inputs, said, problems = model.predict_valid(rows)
    weights = _weights(table, recipe, data, decimal_comma)
    drift = drift_counts(trained, weights is not None)
    drift.add(inputs, weights)
    known = targets.notna().to_numpy()
    valid = np.delete(np.arange(len(table)), list(problems))
    measured = valid[known[valid]]
    if not len(measured):
        raise InputError(f"table {data} has no row with a target that the model can predict")
    true = encode_targets(targets.iloc[measured].to_numpy(), classes)
    check_classes(recipe.metrics.primary, true, classes, data)
    answers = read_answers(said, classes)
    if weights is not None:
        answers = replace(answers, weights=weights[valid])
    drift.add(profiled_answers(said, model.features), answers.weights)
    places = np.flatnonzero(known[valid])
    answers = answers.of_rows(places)
    if answers.weights is not None and not answers.weights.any():
        raise InputError(f"table {data}: the rows that can be measured have no weight")
    first = min(problems, default=None)
    groups = _groups(table.iloc[measured], recipe)
    asked = inputs.iloc[measured], said.iloc[places]
    return Measurement(
        answers,
        true,
        len(table),
        int((~known).sum()),
        None if first is None else f"row {table.index[first] + 1}: {problems[first]}",
        log_drift(drift, recipe.monitor.drift_limit, recipe.name),
        drift.grown(recipe.monitor.drift_limit),
        _coverage(model, *asked, true, classes, answers.weights, groups),
        groups=groups,
    )


def _groups(rows: pd.DataFrame, recipe: Recipe) -> npt.NDArray[np.intp] | None:
    """The (n,) groups of these rows, as the split has them, if there is more than one.

    A row without one is its own.
    """
    column = recipe.split.column
    if recipe.split.method != "group" or column not in rows:
        return None
    groups = pd.factorize(read_column(rows[column], "category"))[0]
    is_alone = groups < 0
    groups[is_alone] = -1 - np.arange(is_alone.sum())
    return groups if len(np.unique(groups)) > 1 else None


def _coverage(
    model: Any,
    inputs: pd.DataFrame,
    said: pd.DataFrame,
    true: Values,
    classes: Classes | None,
    weights: Values | None,
    groups: npt.NDArray[np.intp] | None = None,
) -> pd.DataFrame | None:
    held = hold_intervals(model, inputs, said.reset_index(drop=True), true, classes)
    if held is None:
        return None
    table = measure_coverage(held.holds, held.sizes, held.promised, {}, weights, groups)
    return table.assign(promised=held.promised)


def _weights(
    table: pd.DataFrame, recipe: Recipe, data: str, decimal_comma: bool
) -> npt.NDArray[np.float64] | None:
    if recipe.data.weight is None:
        return None
    return read_weights(table[recipe.data.weight], data, decimal_comma).to_numpy()


def _for_as_many_rows(
    promised: dict[str, float], measured: Measurement, metrics: dict[str, Metric]
) -> dict[str, float]:
    """The promises of these metrics; those that are sums over the rows, for the rows of now."""
    rows = promised.get("example_count", len(measured.targets))  # MLflow's own
    weights = measured.answers.weights
    if weights is not None and TEST_WEIGHT in promised:
        rows = promised[TEST_WEIGHT] * len(weights) / weights.sum()
    return {
        name: promise_for(metric, measured.answers, measured.targets, promised[name], rows)
        for name, metric in metrics.items()
        if name in promised
    }


def _hold_to_promise(
    measured: Measurement, promised: dict[str, float], metrics: dict[str, Metric], recipe: Recipe
) -> KeptPromise:
    primary = recipe.metrics.primary
    return hold_against(
        primary,
        metrics[primary],
        measured.answers,
        measured.targets,
        promised[primary],
        recipe.monitor.max_drop,
        recipe.promotion,
        recipe.split.seed,
        measured.groups,
    )


def _alerts(kept: KeptPromise, measured: Measurement, recipe: Recipe) -> list[str]:
    alerts = []
    if kept.is_broken:
        alerts.append(
            f"{kept} is worse than the limit {kept.show(kept.limit)}: its evaluation promised "
            f"{kept.show(kept.promised)}"
        )
    if measured.coverage is not None and measured.coverage["broken"].iloc[0]:
        alerts.append(_coverage_in_words(measured.coverage))
    if len(measured.drifted):
        alerts.append(f"drift above {recipe.monitor.drift_limit:g}: {in_words(measured.drifted)}")
    return alerts


def _coverage_in_words(coverage: pd.DataFrame) -> str:
    found = coverage.iloc[0]
    return (
        f"{found['coverage']:.1%} of the rows are within what the model said of each, promised "
        f"{found['promised']:.1%}"
    )


def _log(
    measured: Measurement,
    kept: KeptPromise,
    promised: dict[str, float],
    metrics: dict[str, Metric],
    recipe: Recipe,
) -> None:
    now = compute_metrics(metrics, measured.answers, measured.targets)
    before = {name: promised[name] for name in now if name in promised}
    log_metrics(
        {
            **now,
            **{f"promised_{name}": figure for name, figure in before.items()},
            f"{kept.metric}_low": kept.low,
            f"{kept.metric}_high": kept.high,
            f"{kept.metric}_limit": kept.limit,
            "rows": measured.rows,
            **{f"rows_left_out_{key}": count for key, count in measured.uncounted.items()},
            "measured_rows": len(measured.targets),
        }
    )
    if measured.coverage is not None:
        found = measured.coverage.iloc[0]
        log_metrics(coverage_figures(measured.coverage, found["promised"]))
    table = pd.DataFrame({"metric": list(now), "now": list(now.values())})
    log_table(table.assign(promised=table["metric"].map(before)), "monitor")
    marks = {"now": kept.now, "promised": kept.promised, "limit": kept.limit}
    figure = plot_resampled(kept.resampled, marks, kept.metric)
    log_plot(save_temporary(figure, "plot", recipe.name, kept.metric, marks))


def _tell(
    measured: Measurement, kept: KeptPromise, champion: ModelVersion, alerts: list[str], data: str
) -> None:
    left_out = f"; left out: {measured.left_out}" if measured.left_out else ""
    grown = in_words(measured.grown)
    grown = grown and f"; no drift, since they can only grow: {grown}"
    lines = [
        f"version {champion.version} of {champion.name} on {len(measured.targets):,} of "
        f"{measured.rows:,} rows of {data}{left_out}",
        f"{kept}, promised {kept.show(kept.promised)}, limit {kept.show(kept.limit)}; "
        f"drifted columns: {in_words(measured.drifted) or 'none'}{grown}",
    ]
    if measured.coverage is not None:
        lines.append(_coverage_in_words(measured.coverage))
    mlflow.set_tags(
        {
            ALERT: "; ".join(alerts)[:LONGEST_TAG] or "none",
            DRIFT: in_words(measured.drifted)[:LONGEST_TAG] or "none",
            MLFLOW_RUN_NOTE: "\n\n".join(
                [paragraphs(lines), *(f"**ALERT**: {escape(alert)}" for alert in alerts)]
            ),
        }
    )
    for line in lines:
        click.echo(f"monitor: {line}")


def _plain(figure: float) -> float | None:
    """JSON knows no NaN."""
    return float(figure) if np.isfinite(figure) else None


if __name__ == "__main__":
    run_step(monitor, report_step)
