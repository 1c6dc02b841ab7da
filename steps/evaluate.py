"""evaluate: metrics, custom metrics, plots and predictions of a model on the test rows.

Called with `recipe`, `prepare_run_id`, `model_uri`. Leaves the model's metrics with their
intervals, its metrics of the training rows and the naive baseline's, the plots, the worst
predictions, and all predictions with their row keys.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from mlflow.models import EvaluationMetric, EvaluationResult, make_metric
from mlflow.models.evaluation.evaluator_registry import _model_evaluation_registry
from mlflow.models.evaluation.evaluators.classifier import ClassifierEvaluator
from mlflow.pyfunc import PyFuncModel
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from sklearn.exceptions import UndefinedMetricWarning

from common.tags import OUTPUT_DIGEST
from modelling.inspecting.evaluation import (
    Evaluation,
    baseline_figures,
    draw_plots,
    errors_of,
    fairness_of,
    rows_with_answers,
    slices_of,
    worst_predictions,
)
from modelling.inspecting.importance import compute_importance
from modelling.inspecting.reliability import calibration_table, coverage_figures, measure_coverage
from modelling.inspecting.slices import parts_of
from modelling.judging import plots
from modelling.judging.answers import (
    PREDICTION,
    Answers,
    Classes,
    Values,
    encode_targets,
    find_classes,
    read_answers,
)
from modelling.judging.checks import SEVERE, Facts, Finding, run_checks
from modelling.judging.intervals import compute_intervals
from modelling.judging.metrics import (
    CUSTOM_METRICS,
    TRAINING_PREFIX,
    Metric,
    compute_metrics,
    metrics_of,
)
from modelling.judging.resampling import adds_up
from modelling.kinds import ROW_KEY
from modelling.models.evidence import ModelOnTest, TrainingRows, collect_facts
from modelling.models.row_evidence import AnsweredRows, explain_some, hold_intervals
from modelling.models.sklearn_wrapper import SklearnWrapper, apply_features
from modelling.own_code import ask_check
from modelling.recipe import Recipe
from modelling.tables.digest import table_digest
from modelling.tables.profile import read_sample
from steps.reporting.report import report_step
from steps.runs.artifacts import download, find_run, read_rows, read_test_groups, read_weights
from steps.runs.names import (
    CHECKS,
    IMPORTANCE,
    MODEL_DIGEST,
    MODEL_ID,
    PREPARE_RUN_ID,
    PRIMARY_METRIC,
    TEST_WEIGHT,
    TRAIN_WEIGHTS,
    WORST_SLICE,
)
from steps.runs.step import load_parts, run_step, step_run
from steps.runs.trained_model import load_trained, predict_all
from tracking.artifacts_logger import (
    again_if_datasets_collide,
    log_predictions,
    log_table,
    make_dataset,
)
from tracking.mlflow_manager import log_metrics


@click.command()
@click.option("--recipe", required=True)
@click.option("--prepare_run_id", required=True)
@click.option("--model_uri", required=True)
def evaluate(recipe: str, prepare_run_id: str, model_uri: str) -> None:
    """Evaluates a model on the test rows of a prepare run."""
    settings = load_parts(recipe, "evaluate")
    metrics = metrics_of(settings)
    target = settings.data.target
    with step_run("evaluate", settings):
        prepared = find_run(prepare_run_id, "prepare", settings)
        test = read_rows(prepare_run_id, "test.parquet")
        known = read_rows(prepare_run_id, "train.parquet", [target])[target]
        trained = load_trained(model_uri, settings.task)
        model, facts = trained.pyfunc, trained.facts
        mlflow.set_tags(
            {
                PREPARE_RUN_ID: prepare_run_id,
                MODEL_ID: str(model.model_id),
                MODEL_DIGEST: facts["model_digest"],
                "pipeline.model": facts["model"],
                PRIMARY_METRIC: settings.metrics.primary,
                MLFLOW_RUN_NAME: f"evaluate {settings.name} {facts['model']}{_version(model_uri)}",
            }
        )
        classes = find_classes(settings, known)
        table = predict_all(model, test.drop(columns=[ROW_KEY, target]), settings.task)
        weights = read_weights(prepare_run_id, settings.data, "test")
        evaluation = Evaluation(
            settings,
            classes,
            test,
            encode_targets(test[target], classes),
            table,
            read_answers(table, classes, weights),
            facts,
            read_test_groups(prepare_run_id, settings.split),
        )
        figures = _figures_of_test(evaluation, metrics)
        known_weights = read_weights(prepare_run_id, settings.data, "train")
        figures |= baseline_figures(evaluation, known, known_weights, metrics)
        known_rows = _read_training(prepare_run_id, settings)
        figures |= _of_training(known_rows, model, classes, settings, metrics)
        wrapper = model.unwrap_python_model()
        _log_reasons(evaluation, wrapper)
        _log_calibration(evaluation)
        figures |= _log_coverage(evaluation, wrapper)
        slices = _log_slices(evaluation, metrics)
        importance = _importance(model, evaluation, metrics[settings.metrics.primary])
        found = _collect_facts(model, evaluation, known_rows, figures, importance, slices)
        shared = int(prepared.data.metrics.get("duplicates_across_split", 0))
        findings = run_checks(replace(found, shared_rows=shared))
        _log_checks([*findings, *_own_checks(evaluation)])
        _evaluate_by_mlflow(model, evaluation, metrics, importance)
        log_metrics(figures)
        kept = pd.DataFrame({ROW_KEY: test[ROW_KEY], target: test[target]}).join(table)
        log_predictions(kept, settings.name, facts["model"], {"model": facts["model_digest"]})
        content = json.dumps(figures, sort_keys=True) + table_digest(table)
        mlflow.set_tag(OUTPUT_DIGEST, hashlib.sha256(content.encode()).hexdigest())


def _version(model_uri: str) -> str:
    """Which version it is, of a registered model: the champion, beside which another stands."""
    number = model_uri.rpartition("/")[2]
    return f" version {number}" if number.isdigit() else ""


def _figures_of_test(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """The metrics of the test rows, with their intervals."""
    answers, targets = evaluation.answers, evaluation.targets
    figures = compute_metrics(metrics, answers, targets)
    seed = evaluation.recipe.split.seed
    figures |= compute_intervals(metrics, answers, targets, seed, evaluation.groups)
    if answers.weights is not None:
        figures[TEST_WEIGHT] = float(answers.weights.sum())
    return figures


def _log_slices(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """Logs what is known of parts of the test rows, and names the worst; returns the slices."""
    slices = slices_of(evaluation, metrics)
    log_table(slices, "slices")
    if evaluation.recipe.is_binary and evaluation.recipe.slices:
        log_table(fairness_of(evaluation, metrics), "fairness")
    worst = slices.loc[slices["worse"], ["slice", "difference"]].set_index("slice").abs()
    mlflow.set_tag(WORST_SLICE, str(worst["difference"].idxmax()) if len(worst) else "none")
    return slices


def _collect_facts(
    model: PyFuncModel,
    evaluation: Evaluation,
    known: TrainingRows,
    figures: Mapping[str, float],
    importance: pd.DataFrame,
    slices: pd.DataFrame,
) -> Facts:
    """What the checks look at."""
    recipe, wrapper = evaluation.recipe, model.unwrap_python_model()
    tested = ModelOnTest(
        wrapper.pipeline,
        wrapper.features,
        evaluation.test.drop(columns=ROW_KEY),
        recipe.data.target,
        evaluation.answers,
        evaluation.targets,
        evaluation.classes,
        evaluation.groups,
    )
    name, seed = recipe.metrics.primary, recipe.split.seed
    return collect_facts(
        tested, known, name, metrics_of(recipe)[name], figures, importance, slices, seed
    )


def _log_reasons(evaluation: Evaluation, wrapper: SklearnWrapper) -> None:
    """Logs why some rows got their answers."""
    answered = AnsweredRows(evaluation.rows, evaluation.table)
    positive = evaluation.classes.positive if evaluation.classes else None
    reasons = explain_some(wrapper, answered, errors_of(evaluation), positive)
    if reasons is None:
        return
    rows = evaluation.test.iloc[reasons.pop("place")]
    reasons.insert(0, ROW_KEY, [f"{key:016x}" for key in rows[ROW_KEY]])
    true = rows[evaluation.recipe.data.target].to_numpy()
    log_table(reasons.assign(true=true), "reasons")


def _log_calibration(evaluation: Evaluation) -> None:
    """Logs whether the probabilities of the class to be found are the shares that they say."""
    answers, classes = evaluation.answers, evaluation.classes
    if classes is not None and classes.positive is not None and answers.probabilities is not None:
        table = calibration_table(answers.probabilities, evaluation.targets, answers.weights)
        log_table(table, "calibration_table")


def _log_coverage(evaluation: Evaluation, wrapper: SklearnWrapper) -> dict[str, float]:
    """Logs how often intervals hold what is true, of all rows and of parts; returns the figures."""
    classes, recipe, rows = evaluation.classes, evaluation.recipe, evaluation.rows
    if not wrapper.features.get("intervals"):
        return {}
    inputs = apply_features(rows, wrapper.features)
    held = hold_intervals(wrapper, inputs, evaluation.table, evaluation.targets, classes)
    if held is None:
        return {}
    parts = dict(part for text in recipe.slices for part in parts_of(text, rows))
    true = evaluation.test[recipe.data.target].to_numpy()
    for label in classes.labels if classes else ():
        parts[recipe.about.name_class(recipe.data.target, label)] = true == label
    weights, groups = evaluation.answers.weights, evaluation.groups
    coverage = measure_coverage(held.holds, held.sizes, held.promised, parts, weights, groups)
    log_table(coverage, "coverage")
    size = "interval_width" if classes is None else "set_size"
    return {**coverage_figures(coverage, held.promised), size: float(coverage["size"].iloc[0])}


def _read_training(prepare_run_id: str, recipe: Recipe) -> TrainingRows:
    rows, total = read_sample(download(prepare_run_id, "train.parquet"))
    weights = None
    if recipe.data.weight is not None:  # of the same rows, since there are as many
        weights = read_sample(download(prepare_run_id, TRAIN_WEIGHTS))[0]["weight"]
    return TrainingRows(rows.drop(columns=ROW_KEY), total, weights)


def _of_training(
    known: TrainingRows,
    model: PyFuncModel,
    classes: Classes | None,
    recipe: Recipe,
    metrics: Mapping[str, Metric],
) -> dict[str, float]:
    """The metrics of the rows that it was fitted on."""
    targets = encode_targets(known.rows[recipe.data.target], classes)
    # The test rows were seen to fit MLflow's schema: of many columns, that takes longer than these.
    wrapper = model.unwrap_python_model()
    rows = known.rows.drop(columns=recipe.data.target)
    table = wrapper.predict(None, rows, {"method": "predict_all"})
    answers = read_answers(table, classes, known.weights)
    figures = compute_metrics(metrics, answers, targets)
    if len(known.rows) < known.total:  # what is a sum over the rows is one over all of them
        sums = [name for name in metrics if adds_up(metrics[name], answers, targets)]
        figures |= {name: figures[name] * known.total / len(known.rows) for name in sums}
    return {TRAINING_PREFIX + name: figure for name, figure in figures.items()}


def _own_checks(evaluation: Evaluation) -> list[Finding]:
    """What the recipe's own checks say."""
    code, findings = evaluation.recipe.code, []
    for name, path in evaluation.recipe.checks.functions.items():
        said = ask_check(path, code, rows_with_answers(evaluation))
        title = name.replace("_", " ").capitalize()
        findings.append(Finding(name, title, SEVERE, said))
    return findings


