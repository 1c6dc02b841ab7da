"""Trials on a Dask cluster, whose workers may come and go."""

import hashlib
import importlib.metadata
import pickle
import platform
import queue
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy import make_url

from common.errors import InputError
from common.tags import TRIAL
from engine.failures import end_run_unless_ended
from engine.processes.forkserver import PROJECT
from engine.trials.dask_worker import WorkerLostError, do_trial, end_processes, find_obstacle
from engine.trials.trial import Place, Trial, TrialEnd

_CODE = ("common", "engine", "modelling", "steps", "tracking")
_OTHERS = ("conda.yaml", "requirements.lock")
_SECONDS_TO_ANSWER = 10
_AT_ONCE_FOR_EACH_THREAD = 2  # one that is done, and one that waits on the worker


class DaskTrials:
    """The threads of a cluster's workers, each with a process that does one trial at a time."""

    def __init__(self, address: str, packages: Sequence[str], tracking_uri: str) -> None:
        """Connects to a scheduler, and checks that each of its workers can do trials.

        Args:
            address: of the scheduler, such as tcp://host:8786.
            packages: those that a worker must have in the versions that are here.
            tracking_uri: the store, which a worker must reach.

        Raises:
            OSError: the scheduler does not answer, or has no worker, or one that cannot do trials.
        """
        self._client = _connect(address)
        self._ended: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._under_way: dict[int, Any] = {}
        self._place = b""
        self._answered: dict[int, str | None] = {}
        with tempfile.TemporaryDirectory(prefix="cuvee-") as folder:
            archive = _pack(Path(folder))
            self._archive = archive.name
            self._upload(archive)
        try:
            self._check_workers(address, packages, tracking_uri)
        except BaseException:
            self._client.close()
            raise

    def begin(self, place: Place) -> None:
        """Takes where the trials are recorded; before the first one."""
        self._place = pickle.dumps(place)

    def free(self) -> int:
        """Returns how many trials can be taken so that no thread waits for one."""
        # Those of a worker that was lost are still under way, on the others.
        return max(0, self._threads() * _AT_ONCE_FOR_EACH_THREAD - len(self._under_way))

    def submit(self, trial: Trial) -> None:
        """Sends a trial to the cluster."""
        future = self._client.submit(
            do_trial,
            self._archive,
            self._place,
            pickle.dumps(trial),
            key=f"trial-{trial.number}-{hashlib.sha256(self._place).hexdigest()[:16]}",
            pure=False,
            priority=-trial.number,
        )
        self._under_way[trial.number] = future
        future.add_done_callback(lambda done: self._ended.put((trial.number, done)))

    def wait(self, seconds: float) -> list[TrialEnd]:
        """Returns the trials that have ended."""
        done: list[tuple[int, Any]] = []
        try:
            done.append(self._ended.get(timeout=seconds))
            while True:
                done.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        finished = [future for _, future in done if future.status == "finished"]
        results = iter(self._client.gather(finished, errors="skip"))
        ended = []
        for number, future in done:
            del self._under_way[number]
            if future.status == "finished":
                ended.append(pickle.loads(next(results)))  # noqa: S301 - ours, as all that Dask sends
                self._answered[number] = ended[-1].run_id
            else:
                ended.append(_lost(number, future))
        return ended

    def close(self) -> None:
        """Lets the cluster forget the trials that are not done, and ends the sweep's processes."""
        if self._under_way:
            self._client.cancel(list(self._under_way.values()), force=True)
        self._client.run(end_processes, self._archive, self._place, on_error="ignore")
        self._client.close()
        if self._answered:
            end_doubles(pickle.loads(self._place), self._answered)  # noqa: S301 - pickled by `begin`

    def _threads(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(int(worker["nthreads"]) for worker in workers)

    def _upload(self, archive: Path) -> None:
        from distributed.diagnostics.plugin import SchedulerUploadFile, UploadFile

        # On the scheduler too, which reads what is submitted; a worker that joins later has it too.
        for plugin in (SchedulerUploadFile(str(archive)), UploadFile(str(archive))):
            self._client.register_plugin(plugin, name=f"cuvee-{type(plugin).__name__}")

    def _check_workers(self, address: str, packages: Sequence[str], tracking_uri: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
        except TimeoutError as error:
            raise InputError(f"scheduler {address} has no worker") from error
        versions = {name: importlib.metadata.version(name) for name in packages}
        is_file = tracking_uri.startswith("sqlite:///")
        store = (make_url(tracking_uri).database or "") if is_file else ""
        checked = self._client.run(
            find_obstacle, store, {"python": platform.python_version(), **versions}
        )
        for obstacle in checked.values():
            if obstacle:
                raise InputError(f"scheduler {address}: worker {obstacle}")


def end_doubles(place: Place, answered: Mapping[int, str | None]) -> None:
    """Ends what was done twice: a worker was lost after its trial, but before its answer was here.

    Args:
        place: where the trials are recorded.
        answered: the run that counts, by the number of its trial.
    """
    runs = mlflow.search_runs(
        [place.experiment_id],
        f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{place.tags[MLFLOW_PARENT_RUN_ID]}' "
        "and attributes.status = 'FINISHED'",
        output_format="list",
    )
    for run in runs:
        run_id = run.info.run_id
        number = run.data.tags.get(TRIAL)  # prepare has none
        counted = answered.get(int(number), run_id) if number else run_id
        if counted != run_id:
            line = f"its worker was lost before its answer came; run {counted} did it again"
            end_run_unless_ended(run_id, "KILLED", line)


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "scheduler: Dask is not installed here; use requirements-dask.lock"
        ) from error
    try:
        return Client(address, timeout=_SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"scheduler {address} does not answer") from error


def _pack(folder: Path) -> Path:
    """Puts the project's code into a ZIP file that is named after its content."""
    files = [file for name in _CODE for file in sorted((PROJECT / name).rglob("*.py"))]
    files += [PROJECT / name for name in _OTHERS]
    content = b"".join(file.read_bytes() for file in files)
    archive = folder / f"cuvee-{hashlib.sha256(content).hexdigest()[:16]}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in files:
            zipped.write(file, file.relative_to(PROJECT))
    return archive


def _lost(number: int, future: Any) -> TrialEnd:
    """A trial that the cluster has no result of: it may be tried again."""
    error = CancelledError("cancelled") if future.cancelled() else future.exception()
    line = str(error) if isinstance(error, WorkerLostError) else f"{type(error).__name__}: {error}"
    return TrialEnd(number, None, error=" ".join(line.split()), lost=True)
