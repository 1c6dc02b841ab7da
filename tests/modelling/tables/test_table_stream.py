"""A table of any size in batches: every row once, in its order, the same in any batch."""

import gzip
from io import StringIO

import numpy as np
import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as arrow_parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.files.csv_files import sniff_csv
from modelling.files.table_file import read_table
from modelling.models.sklearn_wrapper import read_column
from modelling.tables.stream import as_frame, is_numeric_category, open_stream

KINDS = {"n": "number", "b": "boolean", "c": "category", "d": "date"}


def read(path, kinds, batch_rows=2, numeric=()):
    """All rows as frames put together, their numbers, the broken rows and the problems."""
    stream = open_stream(path)
    frames, numbers, broken, problems = [], [], {}, {}
    for batch in stream.batches(list(kinds), batch_rows):
        frame, wrong = as_frame(batch, {"columns": kinds}, stream, numeric)
        frames.append(frame)
        numbers += batch.rows.tolist()
        broken |= batch.broken
        problems |= {int(batch.rows[row]): reason for row, reason in wrong.items()}
    return pd.concat(frames, ignore_index=True), numbers, broken, problems


def parsed(frame, kinds):
    return {name: read_column(frame[name], kind).tolist() for name, kind in kinds.items()}


@pytest.fixture
def csv(tmp_path):
    def write(text, name="t.csv"):
        path = tmp_path / name
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_csv_is_read_as_training_reads_it_whatever_the_batch(csv, batch_rows, name):
    text = "n,b,c,d\n1,true,x,2026-01-02\n,false,y,\n2.5,,,2026-01-03\n1e3,True,x,2026-01-04\n"
    path = csv(text, name)
    frame, numbers, _, _ = read(path, KINDS, batch_rows)
    expected = {name: read_column(read_table(path)[name], kind) for name, kind in KINDS.items()}
    for column, values in expected.items():
        kind = KINDS[column]
        pd.testing.assert_series_equal(
            read_column(frame[column], kind), values, check_names=False, check_dtype=False
        )
    assert numbers == [1, 2, 3, 4]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_a_number_is_the_same_beside_a_word_as_alone(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("n") / "t.csv"
    path.write_text("n\n" + "\n".join(map(repr, values)) + "\nword\n")
    together, *_ = read(path, {"n": "number"}, 1000)
    alone, *_ = read(path, {"n": "number"}, 1)
    expected = [*values, np.nan]
    for frame in (together, alone):
        np.testing.assert_array_equal(read_column(frame["n"], "number"), expected)
    assert together["n"].iloc[-1] == "word"


def test_a_row_with_a_wrong_number_of_fields_is_told_and_the_others_keep_their_numbers(csv):
    path = csv('n,c\n1,a\n2\n3,"x\ny"\n\n4,b,c,d\n5,e\n9\n')
    frame, numbers, broken, _ = read(path, {"n": "number", "c": "category"}, 1)
    assert frame["n"].tolist() == [1, 3, 5]
    assert frame["c"].tolist() == ["a", "x\ny", "e"]
    assert numbers == [1, 3, 5]
    assert broken == {
        2: ("has 1 fields, the header has 2", "2"),
        4: ("has 4 fields, the header has 2", "4,b,c,d"),
        6: ("has 1 fields, the header has 2", "9"),
    }


def test_bytes_that_are_no_text_are_a_problem_of_their_row_only(csv):
    rows = b"".join(b"%d,abc\n" % number for number in range(20_000))  # past what is looked at
    path = csv(b"n,c\n" + rows + b"7,\xff\xfe\n8,x\n")
    frame, _, _, problems = read(path, {"n": "number", "c": "category"}, 5000)
    assert problems == {20_001: "column 'c' is not UTF-8 text"}
    assert frame["c"].iloc[-1] == "x"


CELLS = st.sampled_from(["", '""', "7", "x", '"a\n"', '"\n"', '""""', '"b;"', '"c\r\n"', " "])


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4),
    empty=st.lists(st.sampled_from([";", ";;;", '"";""', ';""', ""]), max_size=3),
    line_end=st.sampled_from(["\n", "\r\n"]),
    piece=st.integers(1, 9),
)
def test_empty_rows_at_the_end_are_no_rows(tmp_path_factory, rows, empty, line_end, piece):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    lines = ["n;c", "1;first", *map(";".join, rows), "2;last"]
    path.write_bytes(line_end.join([*lines, *empty]).encode())
    table = read_table(path)
    text = line_end.join(lines).replace("\r\n", "\n")
    expected = pd.read_csv(StringIO(text), sep=";", dtype=str, keep_default_na=False)
    assert table.fillna("").to_numpy().tolist() == expected.to_numpy().tolist()
    frame, numbers, broken, _ = read(path, {"n": "category", "c": "category"})
    assert (len(frame), broken) == (len(expected), {})
    assert numbers == [*range(1, len(expected) + 1)]
    form = sniff_csv(path, path.read_bytes()[:4])
    with form.open(path) as stream:
        assert b"".join(iter(lambda: stream.read(piece), b"")).rstrip() == text.encode()


def test_a_decimal_comma_is_understood(csv):
    frame, *_ = read(csv("n;c\n1,5;a\n2,25;b,c\n"), {"n": "number", "c": "category"})
    assert frame["n"].tolist() == [1.5, 2.25]
    assert frame["c"].tolist() == ["a", "b,c"]


