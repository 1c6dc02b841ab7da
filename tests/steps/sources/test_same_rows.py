"""Any table, wherever its rows come from and whatever stands beside them: the same answers."""

import csv
import gzip
import json
import sqlite3
from contextlib import closing
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as arrow
import pytest
import xlsxwriter
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from modelling.estimators.estimators import fit_pipeline
from modelling.files.table_file import read_table
from modelling.models.sklearn_wrapper import answer, apply_features
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.recipe import Recipe
from modelling.tables.split import split_table
from modelling.tables.stream import as_frame, open_stream
from modelling.tables.table import check_table
from steps.sources.table_source import fetch_table

RECIPE = Recipe.model_validate(
    {
        "name": "r",
        "task": "regression",
        "data": {
            "path": "p",
            "target": "y",
            "columns": {
                "code": {"type": "category", "missing": 1},
                "größe, m": {"type": "number", "missing": 1},
                "vip": {"type": "boolean", "missing": 1},
                "day": {"type": "date", "missing": 1},
                "size": {"type": "ordinal", "order": ["1", "S", "M"], "missing": 1},
            },
        },
        "models": {"m": {"estimator": "sklearn.linear_model.Ridge"}},
    }
)

# Each cell as text, and as the value that a typed column or JSON has for it.
gap = st.just((None, None))
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5).map(
    lambda text: (text, text)
)
codes = st.sampled_from(["01", "1", "1.0", "A7", "true", "NA", "1,5", 'a"b', "a\r\nb", str(2**60)])
numbers = st.floats(-1e9, 1e9).map(lambda number: (repr(number), number))
rows = st.fixed_dictionaries(
    {
        "code": codes.map(lambda text: (text, text)) | words | gap,
        "größe, m": numbers | gap,
        "vip": st.sampled_from([("True", True), ("False", False)]) | gap,
        "day": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
            lambda day: (day.isoformat(), pd.Timestamp(day))
        )
        | gap,
        "size": st.sampled_from([("1", "1"), (" S ", "S"), ("M", "M")]) | gap,
        "y": numbers,
    }
)
tables = st.lists(rows, min_size=1, max_size=6)

# Excel keeps 15 digits of a number, and dates from 1900 on, to the second.
short = st.floats(-1e9, 1e9).map(lambda number: float(f"{number:.15g}"))
_excel_numbers = short.map(lambda number: (repr(number), number))
_excel_days = st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 31)).map(
    lambda day: (day.replace(microsecond=0).isoformat(), pd.Timestamp(day.replace(microsecond=0)))
)
excel_rows = st.tuples(rows, _excel_numbers | gap, _excel_numbers, _excel_days | gap).map(
    lambda drawn: {**drawn[0], "größe, m": drawn[1], "y": drawn[2], "day": drawn[3]}
)

_DRAW = np.random.default_rng(0)
BESIDE = [
    {
        "code": (code, code),
        "größe, m": (repr(number), number),
        "vip": (str(number > 0), number > 0),
        "day": (f"2024-01-{place + 1:02}", pd.Timestamp(2024, 1, place + 1)),
        "size": ("S", "S"),
        "y": (repr(number), number),
    }
    for place, number in enumerate(_DRAW.normal(size=30).tolist())
    for code in ["01" if place % 2 else "A7"]
]


BESIDE_IN_EXCEL = [
    row
    | {name: (f"{row[name][1]:.15g}", float(f"{row[name][1]:.15g}")) for name in ("größe, m", "y")}
    for row in BESIDE
]


def texts(table):
    return pd.DataFrame(table).map(lambda cell: cell[0]).astype("str")


def values(table):
    return pd.DataFrame(table).map(lambda cell: cell[1])


def write_csv(table, path):
    text = texts(table).to_csv(index=False)
    if "\r" in text:  # of itself pandas quotes no cell for that
        text = texts(table).to_csv(index=False, quoting=csv.QUOTE_ALL)
    write(text.encode(), path)


def write_parquet(table, path):
    values(table).convert_dtypes().to_parquet(path, index=False)


