"""Steps in a row: each entry point that `main` runs becomes a child run, or is reused."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run, RunInfo, RunTag
from mlflow.exceptions import ExecutionException

from common.tags import ERROR, LONGEST_TAG, OUTPUT_DIGEST
from engine.cache.code_digests import edited_files
from engine.cache.key import Dependencies, in_words
from engine.cache.step_cache import StepCache
from engine.failures import StepError, end_run_unless_ended
from engine.processes.forkserver import start_awaited_forkserver
from engine.processes.guard import environment_variables, parent_variable
from engine.step_log import LOG_VARIABLE, read_log
from engine.terminal import STEP_WIDTH, LiveLine, cut, say


@dataclass(frozen=True)
class Step:
    """A step that is done: its name in the pipeline, its run, how long it took and why it ran.

    status is `ran` or `reused`; reason tells what made it run, or whose run stands for it.
    """

    name: str
    run: Run
    seconds: float
    status: str
    reason: str

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.info.run_id

    @property
    def output_digest(self) -> str:
        """The digest of what the step gave, on which the steps after it depend."""
        return self.run.data.tags[OUTPUT_DIGEST]


class Chain:
    """Runs entry points of the project one after the other below a parent run."""

    def __init__(
        self,
        project: Path,
        parent: Run,
        backend: str,
        cache: StepCache,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        """Takes what is told of each step that is done, ran or reused."""
        self.steps: list[Step] = []
        self._on_step = on_step
        self._project = project
        self._parent = parent.info
        self._backend = backend
        self._cache = cache
        self._client = MlflowClient()

    def run(
        self,
        entry_point: str,
        parameters: Mapping[str, object],
        depends_on: Callable[[], Dependencies],
        name: str | None = None,
    ) -> Step:
        """Finds a run that can stand for the step, or runs it and waits.

        Args:
            entry_point: one of MLproject.
            parameters: of the entry point; each is passed on as text.
            depends_on: returns what the result depends on. It is called again when the step has
                run: a step that changes what it depends on is stored under what is true then.
            name: of the step in this pipeline, when the entry point is used twice.

        Raises:
            StepError: it failed; the message holds the line of its `pipeline.error`.
        """
        name = name or entry_point
        started = time.monotonic()
        run, reason = self._cache.find(name, depends_on())
        status = "reused" if run else "ran"
        line = f"{name:<{STEP_WIDTH}} {f'{status} from' if run else 'runs:'} {reason}"
        say(cut(line))  # all of the reason is on the run
        if run is None:
            run = self._run(entry_point, parameters, name, reason)
            self._store(name, depends_on(), run, reason)
        step = Step(name, run, time.monotonic() - started, status, reason)
        self._note(name, run.info.run_id, status, reason, step.seconds)
        self.steps.append(step)
        if self._on_step:
            self._on_step(step)
        return step

    def _store(self, name: str, dependencies: Dependencies, run: Run, reason: str) -> None:
        """Makes the run findable, unless nobody can say which code it ran."""
        edited = edited_files(self._project, dependencies.code)
        if edited:
            say(f"{name:<{STEP_WIDTH}} will run again: {in_words(edited)} was edited meanwhile")
        self._cache.store(name, dependencies, run, reason, is_findable=not edited)

    def _run(
        self, entry_point: str, parameters: Mapping[str, object], name: str, reason: str
    ) -> Run:
        start_awaited_forkserver()
        with TemporaryDirectory(prefix="cuvee-") as folder:
            log = Path(folder, "step.log")
            with _environment(log, Path(folder)), LiveLine(log):
                run_id, error = self._launch(entry_point, parameters, folder)
            if run_id is None:
                raise StepError(f"{name}: {error}")
            if error:
                end_run_unless_ended(run_id, "FAILED", error)
            run = self._client.get_run(run_id)
            if error is None and OUTPUT_DIGEST not in run.data.tags:
                end_run_unless_ended(run_id, "FAILED", "ended without writing its outputs")
                run = self._client.get_run(run_id)
            if run.info.status == "FINISHED":
                return run
            self._note(name, run_id, "failed", reason)
            if not self._client.list_artifacts(run_id, "logs") and log.is_file():
                self._client.log_text(run_id, read_log(log), f"logs/{entry_point}.log")
            raise StepError(f"{name}: {run.data.tags.get(ERROR)}", run.info.status)

    def _launch(
        self, entry_point: str, parameters: Mapping[str, object], folder: str
    ) -> tuple[str | None, str | None]:
        """Runs an entry point to its end; returns its run's id and, if it failed, what is known."""
        try:
            submitted = mlflow.run(
                str(self._project),
                entry_point,
                parameters={key: str(value) for key, value in parameters.items()},
                experiment_id=self._parent.experiment_id,
                backend=self._backend,
                env_manager="local",
                storage_dir=folder,
                # Otherwise MLflow waits, and writes FAILED over KILLED.
                synchronous=self._backend == "local",
            )
        except ExecutionException as error:
            return newest_failed_child(self._parent, entry_point), str(error)
        succeeded = submitted.wait()
        return submitted.run_id, None if succeeded else "the process ended without a word"

    def _note(
        self, name: str, run_id: str, status: str, reason: str, seconds: float | None = None
    ) -> None:
        facts = {"run_id": run_id, "status": status, "reason": reason[:LONGEST_TAG]}
        if seconds is not None:
            facts["seconds"] = f"{seconds:.1f}"
        tags = {f"pipeline.step.{name}.{fact}": value for fact, value in facts.items()}
        self._client.log_batch(
            self._parent.run_id, tags=[RunTag(key, value) for key, value in tags.items()]
        )


def newest_failed_child(parent: RunInfo, entry_point: str) -> str | None:
    """Returns the id of the newest run of an entry point below a run that did not finish.

    The backend `local` raises without saying which run it was.
    """
    runs = MlflowClient().search_runs(
        [parent.experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.run_id}' "
        f"and tags.`mlflow.project.entryPoint` = '{entry_point}' "
        "and attributes.status != 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return runs[0].info.run_id if runs else None


@contextmanager
def _environment(log: Path, temporary: Path) -> Iterator[None]:
    """What a step finds in its environment: our Python first, its log, a folder that goes."""
    own = str(Path(sys.executable).parent)
    changed = parent_variable() | {
        "PATH": os.pathsep.join([own, os.environ.get("PATH", "")]),
        LOG_VARIABLE: str(log),
        "TMPDIR": str(temporary),
    }
    with environment_variables(changed):
        yield
