"""A sweep from its request to its verdict; see steps/sweep.py."""

import gc
import json
import logging
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click
import mlflow
import pandas as pd
from mlflow import ActiveRun, MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_PROJECT_BACKEND,
    MLFLOW_PROJECT_ENTRY_POINT,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

import engine.warm  # noqa: F401 - registers the backend
from common.errors import InputError
from common.secrets import without_credentials
from common.words import counted
from engine.cache.step_cache import StepCache, experiments_of
from engine.chain import Chain, Step
from engine.entry_point import note_run
from engine.failures import StepError
from engine.processes.forkserver import PROJECT
from engine.processes.guard import process_tags, when_interrupted
from engine.processes.reaper import reap
from engine.provenance.project_state import begin_provenance
from engine.terminal import folded
from engine.trials.local_trials import LocalTrials
from engine.trials.trial import Place, Trials
from modelling.judging.checks import Facts, run_checks
from modelling.judging.metrics import metrics_of
from modelling.recipe import TOGETHER, only_parts
from modelling.search.cross_validation import CrossValidation
from modelling.search.edges import find_edges
from modelling.search.search import TrialResult, best_of, choose_sampler, count_trials
from modelling.search.space import Point, build_space, own_points
from steps.pipeline.dependencies import StepDependencies
from steps.pipeline.order import log_origin, run_prepare, run_steps
from steps.pipeline.request import Request, log_request, resolve
from steps.pipeline.summary import print_summary
from steps.reporting.report import StepReports
from steps.runs.names import BEST, ENSEMBLE, ENSEMBLE_WORDS
from steps.runs.provenance_write import hide_credentials
from steps.runs.recipe_parts import READS
from steps.runs.webhook import tell_verdict
from steps.sweeping.loop import CONTINUED, SWEEP, Plan, SweepLoop, best_before, find_known
from steps.sweeping.shown import Progress, log_figures, log_leaderboard, print_leaderboard
from steps.sweeping.together import Ensemble, find_ensemble
from steps.sweeping.trial import read_folds
from tracking.artifacts_logger import log_table
from tracking.mlflow_manager import init_mlflow, init_mlflow_experiment, log_metrics, start_run

REPORTS = StepReports()

# Other versions of these may give other scores, or read other things in the store.
_SAME_ON_WORKERS = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "optuna")

WARM = "pipeline.sweep_begins_with"

_UNFINISHED = ("FAILED", "KILLED")


@dataclass(frozen=True)
class SweepRequest:
    """What a sweep was asked for, checked; the rows decide its plan's key, and an `auto` pruner."""

    request: Request
    plan: Plan
    cache: str


