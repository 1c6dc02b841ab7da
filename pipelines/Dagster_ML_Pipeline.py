"""Every night in Dagster: train, score the new rows, monitor, and after an alert train again.

    dagster dev -d pipelines -f pipelines/Dagster_ML_Pipeline.py

The night is the job `night` of four assets, at 02:00 and from Dagster's launchpad; its verdict is a
tag of the run. The rest: docs/use/orchestrators.md.
"""

from collections.abc import Iterator
from typing import Any, Literal

import dagster
from dagster import AssetCheckSpec, AssetExecutionContext, MaterializeResult, asset
from doors import TRAINING, DoorError, run_door, shown

# The pool has one night at a time: pipelines/dagster.yaml.
_TASK = {"retry_policy": dagster.RetryPolicy(max_retries=2, delay=60), "pool": "cuvee"}


class Night(dagster.ConfigurableResource):
    """What a night is of: `resources: night: config:` of the launchpad.

    recipe: what to train.
    data: the table to train on; auto: the recipe's.
    method: train, or sweep: search hyperparameters first.
    model: a model of the recipe; auto: its default.
    rows: the table to score; none: nothing.
    scores: the file for the scores, replaced each night: .csv, .csv.gz or .parquet.
    labelled: the table to monitor on, whose target is known; none: nothing.
    """

    recipe: str = "recipes/wine_quality.yaml"
    data: str = "auto"
    method: Literal["train", "sweep"] = "train"
    model: str = "auto"
    rows: str = "none"
    scores: str = "none"
    labelled: str = "none"

    def run(self, context: AssetExecutionContext, entry_point: str, **given: str) -> dict[str, Any]:
        """Runs an entry point of Cuvée; a failure is the one line that says why."""
        try:
            return run_door(entry_point, {"recipe": self.recipe, **given}, context.log.info)
        except DoorError as error:
            raise dagster.Failure(str(error), allow_retries=not error.is_final) from error

    def train(self, context: AssetExecutionContext, data: str, after: str = "") -> dict[str, Any]:
        """Trains on a table; the verdict, with what came before it, is a tag of the night."""
        answer = self.run(context, TRAINING[self.method], data=data, model=self.model)
        context.instance.add_run_tags(context.run_id, {"verdict": after + answer["verdict"]})
        return answer


_GATE = "The model reaches what the recipe asks of it."
_GOOD = "On rows of now the champion is within the limits of the recipe."


def _check(name: str, passed: bool, answer: dict[str, Any]) -> dagster.AssetCheckResult:
    """A check that warns: what it finds is an answer, not a failure."""
    severity = dagster.AssetCheckSeverity.WARN
    return dagster.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=severity,
        description=answer["alert"] or answer["reason"],
        metadata=shown(answer),
    )


@asset(check_specs=[AssetCheckSpec("gate", asset="model", description=_GATE)], **_TASK)
def model(context: AssetExecutionContext, night: Night) -> MaterializeResult:
    """The model of tonight; only the gate makes it the champion."""
    answer = night.train(context, night.data)
    gate = _check("gate", answer["verdict"] != "rejected", answer)
    return MaterializeResult(metadata=shown(answer), check_results=[gate])


@asset(deps=[model], output_required=False, **_TASK)
def scores(context: AssetExecutionContext, night: Night) -> Iterator[MaterializeResult]:
    """The champion's predictions for new rows, if there are any."""
    if night.rows != "none":
        files = {"input": night.rows, "output": night.scores, "overwrite": "true"}
        yield MaterializeResult(metadata=shown(night.run(context, "score", **files)))


@dagster.multi_asset(  # of one: its check may be left out too
    outs={"monitoring": dagster.AssetOut(is_required=False)},
    deps=[model],
    check_specs=[AssetCheckSpec("still_good", asset="monitoring", description=_GOOD)],
    can_subset=True,
    **_TASK,
)
def monitoring(context: AssetExecutionContext, night: Night) -> Iterator[MaterializeResult]:
    """Whether the champion is what its evaluation promised; an alert is a check that fails."""
    if night.labelled != "none":
        answer = night.run(context, "monitor", data=night.labelled)
        is_good = answer["status"] != "alert"
        check = _check("still_good", is_good, answer)
        yield MaterializeResult(value=is_good, metadata=shown(answer), check_results=[check])


@asset(output_required=False, **_TASK)
def retrained(
    context: AssetExecutionContext, night: Night, monitoring: bool
) -> Iterator[MaterializeResult]:
    """After an alert, the model of the rows that raised it."""
    if not monitoring:
        yield MaterializeResult(metadata=shown(night.train(context, night.labelled, "alert, ")))


_ASSETS = [model, scores, monitoring, retrained]
job = dagster.define_asset_job("night", _ASSETS, executor_def=dagster.in_process_executor)
nightly = dagster.ScheduleDefinition(
    job=job, cron_schedule="0 2 * * *", default_status=dagster.DefaultScheduleStatus.RUNNING
)
definitions = dagster.Definitions(
    assets=_ASSETS, jobs=[job], schedules=[nightly], resources={"night": Night()}
)
