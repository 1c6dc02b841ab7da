"""AutoGluon's predictions for a table, in an environment of its own: called by quality.py.

    python quality_autogluon.py TRAIN TEST TASK METRIC SECONDS ANSWERS

TRAIN has the column `target`, of numbers; ANSWERS is a Parquet file of predictions, or of a
column a class with its probability.
"""

import sys
from tempfile import TemporaryDirectory

import pandas as pd
from autogluon.tabular import TabularPredictor


def main(train: str, test: str, task: str, metric: str, seconds: str, answers: str) -> None:
    """Fits with `medium_quality`, which stacks nothing, and answers for the test rows."""
    rows = pd.read_parquet(train)
    kind = task
    if task == "classification":
        kind = "binary" if rows["target"].nunique() == 2 else "multiclass"
    with TemporaryDirectory() as folder:
        predictor = TabularPredictor("target", kind, metric, path=folder, verbosity=0)
        predictor.fit(
            rows,
            presets="medium_quality",
            time_limit=float(seconds),
            num_cpus=1,
            num_gpus=0,
        )
        unseen = pd.read_parquet(test)
        said = (
            predictor.predict(unseen).to_frame("target")
            if kind == "regression"
            else predictor.predict_proba(unseen)
        )
    said.set_axis(map(str, said.columns), axis="columns").to_parquet(answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