def run_sweep(options: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Does what steps/sweep.py was called for."""
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    provenance = begin_provenance(PROJECT)
    os.environ["MLFLOW_TRACKING_URI"] = init_mlflow()
    asked = _check(options, given)
    trials = _open_trials(options, asked.plan.trials)
    recipe = asked.request.recipe
    init_mlflow_experiment(recipe.name)  # before chdir: artifacts go where the user stands
    gc.freeze()  # what is imported: each look for rubbish would go through all of it
    gc.enable()
    tags = {MLFLOW_PROJECT_ENTRY_POINT: "sweep", **process_tags()}
    with start_run(recipe.name, None, tags) as run:
        note_run(run.info.run_id)
        os.chdir(PROJECT)
        reap([run.info.experiment_id])
        resumed = _find_resumed(options["resume"], run)
        hide_credentials(run)
        log_origin(asked.request, {**options, **given}, provenance.result())
        _sweep(asked, run, resumed, trials)


def _open_trials(options: Mapping[str, Any], count: int) -> Trials:
    """The processes of this machine, or a cluster, if it is there."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = _whole_number("jobs", options["jobs"], "auto") or cores or 1
    if options["scheduler"] == "none":
        return LocalTrials(min(jobs, count))
    from engine.trials.dask_trials import DaskTrials

    return DaskTrials(options["scheduler"], _SAME_ON_WORKERS, mlflow.get_tracking_uri())


def _check(options: Mapping[str, Any], given: Mapping[str, str]) -> SweepRequest:
    """Checks all that can be checked before any run is made."""
    request = resolve(options["recipe"], "auto", options["data"], "register", {})
    recipe = request.recipe
    seconds = _whole_number("seconds", options["seconds"], "none")
    space = build_space(recipe, options["model"], given, seconds is not None)
    sampler = choose_sampler(space, options["sampler"])
    trials = _whole_number("trials", options["trials"], "auto")
    metric = metrics_of(recipe)[recipe.metrics.primary]
    is_tuned = _is_tuned(recipe.decision.threshold, metric)
    if options["pruner"] not in ("auto", "none") and is_tuned:
        raise InputError(
            f"pruner {options['pruner']}: decision.threshold is tuned, so that no fold has a score "
            "before all are fitted; use pruner=none"
        )
    plan = Plan(
        recipe=recipe,
        space=space,
        sampler=sampler,
        pruner="none" if options["pruner"] == "auto" and is_tuned else options["pruner"],
        trials=count_trials(space, sampler, trials, seconds is not None),
        folds=options["folds"],
        seed=options["seed"],
        patience=_whole_number("patience", options["patience"], "none"),
        greater_is_better=metric.greater_is_better,
        seconds=seconds,
        first=own_points(recipe, space) if seconds and sampler != "grid" else (),
        ensemble=bool(seconds) if recipe.sweep.ensemble == "auto" else recipe.sweep.ensemble,
    )
    return SweepRequest(request, plan, options["cache"])


def _whole_number(name: str, text: str, nothing: str) -> int | None:
    if text == nothing:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{name}: {text!r} is neither a whole number from 1 on nor {nothing!r}")
    return int(text)


def _is_tuned(threshold: float | str, metric: Any) -> bool:
    return threshold == "tuned" and not metric.takes_probabilities


def _find_resumed(run_id: str, own: Run) -> Run | None:
    """The sweep that is to be continued, as far as that is known before its table is read."""
    if run_id == "none":
        return None
    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException as error:
        raise InputError(
            f"resume: there is no run {run_id!r} in {mlflow.get_tracking_uri()}"
        ) from error
    entry_point = run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT)
    if entry_point != "sweep":
        raise InputError(f"resume: run {run_id} is of {entry_point or 'no entry point'}, no sweep")
    for what, theirs, ours in (
        ("experiment", run.info.experiment_id, own.info.experiment_id),
        ("recipe", *(one.data.tags.get("pipeline.recipe") for one in (run, own))),
    ):
        if theirs != ours:
            raise InputError(f"resume: run {run_id} is of the {what} {theirs}, this is {ours}")
    if run.info.status == "RUNNING":
        raise InputError(f"resume: run {run_id} is still running")
    return run


def _sweep(asked: SweepRequest, run: ActiveRun, resumed: Run | None, trials: Trials) -> None:
    recipe = asked.request.recipe
    cache = StepCache(run.info.experiment_id, recipe.name, asked.cache)
    chain = Chain(PROJECT, run, "warm", cache, lambda step: REPORTS.begin(step, beside=True))
    prepare = run_prepare(chain, asked.request)
    folds = asked.plan.folds
    # Too few rows, say, are no trial's fault.
    validation = read_folds(only_parts(recipe, READS["trial"]), prepare.run_id, folds)
    depends = StepDependencies(PROJECT, recipe, asked.request.workspace.lock)
    on = depends.of_trials(folds, prepare.output_digest, asked.plan.space.models)
    plan = replace(
        asked.plan,
        trials_key=on.key,
        prepared=prepare.output_digest,
        pruner=_choose_pruner(asked.plan, validation),
    )
    plan = _begin_warm(plan, run, resumed)
    tried, interrupted = _try_all(asked, plan, prepare, run, resumed, trials)
    if not (tried or interrupted):
        raise InputError(
            f"seconds: no trial was done in {plan.seconds} s; give more, or one quick model as "
            f"-P model={plan.first[0].model if plan.first else next(iter(plan.space.models))}"
        )
    if tried:
        print_leaderboard(plan, tried)
        log_leaderboard(plan, tried)
    if interrupted:
        _end_interrupted(plan, tried, run)
    best = _best(plan, tried)
    ensemble = find_ensemble(plan, tried, validation)
    del validation  # the training rows, which the steps below read themselves
    request = _request_of(asked.request, plan, best, ensemble)
    score = ensemble.score if ensemble else float(best.score or 0.0)
    log_metrics({BEST + recipe.metrics.primary: score})
    mlflow.set_tags({"pipeline.winner_run_id": best.run_id, "pipeline.model": request.model})
    log_request(request)
    log_figures(plan, tried)
    if ensemble:
        words = ensemble.words(plan, best)
        log_table(ensemble.table(), ENSEMBLE)
        mlflow.set_tag(ENSEMBLE_WORDS, words)
    else:
        words = f"trial {best.number}: {best.point}"
    click.echo("\n" + folded(f"winner   {words}", indent=9) + "\n")
    verdict = run_steps(chain, request, prepare)
    mlflow.set_tags(verdict)
    print_summary(chain.steps, request, verdict, run, score)
    tell_verdict(recipe, verdict, run)