def _log_checks(findings: list[Finding]) -> None:
    log_table(pd.DataFrame(map(asdict, findings)), "checks")
    severe = {one.code: one.sentence for one in findings if one.severity == SEVERE and one.sentence}
    mlflow.set_tag(CHECKS, json.dumps(severe, ensure_ascii=False))


class _Evaluator(ClassifierEvaluator):
    """MLflow's of a classification, without its confusion matrix: ours has the counts too."""

    name = "cuvee_classifier"

    def _log_confusion_matrix(self) -> None:
        pass


_model_evaluation_registry.register(_Evaluator.name, _Evaluator)


def _evaluate_by_mlflow(
    model: PyFuncModel,
    evaluation: Evaluation,
    metrics: Mapping[str, Metric],
    importance: pd.DataFrame,
) -> None:
    """Runs MLflow's evaluation, which logs its own metrics beside ours, and the pictures."""
    recipe, classes = evaluation.recipe, evaluation.classes
    target = recipe.data.target
    evaluator = "regressor" if classes is None else _Evaluator.name
    config: dict[str, Any] = {"log_model_explainability": False}
    if classes is not None and classes.positive is not None:
        config["pos_label"] = classes.positive
    weights = evaluation.answers.weights
    if weights is not None:
        config["sample_weights"] = weights

    def run() -> EvaluationResult:
        return mlflow.models.evaluate(
            data=make_dataset(
                pd.DataFrame(
                    {
                        target: evaluation.test[target],
                        PREDICTION: evaluation.table[PREDICTION],
                    }
                ),
                targets=target,
                predictions=PREDICTION,
                name=f"{recipe.name} predictions",
            ),
            model_id=model.model_id,
            model_type="regressor" if classes is None else "classifier",
            evaluators=[evaluator],
            evaluator_config={evaluator: config},
            extra_metrics=[
                _mlflow_metric(name, metrics[name], classes, weights)
                for name in (*CUSTOM_METRICS, *recipe.metrics.functions)
                if name in metrics and not metrics[name].takes_probabilities
            ],
            custom_artifacts=[
                _artifacts(evaluation),
                _draw_importance(importance, recipe.metrics.primary),
            ],
        )

    # It warns of integer labels, although it is told that they are classes.
    logging.getLogger("mlflow.models.evaluation.evaluators.classifier").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Its precision of a class that is never predicted is 0, as ours is, and the report says it.
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        again_if_datasets_collide(run)