def write_json(table, path):
    def cell(value):
        return value.isoformat() if isinstance(value, pd.Timestamp) else value

    lines = [json.dumps({name: cell(said[1]) for name, said in row.items()}) for row in table]
    content = "\n".join(lines).encode()
    write(content, path)


def write_workbook(table, path):
    with xlsxwriter.Workbook(path) as book:
        day = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        sheet = book.add_worksheet("Rows")
        sheet.write_row(0, 0, [*table[0]])
        for row, cells in enumerate(table, 1):
            for column, name in enumerate(table[0]):
                cell = cells[name][1]
                if isinstance(cell, str):
                    sheet.write_string(row, column, cell)
                elif isinstance(cell, pd.Timestamp):
                    sheet.write_datetime(row, column, cell.to_pydatetime(), day)
                else:
                    sheet.write(row, column, cell)


def write(content, path):
    compress = {".gz": gzip.compress, ".zst": lambda text: arrow.compress(text, "zstd")}
    path.write_bytes(bytes(compress.get(path.suffix, bytes)(content)))


WRITERS = {
    "csv": write_csv,
    "csv.gz": write_csv,
    "csv.zst": write_csv,
    "parquet": write_parquet,
    "jsonl": write_json,
    "jsonl.gz": write_json,
    "jsonl.zst": write_json,
}


@pytest.fixture(scope="module")
def model():
    frame = check_table(texts(BESIDE), RECIPE, "t").frame
    fitting = fit_inputs(RECIPE, frame.drop(columns="y"))
    pipeline = unfitted_pipeline(RECIPE, "m", {}, fitting)
    return fit_pipeline(pipeline, fitting.inputs, frame["y"]), fitting.features


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("same")
        patch.setenv("SHOP", f"sqlite:///{folder}/shop.db")
        yield folder


def read(path, model):
    """By row key: the side, and what the model says, of the trained and of the scored table."""
    pipeline, features = model
    checked = check_table(read_table(path), RECIPE, "t").frame
    split = split_table(checked, "y", RECIPE.split)
    said = answer(pipeline, apply_features(checked, features), features)["prediction"].to_numpy()
    stream = open_stream(path)
    frames = [
        as_frame(batch, features, stream)[0] for batch in stream.batches([*features["columns"]], 20)
    ]
    scored = answer(
        pipeline, apply_features(pd.concat(frames, ignore_index=True), features), features
    )
    np.testing.assert_array_equal(scored["prediction"], said)
    keys = split.rows["row_key"].to_numpy()
    sides = np.isin(np.arange(len(keys)), split.test_rows)
    return dict(zip(keys.tolist(), zip(sides.tolist(), said.tolist(), strict=True), strict=True))


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
@given(
    table=tables,
    more=tables,
    order=st.randoms(use_true_random=False),
    endings=st.lists(st.sampled_from([*WRITERS]), min_size=1, max_size=3),
)
def test_a_row_has_its_key_its_side_and_its_answer_wherever_it_is_from(
    table, more, order, endings, model, folder
):
    table = [*BESIDE, *table]
    write_csv(table, folder / "one.csv")
    expected = read(folder / "one.csv", model)

    mixed = [*table, *more]
    order.shuffle(mixed)
    files = [folder / f"{place}.{ending}" for place, ending in enumerate(endings)]
    for place, (file, ending) in enumerate(zip(files, endings, strict=True)):
        WRITERS[ending](mixed[place :: len(files)], file)
    made = read(fetch_table(", ".join(map(str, files)), folder), model)
    assert made.items() >= expected.items()

    with closing(sqlite3.connect(folder / "shop.db")) as shop:
        frame = values(mixed)
        frame["day"] = texts(mixed)["day"]
        frame.to_sql("rows", shop, index=False, if_exists="replace")
    assert read(fetch_table("$SHOP SELECT * FROM rows", folder), model) == made


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
@given(table=st.lists(excel_rows, min_size=1, max_size=6))
def test_a_workbook_is_the_csv_file_with_its_cells(table, model, folder):
    table = [*BESIDE_IN_EXCEL, *table]
    write_csv(table, folder / "one.csv")
    write_workbook(table, folder / "one.xlsx")
    assert read(fetch_table(f"{folder}/one.xlsx", folder), model) == read(folder / "one.csv", model)
