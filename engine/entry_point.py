"""A process that is an entry point: whatever happens to it, its run tells the truth."""

import atexit
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import parent_process
from pathlib import Path
from typing import NoReturn

import click
import psutil
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from common.errors import InputError
from common.secrets import hide_secrets
from engine.command_line import typed_path
from engine.failures import (
    FindingError,
    StepError,
    end_run_unless_ended,
    end_running_children,
    making_a_run,
    one_line,
)
from engine.processes.guard import PARENT_VARIABLE, Guard, end_children, end_servers
from engine.processes.leftovers import remove_what_mlflow_leaves
from engine.processes.no_account import survive_without_account
from engine.step_log import StepLog
from engine.terminal import outlive_the_terminal, say_error

_SECONDS_TO_RECORD = 10.0
_SECONDS_TO_REPORT = 120.0
_SECONDS_TO_LEARN = 2.0
_RUN_VARIABLE = "CUVEE_RUN_ID"
_FAILED, _WRONG_USAGE, _FOUND = 1, 2, 3
_STATUS = {0: "done", _FAILED: "failed", _WRONG_USAGE: "failed", _FOUND: "alert"}


@dataclass(frozen=True)
class Ending:
    """How the process of an entry point ended.

    line: what is wrong, or was found; seconds: since the process began; result: the file that is to
    be told so; has_report: whether a report is drawn of it.
    """

    entry_point: str
    run_id: str | None
    exit_code: int
    line: str | None
    seconds: float
    result: Path | None
    has_report: bool

    @property
    def status(self) -> str:
        """Whether it is done, has found something (alert), has failed or was killed."""
        return _STATUS.get(self.exit_code, "killed")


def note_run(run_id: str) -> None:
    """Tells which run this process is, when it was not `mlflow run` that opened it."""
    os.environ[_RUN_VARIABLE] = run_id


def run_command(
    command: click.Command,
    tell: Callable[[Ending], None],
    keep_log: bool = True,
    at_end: Callable[[str], None] | None = None,
) -> None:
    """Runs an entry point's command line and ends the process: 0, or not 0 with one line.

    The exit code is 1 if it failed, 2 if it was refused before it had a run, and 3 if it found what
    somebody must know.

    An exception, SIGTERM, SIGINT or the end of its parent ends the processes below it first, then
    its run: FAILED or KILLED, with `pipeline.error` and the traceback in `logs/<step>.log`.

    Args:
        command: reads sys.argv; under `mlflow run` its run exists before it starts.
        tell: called with how it ended, unless a living main sees to it, in bounded time.
        keep_log: whether all that it prints goes to that log too, as every step's does.
        at_end: called with the run's id when its end is recorded, whatever it was, unless a living
            main sees to it. It has bounded time, and what it raises changes nothing.
    """
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        note_run(run_id)
    else:
        os.environ.pop(_RUN_VARIABLE, None)
    survive_without_account()
    remove_what_mlflow_leaves()
    outlive_the_terminal()
    command.params.append(_RESULT)
    process = _Process(command.name or "step", tell, keep_log, at_end)
    with Guard(process.stop):
        error = process.run(command)
        end_servers()
    if parent_process() is None:
        _leave(_exit_code(error))
    if error is not None:
        sys.exit(_exit_code(error))


def _exit_code(error: BaseException | None) -> int:
    if isinstance(error, FindingError):
        return _FOUND
    is_refused = isinstance(error, InputError) and _RUN_VARIABLE not in os.environ
    if isinstance(error, click.UsageError) or is_refused:
        return _WRONG_USAGE
    return 0 if error is None else _FAILED


_result: list[Path] = []


def _keep_result(_context: click.Context, _option: click.Parameter, text: str) -> None:
    """Keeps the file to write the result to, which is named from where one stands."""
    if text == "none":
        return
    path = typed_path(text).absolute()
    if not path.parent.is_dir():
        raise click.UsageError(f"result: there is no folder {path.parent}")
    path.unlink(missing_ok=True)  # who waits for it must not read what an earlier one said
    _result[:] = [path]


_RESULT = click.Option(["--result"], default="none", expose_value=False, callback=_keep_result)
_RESULT_ALONE = click.Command(
    "result",
    params=[_RESULT],
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    },
)