def _mlflow_metric(
    name: str, metric: Metric, classes: Classes | None, weights: Values | None
) -> EvaluationMetric:
    def eval_fn(predictions: pd.Series, targets: pd.Series) -> float:
        is_all = weights is not None and len(weights) == len(targets)  # it tries one row before
        answers = Answers(encode_targets(predictions, classes), weights=weights if is_all else None)
        return metric(answers, encode_targets(targets, classes))

    return make_metric(eval_fn=eval_fn, greater_is_better=metric.greater_is_better, name=name)


Artifacts = Callable[..., dict[str, Any]]
"""A function in the form of MLflow's `custom_artifacts`."""


def _save(figures: Mapping[str, Figure], folder: str) -> dict[str, Any]:
    saved: dict[str, Any] = {}
    for name, figure in figures.items():
        path = Path(folder) / f"{name}.png"
        figure.savefig(path, dpi=120)
        saved[name] = str(path)
    return saved


def _artifacts(evaluation: Evaluation) -> Artifacts:
    """The pictures of the answers, and the worst of them."""

    def draw(_eval_df: pd.DataFrame, _metrics: dict[str, float], folder: str) -> dict[str, Any]:
        saved = _save(draw_plots(evaluation), folder)
        return saved | {"worst_predictions": worst_predictions(evaluation)}

    return draw


