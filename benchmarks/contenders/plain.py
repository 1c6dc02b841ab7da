"""What a careful person would write by hand with pandas and scikit-learn: the work of each step.

    python benchmarks/contenders/plain.py STEP TABLE FOLDER [ESTIMATOR]

No tracking, no registry, no cache; the same reading, checking, splitting, fitting, measuring and
writing as the steps do, files in FOLDER.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from matplotlib.figure import Figure
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import ElasticNet
from sklearn.metrics import (
    PredictionErrorDisplay,
    max_error,
    mean_absolute_error,
    mean_absolute_percentage_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "target"
ESTIMATORS = {
    "elastic_net": lambda: make_pipeline(StandardScaler(), ElasticNet(alpha=0.01, l1_ratio=0.5)),
    "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(max_iter=50, random_state=0),
}


def prepare(table: Path, folder: Path) -> None:
    """Reads, checks, describes and splits the table by content."""
    with table.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    frame = pd.read_parquet(table)
    for name in frame:
        if not np.isfinite(frame[name]).all():
            raise ValueError(f"column {name} is not finite")
    features = frame.drop(columns=TARGET)
    key = pd.util.hash_pandas_object(features, index=False)
    in_test = (key % 100 < 20).to_numpy()
    facts = {
        "sha256": digest,
        "duplicates": int(frame.duplicated().sum()),
        "across": int(key[in_test].isin(key[~in_test]).sum()),
    }
    (folder / "facts.json").write_text(json.dumps(facts))
    frame.describe().to_csv(folder / "profile.csv")
    frame.insert(0, "row_key", key)
    frame = frame.sort_values("row_key")
    in_test = (frame["row_key"] % 100 < 20).to_numpy()
    for side, name in ((frame[~in_test], "train"), (frame[in_test], "test")):
        side.to_parquet(folder / f"{name}.parquet", index=False)


def train(_table: Path, folder: Path, estimator: str) -> None:
    """Fits the estimator on the training rows and saves it."""
    rows = pd.read_parquet(folder / "train.parquet")
    model = ESTIMATORS[estimator]().fit(rows.drop(columns=["row_key", TARGET]), rows[TARGET])
    skops.io.dump(model, folder / "model.skops")


def evaluate(_table: Path, folder: Path) -> None:
    """Measures the model on the test rows, with pictures and predictions."""
    test = pd.read_parquet(folder / "test.parquet")
    known = pd.read_parquet(folder / "train.parquet", columns=[TARGET])[TARGET]
    model = _load(folder)
    features, actual = test.drop(columns=["row_key", TARGET]), test[TARGET]
    predicted = model.predict(features)
    naive = DummyRegressor().fit(known, known).predict(actual)
    metrics = {
        name: [metric(actual, predicted), metric(actual, naive)]
        for name, metric in (
            ("rmse", root_mean_squared_error),
            ("mae", mean_absolute_error),
            ("r2", r2_score),
        )
    }
    metrics["max_error"] = max_error(actual, predicted)
    metrics["mape"] = mean_absolute_percentage_error(actual, predicted)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    error = np.abs(predicted - actual)
    test.loc[error.nlargest(20).index].to_csv(folder / "worst.csv")
    figure = Figure()
    groups = error.groupby(pd.qcut(actual, 12), observed=True)
    figure.subplots().boxplot([part for _, part in groups], showfliers=False)
    figure.savefig(folder / "error_by_target.png")
    for kind in ("actual_vs_predicted", "residual_vs_predicted"):
        figure = Figure()
        PredictionErrorDisplay.from_predictions(actual, predicted, kind=kind, ax=figure.subplots())
        figure.savefig(folder / f"{kind}.png")
    sample = test.sample(min(len(test), 20_000), random_state=0)
    importance = permutation_importance(
        model, sample[features.columns], sample[TARGET], max_samples=min(len(sample), 2000)
    )
    figure = Figure()
    figure.subplots().barh(features.columns, importance.importances_mean)
    figure.savefig(folder / "importance.png")
    test[["row_key", TARGET]].assign(prediction=predicted).to_parquet(
        folder / "predictions.parquet", index=False
    )


def score(table: Path, folder: Path) -> None:
    """Reads the table, predicts, writes: all rows at once, in memory."""
    frame = pd.read_parquet(table)
    prediction = _load(folder).predict(frame.drop(columns=TARGET))
    pd.DataFrame({"row": np.arange(len(frame)), "prediction": prediction}).to_parquet(
        folder / "scored.parquet", index=False
    )


def _load(folder: Path) -> object:
    path = folder / "model.skops"
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


if __name__ == "__main__":
    step, table, folder, *more = sys.argv[1:]
    {"prepare": prepare, "train": train, "evaluate": evaluate, "score": score}[step](
        Path(table), Path(folder), *more
    )