def _leave(exit_code: int) -> NoReturn:
    """Ends the process as a forked one ends, which takes no second to delete each object."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)


class _Process:
    def __init__(
        self,
        step: str,
        tell: Callable[[Ending], None],
        keep_log: bool,
        at_end: Callable[[str], None] | None = None,
    ) -> None:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        heading = f"# {step} on {platform.node()}, {started}: {' '.join(sys.argv)}"
        self._step = step
        self._log = StepLog(heading) if keep_log else None
        # Read at once: main sets the variable for its steps while they run.
        self._has_main = PARENT_VARIABLE in os.environ
        self._at_end = None if self._has_main else at_end
        self._tell = None if self._has_main else tell
        self._is_recorded = False
        self._takes_files = True
        self._ending = threading.Lock()
        self._main_thread_done = threading.Event()

    def run(self, command: click.Command) -> BaseException | None:
        """Runs the command; returns the error that it ended with."""
        if self._log:
            self._log.start()
        try:
            # Before the others: a command line with an unknown option is told there too.
            _RESULT_ALONE.make_context(self._step, sys.argv[1:])
            command.main(standalone_mode=False)
            error = None
        except Exception as caught:
            error = caught
        self._main_thread_done.set()
        with self._ending:
            if self._log:
                self._log.stop()
            if error is None:
                self._in_bounded_time(
                    lambda: self._keep_log(""), "its log is not kept", _SECONDS_TO_REPORT
                )
            else:
                self._fail(error)
            self._is_recorded = True
            self._tell_result(_exit_code(error), one_line(error) if error else None)
        self._report(_SECONDS_TO_REPORT if error is None else _SECONDS_TO_RECORD)
        return error

    def _fail(self, error: BaseException) -> None:
        end_children()
        # A store that is not to be used takes no log and no report.
        self._takes_files = type(error) is not ConnectionError
        status = error.status if isinstance(error, StepError) else "FAILED"
        is_finding = isinstance(error, FindingError)
        traceback_text = "" if is_finding else "".join(traceback.format_exception(error))
        self._in_bounded_time(lambda: self._record(status, one_line(error), traceback_text))
        if not isinstance(error, StepError):
            self._say(one_line(error))
        else:
            say_error(one_line(error))

    def _say(self, line: str) -> None:
        """Tells the terminal, unless a living main will do so."""
        if not self._has_main:
            say_error(f"{self._step}: {line}")

    def stop(self, reason: str, exit_code: int, parent_is_gone: bool) -> None:
        """Ends everything at once; called by the guard, while the main thread may be anywhere."""
        with self._ending:
            try:
                self._end(reason, exit_code, parent_is_gone)
            finally:
                os._exit(exit_code)

    def _end(self, reason: str, exit_code: int, parent_is_gone: bool) -> None:
        if self._is_recorded:  # only its report is not done
            end_children()
            return
        making_a_run.acquire(timeout=_SECONDS_TO_RECORD)  # for good: no other step begins
        if end_children():
            # It learns of their end now, and would write its own word over ours.
            self._main_thread_done.wait(_SECONDS_TO_LEARN)
        if self._log:
            self._log.stop()
        self._say(reason)

        def record() -> None:
            self._record("KILLED", reason, reason + "\n")
            if parent_is_gone:
                self._end_parent_run(reason)

        self._in_bounded_time(record)
        self._tell_result(exit_code, reason)
        self._report(_SECONDS_TO_RECORD)

    def _tell_result(self, exit_code: int, line: str | None) -> None:
        tell = self._tell
        if tell is None:
            return
        self._tell = None  # once, whoever comes first
        ending = Ending(
            entry_point=self._step,
            run_id=os.environ.get(_RUN_VARIABLE) if self._takes_files else None,
            exit_code=exit_code,
            line=line,
            seconds=time.time() - psutil.Process().create_time(),
            result=_result[0] if _result else None,
            has_report=self._at_end is not None,
        )
        self._in_bounded_time(lambda: tell(ending), "its result is not told")

    def _report(self, seconds: float) -> None:
        run_id, at_end = os.environ.get(_RUN_VARIABLE), self._at_end
        if run_id and at_end and self._takes_files:
            self._at_end = None  # once, whoever comes first
            self._in_bounded_time(lambda: at_end(run_id), "no report", seconds)

    def _in_bounded_time(
        self,
        record: Callable[[], None],
        problem: str = "its end could not be recorded",
        seconds: float = _SECONDS_TO_RECORD,
    ) -> None:
        """Writes to the store, which may be what went away, but not for ever."""

        def attempt() -> None:
            try:
                record()
            except Exception as error:
                self._say(f"{problem}: {one_line(error)}")

        recorder = threading.Thread(target=attempt, daemon=True)
        recorder.start()
        recorder.join(seconds)

    def _record(self, status: str, line: str, text: str) -> None:
        run_id = os.environ.get(_RUN_VARIABLE)
        if run_id:
            end_running_children(run_id, "KILLED", f"{self._step}: {line}")
            end_run_unless_ended(run_id, status, line)
        self._keep_log(text)

    def _end_parent_run(self, reason: str) -> None:
        run_id = os.environ.get(_RUN_VARIABLE)
        tags = MlflowClient().get_run(run_id).data.tags if run_id else {}
        if MLFLOW_PARENT_RUN_ID in tags:
            end_run_unless_ended(tags[MLFLOW_PARENT_RUN_ID], "KILLED", f"{self._step}: {reason}")

    def _keep_log(self, text: str) -> None:
        run_id = os.environ.get(_RUN_VARIABLE)
        if self._log:
            text = self._log.read() + text
            self._log.remove()
        if text and run_id and self._takes_files:
            MlflowClient().log_text(run_id, hide_secrets(text), f"logs/{self._step}.log")