def test_numbers_of_a_category_are_spelled_as_in_training(csv):
    path = csv("c\n7\n007\n7.0\n\n2.50\nword\n")
    frame, *_ = read(path, {"c": "category"}, 1, ["c"])
    assert [value for value in frame["c"] if isinstance(value, str)] == [
        "7", "7", "7", "2.5", "word",
    ]  # fmt: skip
    commas, *_ = read(csv("c;n\n1,4;1\n2,0;1\n", "commas.csv"), {"c": "category"}, 10, ["c"])
    assert list(commas["c"]) == ["1.4", "2"]
    as_text, *_ = read(path, {"c": "category"}, 1)
    assert as_text["c"].iloc[1] == "007"
    assert is_numeric_category(["7", "10", "2.5"])
    assert is_numeric_category(["True", "False"])
    assert not is_numeric_category(["7", "007"])
    assert not is_numeric_category(["7", "a"])
    assert not is_numeric_category([])


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_a_folder_of_parquet_files_is_one_table(tmp_path, batch_rows):
    folder = tmp_path / "rows"
    parts = {"y=2026/a.parquet": [1, 2, 3], "y=2026/b.parquet": [4.5], "y=2027/a.parquet": [6, 7]}
    for name, values in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"n": values, "c": "x"}).to_parquet(folder / name)
    (folder / "_SUCCESS").touch()
    (folder / ".a.parquet.crc").touch()
    stream = open_stream(folder)
    assert stream.row_count == 6
    assert stream.columns == ["n", "c", "y"]
    frame, numbers, _, _ = read(folder, {"n": "number", "y": "number"}, batch_rows)
    assert frame["n"].tolist() == [1, 2, 3, 4.5, 6, 7]
    assert frame["y"].tolist() == [2026] * 4 + [2027] * 2
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_a_column_has_a_type_for_the_values_of_all_files(tmp_path):
    frames = [
        pd.DataFrame({"n": [1, 2], "gap": [1, 2], "empty": [None, None], "mixed": [1, 2]}),
        pd.DataFrame({"n": [3, 4], "gap": [1.0, None], "empty": ["a", "b"], "mixed": ["a", "b"]}),
    ]
    for number, frame in enumerate(frames):
        frame.to_parquet(tmp_path / f"{number}.parquet")
    types = open_stream(tmp_path).types
    assert types["n"] == arrow.int64()
    assert types["gap"] == arrow.float64()
    assert arrow.types.is_string(types["empty"]) or arrow.types.is_large_string(types["empty"])
    assert types["mixed"] is None


def test_every_type_of_parquet_becomes_what_pandas_makes_of_it(tmp_path):
    table = arrow.table(
        {
            "n": arrow.array([1, None, 3], arrow.int32()),
            "b": arrow.array([True, None, False]),
            "c": arrow.array(["x", None, "y"]).dictionary_encode(),
            "d": arrow.array([0, None, 1], arrow.date32()),
        }
    )
    arrow_parquet.write_table(table, tmp_path / "t.parquet")
    frame, *_ = read(tmp_path / "t.parquet", KINDS, 100)
    expected = read_table(tmp_path / "t.parquet")
    for name, kind in KINDS.items():
        pd.testing.assert_series_equal(
            read_column(frame[name], kind),
            read_column(expected[name], kind),
            check_names=False,
            check_dtype=False,
        )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "has a header, but no rows"),
        ("t.csv", b"a\0b\n1\n", "line 1 holds a zero byte"),
        ("t.parquet", b"PAR1 and then nothing", "cannot be read"),
        ("t.csv.gz", b"\x1f\x8b and then nothing", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, refusal, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in refusal(open_stream, tmp_path / name)


def test_a_folder_without_parquet_or_with_other_files_or_columns_is_refused(tmp_path, refusal):
    assert "holds no Parquet file" in refusal(open_stream, tmp_path)
    pd.DataFrame({"a": [1], "b": [2]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "b.parquet")
    assert "b.parquet has no column 'b', as a.parquet has" in refusal(open_stream, tmp_path)
    (tmp_path / "notes.txt").touch()
    assert "holds 'notes.txt'" in refusal(open_stream, tmp_path)
    assert "is not there" in refusal(open_stream, tmp_path / "nowhere")


def test_a_file_that_somebody_writes_meanwhile_is_told(csv, refusal):
    path = csv("a,b\n" + "1,2\n" * 100_000)

    def read_while_it_grows():
        for batch in open_stream(path).batches(["a"], 50_000):
            with path.open("a") as file:
                file.write("3,4\n" * len(batch.rows))

    words = "changed while it was read; start again when it is whole"
    assert refusal(read_while_it_grows) == f"table {path} {words}"


def test_a_file_that_breaks_off_is_told_in_one_line(csv, refusal):
    text = "a\n" + "\n".join(map(str, range(500_000)))
    path = csv(text, "t.csv.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    message = refusal(lambda: list(open_stream(path).batches(["a"], 1000)))
    assert "t.csv.gz cannot be read" in message


def test_the_second_column_of_a_name_has_a_name_of_its_own(tmp_path):
    path = tmp_path / "t.csv"
    # An accent may be written as one sign or two.
    path.write_text('"a\nb",x,é,x,e\u0301,x\n1,2,3,4,5,6\n1\n7,8,9,10,11,12\n')
    stream = open_stream(path)
    assert stream.columns == ["a\nb", "x", "é", "x (2)", "é (2)", "x (3)"]
    [batch] = stream.batches(["x (3)", "x", "é (2)"], 10)
    assert batch.table.to_pydict() == {"x (3)": ["6", "12"], "x": ["2", "8"], "é (2)": ["5", "11"]}
    assert batch.rows.tolist() == [1, 3]
    assert [*batch.broken] == [2]
    path.write_text("x,x,y\n1,2,3\n")
    assert read_table(path, ["x", "y"]).to_dict("list") == {"x": [1.0], "x (2)": ["2"], "y": [3.0]}
