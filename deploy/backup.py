"""Backs a team's server up into a folder, and restores it into an empty database and store.

    python deploy/backup.py backup /backups/2026-11-24
    python deploy/backup.py restore /backups/2026-11-24

Called with the server's own settings (deploy/serve.sh); pg_dump and pg_restore must be there, and
not older than the database. The server may run during a backup: the rows are those of one moment,
and files are written before the rows that name them and never changed. A restore puts the files
back first, and then all rows in one transaction.
"""

import os
import shutil
import subprocess
from pathlib import Path

import click
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from settings import FAILURES, artifacts_destination, one_line, setting
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

_ROWS, _FILES = "database.dump", "artifacts"


@click.group()
def cli() -> None:
    """Backs a team's server up, and restores it."""


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=False))
def backup(folder: Path) -> None:
    """Writes database.dump and artifacts/ into FOLDER, which must be new."""
    if folder.exists():
        raise click.ClickException(f"{folder} is there already")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    try:
        unfinished.mkdir(parents=True)
    except FileExistsError as error:
        raise click.ClickException(
            f"{unfinished} is there: another backup is writing it, or was killed; then remove it"
        ) from error
    try:
        _write(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    click.echo(f"backed up to {folder}")


def _write(folder: Path) -> None:
    rows, files = folder / _ROWS, folder / _FILES
    files.mkdir()
    _postgres("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={rows}")
    store = get_artifact_repository(artifacts_destination())
    for found in store.list_artifacts():
        store.download_artifacts(found.path, str(files))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def restore(folder: Path) -> None:
    """Reads what `backup` wrote; the database must have no tables."""
    if not (folder / _ROWS).is_file():
        raise click.ClickException(f"{folder} is no backup: it has no {_ROWS}")
    tables = inspect(create_engine(setting("BACKEND_STORE_URI"))).get_table_names()
    if tables:
        raise click.ClickException(f"the database is not empty: it has the table {tables[0]}")
    get_artifact_repository(artifacts_destination()).log_artifacts(str(folder / _FILES))
    _postgres(
        "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        f"--dbname={make_url(setting('BACKEND_STORE_URI')).database}", str(folder / _ROWS),
    )  # fmt: skip
    click.echo(f"restored from {folder}")


def _postgres(*command: str) -> None:
    """Runs a program of PostgreSQL on the server's database; the password is in no argument."""
    url = make_url(setting("BACKEND_STORE_URI"))
    known = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    variables = {name: str(value) for name, value in known.items() if value is not None}
    done = subprocess.run(
        command, env=os.environ | variables, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise click.ClickException(said or f"{command[0]} ended with {done.returncode}")


if __name__ == "__main__":
    try:
        cli(standalone_mode=True)
    except (MlflowException, SQLAlchemyError, *FAILURES) as error:
        raise SystemExit(f"Error: {one_line(error)}") from error
