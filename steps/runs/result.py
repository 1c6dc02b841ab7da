"""The answer for programs: what came of an entry point, as a small JSON file.

It is written to `-P result=<path>`, if that is given, and is the artifact `result.json` of the run.
docs/use/result.schema.json is its JSON Schema, which scripts/write_result_schema.py writes.
"""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from pydantic import BaseModel, ConfigDict, Field

from common.secrets import without_credentials
from common.tags import ERROR
from engine.entry_point import Ending
from steps.runs.names import (
    ALERT,
    CHAMPION_BEFORE,
    MODEL_VERSION,
    PRIMARY_METRIC,
    REPORT,
    VERDICT,
    VERDICT_REASON,
)
from steps.runs.whole_file import whole_file

SCHEMA_VERSION = 1
RESULT = "result.json"
_NONE = ("", "none")
_LARGEST = 1.7e308


class Figure(BaseModel):
    """The metric that decides, with the interval that the run gives for it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    value: float | None = Field(description="null if it is not finite")
    low: float | None = None
    high: float | None = None


class Result(BaseModel):
    """What came of an entry point."""

    model_config = ConfigDict(extra="forbid", title="The result of an entry point of Cuvée")

    schema_version: int = Field(
        default=SCHEMA_VERSION, description="1; a field may come, none goes"
    )
    entry_point: str = Field(description="such as main or monitor")
    status: str = Field(
        description="done (whatever the verdict), alert (of monitor, refresh or, where the runs "
        "differ, reproduce), failed or killed"
    )
    exit_code: int = Field(
        description="0 done, 1 failed, 2 wrong usage, 3 an alert; 128 + n: ended by signal n"
    )
    seconds: float = Field(description="since the process began, imports included")
    run_id: str | None = Field(default=None, description="null if it failed before there was a run")
    recipe: str | None = Field(default=None, description="its name")
    verdict: str | None = Field(
        default=None,
        description="promoted, challenger, unchanged, rejected or, of refresh, kept; of reproduce "
        "its own",
    )
    reason: str | None = Field(default=None, description="why, in a sentence")
    model_uri: str | None = Field(default=None, description="models:/name/version")
    model_version: str | None = None
    metric: Figure | None = Field(default=None, description="the recipe's primary metric")
    champion_before: str | None = Field(
        default=None, description="the version that was the champion; null if there was none"
    )
    alert: str | None = Field(default=None, description="what monitor found")
    error: str | None = Field(default=None, description="the line of pipeline.error")
    report: str | None = Field(
        default=None, description="where report.html is: a path or a URI; null if none is drawn"
    )
    tracking_uri: str | None = Field(default=None, description="without user and password")


def write_result(ending: Ending) -> None:
    """Writes what came of an entry point beside its run, and to the file that was asked for."""
    # First what is known here: the store may not answer before the process must end.
    text = _write(ending, None)
    if ending.run_id:
        run = MlflowClient().get_run(ending.run_id)
        text = _write(ending, run)
        MlflowClient().log_text(run.info.run_id, text, RESULT)


def _write(ending: Ending, run: Run | None) -> str:
    text = describe(ending, run).model_dump_json(indent=2) + "\n"
    if ending.result:
        with whole_file(ending.result) as file:
            file.write_text(text, encoding="utf-8")
    return text


def describe(ending: Ending, run: Run | None) -> Result:
    """Says what came of an entry point.

    Args:
        ending: how its process ended.
        run: its run, if it came to one and can be read.
    """
    result = Result(
        entry_point=ending.entry_point,
        status=ending.status,
        exit_code=ending.exit_code,
        seconds=round(ending.seconds, 1),
        error=None if ending.status == "alert" else ending.line,
        run_id=ending.run_id,
    )
    if run is None:
        return result
    tags = {name: text for name, text in run.data.tags.items() if text not in _NONE}
    recipe, version = tags.get("pipeline.recipe"), tags.get(MODEL_VERSION)
    return result.model_copy(
        update={
            "recipe": recipe,
            "verdict": tags.get(VERDICT),
            "reason": tags.get(VERDICT_REASON),
            "model_uri": f"models:/{recipe}/{version}" if recipe and version else None,
            "model_version": version,
            "metric": _figure(run),
            "champion_before": tags.get(CHAMPION_BEFORE),
            "alert": tags.get(ALERT),
            "error": result.error and tags.get(ERROR, result.error),
            "report": f"{run.info.artifact_uri}/{REPORT}" if ending.has_report else None,
            "tracking_uri": without_credentials(mlflow.get_tracking_uri()),
        }
    )


def _figure(run: Run) -> Figure | None:
    name = run.data.tags.get(PRIMARY_METRIC)
    if name not in run.data.metrics:
        return None
    value, low, high = (_finite(run, f"{name}{end}") for end in ("", "_low", "_high"))
    return Figure(name=name, value=value, low=low, high=high)


def _finite(run: Run, name: str) -> float | None:
    """A metric as JSON can hold it: the store keeps an infinite one as the largest number."""
    value = run.data.metrics.get(name)
    return value if value is not None and abs(value) < _LARGEST else None
