"""Moves everything from an SQLite store to a team's server that is still empty.

    python deploy/move_to_server.py sqlite:////home/ana/cuvee/mlflow.db

Runs, parameters, metrics, tags, datasets, models, registered versions, aliases and journals keep
their ids and numbers; artifacts go to the server's store, and what names their place is rewritten.
It works on both databases themselves, so it is called with the server's own settings
(deploy/serve.sh: BACKEND_STORE_URI, ARTIFACTS_DESTINATION, the credentials of the S3 store). It
happens as a whole or not at all: the rows become visible in one transaction, after the artifacts
are there and all has been counted. The source is only read, and nobody can write to it meanwhile.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.db.utils import Base, _get_schema_version, create_sqlalchemy_engine
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from settings import FAILURES, artifacts_destination, one_line, setting
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    Table,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

# Where a row says where artifacts are.
_PLACES = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "logged_models": ["artifact_location"],
    "model_versions": ["source", "storage_location"],
    "trace_tags": ["value"],
}
_SERVED = "mlflow-artifacts:/"
# A server's artifacts lie below its workspace, of which it makes this one by itself.
_FOLDER = "workspaces/default"
_ROWS_AT_ONCE = 1000
_TABLES = Base.metadata.sorted_tables


@click.command()
@click.argument("source")
@click.option("--artifacts", help="What a server over SQLite had as its artifacts destination.")
def move_to_server(source: str, artifacts: str | None) -> None:
    """Moves the store SOURCE, such as sqlite:////home/ana/cuvee/mlflow.db, to the server."""
    is_file = source.startswith("sqlite:///")
    database = Path((make_url(source).database or "") if is_file else "")
    served = Path(artifacts) if artifacts else database.parent / "mlartifacts"
    try:
        if not database.is_file():
            raise ValueError(f"{source} is not the URI of an SQLite database that is there")
        target, destination = setting("BACKEND_STORE_URI"), artifacts_destination()
        SqlAlchemyStore(target, _SERVED)  # makes the tables of a database that has none
        theirs, ours = create_sqlalchemy_engine(source), create_sqlalchemy_engine(target)
        with theirs.connect() as reading, ours.begin() as writing:
            reading.execute(text("BEGIN IMMEDIATE"))  # nobody writes to it meanwhile
            _check(theirs, reading, ours, writing)
            places = dict(_copy_artifacts(reading, served, destination))
            _copy_rows(reading, writing, places)
            _compare(reading, writing)
            if ours.dialect.name == "postgresql":
                _set_sequences(writing)
    except (MlflowException, SQLAlchemyError, *FAILURES) as error:
        raise click.ClickException(f"nothing was moved: {one_line(error)}") from error
    with ours.connect() as reading:
        for name in ("experiments", "runs", "logged_models", "model_versions"):
            table = Base.metadata.tables[name]
            click.echo(f"{name:<15} {reading.scalar(select(func.count()).select_from(table))}")
    click.echo(f"moved to {make_url(target).render_as_string(hide_password=True)}")


def _check(theirs: Engine, reading: Connection, ours: Engine, writing: Connection) -> None:
    """Raises ValueError with the reason if the store cannot be moved as a whole."""
    revisions = [_get_schema_version(engine) for engine in (theirs, ours)]
    if revisions[0] != revisions[1]:
        raise ValueError(
            f"the databases are of different versions of MLflow ({revisions[0]}, {revisions[1]}): "
            "`mlflow db upgrade` both, after a backup"
        )
    for name in ("runs", "registered_models", "logged_models", "trace_info"):
        if writing.scalar(select(func.count()).select_from(Base.metadata.tables[name])):
            raise ValueError(f"the server is not empty: it has {name}")
    runs = Base.metadata.tables["runs"]
    running = select(func.count()).select_from(runs).where(runs.c.status == "RUNNING")
    if count := reading.scalar(running):
        raise ValueError(
            f"{count} runs are RUNNING: let them end, or `scripts/check_mlflow_status.py --reap`"
        )
    unknown = set(inspect(reading).get_table_names()) - set(Base.metadata.tables)
    filled = [
        name
        for name in unknown
        if not name.startswith("alembic_version")
        and reading.scalar(text(f'SELECT EXISTS (SELECT 1 FROM "{name}")'))  # noqa: S608
    ]
    if filled:
        raise ValueError(f"the source has tables that MLflow does not know: {', '.join(filled)}")


