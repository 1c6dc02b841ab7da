"""reproduce: makes a recorded pipeline again, from its commit, its data and its lock, and compares.

Called with `run_id` (of a run of main, or models:/name/version) and `environment` (locked, or
current: the present one, whatever is installed). Leaves, below its own run, the pipeline's new run,
which is neither cached nor registered, and here the table of comparisons and the verdict:
identical, equal within tolerance, or different, which fails the run.
"""

import gc
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import mlflow
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import ExecutionException
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from common.errors import InputError
from common.file_digests import file_sha256
from common.tags import BLAS, CPU, ERROR, OUTPUT_DIGEST, PLATFORM, THREADS
from engine.cache.key import ABSENT, LOCK, OWN_LOCK, environment_versions, locked_requirements
from engine.chain import newest_failed_child
from engine.entry_point import note_run, run_command
from engine.failures import FindingError, StepError
from engine.processes.forkserver import PROJECT
from engine.processes.guard import environment_variables, parent_variable, process_tags
from engine.processes.leftovers import vanishing_folder
from engine.provenance.checkout import check_out, check_out_repository
from engine.provenance.locked import locked_python
from engine.provenance.project_state import machine_tags
from engine.step_log import last_words
from modelling.judging.comparison import (
    CLOSE,
    DIFFERENT,
    IDENTICAL,
    TOLERANCE,
    ComparisonRow,
    compare_keys,
    compare_metrics,
    compare_models,
    compare_predictions,
    compare_texts,
    judge,
)
from modelling.kinds import ROW_KEY
from modelling.recipe import Data
from steps.pipeline.order import UNTIL
from steps.reporting.report import report_step
from steps.runs.artifacts import download
from steps.runs.names import DATA_SHA256, MODEL_DIGEST, VERDICT, VERDICT_REASON
from steps.runs.provenance_read import RecordedRun, find_recorded, step_of
from steps.runs.provenance_write import PROVENANCE_FILE, hide_credentials
from steps.runs.result import write_result
from steps.sources.table_source import fetch_data, fetch_table, source_sha256
from tracking.artifacts_logger import log_table
from tracking.mlflow_manager import init_mlflow, init_mlflow_experiment, log_metrics, start_run

_COMPARED = tuple(name for name in UNTIL if name != "register")
_SYSTEM = "system/"
_TEMPORARY = "t"  # the path of a socket in there must not exceed 104 characters
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = 24  # enough of a digest to tell it from another


@click.command()
@click.option("--run_id", required=True)
@click.option("--environment", default="locked", type=click.Choice(["locked", "current"]))
def reproduce(run_id: str, environment: str) -> None:
    """Makes a recorded pipeline again and compares."""
    os.environ["MLFLOW_TRACKING_URI"] = init_mlflow()
    gc.freeze()  # what is imported: each look for rubbish would go through all of it
    gc.enable()
    with vanishing_folder() as folder:
        for name in ("project", "workspace", "data", _TEMPORARY):
            (folder / name).mkdir()
        tempfile.tempdir = str(folder / _TEMPORARY)
        try:
            _reproduce(find_recorded(run_id), environment, folder)
        finally:
            tempfile.tempdir = None


def _reproduce(recorded: RecordedRun, environment: str, folder: Path) -> None:
    tags = recorded.run.data.tags
    init_mlflow_experiment(tags["pipeline.recipe"])
    own = {MLFLOW_PROJECT_ENTRY_POINT: "reproduce", **process_tags(), **machine_tags()}
    with start_run(tags["pipeline.recipe"], tags.get("pipeline.model"), own) as run:
        note_run(run.info.run_id)
        hide_credentials(run)
        mlflow.set_tag("pipeline.reproduced_run_id", recorded.run_id)
        _say(f"run {recorded.run_id}, commit {recorded.git.commit[:12]}{_with_diff(recorded)}")
        rows, reason = _make_again(recorded, environment, folder)
        _conclude(recorded, rows, reason)


def _say(line: str) -> None:
    click.echo(f"reproduce: {line}")


def _with_diff(recorded: RecordedRun) -> str:
    files = len(recorded.git.changed) + len(recorded.git.untracked)
    return f" and its diff of {files} file{'s' if files > 1 else ''}" if files else ""


