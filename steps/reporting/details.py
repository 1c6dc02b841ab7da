"""What a report shows and nothing else needs: computed once, when the step has run."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from modelling.kinds import ROW_KEY
from modelling.models.sklearn_wrapper import load_pipeline
from modelling.own_code import own_name
from modelling.reporting.model_card import describe_pipeline
from modelling.tables.profile import compare_sides, read_sample, table_report
from steps.reporting.run_files import RunFiles
from steps.reporting.runs import DETAILS
from steps.runs.artifacts import download
from tracking.mlflow_manager import log_artifact
from tracking.output_manager import temporary_folder


def write_details(run: Run) -> None:
    """Computes what the report of a finished step shows besides, and logs it in `report/`."""
    write = _WRITERS.get(run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT, ""))
    if write and run.info.status == "FINISHED":
        write(run)


def _write_data(run: Run) -> None:
    """Both sides of the table, compared, and skrub's report of each."""
    run_id = run.info.run_id
    samples = {side: read_sample(download(run_id, f"{side}.parquet")) for side in ("train", "test")}
    rows = {side: sample for side, (sample, _) in samples.items()}
    totals = {side: total for side, (_, total) in samples.items()}
    target = RunFiles.of(run).config()["data"]["target"]
    # skrub makes one when it is imported: in the user's home, if it is not told where.
    os.environ.setdefault("SKB_DATA_DIRECTORY", str(temporary_folder("skrub")))
    profile = compare_sides(rows, totals, target, run.data.metrics)
    _log(run_id, "data.json", json.dumps(profile))
    for side, frame in rows.items():
        page = table_report(frame.drop(columns=ROW_KEY), f"{side} rows", profile["columns"])
        _log(run_id, f"{side}.html", page)


def _write_model(run: Run) -> None:
    """The parameters that were chosen, the raw columns, and the weights of the estimator."""
    model_id = run.outputs.model_outputs[0].model_id
    model = mlflow.MlflowClient().get_logged_model(model_id)
    files = RunFiles(model.artifact_location)
    names = [name for name in files.names("artifacts") if name.endswith(".skops")]
    features = files.json("artifacts/features.json") or {}
    positive = (features.get("decision") or {}).get("positive_class")
    card: dict[str, Any] = {}
    if names and (content := files.read(names[0])):  # another file would run what it says
        path = Path(temporary_folder("details"), Path(names[0]).name)
        path.write_bytes(content)
        pipeline = load_pipeline(path, own_name(RunFiles.of(run).config().get("code") or {}))
        card = describe_pipeline(pipeline, positive)
    card["columns"] = list(features.get("columns", ()))
    _log(run.info.run_id, "model.json", json.dumps(card))


def _log(run_id: str, name: str, text: str) -> None:
    path = Path(temporary_folder("details"), name)
    path.write_text(text, encoding="utf-8")
    log_artifact(path, DETAILS, run_id)


_WRITERS: dict[str, Callable[[Run], None]] = {"prepare": _write_data, "train": _write_model}
