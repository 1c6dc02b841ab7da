"""Scores go into a table of a database: all of them, or none, and no address into a message."""

import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as arrow
import pytest
from sqlalchemy import create_engine

from common.errors import InputError
from modelling.files.table_file import read_table
from steps.scoring.database import DatabaseTable, open_table
from steps.sources.table_source import fetch_table
from tests.team_server import TOOLS, free_ports

_LOST = """select g, case when g = 60000 then pg_terminate_backend(pg_backend_pid()) end as lost
from generate_series(1, 200000) g"""
_OTHERS_LOST = """select pg_terminate_backend(pid) from pg_stat_activity
where usename = current_user and pid <> pg_backend_pid()"""
SCORES = arrow.record_batch(
    {
        "id": arrow.array([1, 2], arrow.int64()),
        "key": arrow.array([2**63, None], arrow.uint64()),
        "prediction": arrow.array(["yes", "no"]),
        "probability_yes": arrow.array([0.75, 0.5]),
        "scored_at": arrow.array(
            [datetime(2026, 1, 2, tzinfo=UTC)] * 2, arrow.timestamp("s", "UTC")
        ),
    }
)


def write(text, batches, error=None):
    with open_table(DatabaseTable.read(text)) as writer:
        for batch in batches:
            writer.write(batch)
        if error:
            raise error


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A database; returns what asks it."""
    path = tmp_path / "shop.db"
    with closing(connect(path)) as made:
        made.execute("create table other (id integer)")
    monkeypatch.setenv("SHOP", f"sqlite:///{path}")

    def ask(query):
        with closing(connect(path)) as opened:
            return opened.execute(query).fetchall()

    return ask


def test_rows_are_appended_or_take_the_place_of_others(shop):
    write("$SHOP append scores", [SCORES, SCORES])
    assert shop("select count(*), min(prediction), max(probability_yes) from scores") == [
        (4, "no", 0.75)
    ]
    write("$SHOP append scores", [SCORES])
    assert shop("select count(*) from scores") == [(6,)]
    write("$SHOP replace scores", [SCORES])
    assert shop("select id from scores") == [(1,), (2,)]


@pytest.mark.parametrize("way", ["append", "replace"])
def test_what_fails_half_way_leaves_the_table_as_it_was(way, shop):
    with pytest.raises(InputError, match="stop"):
        write(f"$SHOP {way} scores", [SCORES], InputError("stop"))
    assert shop("select name from sqlite_master") == [("other",)]
    write("$SHOP append scores", [SCORES])
    with pytest.raises(InputError, match="stop"):
        write(f"$SHOP {way} scores", [SCORES], InputError("stop"))
    assert shop("select count(*) from scores") == [(2,)]


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("$SHOP append other", "output $SHOP append other: unknown column 'key'"),
        ("$SHOP scores", "output '$SHOP scores': a table of a database is named as $NAME append"),
        ("$SHOP append a b", "output '$SHOP append a b': a table of a database is named as"),
        ("$NOWHERE append x", "output $NOWHERE: the environment has no variable NOWHERE"),
        ("$GONE append x", "output $GONE: there is no database file gone.db"),
        ("$FAR append x", "output $FAR: the driver"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(output, says, shop, monkeypatch):
    monkeypatch.setenv("GONE", "sqlite:///gone.db")
    monkeypatch.setenv("FAR", "oracle://u:hidden@host/x")
    with pytest.raises(InputError) as caught:
        write(output, [SCORES])
    assert str(caught.value).startswith(says)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("output", ["scores.csv", "$HOME/scores.csv", "/data/a b.parquet"])
def test_a_path_is_no_table(output):
    assert DatabaseTable.read(output) is None


@pytest.fixture
def postgres():
    """A PostgreSQL of its own, in an address as people write it."""
    script = TOOLS / "servers" / "postgres"
    if not script.is_file() or not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is not installed")
    # It runs as another user, who may not enter pytest's folders.
    with TemporaryDirectory(prefix="shop-") as folder:
        command = [script, folder, str(free_ports("127.0.0.1", 1))]
        said = subprocess.run([*command, "start"], stdout=subprocess.PIPE, text=True, check=True)
        yield said.stdout.strip().replace("+psycopg2", "")
        subprocess.run([*command, "stop"], check=True)


@pytest.mark.slow
def test_postgresql_is_read_and_written(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP", postgres)
    write("$SHOP replace public.scores", [SCORES])
    write("$SHOP append scores", [SCORES])
    with pytest.raises(InputError, match="stop"):
        write("$SHOP replace scores", [SCORES], InputError("stop"))
    table = read_table(fetch_table("$SHOP select * from scores order by id", tmp_path))
    assert table["id"].tolist() == ["1", "1", "2", "2"]
    sign = read_table(fetch_table("$SHOP select 'x%' as a where 'xy' like 'x%'", tmp_path))
    assert sign["a"].tolist() == ["x%"]
    assert table["key"].tolist()[:2] == [str(2**63)] * 2
    assert table["probability_yes"].tolist() == ["0.75", "0.75", "0.5", "0.5"]
    assert pd.to_datetime(table["scored_at"], utc=True).eq("2026-01-02T00:00:00Z").all()
    for query, says in [
        (
            "with gone as (delete from scores returning *) select * from gone",
            "must not contain data",
        ),
        ("select 1 / 0 as y", "division by zero"),
        ("select * from nowhere", 'relation "nowhere" does not exist'),
        ("select 1 as x; delete from scores", "read-only transaction"),
        (_LOST, r"after [\d,]+ rows: the database says: server closed the connection"),
    ]:
        made = tmp_path / "refused"
        with pytest.raises(InputError, match=says) as caught:
            fetch_table(f"$SHOP {query}", made)
        assert "\n" not in str(caught.value)
        assert not list(made.iterdir())

    def lose_connection():
        yield SCORES
        with create_engine(postgres.replace(":", "+psycopg2:", 1)).connect() as other:
            other.exec_driver_sql(_OTHERS_LOST)
        yield SCORES

    with pytest.raises(InputError, match="the database says: server closed the connection"):
        write("$SHOP replace scores", lose_connection())
    assert len(read_table(fetch_table("$SHOP select * from scores", tmp_path))) == 4
