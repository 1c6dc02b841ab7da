"""The reports: one of each pipeline and one of each step, as `report.html` among its artifacts.

    python -m steps.reporting.report RUN_ID ...   # writes those of these runs again

A step's is written beside the steps after it, in a process of its own: it costs the pipeline no
time, and a step that is reused keeps the one that it has.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess

import click
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_RUN_NOTE

from common.tags import REPORT_ERROR
from common.user_cache import writable_cache
from engine.chain import Step
from engine.failures import one_line
from engine.processes.forkserver import PROJECT, can_fork
from engine.warm import start_beside
from modelling.reporting.description import describe_report
from modelling.reporting.poster import as_png, as_svg
from modelling.reporting.report import Report, render_report
from steps.pipeline.order import UNTIL
from steps.reporting.content import collect_report
from steps.reporting.poster import draw
from steps.reporting.run_files import RunFiles
from steps.reporting.runs import PIPELINES, PipelineRuns
from steps.runs.names import REPORT
from tracking.artifacts_logger import log_report
from tracking.mlflow_manager import init_mlflow
from tracking.output_manager import temporary_folder

POSTER = "poster"

_MODULE = "steps.reporting.report"
_SECONDS_TO_WAIT = 60.0
# The others write their own description.
_DESCRIBED = (*PIPELINES, *UNTIL)


class StepReports:
    """Has the reports of a pipeline's steps written beside it, and its own at its end."""

    def __init__(self) -> None:
        self._processes: list[BaseProcess] = []
        self._later: list[str] = []

    def begin(self, step: Step, beside: bool) -> None:
        """Starts the report of a step that has just ended, unless it has one already.

        Args:
            step: the step.
            beside: whether there is a forkserver; without one, it is written at the end.
        """
        if REPORT in RunFiles.of(step.run).names():
            return
        if beside and can_fork():
            self._processes.append(start_beside(["-m", _MODULE, step.run_id]))
        else:
            self._later.append(step.run_id)

    def wait(self) -> None:
        """Waits for the reports that were begun, but not for ever."""
        until = time.monotonic() + _SECONDS_TO_WAIT
        if self._later:
            # Together in one process, which must first import what a step has imported already.
            words = [sys.executable, "-m", _MODULE, *self._later]
            self._later.clear()
            with suppress(subprocess.TimeoutExpired):  # the pipeline's own report is still to come
                subprocess.run(words, cwd=PROJECT, check=False, timeout=_SECONDS_TO_WAIT)
        for process in self._processes:
            process.join(max(0.0, until - time.monotonic()))
        self._processes.clear()

    def finish(self, run_id: str) -> None:
        """Writes the pipeline's report, whatever its end was, and those that a step lacks."""
        self.wait()
        report = write_report(run_id)
        for step in report.steps:
            if step.state in ("failed", "killed"):
                write_report(step.run_id)


@contextmanager
def _told_on(run_id: str) -> Iterator[None]:
    """Lets a run say, until it is drawn, why its report cannot be."""
    try:
        yield
    except Exception as error:
        MlflowClient().set_tag(run_id, REPORT_ERROR, one_line(error))
        raise


def write_report(run_id: str) -> Report:
    """Writes the report of a run and, unless its step has done so, its description."""
    with _told_on(run_id):
        run = MlflowClient().get_run(run_id)
        report = _draw_report(run)
        if REPORT_ERROR in run.data.tags:
            MlflowClient().delete_tag(run_id, REPORT_ERROR)
        return report


def _draw_report(run: Run) -> Report:
    run_id = run.info.run_id
    runs = PipelineRuns(run)
    report = collect_report(runs)
    path = temporary_folder(run_id) / REPORT
    path.write_text(render_report(report, writable_cache("templates")), encoding="utf-8")
    log_report(path, run_id=run_id)
    if runs.is_pipeline:
        _write_poster(runs, report)
    if run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT) in _DESCRIBED or report.failure:
        text = describe_report(report)
        MlflowClient().set_tag(run_id, MLFLOW_RUN_NOTE, text)
    return report


def _write_poster(runs: PipelineRuns, report: Report) -> None:
    shapes = draw(runs, report)
    folder = temporary_folder(runs.run.info.run_id)
    (folder / f"{POSTER}.svg").write_text(as_svg(shapes), encoding="utf-8")
    (folder / f"{POSTER}.png").write_bytes(as_png(shapes))
    for ending in ("png", "svg"):
        log_report(folder / f"{POSTER}.{ending}", run_id=runs.run.info.run_id)


def report_step(run_id: str) -> None:
    """Writes the report of a run, with what is computed for it only."""
    # Here, since it imports what main must not wait for.
    from steps.reporting.details import write_details

    with _told_on(run_id):
        write_details(MlflowClient().get_run(run_id))
    write_report(run_id)


@click.command()
@click.argument("run_ids", nargs=-1, required=True)
def main(run_ids: tuple[str, ...]) -> None:
    """Writes the reports of runs."""
    init_mlflow()
    for run_id in run_ids:
        try:
            report_step(run_id)
        except Exception as error:  # whatever it is, it is not the pipeline's
            click.echo(f"report of run {run_id}: {one_line(error)}", err=True)


if __name__ == "__main__":
    main()
