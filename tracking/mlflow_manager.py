"""The run of a step: where it is kept, how it is opened and closed, its params and metrics."""

import glob
import hashlib
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, SupportsFloat
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import mlflow
import psutil
import requests
from filelock import FileLock
from mlflow import ActiveRun, MlflowClient
from mlflow.environment_variables import MLFLOW_EXPERIMENT_ID, MLFLOW_RUN_ID
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _SERVER_ARTIFACT_ROOT_ENV_VAR
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_SOURCE_TYPE
from mlflow.utils.rest_utils import http_request
from sqlalchemy import Engine, event, make_url

from common.user_cache import user_cache
from tracking.store_place import check_files_reach_all, find_former_folder

_LONGEST_PARAM = 6000
_SECONDS_TO_ANSWER = 10
_SECONDS_TO_MAKE_A_STORE = 600
# Files go through the server: its store need not be reached from here, nor be known. And MLflow
# would print a link to each run.
_BY_THE_SERVER = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


# SQLite waits 5 s for a locked database and MLflow 20, too short for a score of pipelines on a
# busy machine.
_WAIT_FOR_LOCKS = "PRAGMA busy_timeout = 120000;"


@event.listens_for(Engine, "connect")
def _wait_when_connecting(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(_WAIT_FOR_LOCKS)


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _wait_longer_than_mlflow(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any
) -> tuple[str, Any]:
    is_wait = statement.startswith("PRAGMA busy_timeout")
    return _WAIT_FOR_LOCKS if is_wait else statement, parameters


def init_mlflow(tracking_uri: str | None = None) -> str:
    """Chooses the tracking server and returns its URI.

    Args:
        tracking_uri: a server or database; None keeps MLFLOW_TRACKING_URI, or else `mlflow.db`
            in the working directory.

    Raises:
        ConnectionError: the server does not answer, or the database was moved or copied here from
            a folder where it would go on writing.
    """
    # It prints the traceback of every error of the database, which is told in one line anyway.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    uri = locate_store(tracking_uri)
    database = database_file(uri)
    if database:
        _say_where_artifacts_go()
        _create_database(database)
        _check_place(database)
    elif uri.startswith(("http://", "https://")):
        uri = _without_credentials(uri)
        _check_server(uri)
        for name, value in _BY_THE_SERVER.items():
            os.environ.setdefault(name, value)
    mlflow.set_tracking_uri(uri)
    return uri


def locate_store(tracking_uri: str | None = None) -> str:
    """Returns the URI of the tracking server that `init_mlflow` chooses, without touching it."""
    uri: str = tracking_uri or mlflow.get_tracking_uri()
    database = database_file(uri)
    # A relative path would mean another file in a step, whose working directory differs.
    return sqlite_uri(_starting_folder() / database) if database else uri


def database_file(uri: str) -> Path | None:
    """Returns the file of an SQLite database; None if the URI names something else."""
    path = make_url(uri).database if uri.startswith("sqlite:///") else None
    return Path(path) if path else None


def sqlite_uri(database: Path) -> str:
    """Returns the URI of a database file; only what would be read as another path is encoded.

    MLflow's `path_to_local_sqlite_uri` encodes blanks and accents too, and MLflow then makes an
    empty folder of that name.
    """
    path = re.sub(r"%(?=[0-9A-Fa-f]{2})|[?]", lambda found: quote(found[0]), str(database))
    return f"sqlite:///{path}"


def _say_where_artifacts_go() -> None:
    """Names `mlruns` in this folder by a URI where its path would be read as another one.

    MLflow's default is the plain path, which it decodes as if it were a URI.
    """
    folder = Path.cwd()
    if re.search(r"%[0-9A-Fa-f]{2}|[?#]", str(folder)):
        os.environ.setdefault(_SERVER_ARTIFACT_ROOT_ENV_VAR, (folder / "mlruns").as_uri())


def _starting_folder() -> Path:
    """Where the user stands: `mlflow run` itself starts an entry point in the project's folder."""
    if MLFLOW_RUN_ID.get():
        with suppress(psutil.Error):
            for parent in psutil.Process().parents():
                words = parent.cmdline()
                if "run" in words and any("mlflow" in word for word in words[:4]):
                    return Path(parent.cwd())
    return Path.cwd()


def _check_place(database: Path) -> None:
    former = find_former_folder(database)
    if former:
        raise ConnectionError(
            f"the store {database} was moved or copied here, and its artifacts are still to be in "
            f"{former}: `python scripts/check_mlflow_status.py --moved` makes it name this folder; "
            "where they are is not changed"
        )


def _without_credentials(uri: str) -> str:
    """Moves the user and the password of a URI into the variables from which MLflow reads them.

    MLflow prints the URI, and more than one place records it.
    """
    parts = urlsplit(uri)
    if parts.username is not None and parts.password is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    uri = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return uri


def _check_server(uri: str) -> None:
    """Asks the server for its version: MLflow itself would try for minutes to reach one.

    A step does not ask: its run was made there a moment ago, and one that is away comes back.
    """
    if MLFLOW_RUN_ID.get():
        return
    credentials = get_default_host_creds(uri)
    try:
        answer = http_request(
            credentials, "/version", "GET", max_retries=0, timeout=_SECONDS_TO_ANSWER
        )
    except (MlflowException, requests.RequestException) as error:
        problem = "does not answer"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            trust = "MLFLOW_TRACKING_SERVER_CERT_PATH names one to trust"
            problem = f"has a certificate that is not trusted here; {trust}"
        elif "NameResolutionError" in str(error):
            problem = f"is not found: no machine of the name {urlsplit(uri).hostname} is known here"
        raise ConnectionError(f"the tracking server {uri} {problem}") from error
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        user = credentials.username
        refused = (
            f"does not know the user {user!r} with this password" if user else "asks who you are"
        )
        raise ConnectionError(
            f"the tracking server {uri} {refused}: MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD tell it"
        )


def _create_database(database: Path) -> None:
    """Makes an SQLite database whole or not at all, however many processes come at once.

    MLflow makes it in place: two at once break it, and so does a kill half-way.
    """
    if database.exists():
        return
    with store_lock(sqlite_uri(database)):
        if database.exists():
            return
        # Names that nobody would give a copy of it.
        for left_behind in database.parent.glob(f".{glob.escape(database.name)}.unfinished-*"):
            if time.time() - left_behind.stat().st_mtime > _SECONDS_TO_MAKE_A_STORE:
                left_behind.unlink()
        # A name of its own also where each container's process has the same number.
        unfinished = database.with_name(f".{database.name}.unfinished-{uuid4().hex[:12]}")
        try:
            MlflowClient(sqlite_uri(unfinished)).search_experiments(max_results=1)
            _give_name(unfinished, database)
        finally:
            unfinished.unlink(missing_ok=True)


def _give_name(unfinished: Path, database: Path) -> None:
    """Lets it be the database, unless another user or container has made one meanwhile."""
    try:
        os.link(unfinished, database)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        unfinished.rename(database)


def store_lock(purpose: str) -> FileLock:
    """Returns a lock among the processes of this user on this host, for one purpose at a time."""
    root = user_cache() / "locks"
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / hashlib.sha256(purpose.encode()).hexdigest()[:16])


