"""A table from a database: what one query gives, read only, some rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Connection, Row, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from common.errors import InputError
from modelling.files.table_file import check_names
from modelling.tables.gather import write_rows

_ROWS_AT_ONCE = 50_000


@contextmanager
def connect(address: str, shown: str) -> Iterator[Connection]:
    """Connects to a database; what is written and not committed is undone.

    Args:
        address: of the database, as SQLAlchemy takes it; it may hold a password.
        shown: how messages name the database.

    Raises:
        InputError: it cannot be reached, or what is asked of it fails; the message has nothing of
            the address.
    """
    try:
        url = _with_driver(make_url(address))
        _check_file(url, shown)
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
    except ModuleNotFoundError as error:
        raise InputError(f"{shown}: the driver {error.name} is not installed here") from None
    except SQLAlchemyError as error:
        # Without the error itself, which may hold the address.
        raise InputError(f"{shown}: {_said(error).replace(address, shown)}") from None


def _said(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return f"the database says: {' '.join(str(cause).split())}"


def write_query(address: str, query: str, target: Path, shown: str) -> None:
    """Writes what a query gives as a Parquet file of text, in flat memory.

    Args:
        address: of the database, as `connect` takes it.
        query: SELECT or WITH.
        target: where to write.
        shown: how messages name the database.

    Raises:
        InputError: the database cannot be reached, the query fails, writes, or gives no row; the
            message has nothing of the address.
    """
    with connect(address, shown) as connection:
        count = _write(connection, query, target, shown, address)
    if not count:
        raise InputError(f"{shown}: the query gives no row")


def _with_driver(url: URL) -> URL:
    """PostgreSQL's older driver, where the address names none and the newer is not installed."""
    is_plain = url.drivername == "postgresql"
    if is_plain and find_spec("psycopg") is None and find_spec("psycopg2") is not None:
        return url.set(drivername="postgresql+psycopg2")
    return url


def _check_file(url: URL, shown: str) -> None:
    """SQLite would make a file that is not there."""
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    if is_file and not Path(str(url.database).removeprefix("file:").partition("?")[0]).is_file():
        raise InputError(f"{shown}: there is no database file {url.database}")


def _write(connection: Connection, query: str, target: Path, shown: str, address: str) -> int:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    # Without parameters, since a driver would take each % of the query for the place of one.
    reading = {"stream_results": True, "yield_per": _ROWS_AT_ONCE, "no_parameters": True}
    if connection.dialect.name == "postgresql":
        reading["postgresql_readonly"] = True
    result = connection.execution_options(**reading).exec_driver_sql(query)
    if not result.returns_rows:
        return 0
    names = list(result.keys())
    check_names(names, Path(shown.removeprefix("table ")))
    return write_rows(_told(iter(result), shown, address), names, target)


def _told(rows: Iterator[Row[Any]], shown: str, address: str) -> Iterator[Row[Any]]:
    """The rows; if they end before their time, how many there were."""
    count = 0
    try:
        for row in rows:
            count += 1
            yield row
    except SQLAlchemyError as error:
        said = _said(error).replace(address, shown)
        raise InputError(f"{shown}, after {count:,} rows: {said}") from None
