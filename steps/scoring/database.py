"""Scores into a table of a database: appended to it or in place of its rows, all or none."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

import pyarrow as arrow
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    MetaData,
    Numeric,
    Table,
    Text,
    delete,
    inspect,
)
from sqlalchemy.types import TypeEngine

from common.errors import InputError, unknown_name
from modelling.tables.sql import connect

_ASKED = re.compile(r"\$(\w+)\s+(append|replace)\s+(?:(\w+)\.)?(\w+)", re.ASCII)


@dataclass(frozen=True)
class DatabaseTable:
    """A table that is named as `$SHOP append scores` or `$SHOP replace sales.scores`.

    variable: of the environment, with the database's address.
    """

    variable: str
    way: Literal["append", "replace"]
    schema: str | None
    name: str

    @classmethod
    def read(cls, text: str) -> "Self | None":
        """Reads what was typed as an output; None if it is a path.

        Raises:
            InputError: it begins with a variable, and says nothing that can be done; or there is no
                such variable.
        """
        if not re.match(r"\$\w+\s", text):
            return None
        found = _ASKED.fullmatch(text.strip())
        if found is None:
            raise InputError(
                f"output {text!r}: a table of a database is named as $NAME append <table>, or "
                "$NAME replace <table>"
            )
        if not os.environ.get(found[1]):
            raise InputError(f"output ${found[1]}: the environment has no variable {found[1]}")
        way: Literal["append", "replace"] = "append" if found[2] == "append" else "replace"
        return cls(found[1], way, found[3], found[4])

    def __str__(self) -> str:
        place = f"{self.schema}.{self.name}" if self.schema else self.name
        return f"${self.variable} {self.way} {place}"


class TableWriter:
    """Writes batches of scores into a table, which is made if it is not there."""

    def __init__(self, place: DatabaseTable, connection: Connection) -> None:
        self._place = place
        self._connection = connection
        self._table: Table | None = None

    def write(self, batch: arrow.RecordBatch) -> None:
        """Writes rows; the columns of the first batch are those of all."""
        if self._table is None:
            self._table = self._open(batch.schema)
        self._connection.execute(self._table.insert(), batch.to_pylist())

    def _open(self, schema: arrow.Schema) -> Table:
        place, connection = self._place, self._connection
        columns = [Column(field.name, _kind(field.type)) for field in schema]
        table = Table(place.name, MetaData(), *columns, schema=place.schema)
        if not inspect(connection).has_table(place.name, place.schema):
            table.create(connection)
            return table
        known = [each["name"] for each in inspect(connection).get_columns(place.name, place.schema)]
        for name in schema.names:
            if name not in known:
                raise InputError(f"output {place}: " + unknown_name("column", name, known))
        if place.way == "replace":
            connection.execute(delete(table))
        return table


@contextmanager
def open_table(place: DatabaseTable) -> Iterator[TableWriter]:
    """Opens a table to write to, in one transaction: an error leaves it as it was.

    Raises:
        InputError: the database cannot be reached, or refuses; or the table lacks a column.
    """
    address, shown = os.environ[place.variable], f"output ${place.variable}"
    with connect(address, shown) as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            # Its driver begins none by itself before a table is made.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield TableWriter(place, connection)


def _kind(kind: arrow.DataType) -> TypeEngine[Any]:
    """The type of a database's column that holds the values of one of Arrow's."""
    if arrow.types.is_uint64(kind):
        return Numeric(20)
    if arrow.types.is_integer(kind):
        return BigInteger()
    if arrow.types.is_floating(kind):
        return Double()
    if arrow.types.is_boolean(kind):
        return Boolean()
    if arrow.types.is_timestamp(kind):
        return DateTime(timezone=kind.tz is not None)
    return Date() if arrow.types.is_date(kind) else Text()
