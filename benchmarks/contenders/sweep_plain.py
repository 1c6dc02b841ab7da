"""What one would write by hand: Optuna in one process or several, each trial logged to MLflow.

python benchmarks/contenders/sweep_plain.py fast|slow PROCESSES TRIALS
"""

import multiprocessing
import os
import sys
import tempfile
import warnings
from pathlib import Path

import mlflow
import optuna
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import ElasticNet
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

TABLE = Path(__file__).resolve().parents[2] / "data/red-wine-quality.csv"


def estimator(kind: str, trial: optuna.Trial) -> object:
    """The estimator of a trial."""
    if kind == "fast":
        alpha = trial.suggest_float("alpha", 1e-4, 1, log=True)
        l1_ratio = trial.suggest_float("l1_ratio", 0, 1)
        return make_pipeline(StandardScaler(), ElasticNet(alpha=alpha, l1_ratio=l1_ratio))
    return RandomForestRegressor(
        n_estimators=40,
        max_depth=trial.suggest_int("max_depth", 6, 29),
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 9),
        random_state=0,
    )


def work(kind: str, trials: int, seed: int, parent: str) -> None:
    """Makes some trials, each a run with parameters, folds, mean, deviation and a log."""
    threadpool_limits(limits=1)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = pd.read_csv(TABLE, sep=None, engine="python")
    table["share"] = table["free sulfur dioxide"] / table["total sulfur dioxide"]
    table = table.sample(1258, random_state=0).reset_index(drop=True)
    inputs, targets = table.drop(columns="quality"), table["quality"].astype(float)
    folds = list(KFold(5, shuffle=True, random_state=0).split(inputs))
    client = MlflowClient()
    log = Path(tempfile.mkdtemp(), "train.log")

    def objective(trial: optuna.Trial) -> float:
        tags = {"mlflow.parentRunId": parent, "pipeline.trial": str(trial.number)}
        run_id = client.create_run("0", tags=tags, run_name=f"trial {trial.number}").info.run_id
        model = estimator(kind, trial)
        params = [Param(name, str(value)) for name, value in trial.params.items()]
        client.log_batch(run_id, params=params)
        scores = []
        for fit, score in folds:
            model.fit(inputs.iloc[fit], targets.iloc[fit])
            said = model.predict(inputs.iloc[score])
            scores.append(root_mean_squared_error(targets.iloc[score], said))
        mean = sum(scores) / len(scores)
        figures = [
            Metric("rmse", mean, 0, 0),
            Metric("rmse_std", float(pd.Series(scores).std()), 0, 0),
        ]
        steps = [Metric("rmse_fold", score, 0, step) for step, score in enumerate(scores)]
        client.log_batch(run_id, metrics=[*figures, *steps])
        log.write_text(str(trial.params), encoding="utf-8")
        client.log_artifact(run_id, str(log), "logs")
        client.set_terminated(run_id)
        return mean

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(objective, n_trials=trials)


def main(kind: str, processes: int, trials: int) -> None:
    """Shares the trials among processes."""
    with mlflow.start_run() as run:
        parent = run.info.run_id
        if processes == 1:
            work(kind, trials, 0, parent)
            return
        context = multiprocessing.get_context("spawn")
        started = [
            context.Process(target=work, args=(kind, trials // processes, seed, parent))
            for seed in range(processes)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
