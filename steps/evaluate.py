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
from dataclasses import asdict, dataclass, replace
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
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import UndefinedMetricWarning

from common.tags import OUTPUT_DIGEST
from modelling.inspecting.fairness import measure_fairness
from modelling.inspecting.importance import compute_importance
from modelling.inspecting.reliability import calibration_table, coverage_figures, measure_coverage
from modelling.inspecting.slices import EvaluatedRows, find_slices, measure_slices, parts_of
from modelling.judging import plots
from modelling.judging.answers import (
    PREDICTION,
    PROBABILITY_PREFIX,
    Answers,
    Classes,
    Values,
    encode_targets,
    find_classes,
    read_answers,
)
from modelling.judging.checks import SEVERE, Finding, run_checks
from modelling.judging.intervals import compute_intervals
from modelling.judging.metrics import (
    BASELINE_PREFIX,
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
from modelling.models.sklearn_wrapper import answer, apply_features
from modelling.own_code import ask_check, ask_plot
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

_MOST_CURVES = 10
_NO_DECISION: dict[str, Any] = {"decision": None}  # the most frequent class is the answer


@dataclass(frozen=True)
class Evaluation:
    """What the pictures and tables are made of.

    test: the rows, with row_key and the target; table: what the model gave for them; targets and
    answers: the same in the numbers that metrics take; facts: of the model.
    """

    recipe: Recipe
    classes: Classes | None
    test: pd.DataFrame
    targets: Values
    table: pd.DataFrame
    answers: Answers
    facts: dict[str, Any]


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
        answers = read_answers(table, classes, weights)
        targets = encode_targets(test[target], classes)
        figures = compute_metrics(metrics, answers, targets)
        groups = read_test_groups(prepare_run_id, settings.split)
        figures |= compute_intervals(metrics, answers, targets, settings.split.seed, groups)
        known_weights = read_weights(prepare_run_id, settings.data, "train")
        figures |= _baseline(known, known_weights, targets, weights, classes, metrics)
        if weights is not None:
            figures[TEST_WEIGHT] = float(weights.sum())
        known_rows = _read_training(prepare_run_id, settings)
        figures |= _of_training(known_rows, model, classes, settings, metrics)
        evaluation = Evaluation(settings, classes, test, targets, table, answers, facts)
        slices = _slices(evaluation, metrics)
        log_table(slices, "slices")
        if settings.is_binary and settings.slices:
            log_table(_fairness(evaluation, metrics), "fairness")
        figures |= _log_single_rows(evaluation, model)
        worst = slices.loc[slices["worse"], ["slice", "difference"]].set_index("slice").abs()
        mlflow.set_tag(WORST_SLICE, str(worst["difference"].idxmax()) if len(worst) else "none")
        importance = _importance(model, evaluation, metrics[settings.metrics.primary])
        wrapper = model.unwrap_python_model()
        tested = ModelOnTest(
            wrapper.pipeline,
            wrapper.features,
            test.drop(columns=ROW_KEY),
            settings.data.target,
            answers,
            targets,
            classes,
            groups,
        )
        found = collect_facts(
            tested,
            known_rows,
            settings.metrics.primary,
            metrics[settings.metrics.primary],
            figures,
            importance,
            slices,
            settings.split.seed,
        )
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


def _slices(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """The slices that the recipe names, and those where the model is worse than elsewhere."""
    tested = _evaluated_rows(evaluation, metrics)
    found = find_slices(tested, _errors(evaluation))
    named = measure_slices(tested, evaluation.recipe.slices)
    return pd.concat([named, found[~found["slice"].isin(named["slice"])]], ignore_index=True)


def _log_single_rows(evaluation: Evaluation, model: PyFuncModel) -> dict[str, float]:
    """Logs what is known of single rows: why, how sure, and whether probabilities hold."""
    classes, recipe = evaluation.classes, evaluation.recipe
    wrapper, weights = model.unwrap_python_model(), evaluation.answers.weights
    true = evaluation.test[recipe.data.target]
    rows = evaluation.test.drop(columns=[ROW_KEY, recipe.data.target])
    positive = None if classes is None else classes.positive
    answered = AnsweredRows(rows, evaluation.table)
    reasons = explain_some(wrapper, answered, _errors(evaluation), positive)
    if reasons is not None:
        places = reasons.pop("place")
        keys = [f"{key:016x}" for key in evaluation.test[ROW_KEY].iloc[places]]
        reasons.insert(0, ROW_KEY, keys)
        log_table(reasons.assign(true=true.iloc[places].to_numpy()), "reasons")
    if positive is not None and evaluation.answers.probabilities is not None:
        said = evaluation.answers.probabilities
        log_table(calibration_table(said, evaluation.targets, weights), "calibration_table")
    held = None
    if wrapper.features.get("intervals"):
        inputs = apply_features(rows, wrapper.features)
        held = hold_intervals(wrapper, inputs, evaluation.table, evaluation.targets, classes)
    if held is None:
        return {}
    parts = dict(part for text in recipe.slices for part in parts_of(text, rows))
    for label in classes.labels if classes else ():
        parts[recipe.about.name_class(recipe.data.target, label)] = true.to_numpy() == label
    coverage = measure_coverage(held.holds, held.sizes, held.promised, parts, weights)
    log_table(coverage, "coverage")
    size = "interval_width" if classes is None else "set_size"
    return {**coverage_figures(coverage, held.promised), size: float(coverage["size"].iloc[0])}


def _fairness(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    return measure_fairness(_evaluated_rows(evaluation, metrics), evaluation.recipe.slices)


def _evaluated_rows(evaluation: Evaluation, metrics: Mapping[str, Metric]) -> EvaluatedRows:
    """The test rows, with a metric that says of a part of them what it says of all."""
    recipe, answers, targets = evaluation.recipe, evaluation.answers, evaluation.targets
    rows = evaluation.test.drop(columns=[ROW_KEY, recipe.data.target])
    name = recipe.metrics.primary
    # A part of the rows has a smaller sum, and less variance to explain or money to win, without
    # being worse.
    if name == "business_score":
        name = "roc_auc"
    elif name == "r2" or adds_up(metrics[name], answers, targets):
        name = "rmse" if evaluation.classes is None else "accuracy"
    return EvaluatedRows(rows, answers, targets, name, metrics[name], recipe.split.seed)


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
        said = ask_check(path, code, _rows_with_answers(evaluation))
        title = name.replace("_", " ").capitalize()
        findings.append(Finding(name, title, SEVERE, said))
    return findings


def _log_checks(findings: list[Finding]) -> None:
    log_table(pd.DataFrame(map(asdict, findings)), "checks")
    severe = {one.code: one.sentence for one in findings if one.severity == SEVERE and one.sentence}
    mlflow.set_tag(CHECKS, json.dumps(severe, ensure_ascii=False))


def _baseline(
    known: pd.Series,
    known_weights: pd.Series | None,
    targets: Values,
    weights: pd.Series | None,
    classes: Classes | None,
    metrics: Mapping[str, Metric],
) -> dict[str, float]:
    """The metrics of what the training rows say on average, as if it were a model.

    That is their mean or, of a classification, the most frequent class and the share of each.
    """
    rows = pd.DataFrame({"nothing": np.zeros(max(len(known), len(targets)))})
    if classes is None:
        dummy = DummyRegressor(strategy="mean")
    else:
        dummy = DummyClassifier(strategy="prior")
    dummy.fit(rows.head(len(known)), known, sample_weight=known_weights)
    table = answer(dummy, rows.head(len(targets)), _NO_DECISION)
    answers = read_answers(table, classes, weights)
    return compute_metrics(metrics, answers, targets, BASELINE_PREFIX)


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
    target = evaluation.recipe.data.target

    def draw(_eval_df: pd.DataFrame, _metrics: dict[str, float], folder: str) -> dict[str, Any]:
        classes = evaluation.classes
        if classes is None:
            figures = _plots_of_values(evaluation)
        else:
            figures = _plots_of_classes(evaluation, classes)
        figures |= _own_plots(evaluation)
        worst = plots.worst_predictions(
            evaluation.test,
            evaluation.table,
            _errors(evaluation),
            target,
            evaluation.answers.weights,
        )
        return _save(figures, folder) | {"worst_predictions": worst}

    return draw


def _own_plots(evaluation: Evaluation) -> dict[str, Figure]:
    code = evaluation.recipe.code
    named = evaluation.recipe.plots.items()
    return {name: ask_plot(path, code, _rows_with_answers(evaluation)) for name, path in named}


def _rows_with_answers(evaluation: Evaluation) -> pd.DataFrame:
    # A column of the table that is named as an answer gives way to it.
    hidden = [ROW_KEY, *evaluation.table.columns]
    return evaluation.test.drop(columns=hidden, errors="ignore").join(evaluation.table)


def _errors(evaluation: Evaluation) -> Values:
    """Of numbers prediction - target; of a class, the probability that the others were given."""
    if evaluation.classes is None:
        return evaluation.answers.predictions - evaluation.targets
    given = evaluation.table[evaluation.classes.columns].to_numpy()
    place = np.searchsorted(
        np.asarray(evaluation.classes.labels),
        evaluation.test[evaluation.recipe.data.target].to_numpy(),
    )
    return 1 - given[np.arange(len(given)), place]


def _plots_of_values(evaluation: Evaluation) -> dict[str, Figure]:
    answers, target = evaluation.answers, evaluation.recipe.data.target
    values = evaluation.targets, answers.predictions, target, answers.weights
    return {
        "predictions_vs_targets": plots.plot_predictions(*values),
        "residuals": plots.plot_residuals(*values),
        "error_by_target": plots.plot_error_by_target(*values),
    }


def _plots_of_classes(evaluation: Evaluation, classes: Classes) -> dict[str, Figure]:
    target, about = evaluation.recipe.data.target, evaluation.recipe.about
    true = evaluation.test[target].to_numpy()
    shown = classes.labels if classes.positive is None else (classes.positive,)
    scores = {
        about.name_class(target, label): (
            (true == label).astype(float),
            evaluation.table[f"{PROBABILITY_PREFIX}{label}"].to_numpy(),
        )
        for label in shown[:_MOST_CURVES]
    }
    said, weights = evaluation.table[PREDICTION].to_numpy(), evaluation.answers.weights
    figures = {
        "confusion": plots.plot_confusion(true, said, target, weights, about.labels),
        "roc": plots.plot_roc(scores, target, weights),
        "precision_recall": plots.plot_precision_recall(scores, target, weights),
        "calibration": plots.plot_calibration(scores, target, weights),
    }
    if classes.positive is not None:
        [(name, (is_class, score))] = scores.items()
        threshold = evaluation.facts.get("threshold")
        figures["lift"] = plots.plot_lift(is_class, score, name, weights)
        figures["score_distribution"] = plots.plot_scores(is_class, score, name, threshold, weights)
    return figures


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
        evaluation.test.drop(columns=[ROW_KEY, recipe.data.target]),
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