def _make_again(
    recorded: RecordedRun, environment: str, folder: Path
) -> tuple[list[ComparisonRow], str | None]:
    """Runs the recorded pipeline in a folder; returns the comparison, and why it may differ."""
    try:
        project = check_out(PROJECT, recorded.git, recorded.diff(), folder / "project")
    except OSError as error:
        raise InputError(f"run {recorded.run_id} cannot be made again: {error}") from error
    team = _check_out_workspace(recorded, folder / "workspace")
    source, sha256 = _find_table(recorded, project, folder / "data", team)
    data = compare_texts("data", "sha256 of the table", recorded.data_sha256, sha256)
    if data.outcome == DIFFERENT:
        return [data], f"the data changed: {source} is not the table that the run read"
    try:
        own_lock = recorded.own_lock()
        is_locked = environment == "locked"
        python, which = (locked_python if is_locked else _current)(project, own_lock)
    except OSError as error:
        raise InputError(f"run {recorded.run_id} cannot be made again: {error}") from error
    _say(f"the table is the same; the environment is {which}")
    recipe = str(team.recipe) if team else _recipe(recorded, project)
    again = _run_pipeline(recorded, project, python, (recipe, source), folder / _TEMPORARY)
    if again.info.status != "FINISHED":
        return [data, _failed_row(again)], _why_failed(recorded, again)
    locks = [file.read_text(encoding="utf-8") for file in (project / LOCK, own_lock) if file]
    return [data, *_compare(recorded, again)], _likely_reason(recorded, again, "\n".join(locks))


def _current(project: Path, own_lock: Path | None) -> tuple[Path, str]:
    versions = environment_versions(project / "requirements.lock", own_lock)
    other = versions.keys() - {LOCK, OWN_LOCK, "python"}
    named = f"other versions of {', '.join(sorted(other))}" if other else "nothing else than locked"
    return Path(sys.executable), f"the present one, as asked, with {named}"


@dataclass(frozen=True)
class _Team:
    """A team's repository in its recorded state: its root, the one of then, the recipe in it."""

    root: Path
    root_then: str
    recipe: Path

    def place_of(self, source: str) -> str:
        """Returns where a table is that was in the repository; another one is left."""
        return source.replace(f"{self.root_then}/", f"{self.root}/")


def _check_out_workspace(recorded: RecordedRun, folder: Path) -> _Team | None:
    """Puts the recorded state of the recipe's own repository into a folder, if it can be had."""
    try:
        workspace = recorded.workspace()
        if workspace is None:
            return None
        then = str(recorded.request["recipe"]).removesuffix(f"/{workspace.recipe}")
        source = Path(then) if Path(then, ".git").exists() else None
        check_out_repository(source, workspace.git, workspace.diff, folder)
    except (OSError, InputError) as error:
        _say(f"the recipe's own repository is not to be had, its recorded files are used: {error}")
        return None
    _say(f"the recipe is of commit {workspace.git.commit[:12]} of its own repository")
    return _Team(folder, then, folder / workspace.recipe)


def _find_table(
    recorded: RecordedRun, project: Path, folder: Path, team: _Team | None
) -> tuple[str, str]:
    """Returns where the recorded table is now, and its digest: the same one, if it is anywhere.

    A relative path is looked up in the recorded state of the project, then in the present one,
    which also has what Git does not; one of a team's repository, in its recorded state first.
    """
    named = str(recorded.request["data"])
    data = _data_section(recorded)
    found: dict[str, str] = {}
    # As main of each project is told it, and where it is read here.
    present = _below(PROJECT, named)
    tried = {named: _below(project, named), present: present}
    if team and team.place_of(named) != named:
        tried = {team.place_of(named): team.place_of(named), **tried}
    for where, source in tried.items():
        with suppress(InputError) if found or where != present else nullcontext():
            path = fetch_data(data, source, folder) if data else fetch_table(source, folder)
            if path.exists():
                # Once, a table with CRLFs was recorded by its bytes.
                digests = [source_sha256(path), *([file_sha256(path)] if path.is_file() else [])]
                if recorded.data_sha256 in digests:
                    return where, recorded.data_sha256
                found[where] = digests[0]
    if not found:
        raise InputError(
            f"run {recorded.run_id} cannot be made again: its table {named} is not there any more"
        )
    return next(iter(found.items()))


def _below(folder: Path, named: str) -> str:
    """Where a table is whose relative paths start from a folder; a URI and a query are left."""
    if named.startswith("$"):
        return named
    parts = [named] if (folder / named).exists() else named.split(", ")
    is_elsewhere = re.compile(r"\$|[^/]+://|runs:/|models:/").match
    return ", ".join(part if is_elsewhere(part) else str(folder / part) for part in parts)


