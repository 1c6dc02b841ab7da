"""The same rows from one file, many files, JSON lines or a database are the same table."""

import gzip
import json
import sqlite3

import numpy as np
import pandas as pd
import pytest

from common.errors import InputError
from common.file_digests import file_sha256
from modelling.files.table_file import read_table
from modelling.recipe import Data, Recipe
from modelling.tables.split import split_table
from modelling.tables.stream import open_stream
from modelling.tables.table import check_table
from steps.sources.table_source import fetch_data, fetch_table

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "zip": [f"{number:05}" for number in RNG.integers(0, 99_999, 60)],
        "price": RNG.normal(size=60).round(3),
        "day": pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d"),
        "vip": RNG.choice(["True", "False"], 60),
        "y": RNG.normal(size=60).round(12),  # Excel keeps 15 digits
    }
)
TABLE.loc[5, "zip"] = None
RECIPE = Recipe.model_validate(
    {
        "name": "r",
        "task": "regression",
        "data": {
            "path": "p",
            "target": "y",
            "columns": {
                "zip": {"type": "category", "missing": 0.5},
                "price": {},
                "day": {"type": "date"},
                "vip": {"type": "boolean"},
            },
        },
        "models": {"m": {"estimator": "sklearn.linear_model.Ridge"}},
    }
)


def sides(path):
    split = split_table(check_table(read_table(path), RECIPE, "t").frame, "y", RECIPE.split)
    return {"train": {*split.train["row_key"]}, "test": {*split.test["row_key"]}}