def _importance(model: PyFuncModel, evaluation: Evaluation, metric: Metric) -> pd.DataFrame:
    """How much each raw column matters."""
    recipe = evaluation.recipe
    # The rows were seen to fit MLflow's schema: of many columns, that takes longer than the model.
    wrapper = model.unwrap_python_model()

    def answers_for(rows: pd.DataFrame) -> tuple[Answers, npt.NDArray[np.intp]]:
        _, answers, problems = wrapper.predict_valid(rows)
        places = np.delete(np.arange(len(rows)), list(problems))
        weights = evaluation.answers.weights
        count = None if weights is None else pd.Series(weights[rows.index[places]])
        return read_answers(answers, evaluation.classes, count), places

    table, how = compute_importance(
        answers_for,
        evaluation.rows,
        evaluation.targets,
        metric,
        recipe.split.seed,
        evaluation.classes is not None,
    )
    mlflow.set_tag(IMPORTANCE, how)
    return table


def _draw_importance(table: pd.DataFrame, metric: str) -> Artifacts:
    def draw(_eval_df: pd.DataFrame, _metrics: dict[str, float], folder: str) -> dict[str, Any]:
        figure = plots.plot_importance(table, metric)
        return _save({"permutation_importance": figure}, folder) | {"importance": table}

    return draw


if __name__ == "__main__":
    run_step(evaluate, report_step)