def _data_section(recorded: RecordedRun) -> Data | None:
    """What the recorded recipe says of its table; None of a run that kept no recipe."""
    file = _recorded_recipe(recorded)
    if file is None:
        return None
    return Data.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))["data"])


def _recorded_recipe(recorded: RecordedRun) -> Path | None:
    """The recipe that a run kept, if it kept one."""
    try:
        (path,) = download(recorded.run_id, "config").glob("*.yaml")
    except (InputError, ValueError):
        return None
    return path


def _run_pipeline(
    recorded: RecordedRun, project: Path, python: Path, of: tuple[str, str], temporary: Path
) -> Run:
    """Runs main of the checked-out project, of a recipe and a table, below the active run."""
    request = recorded.request
    recipe, data = of
    parameters = {
        "recipe": recipe,
        "model": request["model"],
        "data": data,
        "until": min(request["until"], _COMPARED[-1], key=UNTIL.index),
        "cache": "off",
        **{name: json.dumps(value) for name, value in request["hyperparameters"].items()},
    }
    own = mlflow.active_run()
    with _environment(python, temporary):
        try:
            run_id = mlflow.run(
                str(project),
                "main",
                parameters=parameters,
                experiment_id=own.info.experiment_id,
                backend="local",
                env_manager="local",
                storage_dir=str(temporary),
            ).run_id
        except ExecutionException as error:
            run_id = newest_failed_child(own.info, "main")
            if run_id is None:
                raise StepError(f"main: {error}") from error
    return MlflowClient().get_run(run_id)


def _recipe(recorded: RecordedRun, project: Path) -> str:
    """The recipe's path in the project; as recorded, if Git does not have it or it has own code."""
    path = str(recorded.request["recipe"])
    file = _recorded_recipe(recorded)
    if file is None:
        return path
    has_code = bool(yaml.safe_load(file.read_text(encoding="utf-8")).get("code"))
    if not has_code and not Path(path).is_absolute() and (project / path).is_file():
        return path
    shutil.copyfile(file, project / "recorded_recipe.yaml")
    return "recorded_recipe.yaml"


@contextmanager
def _environment(python: Path, temporary: Path) -> Iterator[None]:
    changed = parent_variable() | {
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),
        "TMPDIR": str(temporary),
    }
    with environment_variables(changed):
        yield


def _failed_row(again: Run) -> ComparisonRow:
    statuses = {name: again.data.tags.get(f"pipeline.step.{name}.status") for name in _COMPARED}
    failed = [name for name, status in statuses.items() if status == "failed"]
    return ComparisonRow(failed[0] if failed else "main", "status", "FINISHED", "FAILED", DIFFERENT)


def _why_failed(recorded: RecordedRun, again: Run) -> str:
    """What the run says itself, or else the last that was printed, as when an import fails."""
    line = again.data.tags.get(ERROR) or last_words() or "it failed without a word"
    return f"{line} ({_left_out(recorded)})" if recorded.left_out else line


def _left_out(recorded: RecordedRun) -> str:
    return f"the recorded diff leaves out {', '.join(recorded.left_out)}"


def _compare(recorded: RecordedRun, again: Run) -> list[ComparisonRow]:
    """Holds what each step left against what it left then."""
    rows: list[ComparisonRow] = []
    then, now = ({name: step_of(run, name) for name in _COMPARED} for run in (recorded.run, again))
    before, after = then["prepare"], now["prepare"]
    if before and after:
        for side in ("train", "test"):
            keys = [_read(run, f"{side}.parquet", [ROW_KEY])[ROW_KEY] for run in (before, after)]
            rows.append(compare_keys(f"rows of {side}.parquet, by key", *keys))
        rows.append(compare_texts("prepare", "content", *_tag(OUTPUT_DIGEST, before, after)))
    predictions, metrics = None, []
    if (before := then["evaluate"]) and (after := now["evaluate"]):
        predictions = compare_predictions(*(_read(run, "predictions") for run in (before, after)))
        metrics = compare_metrics(*(_metrics(run) for run in (before, after)))
    if (before := then["train"]) and (after := now["train"]):
        then_digest, now_digest = _tag(MODEL_DIGEST, before, after)
        rows.append(compare_models(then_digest, now_digest, predictions))
    return rows + ([predictions] if predictions else []) + metrics


def _tag(name: str, *runs: Run) -> list[str | None]:
    return [run.data.tags.get(name) for run in runs]


