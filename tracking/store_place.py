"""A store in an SQLite file names its artifacts by full paths: what if the folder was moved?

MLflow would go on in the old place: make it anew, or write into the store of which this is a copy.
"""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

# Where a row says where artifacts are.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
_ARTIFACTS = "mlruns"


def find_former_folder(database: Path) -> Path | None:
    """Finds out whether a database was moved or copied, with its folder, from another one.

    That is so where an experiment's artifacts are to be below `mlruns` in a folder that is gone, or
    that has them no more while they are beside this database; or in a folder with a database that
    has this very experiment, of which this one is a copy then.

    Returns:
        The folder where it was; None if it was not moved, as far as one can see.
    """
    own = database.parent.resolve()
    for location, name, made in _experiments(database):
        folder = _default_folder(location)
        if folder is None or folder.resolve() == own:
            continue
        artifacts = Path(_ARTIFACTS, Path(location).name)
        is_gone = not folder.is_dir()
        has_moved = (own / artifacts).is_dir() and not (folder / artifacts).is_dir()
        is_copy = (location, name, made) in _others(folder / database.name, database)
        if is_gone or has_moved or is_copy:
            return folder
    return None


def check_files_reach_all(tracking_uri: str, artifact_uri: str) -> None:
    """Refuses a run whose files would not be where its store is, so that nobody else has them.

    Args:
        tracking_uri: of the store.
        artifact_uri: where the store has the files of the run.

    Raises:
        ConnectionError: the store is on another machine and the files would be on this one; or the
            server is to keep them, and the store is reached without it.
    """
    address = urlsplit(tracking_uri)
    is_server = address.scheme in ("http", "https")
    if artifact_uri.startswith("mlflow-artifacts:") and not is_server:
        raise ConnectionError(
            f"the files of this experiment are kept by the server of {tracking_uri}: start it, and "
            "name it by MLFLOW_TRACKING_URI=http://…; or take another experiment"
        )
    if is_server and is_local_uri(artifact_uri) and not _is_this_machine(address.hostname or ""):
        raise ConnectionError(
            f"the server {tracking_uri} has the files of this experiment in a folder of its own "
            f"machine, {artifact_uri}: they would stay here, and nobody else could load the model. "
            "Take another experiment (--experiment-name), of a server that keeps the files: "
            "`scripts/launch_mlflow.sh --share` in a new folder"
        )


def _is_this_machine(host: str) -> bool:
    own = {each.address for found in psutil.net_if_addrs().values() for each in found}
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(each in own or ip_address(each).is_loopback for each in addresses)


def share_with_all(database: Path) -> list[str]:
    """Lets the server keep the files of new runs, so that whoever made them, others can load them.

    A database that MLflow makes has experiment 0 keep them in a folder, which every client would
    take for one of its own machine.

    Returns:
        The names of the experiments that stay as they are, since runs of theirs are there.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = 'mlflow-artifacts:/' || experiment_id "
            "WHERE experiment_id NOT IN (SELECT experiment_id FROM runs)"
        )
        rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
    return [name for name, location in rows if is_local_uri(location)]


def rewrite_places(database: Path, former: Path) -> int:
    """Makes a database name its own folder wherever it names a place below the former one.

    Artifacts stay where they are; all is rewritten or nothing.

    Returns:
        How many rows were.
    """
    own = database.parent.resolve()
    pairs = [(f"{former}/", f"{own}/"), (f"{former.as_uri()}/", f"{own.as_uri()}/")]
    with closing(sqlite3.connect(database)) as connection, connection:
        return sum(
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                f"WHERE substr({column}, 1, ?) = ?",
                [new, len(old) + 1, len(old), old],
            ).rowcount
            for table, column in _PLACES
            for old, new in pairs
        )


def _others(other: Path, database: Path) -> list[tuple[str, str, int]]:
    """The experiments of another database; none if it is the same file by another name."""
    return [] if other.exists() and other.samefile(database) else list(_experiments(other))


def _experiments(database: Path) -> Iterator[tuple[str, str, int]]:
    """The place of each experiment's artifacts, its name, and when it was made."""
    if not database.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            yield from connection.execute(
                "SELECT artifact_location, name, creation_time FROM experiments"
            ).fetchall()
    except sqlite3.Error:  # what is wrong with it is told when it is used
        return


def _default_folder(location: str) -> Path | None:
    """The folder whose `mlruns` holds an experiment's artifacts; None if they are elsewhere."""
    try:
        path = Path(local_file_uri_to_path(location)) if is_local_uri(location) else None
    except MlflowException:
        return None
    return path.parent.parent if path and path.parent.name == _ARTIFACTS else None
