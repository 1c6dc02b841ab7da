"""What the description of a run that scored says."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pyarrow as arrow
import pytest
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from common.errors import InputError
from modelling.files.table_file import has_decimal_comma, read_table
from modelling.recipe import load_recipe
from modelling.tables.stream import Batch, open_stream
from steps import score
from steps.scoring import batches
from steps.scoring.batches import Result
from steps.scoring.output import RejectWriter
from steps.scoring.request import Request, _free_texts, key_columns

PROJECT = Path(__file__).parents[2]
WINES = load_recipe("recipes/wine_quality.yaml", PROJECT)
DRIFTED = {"column": "<b>[a](b)", "psi": 1.0, "bin": "'*x*'", "in training": 0.1, "now": 0.9}


@pytest.fixture
def tags(monkeypatch):
    """The tags that are set, while nothing else is logged."""
    found = {}
    monkeypatch.setattr(mlflow, "set_tags", found.update)
    monkeypatch.setattr(mlflow, "set_tag", found.__setitem__)
    monkeypatch.setattr(
        mlflow, "active_run", lambda: SimpleNamespace(info=SimpleNamespace(run_id="0123"))
    )
    monkeypatch.setattr(score, "log_drift", lambda *_: pd.DataFrame([DRIFTED]))
    for name in ("log_table", "log_metrics"):
        monkeypatch.setattr(score, name, lambda *_: None)
    return found


def test_the_data_means_nothing_in_the_description(tags, tmp_path):
    request = Request("new_rows.csv", None, [], tmp_path / "o", tmp_path / "_r_", 10)
    sample = [pd.DataFrame({"scored_at": ["now"]})]
    result = Result(10, 9, 1, 1.0, [(1, "'<i>' is no number")], sample)
    score._report(request, WINES, result, "3", None)
    assert not set(tags[MLFLOW_RUN_NOTE]) & set("*[]<>_`")


def test_a_row_whose_text_is_not_utf_8_is_told_and_not_scored(tmp_path):
    table = tmp_path / "t.csv"
    rows = b"".join(b"%d,abc\n" % number for number in range(20_000))  # past what is looked at
    table.write_bytes(b"n,c\n" + rows + b"7,\xff\xfe\n8,x\n")
    columns = {"n": "number", "c": "category"}
    model = SimpleNamespace(
        features={"columns": columns, "spellings": {"c": {}}},
        predict_valid=lambda frame: (frame, pd.DataFrame({"prediction": frame["n"]}), {}),
    )
    trained = SimpleNamespace(pyfunc=SimpleNamespace(unwrap_python_model=lambda: model))
    seen = SimpleNamespace(add=lambda _: None)
    stream = open_stream(table)
    request = Request(str(table), stream, ["n"], tmp_path / "o", tmp_path / "r", 30_000)
    (batch,) = stream.batches(["n", "c"], 30_000)
    scored, reasons = batches._score_batch(batch, request, trained, seen, [])
    assert reasons == {20_000: "column 'c' is not UTF-8 text"}
    assert scored["n"].to_pylist() == [str(number) for number in (*range(20_000), 8)]
    assert scored["prediction"].to_pylist() == [*range(20_000), 8]


def test_a_key_that_is_not_utf_8_rejects_its_row(tmp_path):
    table = tmp_path / "t.csv"
    towns = ["Łódź", "Kraków", "Warszawa", "Elbląg"]
    table.write_bytes("".join(["n,town\n", *(f"1,{town}\n" for town in towns)]).encode("cp1250"))
    model = SimpleNamespace(
        features={"columns": {"n": "number"}, "spellings": {}},
        predict_valid=lambda frame: (frame, pd.DataFrame({"prediction": frame["n"]}), {}),
    )
    trained = SimpleNamespace(pyfunc=SimpleNamespace(unwrap_python_model=lambda: model))
    seen = SimpleNamespace(add=lambda _: None)
    stream = open_stream(table)
    request = Request(str(table), stream, ["town", "n"], tmp_path / "o", tmp_path / "r", 10)
    (batch,) = stream.batches(["town", "n"], 10)
    scored, reasons = batches._score_batch(batch, request, trained, seen, [])
    assert reasons == dict.fromkeys((0, 1, 3), "column 'town' is not UTF-8 text")
    assert scored["town"].to_pylist() == ["Warszawa"]


def keys_of(tmp_path, key, *frames):
    """The key columns of a folder of such files, and what is copied of all their batches."""
    for number, frame in enumerate(frames):
        frame.to_parquet(tmp_path / f"{number}.parquet")
    stream = open_stream(tmp_path)
    recipe = WINES.model_copy(update={"data": WINES.data.model_copy(update={"drop": [*frames[0]]})})
    keys = key_columns(key, recipe, stream, None)
    request = Request(tmp_path, stream, keys, tmp_path / "o", tmp_path / "r", 10)
    answers = pd.DataFrame({"prediction": [1.0, 2.0]})
    copied = [
        batches._key_values(batch, request, np.array([0, 1]), answers)
        for batch in stream.batches(keys, 10)
    ]
    return keys, copied


def test_keys_of_all_files_have_one_type(tmp_path):
    first = pd.DataFrame({"id": [1, 2], "who": [None, None]})
    second = pd.DataFrame({"id": [3, None], "who": ["ana", "leo"]})
    keys, copied = keys_of(tmp_path, "auto", first, second)
    assert keys == ["id", "who"]
    assert copied[0].schema == copied[1].schema


def test_what_cannot_be_copied_is_no_key(tmp_path):
    frame = pd.DataFrame({"id": [1, 2], "list": [[1], [2]], "bytes": [b"a", b"b"]})
    assert keys_of(tmp_path, "auto", frame)[0] == ["id"]
    for name in ("list", "bytes"):
        with pytest.raises(InputError, match=f"the values of '{name}' are lists or bytes"):
            keys_of(tmp_path, name, frame)


def test_free_text_is_no_key_unless_it_is_asked_for(tmp_path, capsys):
    notes = ["She called twice about the bill", "No answer, he will try it again"]
    frame = pd.DataFrame({"id": ["K 1", "K 2"], "note": notes})
    assert keys_of(tmp_path, "auto", frame)[0] == ["id"]
    assert "not copied, as free text (key=… copies it): note" in capsys.readouterr().out
    assert keys_of(tmp_path, "id,note", frame)[0] == ["id", "note"]
    path = tmp_path.with_suffix(".csv")
    path.write_bytes(b"id,note\n\xff\xfe\xfd,no text at all here\n")
    assert _free_texts(["id", "note"], open_stream(path)) == ["note"]
    empty = pd.DataFrame({"id": [None, None], "note": [None, None]})
    assert keys_of(tmp_path, "auto", empty)[0] == ["id", "note"]


def test_only_rows_that_are_scored_count_for_the_drift(tmp_path):
    table = arrow.table({"x": ["1", "n/a?", "3"]})
    (tmp_path / "t.csv").write_text("x\n1\nn/a?\n3\n")
    stream = open_stream(tmp_path / "t.csv")
    inputs = pd.DataFrame({"x": [1.0, None, 3.0]})
    model = SimpleNamespace(
        features={"columns": {"x": "number"}},
        predict_valid=lambda _: (inputs, pd.DataFrame({"prediction": [1.0, 3.0]}), {1: "bad"}),
    )
    trained = SimpleNamespace(pyfunc=SimpleNamespace(unwrap_python_model=lambda: model))
    request = Request(tmp_path, stream, [], tmp_path / "o", tmp_path / "r", 10)
    counted = []
    drift = SimpleNamespace(add=lambda rows: counted.append(len(rows)))
    scored, reasons = batches._score_batch(
        Batch(table, np.arange(1, 4)), request, trained, drift, []
    )
    assert scored["row"].to_pylist() == [1, 3]
    assert reasons == {1: "bad"}
    assert counted == [2, 2]


def test_rejects_of_decimal_commas_are_read_as_their_table_was(tmp_path):
    with RejectWriter(tmp_path / "r.csv", ["id", "x"], ";") as rejects:
        rejects.write(2, "column 'x': 'oops, 1' is no number", {"id": "7", "x": "3,5"})
        rejects.write(3, "has 1 fields, the header has 2", {}, "9.5,")
    table = read_table(tmp_path / "r.csv")
    assert has_decimal_comma(table)
    assert table["x"].iloc[0] == "3,5"
    assert list(table["row"]) == ["2", "3"]