def _metrics(run: Run) -> dict[str, float]:
    found = run.data.metrics
    return {name: value for name, value in found.items() if not name.startswith(_SYSTEM)}


def _read(run: Run, artifact: str, columns: list[str] | None = None) -> pd.DataFrame:
    path = download(run.info.run_id, artifact)
    return pd.read_parquet(next(path.glob("*.parquet")) if path.is_dir() else path, columns=columns)


def _likely_reason(recorded: RecordedRun, again: Run, lock: str) -> str | None:
    """Says what else is not as it was; None if nothing is known."""
    file = download(again.info.run_id, PROVENANCE_FILE)
    now = json.loads(file.read_text(encoding="utf-8"))
    versions = _changed_versions(recorded.environment, now["environment"], lock)
    if versions:
        return f"other versions: {', '.join(versions)}"
    trained = recorded.step("train")
    then = trained.data.tags if trained and CPU in trained.data.tags else recorded.machine
    trained_now = step_of(again, "train")
    machine = trained_now.data.tags if trained_now else now["machine"]
    words = {CPU: "CPU", BLAS: "BLAS", PLATFORM: "platform", THREADS: "number of threads"}
    for tag, word in words.items():
        if then.get(tag) != machine.get(tag):
            return f"another {word}: {machine.get(tag)} instead of {then.get(tag)}"
    if recorded.left_out:
        return _left_out(recorded)
    return None


def _changed_versions(then: Mapping[str, str], now: Mapping[str, str], lock: str) -> list[str]:
    locked = {pin.name: str(pin.specifier).removeprefix("==") for pin in locked_requirements(lock)}
    names = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    if OWN_LOCK in names and OWN_LOCK not in now:  # the recipe as it was recorded is in none
        names.remove(OWN_LOCK)
    return [
        f"another {name}"
        if name in (LOCK, OWN_LOCK)
        else f"{name} {_version(now, name, locked)} instead of {_version(then, name, locked)}"
        for name in names
    ]


def _version(environment: Mapping[str, str], name: str, locked: Mapping[str, str]) -> str:
    version = environment.get(name, locked.get(name))
    return "none" if version in (None, ABSENT) else str(version)


def _conclude(recorded: RecordedRun, rows: list[ComparisonRow], reason: str | None) -> None:
    """Writes the table and the verdict down; a difference fails the run."""
    verdict, step, largest = judge(rows)
    details = {
        IDENTICAL: "every prediction, metric and digest is the same",
        CLOSE: f"the largest relative difference is {largest:.1e}, of {TOLERANCE:.0e} allowed"
        if largest
        else "the model's content is another, and every prediction and metric the same",
        DIFFERENT: f"first at {step}",
    }
    words = details[verdict]
    if verdict == DIFFERENT:
        words += f"; the likely reason: {reason or 'none is known; is something without a seed?'}"
    elif reason:
        words += f" ({reason})"
    log_table(pd.DataFrame([asdict(row) for row in rows]), "comparison")
    log_metrics({"largest_difference": largest})
    tags: dict[str, Any] = {VERDICT: verdict, VERDICT_REASON: words, DATA_SHA256: rows[0].now}
    if step:
        tags["pipeline.first_difference"] = step
    mlflow.set_tags({**tags, "mlflow.note.content": _note(recorded, verdict, words, rows)})
    _print_table(rows)
    if verdict == DIFFERENT:
        raise FindingError(f"{verdict}: {words}")
    click.echo(f"\nverdict  {verdict}: {words}")


def _note(recorded: RecordedRun, verdict: str, words: str, rows: list[ComparisonRow]) -> str:
    link = f"#/experiments/{recorded.run.info.experiment_id}/runs/{recorded.run_id}"
    lines = [f"| {row.step} | {row.what} | {row.outcome} |" for row in rows]
    table = "\n".join(["| step | what | |", "|---|---|---|", *lines])
    return f"[Run {recorded.run_id}]({link}) made again: **{verdict}**, {words}.\n\n{table}"


def _print_table(rows: list[ComparisonRow]) -> None:
    click.echo(f"\n{'step':<9} {'what':<40} {'outcome':<23} then -> now")
    for row in rows:
        then, now = (
            text[:_SHOWN] if _DIGEST.fullmatch(text) else text for text in (row.then, row.now)
        )
        click.echo(f"{row.step:<9} {row.what:<40} {row.outcome:<23} {then} -> {now}")


if __name__ == "__main__":
    run_command(reproduce, write_result, at_end=report_step)
