"""Whether the champion has been trained on the rows that it is measured on now."""

import pandas as pd
import pyarrow.parquet as parquet
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from pyarrow import ArrowException

from common.errors import InputError
from common.tags import OUTPUT_DIGEST
from modelling.kinds import ROW_KEY
from modelling.recipe import Recipe
from steps.runs.artifacts import download, find_run
from steps.runs.names import PREPARE_RUN_ID


def describe_seen_rows(recipe: Recipe, candidate: Run, champion: ModelVersion) -> str:
    """Says in words which of the candidate's test rows flatter the champion's figures.

    A split by content leaves rows where they are when the table grows; another split, or other
    columns, may bring rows to the test side that the champion was trained on.

    Args:
        recipe: of both.
        candidate: its evaluate run.
        champion: its version.

    Returns:
        Words that follow a semicolon; none where all test rows are new to the champion, or where
        the runs that made it, or their rows, are gone or damaged.
    """
    try:
        trained = find_run(champion.tags.get("pipeline.train_run_id", "none"), "train", recipe)
        then, now = (
            find_run(run.data.tags.get(PREPARE_RUN_ID, "none"), "prepare", recipe)
            for run in (trained, candidate)
        )
        if then.data.tags.get(OUTPUT_DIGEST) == now.data.tags.get(OUTPUT_DIGEST):
            return ""
        sides = (
            download(then.info.run_id, "train.parquet"),
            download(now.info.run_id, "test.parquet"),
        )
        # Their keys are hashes of all their values.
        names = [set(parquet.read_schema(side).names) for side in sides]
        if names[0] != names[1]:
            return (
                "; the champion was trained with other columns, and may have seen some of "
                "these test rows, which makes it look better than it is"
            )
        known, asked = (pd.read_parquet(side, columns=[ROW_KEY])[ROW_KEY] for side in sides)
    except (InputError, OSError, ArrowException):
        return ""
    seen = int(asked.isin(known).sum())
    if not seen:
        return ""
    return (
        f"; the champion was trained on {seen:,} of the {len(asked):,} test rows, and looks "
        "better than it is"
    )