def write_json(frame, path):
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    text = "".join(json.dumps(row | {"vip": row["vip"] == "True"}) + "\n" for row in rows)
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The table in all places; the name of each way, and what to ask for."""
    folder = tmp_path_factory.mktemp("places")
    TABLE.to_csv(folder / "one.csv", index=False)
    (folder / "many" / "deeper").mkdir(parents=True)
    parts = [TABLE.iloc[40:], TABLE.iloc[:15], TABLE.iloc[15:40]]
    parts[0].to_csv(folder / "many" / "a.csv", index=False)
    parts[1][TABLE.columns[::-1]].assign(extra=1).to_parquet(folder / "many" / "b.parquet")
    write_json(parts[2], folder / "many" / "deeper" / "c.jsonl.gz")
    (folder / "many" / "_notes.md").write_text("no table")
    write_json(TABLE, folder / "one.jsonl")
    with sqlite3.connect(folder / "shop.db") as shop:
        TABLE.to_sql("sales", shop, index=False)
    TABLE.to_excel(folder / "one.xlsx", sheet_name="Sales", index=False)
    many = folder / "many"
    return folder, {
        "folder": str(many),
        "pattern": f"{many}/**/*.*[vzt]",
        "list": f"{many}/deeper/c.jsonl.gz, {many}/b.parquet, {many}/a.csv",
        "json lines": str(folder / "one.jsonl"),
        "workbook": str(folder / "one.xlsx"),
        "query": "$SHOP SELECT *\nFROM sales -- all: of 'them'",
    }


@pytest.mark.parametrize("way", ["folder", "pattern", "list", "json lines", "workbook", "query"])
def test_the_rows_have_the_same_keys_and_sides_wherever_they_come_from(
    way, places, tmp_path, monkeypatch
):
    folder, ways = places
    monkeypatch.setenv("SHOP", f"sqlite:///{folder}/shop.db")
    assert sides(fetch_table(ways[way], tmp_path)) == sides(folder / "one.csv")


def test_a_folder_of_parquet_keeps_its_types_and_has_its_partitions(tmp_path):
    rows = pd.DataFrame({"x": [1, 2**60], "day": pd.Timestamp("2026-11-21")})
    for year in (2025, 2026):
        (tmp_path / "given" / f"year={year}").mkdir(parents=True)
        rows.to_parquet(tmp_path / "given" / f"year={year}" / "a.parquet")
        rows = rows.assign(x=[0.5, None])
    (tmp_path / "given" / "_delta_log").mkdir()
    (tmp_path / "given" / "_delta_log" / "0.json").touch()
    path = fetch_table(str(tmp_path / "given"), tmp_path / "made")
    table = read_table(path)
    assert table["year"].tolist() == ["2025", "2025", "2026", "2026"]
    assert table["x"].tolist()[:3] == ["1", str(2**60), "0.5"]
    assert table["day"].dtype.kind == "M"
    assert fetch_table(str(tmp_path / "given"), tmp_path, may_be_folder=True) == tmp_path / "given"


def test_a_name_in_two_signs_and_an_index_without_a_name_are_as_in_one_file(tmp_path):
    rows = pd.DataFrame({"pre\u0301nom": ["Zoé", "Léa", "Ana"], "x": [1, 2, 3]})
    given = tmp_path / "given"
    given.mkdir()
    rows[rows["x"] != 2].to_parquet(given / "a.parquet")
    rows.rename(columns={"pre\u0301nom": "prénom"}).to_parquet(given / "b.parquet")
    one = read_table(given / "a.parquet")
    assert [*one] == ["prénom", "x"]
    many = read_table(fetch_table(str(given), tmp_path / "made"))
    assert [*many] == ["prénom", "x"]
    assert (many["prénom"].tolist(), many["x"].tolist()) == (
        ["Zoé", "Ana", "Zoé", "Léa", "Ana"],
        [1, 3, 1, 2, 3],
    )
    assert many["x"].dtype == one["x"].dtype
    for place in (given, given / "a.parquet"):
        stream = open_stream(place)
        assert stream.columns == ["prénom", "x"]
        first = next(stream.batches(["prénom"], 10)).table
        assert first["prénom"].to_pylist() == ["Zoé", "Ana"]


def test_the_digest_is_of_the_rows(places, tmp_path, monkeypatch):
    folder, ways = places
    monkeypatch.setenv("SHOP", f"sqlite:///{folder}/shop.db")
    queries = [
        ways["query"],
        f"{ways['query']}\nWHERE y > -99",
        "$SHOP SELECT * FROM sales LIMIT 59",
    ]
    same, too, other = (
        file_sha256(fetch_table(query, tmp_path / str(number)))
        for number, query in enumerate(queries)
    )
    assert same == too != other


def test_a_row_knows_its_file(places, tmp_path):
    _, ways = places
    table = read_table(fetch_table(ways["folder"], tmp_path, "file"))
    assert table["file"].value_counts().to_dict() == {
        "c.jsonl.gz": 25,
        "a.csv": 20,
        "b.parquet": 15,
    }


def test_decimal_commas_stay_numbers(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x;y\n1,5;2\n3,25;4\n")
    table = read_table(fetch_table(f"{tmp_path}/*.csv", tmp_path / "made"))
    assert table.attrs["decimal_comma"]
    assert table["x"].tolist() == ["1,5", "3,25"] * 2
    assert open_stream(tmp_path / "made" / "gathered.parquet").decimal_comma


def test_the_sheet_is_the_one_that_is_said(places, tmp_path):
    _, ways = places
    data = {"path": "p", "target": "y", "columns": {}}
    said = Data.model_validate({**data, "sheet": "Sales"})
    assert len(read_table(fetch_data(said, ways["workbook"], tmp_path))) == len(TABLE)
    other = Data.model_validate({**data, "sheet": "sale"})
    with pytest.raises(InputError, match="unknown sheet 'sale', did you mean 'Sales'"):
        fetch_data(other, ways["workbook"], tmp_path)


@pytest.mark.parametrize(
    ("files", "source", "says"),
    [
        ({}, "{}/*.csv", "no file fits this pattern"),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"}, "{}/*.csv", "b.csv has no column 'y', as"),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "x;y\n1;2\n"}, "{}/*.csv", "separates by another sign"),
        (
            {"a.csv": "x,y\n1,2\n", "b.csv": "x,y\n1,2,3\n"},
            "{}/*.csv",
            "b.csv, row 1: has 3",
        ),
        ({"a.csv": "x,y\n1,2\n", "b.doc": "x"}, "{}", "holds 'b.doc', which is no table"),
        ({"a.jsonl": '{"x": 1}\n[2]\n'}, "{}/a.jsonl", "a.jsonl, line 2 is no JSON object"),
        (
            {"a.jsonl": '{"x": 1}\n{"x"\n'},
            "{}/a.jsonl",
            "line 2 is no JSON: Expecting ':'",
        ),
        ({"a.jsonl": '{"x": {"y": 1}}\n'}, "{}/a.jsonl", "line 1: 'x' is no single value"),
        ({"a.jsonl": ""}, "{}/a.jsonl", "a.jsonl is empty"),
        ({"a.jsonl": "\n"}, "{}/a.jsonl", "a.jsonl is empty"),
        ({}, "{}/a.jsonl", "a.jsonl is not there"),
        ({}, "{}/a.xlsx", "a.xlsx is not there"),
        ({"a.xlsx": "x,y"}, "{}", "a.xlsx cannot be read: invalid Zip archive"),
    ],
)
def test_files_that_do_not_fit_are_told_in_a_line(files, source, says, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        fetch_table(source.format(folder), tmp_path / "made")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT * FROM sale", "table $SHOP: the database says: no such table: sale"),
        ("SELECT * FROM sales WHERE y > 99", "table $SHOP: the query gives no row"),
        ("WITH x AS (SELECT 1) DELETE FROM sales", "attempt to write a readonly database"),
        ("SELECT y, y FROM sales", "table $SHOP has two columns named 'y'"),
        ("INSERT INTO sales SELECT 1", "table $SHOP INSERT INTO sales SELECT 1: a query begins"),
        ("SELECT x'00' AS b", "column 'b' holds values of type bytes"),
        (
            "SELECT CASE WHEN zip IS NULL THEN abs(-9223372036854775807 - 1) ELSE 1 END FROM sales",
            "table $SHOP, after 4 rows: the database says: integer overflow",
        ),
    ],
)
def test_a_query_that_gives_no_table_is_told_in_a_line(query, says, places, tmp_path, monkeypatch):
    folder, _ = places
    monkeypatch.setenv("SHOP", f"sqlite:///{folder}/shop.db")
    with pytest.raises(InputError) as caught:
        fetch_table(f"$SHOP {query}", tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, "table $SHOP: the environment has no variable SHOP"),
        ("sqlite:///nowhere.db", "table $SHOP: there is no database file nowhere.db"),
        ("oracle://u:hidden@host/x", "table $SHOP: the driver"),
        ("nonsense", "table $SHOP: the database says"),
        ("nodb://u:hidden@host/x", "table $SHOP: the database says"),
    ],
)
def test_an_address_that_leads_nowhere_is_never_shown(address, says, tmp_path, monkeypatch):
    monkeypatch.delenv("SHOP", raising=False)
    if address:
        monkeypatch.setenv("SHOP", address)
    with pytest.raises(InputError) as caught:
        fetch_table("$SHOP select 1", tmp_path)
    assert str(caught.value).startswith(says)
    assert "hidden" not in str(caught.value)
