"""The drift of rows against those that a model was trained on, as a step logs it."""

import json

import pandas as pd

from modelling.inspecting.drift import DriftCounts, dated_columns
from modelling.judging.plots import plot_drift, plot_shares
from steps.runs.trained_model import TrainedModel
from tracking.artifacts_logger import log_plot, log_table
from tracking.mlflow_manager import log_metrics
from tracking.output_manager import save_temporary


def drift_counts(trained: TrainedModel, weighted: bool = False) -> DriftCounts:
    """Returns counts of no rows yet, in the bins of the model's profile.

    Args:
        trained: the model.
        weighted: whether rows are to count as they weigh, if those of the training did.
    """
    dates = dated_columns(trained.pyfunc.unwrap_python_model().features)
    profile = (trained.folder / "artifacts" / "profile.json").read_text(encoding="utf-8")
    return DriftCounts(json.loads(profile), dates, weighted)


def log_drift(drift: DriftCounts, limit: float, recipe: str) -> pd.DataFrame:
    """Logs the drift of each column as a table, a plot and figures; returns the drifted ones.

    Those that only grew, as dates and counters do, are counted beside them.
    """
    table = drift.compare(limit)
    log_table(table, "drift")
    shares = drift.shares()
    log_table(shares, "shares")
    for name, bins, before, now in shares.itertuples(index=False):
        if not name.startswith("("):
            continue
        figure = plot_shares(bins, before, now, name.strip("()"))
        log_plot(save_temporary(figure, "plot", recipe, "predictions", {"now": now}))
    figure = plot_drift(table, limit)
    log_plot(save_temporary(figure, "plot", recipe, "drift", {"drift": table.to_dict("list")}))
    drifted = table[table["drifted"]]
    log_metrics(
        {
            "drifted_columns": len(drifted),
            "grown_columns": int(table["grown"].sum()),
            "largest_psi": float(table["psi"].max()),
        }
    )
    return drifted


def in_words(drifted: pd.DataFrame) -> str:
    """Names the drifted columns with their index; empty if there are none."""
    return ", ".join(f"{row.column} {row.psi:.2f}" for row in drifted.itertuples())
