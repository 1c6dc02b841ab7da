"""A process that is an entry point: whatever happens to it, its run tells the truth."""

import os
import platform
import sys
import threading
import traceback
from datetime import datetime

import click
from mlflow import MlflowClient

from engine.failures import StepError, end_run_unless_ended, end_running_children, one_line
from engine.processes import Guard, end_children
from engine.step_log import StepLog

_SECONDS_TO_RECORD = 10.0
_RUN_VARIABLE = "CUVEE_RUN_ID"


def note_run(run_id: str) -> None:
    """Tells which run this process is, when it was not `mlflow run` that opened it."""
    os.environ[_RUN_VARIABLE] = run_id


def run_command(command: click.Command, keep_log: bool = True) -> None:
    """Runs an entry point's command line and ends the process: 0, or not 0 with one line.

    An exception, SIGTERM, SIGINT or the end of its parent ends the processes below it first, then
    its run: FAILED or KILLED, with `pipeline.error` and the traceback in `logs/<step>.log`.

    Args:
        command: reads sys.argv; under `mlflow run` its run exists before it starts.
        keep_log: whether all that it prints goes to that log too, as every step's does.
    """
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        note_run(run_id)
    else:
        os.environ.pop(_RUN_VARIABLE, None)
    process = _Process(command.name or "step", keep_log)
    with Guard(process.stop):
        error = process.run(command)
    if error is not None:
        sys.exit(1)


class _Process:
    def __init__(self, step: str, keep_log: bool) -> None:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        heading = f"# {step} on {platform.node()}, {started}: {' '.join(sys.argv)}"
        self._step = step
        self._log = StepLog(heading) if keep_log else None
        self._ending = threading.Lock()

    def run(self, command: click.Command) -> BaseException | None:
        try:
            if self._log:
                self._log.start()
            command.main(standalone_mode=False)
            error = None
        except Exception as caught:
            error = caught
        with self._ending:
            if self._log:
                self._log.stop()
            if error is None:
                self._keep_log("")
            else:
                self._fail(error)
        return error

    def _fail(self, error: BaseException) -> None:
        end_children()
        status = error.status if isinstance(error, StepError) else "FAILED"
        lines = "".join(traceback.format_exception(error))
        self._end(status, one_line(error), lines)
        click.echo(f"{self._step}: {one_line(error)}", err=True)

    def stop(self, reason: str, exit_code: int) -> None:
        """Ends everything at once; called by the guard, while the main thread may be anywhere."""
        with self._ending:
            end_children()
            if self._log:
                self._log.stop()
            click.echo(f"{self._step}: {reason}", err=True)
            self._end("KILLED", reason, reason + "\n")
            os._exit(exit_code)

    def _end(self, status: str, line: str, text: str) -> None:
        """Records the end in the run, in bounded time: the store may be what went away."""
        run_id = os.environ.get(_RUN_VARIABLE)
        if run_id is None:
            return

        def record() -> None:
            try:
                self._keep_log(text)
                end_running_children(run_id, "KILLED", f"{self._step}: {line}")
                end_run_unless_ended(run_id, status, line)
            except Exception as error:
                click.echo(f"the end of run {run_id} is not recorded: {one_line(error)}", err=True)

        recorder = threading.Thread(target=record, daemon=True)
        recorder.start()
        recorder.join(_SECONDS_TO_RECORD)

    def _keep_log(self, text: str) -> None:
        run_id = os.environ.get(_RUN_VARIABLE)
        if run_id is None:
            return
        if self._log:
            self._log.add(text)
            MlflowClient().log_text(run_id, self._log.read(), f"logs/{self._step}.log")
            self._log.remove()
        elif text:
            MlflowClient().log_text(run_id, text, f"logs/{self._step}.log")
