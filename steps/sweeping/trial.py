"""A trial of a sweep: the score of a model on folds of the training rows; no model is logged.

`train` with `folds=` is one trial. A sweep does many in the same process: `open_trials` reads the
training rows once, and gives the function that does a trial on them.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import click
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from common.errors import InputError
from common.words import show_figure
from engine.trials.trial import Figures, Work
from modelling.judging.answers import Values
from modelling.kinds import ROW_KEY
from modelling.recipe import Recipe, only_parts
from modelling.search.cross_validation import CrossValidation
from steps.runs.artifacts import download, find_run, read_rows, read_split, read_weights
from steps.runs.recipe_parts import READS
from steps.runs.step import load_parts, step_run
from tracking.mlflow_manager import log_metrics

STATE = "pipeline.trial_state"
PRUNED = "pruned"
FOLDS_FILE = "folds.npz"
FOLD, SAMPLE = "_fold", "_sample"
"""What stands behind the name of the metric for the score of a fold, or of a sample before it."""


def open_trials(setting: Mapping[str, Any]) -> Work:
    """Reads the training rows of a prepare run.

    Args:
        setting: `recipe`, as `model_dump` gives it; `prepare_run_id`; `folds`, a number; `pruner`;
            `greater_is_better`, of the recipe's primary metric; `keeps`, whether good ones leave
            what they predicted for the folds.

    Returns:
        What does a trial: it takes `model`, `hyperparameters`, in `rival` the scores of folds or
        samples that the pruner holds it against, and in `bar` the score from which on it is a good
        one, if any.
    """
    # The same last digits with any number of processes at a time, and each keeps to its core.
    threadpool_limits(limits=1)
    recipe = cast("Recipe", only_parts(Recipe.model_validate(setting["recipe"]), READS["trial"]))
    validation = read_folds(recipe, setting["prepare_run_id"], setting["folds"])
    return lambda trial: _Scoring(setting, trial, validation, recipe.metrics.primary).run()


@dataclass
class _Scoring:
    """A trial, and what it has reached so far."""

    setting: Mapping[str, Any]
    trial: Mapping[str, Any]
    validation: CrossValidation
    metric: str
    samples: list[float] = field(default_factory=list)
    folds: list[float] = field(default_factory=list)
    predicted: list[Values] = field(default_factory=list)

    def run(self) -> Figures:
        """Scores the model on samples of the rows, then on folds, until it is hopeless or done."""
        steps = {"folds": self.folds, "samples": self.samples}
        if self._fails_on_samples() or self._fails_on_folds():
            return Figures(
                [*_of_samples(self.metric, self.samples), *_of_folds(self.metric, self.folds)],
                {STATE: PRUNED},
                {"state": PRUNED, "score": None, **steps},
            )
        figures = score_figures(self.metric, self.folds)
        mean = figures[0][1]
        files = {}
        if _is_good(self.setting, self.trial, mean):
            files[FOLDS_FILE] = _as_file(self.predicted)
        return Figures(
            [*figures, *_of_samples(self.metric, self.samples)],
            {},
            {"state": "complete", "score": mean, **steps},
            files,
        )

    def _fails_on_samples(self) -> bool:
        if self.setting["pruner"] != "halving":
            return False
        model, chosen = self.trial["model"], self.trial["hyperparameters"]
        for score in self.validation.sample_scores(model, chosen):
            self.samples.append(_finite(score, self.metric, f"sample {len(self.samples) + 1}"))
            if self._is_hopeless(self.samples):
                return True
        return False

    def _fails_on_folds(self) -> bool:
        is_pruned = self.setting["pruner"] in ("median", "wilcoxon")
        for score in self.validation.score(self._noted()):
            self.folds.append(_finite(score, self.metric, f"fold {len(self.folds) + 1}"))
            is_last = len(self.folds) == self.setting["folds"]
            if is_pruned and not is_last and self._is_hopeless(self.folds):
                return True
        return False

    def _noted(self) -> Iterator[Values]:
        model, chosen = self.trial["model"], self.trial["hyperparameters"]
        for values in self.validation.predict(model, chosen):
            self.predicted.append(values)
            yield values

    def _is_hopeless(self, scores: Sequence[float]) -> bool:
        rival = self.trial["rival"]
        if len(rival) < len(scores):
            return False
        # Here, since Optuna takes a while to import, and most sweeps prune nothing.
        from modelling.search.pruning import is_hopeless

        better = self.setting["greater_is_better"]
        return is_hopeless(self.setting["pruner"], rival, scores, better)


def _is_good(setting: Mapping[str, Any], trial: Mapping[str, Any], score: float) -> bool:
    if not setting["keeps"]:
        return False
    sign, bar = (1 if setting["greater_is_better"] else -1), trial["bar"]
    return bar is None or sign * score >= sign * bar


def _as_file(predicted: Sequence[Values]) -> bytes:
    file = io.BytesIO()
    np.savez(file, *predicted)
    return file.getvalue()


def read_predicted(run_id: str) -> list[Values]:
    """Reads what a good trial predicted for each fold.

    Raises:
        InputError: it left nothing.
    """
    with np.load(download(run_id, FOLDS_FILE), allow_pickle=False) as arrays:
        return [arrays[name] for name in arrays.files]


def score_on_folds(
    recipe: str, model: str, prepare_run_id: str, folds: str, hyperparameters: Mapping[str, Any]
) -> None:
    """Does one trial in a process and a run of its own, as `train` with folds=."""
    settings = load_parts(recipe, "trial").with_together(model)
    if not folds.isdecimal() or int(folds) < 2:
        raise InputError(f"folds: {folds!r} is neither a whole number from 2 on nor 'none'")
    name, _ = settings.choose_model(model)
    with step_run("train", settings, name):
        validation = read_folds(settings, prepare_run_id, int(folds))
        metric = settings.metrics.primary
        scores = [
            _finite(score, metric, f"fold {fold + 1}")
            for fold, score in enumerate(validation.scores(name, hyperparameters))
        ]
        for figure, value, step in score_figures(metric, scores):
            log_metrics({figure: value}, step)
        mean = sum(scores) / len(scores)
        click.echo(
            f"train: {metric} {show_figure(mean, metric=metric)} on {folds} folds, and no model"
        )


def read_folds(recipe: Recipe, prepare_run_id: str, folds: int) -> CrossValidation:
    """Reads the training rows of a prepare run, and splits them into folds.

    Raises:
        InputError: there is no such run, or its rows are too few.
    """
    find_run(prepare_run_id, "prepare", recipe)
    rows = read_rows(prepare_run_id, "train.parquet")
    targets = rows[recipe.data.target]
    raw = rows.drop(columns=[ROW_KEY, recipe.data.target])
    given = read_split(prepare_run_id, recipe.split)
    weights = read_weights(prepare_run_id, recipe.data, "train")
    return CrossValidation(recipe, raw, targets, folds, **given, weights=weights)


def score_figures(metric: str, scores: list[float]) -> list[tuple[str, float, int]]:
    """Returns the metrics of a trial: the folds as steps, their mean and their deviation."""
    column = pd.Series(scores)
    figures = [(metric, float(column.mean()), 0), (f"{metric}_std", float(column.std()), 0)]
    return [*figures, *_of_folds(metric, scores)]


def _of_folds(metric: str, scores: list[float]) -> list[tuple[str, float, int]]:
    return [(metric + FOLD, score, step) for step, score in enumerate(scores)]


def _of_samples(metric: str, scores: list[float]) -> list[tuple[str, float, int]]:
    return [(metric + SAMPLE, score, step) for step, score in enumerate(scores)]


def _finite(score: float, metric: str, where: str) -> float:
    if not math.isfinite(score):
        raise InputError(f"{metric} is {score} on {where}")
    return score