def _choose_pruner(plan: Plan, validation: CrossValidation) -> str:
    """The pruner's name; `auto` is halving where a large table is searched in a time."""
    if plan.pruner == "auto":
        return "halving" if plan.seconds and validation.is_large else "none"
    if plan.pruner == "halving" and not validation.is_large:
        raise InputError(
            "pruner halving: there are too few training rows to try a model on a sixteenth of them "
            "first; median and wilcoxon look at folds, or none"
        )
    return plan.pruner


def _begin_warm(plan: Plan, run: ActiveRun, resumed: Run | None) -> Plan:
    """Lets a sweep in a time begin with the best of those before it, or as the resumed one did."""
    if not plan.first:
        return plan
    if resumed is not None:
        before = [Point.from_key(key) for key in json.loads(resumed.data.tags.get(WARM, "[]"))]
    else:
        before = best_before(plan, experiments_of(plan.recipe.name, run.info.experiment_id))
    mlflow.set_tag(WARM, json.dumps([point.key for point in before]))
    if before:
        click.echo(f"sweep             begins with the {len(before)} best of sweeps before it")
    return replace(plan, first=(*plan.first, *before))


def _request_of(
    asked: Request, plan: Plan, best: TrialResult, ensemble: Ensemble | None
) -> Request:
    """The winner, as main would be asked for it."""
    if ensemble is None:
        point = best.point
        return replace(asked, model=point.model, hyperparameters=dict(point.hyperparameters))
    recipe = plan.recipe.with_together(TOGETHER)
    given = ensemble.hyperparameters(plan)
    return replace(asked, recipe=recipe, model=TOGETHER, hyperparameters=given)


def _try_all(
    asked: SweepRequest,
    plan: Plan,
    prepare: Step,
    run: ActiveRun,
    resumed: Run | None,
    trials: Trials,
) -> tuple[list[TrialResult], bool]:
    """Makes all trials that are not known yet; returns them, and whether it was cut short."""
    facts = json.dumps(plan.facts, sort_keys=True)
    mlflow.set_tag(SWEEP, facts)
    continued = _continued(plan, facts, run, resumed)
    if continued:
        mlflow.set_tag(CONTINUED, ",".join(continued))
    experiments = experiments_of(plan.recipe.name, run.info.experiment_id)
    known = find_known(plan, experiments, continued, asked.cache == "use")
    if known.by_number:
        so_far = counted(len(known.by_number), "trial")
        click.echo(f"sweep             continues {continued[0]}: {so_far} known")
        _adopt(known.by_number.values(), run, resumed)
    given = {
        "recipe": asked.request.recipe_path,
        "prepare_run_id": prepare.run_id,
        "folds": str(plan.folds),
    }
    progress = Progress(plan)
    interrupted = threading.Event()
    ends = time.monotonic() + (plan.seconds or math.inf)
    loop = SweepLoop(
        plan, trials, known, given, progress, lambda: interrupted.is_set() or _is_past(ends)
    )
    tried: Sequence[TrialResult] = []
    try:
        trials.begin(_place(plan, prepare, run))
        with when_interrupted(interrupted.set):
            tried = loop.run()
    finally:
        trials.close()
        progress.close(tried)
    return list(tried), interrupted.is_set()


def _is_past(moment: float) -> bool:
    return time.monotonic() > moment