def init_mlflow_experiment(experiment_name: str) -> None:
    """Makes the experiment the active one, unless `mlflow run` has already chosen.

    `mlflow run` gives its step a run in an experiment; choosing another would fail that run.
    """
    # What was active here before has exported its id too, as if `mlflow run` had.
    exported = mlflow.tracking.fluent._active_experiment_id
    is_chosen = MLFLOW_EXPERIMENT_ID.get() not in (None, exported)
    if not (MLFLOW_RUN_ID.get() or is_chosen):
        mlflow.set_experiment(experiment_name)


@contextmanager
def start_run(
    entity_name: str, model_name: str | None, tags: Mapping[str, Any] | None = None
) -> Iterator[ActiveRun]:
    """Opens the step's run: the one that `mlflow run` made for it, or a new one.

    The run is named after the step, the entity and the model. It ends FINISHED, or FAILED when an
    exception leaves the block.

    Args:
        entity_name: the recipe's name.
        model_name: one of its models; None for a step that is about no model.
        tags: set on the run; `mlflow.project.entryPoint` names the step.

    Raises:
        ConnectionError: its files would not be where its store is.
    """
    tags = tags or {}
    step = tags.get(MLFLOW_PROJECT_ENTRY_POINT)
    name = " ".join(part for part in (step, entity_name, model_name) if part)
    named = {"pipeline.recipe": entity_name, "pipeline.model": model_name, **tags}
    texts = {key: str(value) for key, value in named.items() if value is not None}
    with mlflow.start_run(run_name=name, tags=texts, log_system_metrics=True) as run:
        check_files_reach_all(mlflow.get_tracking_uri(), run.info.artifact_uri)
        yield run


def end_run() -> None:
    """Ends the active run as FINISHED."""
    mlflow.end_run()


def configure_autologging(settings_dict: Mapping[str, Any] | Literal["off"] | None) -> None:
    """Switches scikit-learn's autologging on with these arguments.

    It is off for None, for `off` and for `{"disable": True}`. The model and its dataset are logged
    by the step itself, so autologging leaves them out.
    """
    given = settings_dict if isinstance(settings_dict, Mapping) else {"disable": True}
    own = {"log_models": False, "log_datasets": False, "silent": True}
    mlflow.sklearn.autolog(**{**own, **given})


def log_params(params_dict: Mapping[str, Any]) -> None:
    """Logs parameters, but those that `mlflow run` was given.

    These were there when the run was opened, as text between shell quotes, and MLflow would refuse
    to log them again.

    Raises:
        MlflowException: a parameter has another value already.
    """
    run = mlflow.active_run()
    is_of_mlflow_run = run and run.data.tags.get(MLFLOW_SOURCE_TYPE) == "PROJECT"
    given = run.data.params if run and is_of_mlflow_run else {}
    new = {
        name: str(value)[:_LONGEST_PARAM]
        for name, value in params_dict.items()
        if name not in given
    }
    if new:
        mlflow.log_params(new)


def log_metrics(metrics_dict: Mapping[str, float], step: int | None = None) -> None:
    """Logs metrics in one call; one that is not a number is logged as NaN."""
    mlflow.log_metrics(
        {
            name: float(value) if isinstance(value, SupportsFloat) else math.nan
            for name, value in metrics_dict.items()
        },
        step=step,
    )


def log_artifact(
    local_path: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Logs a file under its own name, into `artifact_path` or at the root of the artifacts.

    It goes to the active run, or to another one: a run that has ended takes artifacts too.
    """
    mlflow.log_artifact(str(local_path), artifact_path, run_id)