def _copy_artifacts(
    reading: Connection, served: Path, destination: str
) -> Iterator[tuple[str, str]]:
    """Copies each experiment's folder; yields its old place and the new one."""
    experiments, runs = (Base.metadata.tables[name] for name in ("experiments", "runs"))
    for row in reading.execute(select(experiments)):
        folder = _folder(row.artifact_location, served)
        if folder is None:
            continue  # it is in a store already, which the server must be able to reach
        new = f"{_FOLDER}/{row.experiment_id}"
        if folder.is_dir():
            _copy_folder(row.name, folder, f"{destination.rstrip('/')}/{new}")
        elif reading.scalar(select(func.count()).where(runs.c.experiment_id == row.experiment_id)):
            raise ValueError(f"the artifacts of the experiment {row.name} are not in {folder}")
        yield row.artifact_location, f"{_SERVED}{new}"


def _folder(place: str, served: Path) -> Path | None:
    """The local folder behind an experiment's place; None if it is elsewhere."""
    if place.startswith(_SERVED):
        return served / urlsplit(place).path.lstrip("/")
    return Path(local_file_uri_to_path(place)) if is_local_uri(place) else None


def _copy_folder(name: str, folder: Path, destination: str) -> None:
    files = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file()
    }
    click.echo(f"copying {len(files)} files of the experiment {name}")
    store = get_artifact_repository(destination)
    store.log_artifacts(str(folder))
    arrived = dict(_sizes(store, None))
    missing = [each for each, size in files.items() if arrived.get(each) != size]
    if missing:
        raise ValueError(f"{missing[0]} did not arrive in {destination}")


def _sizes(store: ArtifactRepository, folder: str | None) -> Iterator[tuple[str, int]]:
    for found in store.list_artifacts(folder):
        if found.is_dir:
            yield from _sizes(store, found.path)
        else:
            yield found.path, found.file_size


def _copy_rows(reading: Connection, writing: Connection, places: dict[str, str]) -> None:
    for table in reversed(_TABLES):  # what the server made by itself: an experiment 0, a workspace
        writing.execute(table.delete())
    for table in _TABLES:
        columns = [column for column in table.columns if column.computed is None]
        for rows in reading.execute(select(*columns)).mappings().partitions(_ROWS_AT_ONCE):
            writing.execute(insert(table), [_moved(table, dict(row), places) for row in rows])


def _moved(table: Table, row: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    """A row with its places rewritten."""
    for column in _PLACES.get(table.name, ()):
        value = row[column]
        for old, new in places.items():
            if value and (value == old or value.startswith(old.rstrip("/") + "/")):
                row[column] = new + value.removeprefix(old.rstrip("/"))
                break
    return row


def _compare(reading: Connection, writing: Connection) -> None:
    for table in _TABLES:
        count = select(func.count()).select_from(table)
        wanted, there = reading.scalar(count), writing.scalar(count)
        if wanted != there:
            raise ValueError(f"{there} of {wanted} rows of {table.name} arrived")


def _set_sequences(writing: Connection) -> None:
    """The next number that PostgreSQL gives comes after those that were copied."""
    for table in _TABLES:
        for column in table.primary_key:
            if isinstance(column.type, Integer | BigInteger):
                names = {"table": table.name, "column": column.name}
                sequence = writing.scalar(
                    text("SELECT pg_get_serial_sequence(:table, :column)"), names
                )
                highest = writing.scalar(select(func.max(column)))
                if sequence and highest:
                    writing.execute(
                        text("SELECT setval(:sequence, :highest)"),
                        {"sequence": sequence, "highest": highest},
                    )


if __name__ == "__main__":
    move_to_server()
