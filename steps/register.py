"""register: the gate, the registered version, its alias.

Called with `recipe`, `evaluate_run_id`, `champion_run_id` (the evaluation of the champion on the
same test rows, or none). Leaves the table of comparisons, the verdict with its reason, and, when
the model passed, a version of the registered model that is named after the recipe.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace

import click
import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from common.errors import InputError
from common.tags import OUTPUT_DIGEST
from common.words import show_figure, with_minus
from engine.cache.key import in_words
from modelling.judging.gate import Comparison, check_finite, check_slices, check_thresholds
from modelling.judging.metrics import BASELINE_PREFIX, check_gate, metrics_of
from modelling.recipe import Recipe
from modelling.reporting.markdown import escape
from steps.registry.comparison import compare_evaluations
from steps.registry.journal import (
    PROMOTED,
    move_champion,
    read_journal,
    registry_lock,
    was_taken_back,
)
from steps.registry.portability import check_travels
from steps.registry.seen_rows import describe_seen_rows
from steps.registry.turns import turn, wait_for_others
from steps.registry.unfinished import finish_or_undo
from steps.registry.versions import (
    CHALLENGER,
    CHAMPION,
    REPLACED_BY_VERSION,
    REPLACED_VERSION,
    find_champion,
    find_equal_version,
    named,
    unfit_columns,
)
from steps.reporting.report import report_step
from steps.runs.artifacts import download, find_run
from steps.runs.model_digests import download_checked
from steps.runs.names import (
    CHAMPION_BEFORE,
    DATA_SHA256,
    ESTIMATOR,
    MODEL_DIGEST,
    MODEL_ID,
    MODEL_VERSION,
    PREPARE_RUN_ID,
    VERDICT,
    VERDICT_REASON,
)
from steps.runs.provenance_write import WORKSPACE_COMMIT
from steps.runs.step import load_parts, run_step, step_run
from tracking.artifacts_logger import log_table
from tracking.mlflow_manager import log_metrics

_LAST_WORDS = (
    "Each version tells what it was measured at and held against; its tag "
    "`pipeline.evaluate_run_id` leads to its plots and its report."
)
"""How a description of a registered model ends that is ours, to be written anew."""


@dataclass(frozen=True)
class Verdict:
    """What became of the model: promoted, challenger, unchanged or rejected, and why."""

    word: str
    reason: str


@click.command()
@click.option("--recipe", required=True)
@click.option("--evaluate_run_id", required=True)
@click.option("--champion_run_id", default="none")
def register(recipe: str, evaluate_run_id: str, champion_run_id: str) -> None:
    """Registers the model of an evaluate run, if it is good enough."""
    settings = load_parts(recipe, "register")
    check_gate(settings)
    with step_run("register", settings):
        candidate = find_run(evaluate_run_id, "evaluate", settings)
        model = candidate.data.tags["pipeline.model"]
        mlflow.set_tag(MLFLOW_RUN_NAME, f"register {settings.name} {model}")
        # Two that compare themselves with the same champion must not both take its place.
        with registry_lock(settings.name):
            finish_or_undo(settings.name)
            before = find_champion(settings.name)
            judged = _judge(settings, candidate, champion_run_id)
            if judged.is_to_be_registered:
                check_travels(download_checked(f"models:/{candidate.data.tags[MODEL_ID]}"))
                judged = _register_version(settings, candidate, judged, champion_run_id)
            if judged.is_to_be_champion_again:
                judged = _promote_again(settings, candidate, champion_run_id)
        if judged.version:
            _describe_model(settings)
        rows, verdict = judged.rows, judged.verdict
        log_table(pd.DataFrame([asdict(row) for row in rows]), "gate")
        _log_interval(rows)
        tags = {VERDICT: verdict.word, VERDICT_REASON: verdict.reason}
        if judged.version:
            tags[MODEL_VERSION] = judged.version
        content = json.dumps(tags, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        mlflow.set_tags(
            {**tags, CHAMPION_BEFORE: before.version if before else "none", OUTPUT_DIGEST: digest}
        )


@dataclass(frozen=True)
class Judgement:
    """The comparisons, the verdict, and the champion that they are about.

    equal: the version that the model is already; version: the one that it is in the end.
    """

    rows: list[Comparison]
    verdict: Verdict
    champion: ModelVersion | None = None
    equal: str | None = None
    version: str | None = None

    @property
    def is_to_be_registered(self) -> bool:
        """Whether the model is to become a version."""
        return self.verdict.word in ("promoted", "challenger") and self.equal is None

    @property
    def is_to_be_champion_again(self) -> bool:
        """Whether the model is a version already, and is to become the champion."""
        return self.verdict.word == "promoted" and self.equal is not None


def _judge(recipe: Recipe, candidate: Run, champion_run_id: str) -> Judgement:
    metrics = metrics_of(recipe)
    figures = candidate.data.metrics
    rows = [
        *check_finite(metrics, figures),
        *check_thresholds(recipe.gate, figures, metrics),
        *check_slices(recipe.gate, _read_slices(recipe, candidate), figures, metrics),
    ]
    failed = [row for row in rows if not row.passed]
    if failed:
        return Judgement(rows, Verdict("rejected", "; ".join(map(str, failed))))
    equal = find_equal_version(recipe.name, candidate.data.tags[MODEL_DIGEST])
    champion = find_champion(recipe.name)
    number = str(equal.version) if equal else None
    if champion is None:
        return Judgement(rows, Verdict("promoted", _without_champion(recipe.name)), equal=number)
    if equal:
        return _judge_again(recipe, candidate, rows, equal, champion, champion_run_id)
    if champion.tags.get(MODEL_DIGEST) == candidate.data.tags[MODEL_DIGEST]:
        what = f"version {champion.version}, whose files are gone"
        again = Verdict(
            "promoted", f"passed the gate, and is the same model as the champion, {what}"
        )
        return Judgement(rows, again, champion)
    prepared = find_run(candidate.data.tags[PREPARE_RUN_ID], "prepare", recipe)
    if unfit := unfit_columns(champion, prepared):
        return Judgement(rows, _incomparable(champion, unfit), champion)
    row = _compare(recipe, candidate, champion, champion_run_id)
    primary = metrics_of(recipe)[recipe.metrics.primary]
    verdict = _compared(row, primary.greater_is_better, champion)
    flattered = describe_seen_rows(recipe, candidate, champion)
    return Judgement([*rows, row], replace(verdict, reason=verdict.reason + flattered), champion)


def _judge_again(
    recipe: Recipe,
    candidate: Run,
    rows: list[Comparison],
    equal: ModelVersion,
    champion: ModelVersion,
    champion_run_id: str,
) -> Judgement:
    """Judges a model that is a version already: on the rows of now it may be the better one again.

    It stays what it is where a person took it out of use, or where nothing can be compared.
    """
    number = str(equal.version)
    alias = f", the {equal.aliases[0]}" if equal.aliases else ""
    same = Verdict("unchanged", f"the same model as version {number}{alias}")
    stays = Judgement(rows, same, version=number)
    if number == str(champion.version):
        return stays
    if was_taken_back(recipe.name, number):
        reason = f"{same.reason}, which was taken out of use by hand"
        return replace(stays, verdict=replace(same, reason=reason))
    prepared = find_run(candidate.data.tags[PREPARE_RUN_ID], "prepare", recipe)
    if unfit_columns(champion, prepared) or not _champion_evaluation(
        recipe, candidate, champion, champion_run_id
    ):
        return stays
    row = _compare(recipe, candidate, champion, champion_run_id)
    if not row.passed:
        return replace(stays, rows=[*rows, row])
    primary = metrics_of(recipe)[recipe.metrics.primary]
    verdict = _compared(row, primary.greater_is_better, champion)
    again = replace(verdict, reason=f"{same.reason}, and {verdict.reason}")
    return Judgement([*rows, row], again, champion, equal=number)


def _read_slices(recipe: Recipe, candidate: Run) -> pd.DataFrame:
    """The slices of an evaluation; none where the gate asks for nothing of them."""
    if not any(threshold.slices for threshold in recipe.gate.values()):
        return pd.DataFrame()
    return pd.read_json(download(candidate.info.run_id, "slices.json"), orient="split")


def _without_champion(name: str) -> str:
    found = MlflowClient().search_registered_models(named(name))
    moves = read_journal(found[0].tags) if found else []
    if not moves:
        return "passed the gate, and there was no champion before"
    return f"passed the gate, and there was no champion any more; it was version {moves[-1].after}"


def _compare(
    recipe: Recipe, candidate: Run, champion: ModelVersion, champion_run_id: str
) -> Comparison:
    evaluated = _champion_evaluation(recipe, candidate, champion, champion_run_id)
    if evaluated is None:
        raise InputError(
            f"{recipe.name} has a champion, version {champion.version}: evaluate it on the same "
            f"rows (-e evaluate -P prepare_run_id={candidate.data.tags[PREPARE_RUN_ID]} "
            f"-P model_uri=models:/{recipe.name}/{champion.version}) and give that run as "
            "champion_run_id"
        )
    row = compare_evaluations(recipe, candidate, evaluated)
    if row is None:
        raise InputError(f"run {evaluated.info.run_id} evaluated the champion on other test rows")
    return row


def _champion_evaluation(
    recipe: Recipe, candidate: Run, champion: ModelVersion, champion_run_id: str
) -> Run | None:
    """The evaluation of the champion on the candidate's test rows.

    A champion that took its place since the one in `champion_run_id` was evaluated was evaluated
    itself before it was registered: on the same rows, if the data is the same.
    """
    if MODEL_DIGEST not in champion.tags:
        raise InputError(
            f"the champion, version {champion.version} of {champion.name}, was registered by hand: "
            f"it lacks the tag {MODEL_DIGEST}. Make another version the champion: -e rollback"
        )
    if champion_run_id != "none":
        given = find_run(champion_run_id, "evaluate", recipe, "champion_run_id")
        digest = given.data.tags[MODEL_DIGEST]
        if digest == champion.tags.get(MODEL_DIGEST):
            return given
        if find_equal_version(champion.name, digest) is None:
            raise InputError(
                f"champion_run_id: run {champion_run_id} did not evaluate the champion, "
                f"version {champion.version} of {champion.name}"
            )
    try:
        own = find_run(champion.tags.get("pipeline.evaluate_run_id", "none"), "evaluate", recipe)
    except InputError:
        return None
    rows = {
        find_run(run.data.tags[PREPARE_RUN_ID], "prepare", recipe).data.tags[OUTPUT_DIGEST]
        for run in (own, candidate)
    }
    return own if len(rows) == 1 else None


def _compared(row: Comparison, greater_is_better: bool, champion: ModelVersion) -> Verdict:
    differences = (row.candidate - row.reference, row.low, row.high)
    difference, low, high = (
        with_minus(show_figure(figure, "+", row.metric)) for figure in differences
    )
    ours, theirs = (
        show_figure(figure, metric=row.metric) for figure in (row.candidate, row.reference)
    )
    gap, *ends = (figure if greater_is_better else -figure for figure in differences)
    way = " (better)" if gap > 0 else " (worse)" if gap < 0 else ""
    reason = (
        f"{row.metric} {ours} against {theirs} of the "
        f"champion, version {champion.version}: {difference}{way}, interval {low} to {high}"
    )
    if row.passed:
        return Verdict("promoted", f"{row.required} than the champion: {reason}")
    is_surely_worse = "with" in row.required and max(ends) < 0
    found = row.required.replace("better", "worse") if is_surely_worse else f"not {row.required}"
    return Verdict("challenger", f"passed the gate, but is {found}: {reason}")


def _incomparable(champion: ModelVersion, unfit: Sequence[str]) -> Verdict:
    return Verdict(
        "challenger",
        f"passed the gate, but cannot be compared with the champion, version {champion.version}, "
        f"which takes {in_words(unfit)}: the recipe's columns are others now. Whoever knows it to "
        "be better makes it the champion: -e rollback with its version",
    )


def _log_interval(rows: Sequence[Comparison]) -> None:
    for row in rows:
        if row.check == "champion":
            log_metrics(
                {
                    f"champion_{row.metric}": row.reference,
                    "difference_to_champion": row.candidate - row.reference,
                    "difference_low": row.low,
                    "difference_high": row.high,
                }
            )


def _register_version(
    recipe: Recipe, candidate: Run, judged: Judgement, champion_run_id: str
) -> Judgement:
    """Registers the candidate in its turn; the alias moves last, when the version is complete."""

    def make(tags: dict[str, str]) -> ModelVersion:
        uri = f"models:/{candidate.data.tags[MODEL_ID]}"
        all_tags = {**_version_tags(recipe, candidate), **tags}
        with redirect_stderr(io.StringIO()):
            return mlflow.register_model(uri, recipe.name, tags=all_tags)

    with turn(recipe.name, make) as number:
        while judged.is_to_be_registered and not _still_holds(judged, recipe, candidate):
            judged = _judge(recipe, candidate, champion_run_id)
        if judged.is_to_be_registered:
            _complete_version(recipe, candidate, judged, number)
            return replace(judged, version=number)
    return judged


def _promote_again(recipe: Recipe, candidate: Run, champion_run_id: str) -> Judgement:
    """Makes the version that the candidate is already the champion, if still nobody is."""
    wait_for_others(recipe.name)
    judged = _judge(recipe, candidate, champion_run_id)
    if not judged.is_to_be_champion_again or judged.equal is None:
        return judged
    MlflowClient().set_model_version_tag(recipe.name, judged.equal, VERDICT, judged.verdict.word)
    _promote(recipe, judged.equal, judged.verdict)
    return replace(judged, version=judged.equal)


def _still_holds(judged: Judgement, recipe: Recipe, candidate: Run) -> bool:
    """Whether the registry is as it was when the candidate was judged."""
    now = find_champion(recipe.name)
    versions = [found and found.version for found in (judged.champion, now)]
    equal = find_equal_version(recipe.name, candidate.data.tags[MODEL_DIGEST])
    return versions[0] == versions[1] and equal is None


def _complete_version(recipe: Recipe, candidate: Run, judged: Judgement, number: str) -> None:
    client = MlflowClient()
    verdict, champion = judged.verdict, judged.champion
    client.update_model_version(
        recipe.name, number, _description(recipe, candidate, judged.rows, verdict)
    )
    client.set_model_version_tag(recipe.name, number, VERDICT, verdict.word)
    if verdict.word == "challenger":
        client.set_registered_model_alias(recipe.name, CHALLENGER, number)
        return
    if champion:
        client.set_model_version_tag(recipe.name, number, REPLACED_VERSION, champion.version)
        client.set_model_version_tag(recipe.name, champion.version, REPLACED_BY_VERSION, number)
    _promote(recipe, number, verdict)


def _promote(recipe: Recipe, number: str, verdict: Verdict) -> None:
    stage = recipe.promotion.stage
    if stage != "none":
        MlflowClient().transition_model_version_stage(recipe.name, number, stage)
    move_champion(recipe.name, number, PROMOTED, verdict.reason)


def _version_tags(recipe: Recipe, candidate: Run) -> dict[str, str]:
    facts = _facts(candidate)
    metrics = candidate.data.metrics
    primary = recipe.metrics.primary
    return {
        MODEL_DIGEST: facts["model_digest"],
        DATA_SHA256: facts["data_sha256"],
        "pipeline.model": facts["model"],
        ESTIMATOR: facts.get("estimator", "unknown"),
        "pipeline.git_commit": facts["git_commit"],
        **({WORKSPACE_COMMIT: facts["workspace_commit"]} if "workspace_commit" in facts else {}),
        "pipeline.train_run_id": facts["train_run_id"],
        "pipeline.evaluate_run_id": candidate.info.run_id,
        primary: show_figure(metrics[primary]).replace(",", ""),
        BASELINE_PREFIX + primary: show_figure(metrics[BASELINE_PREFIX + primary]).replace(",", ""),
    }


def _facts(candidate: Run) -> dict[str, str]:
    model_uri = f"models:/{candidate.data.tags[MODEL_ID]}"
    try:
        return dict(mlflow.models.get_model_info(model_uri).metadata or {})
    except (MlflowException, OSError) as error:
        raise InputError(f"model {model_uri} cannot be read: {error}") from error


def _describe_model(recipe: Recipe) -> None:
    """Says of the registered model what it is and how to use it, unless it is somebody's words."""
    client = MlflowClient()
    before = client.get_registered_model(recipe.name).description or ""
    if before and not before.endswith(_LAST_WORDS):
        return
    about = recipe.about.in_words()
    said = "".join(f"**{label.capitalize()}:** {escape(text)}\n\n" for label, text in about.items())
    title = f"# {escape(recipe.about.title)}\n\n" if recipe.about.title else ""
    text = (
        f"{title}{said}The {recipe.task} of **{escape(recipe.data.target)}**, by the recipe "
        f"{recipe.name}. The version in use has the alias `{CHAMPION}`:\n\n"
        f'    mlflow.pyfunc.load_model("models:/{recipe.name}@{CHAMPION}")\n\n'
        f"{_LAST_WORDS}"
    )
    if text != before:
        client.update_registered_model(recipe.name, text)


def _description(
    recipe: Recipe, candidate: Run, rows: Sequence[Comparison], verdict: Verdict
) -> str:
    facts = _facts(candidate)
    metrics = candidate.data.metrics
    figures = "\n".join(
        f"| {name} | {show_figure(metrics[name], metric=name)} "
        f"| {show_figure(metrics[BASELINE_PREFIX + name], metric=name)} |"
        for name in metrics_of(recipe)
    )
    gate = "\n".join(f"- {escape(row)}" for row in rows if row.check != "finite")
    own = f" and the recipe's {facts['workspace_commit']}" if "workspace_commit" in facts else ""
    return (
        f"**{facts['model']}** of the recipe {recipe.name}: {verdict.word}, "
        f"{escape(verdict.reason)}.\n\n"
        f"| metric (test rows) | model | naive baseline |\n|---|---|---|\n{figures}\n\n"
        f"What it had to pass:\n{gate}\n\n"
        f"Trained by run {facts['train_run_id']}, evaluated by run {candidate.info.run_id}, on the "
        f"table with sha256 {facts['data_sha256']}, from Git commit {facts['git_commit']}{own}."
    )


if __name__ == "__main__":
    run_step(register, report_step)