def _continued(plan: Plan, facts: str, own: Run, resumed: Run | None) -> list[str]:
    """The sweeps whose trials keep their numbers: the one that is named, or unfinished equals.

    With those that they continued themselves; and what was cut off when it continued the named one.
    """
    if resumed is not None:
        theirs = json.loads(resumed.data.tags.get(SWEEP, "{}"))
        other = [name for name, value in plan.facts.items() if theirs.get(name) != value]
        if other:
            raise InputError(
                f"resume: run {resumed.info.run_id} was another sweep: {', '.join(other)} differs"
            )
    runs = MlflowClient().search_runs(
        [own.info.experiment_id],
        f"tags.`{SWEEP}` = '{facts}' and attributes.status != 'RUNNING' "
        "and attributes.status != 'FINISHED'",
        order_by=["attributes.start_time DESC"],
    )
    if resumed is not None:
        runs = [resumed, *(run for run in runs if resumed.info.run_id in _continued_by(run))]
    ids = [run_id for run in runs for run_id in (run.info.run_id, *_continued_by(run))]
    return list(dict.fromkeys(ids))


def _continued_by(sweep: Run) -> list[str]:
    """The sweeps that this one went on with."""
    return list(filter(None, sweep.data.tags.get(CONTINUED, "").split(",")))


def _adopt(tried: Any, own: Run, resumed: Run | None) -> None:
    """Moves the trials of sweeps that never finished below this one, which goes on with them."""
    if resumed is not None and resumed.info.status not in _UNFINISHED:
        return
    for one in tried:
        MlflowClient().set_tag(one.run_id, MLFLOW_PARENT_RUN_ID, own.info.run_id)


def _place(plan: Plan, prepare: Step, run: ActiveRun) -> Place:
    tags = run.data.tags
    inherited = (MLFLOW_USER, MLFLOW_GIT_COMMIT)
    return Place(
        tracking_uri=mlflow.get_tracking_uri(),
        experiment_id=run.info.experiment_id,
        step="train",
        tags={
            MLFLOW_PARENT_RUN_ID: run.info.run_id,
            MLFLOW_PROJECT_ENTRY_POINT: "train",
            MLFLOW_PROJECT_BACKEND: "warm",
            # As it was when the run was opened; its credentials have been taken out since.
            MLFLOW_SOURCE_NAME: without_credentials(tags.get(MLFLOW_SOURCE_NAME, str(PROJECT))),
            MLFLOW_SOURCE_TYPE: "PROJECT",
            "pipeline.recipe": plan.recipe.name,
            **{name: tags[name] for name in inherited if name in tags},
        },
        function="steps.sweeping.trial:open_trials",
        setting={
            "recipe": plan.recipe.model_dump(mode="json"),
            "prepare_run_id": prepare.run_id,
            "folds": plan.folds,
            "pruner": plan.pruner,
            "greater_is_better": plan.greater_is_better,
            "keeps": plan.ensemble,
        },
    )


def _best(plan: Plan, tried: Sequence[TrialResult]) -> TrialResult:
    states = [one.state for one in tried]
    log_metrics({"trials": len(tried), **{f"trials_{s}": states.count(s) for s in set(states)}})
    if "complete" not in states:
        reasons = {one.reason for one in tried if one.state == "failed"}
        raise InputError(f"all {len(tried)} trials failed: {sorted(reasons)[0]}")
    winner = best_of(tried, plan.greater_is_better)
    findings = run_checks(Facts(edges=find_edges(plan.recipe, plan.space, winner.point)))
    log_table(pd.DataFrame(map(asdict, findings)), "checks")
    return winner


def _end_interrupted(plan: Plan, tried: Sequence[TrialResult], run: ActiveRun) -> None:
    """Ends the run with what is known so far; nothing is trained that nobody has asked for."""
    done = [one for one in tried if one.state == "complete"]
    if len(done) > 1:
        log_figures(plan, tried)
    best = f"; the best so far is {best_of(tried, plan.greater_is_better).point}" if done else ""
    raise StepError(
        f"ended by SIGINT after {len(tried)} of {plan.trials} trials{best}; the same command goes "
        f"on, or -P resume={run.info.run_id}",
        "KILLED",
    )
