"""A table is read in any of its forms, or refused in one line that says where it is wrong."""

import gzip
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from modelling.files.table_file import has_decimal_comma, read_table
from modelling.models.sklearn_wrapper import read_column
from modelling.tables.cells import read_cells, read_time, shown_type
from modelling.tables.digest import table_digest
from modelling.tables.gather import gather
from modelling.tables.stream import as_frame, open_stream
from modelling.tables.table import check_table, profile_table

FRAME = pd.DataFrame({"a": [1.5, 2.0, 3.25], "b": [1.0, 0.0, 1.0], "y": [5.0, 6.0, 7.0]})


@pytest.fixture
def file_of(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def zipped(content):
    return gzip.compress(content, mtime=0)  # the same in every test process


def numbers_of(column, form):
    return read_cells(column, "number", decimal_comma=has_decimal_comma(form))


def csv_of(frame, separator=",", decimal="."):
    return frame.to_csv(index=False, sep=separator, decimal=decimal)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comma.csv", csv_of(FRAME)),
        ("semicolon.csv", csv_of(FRAME, ";")),
        ("decimal-comma.csv", csv_of(FRAME, ";", ",")),
        ("tab.tsv", csv_of(FRAME, "\t")),
        ("bar.txt", csv_of(FRAME, "|")),
        ("windows.csv", csv_of(FRAME).replace("\n", "\r\n")),
        ("no-last-line-end.csv", csv_of(FRAME).rstrip()),
        ("bom.csv", "\ufeff" + csv_of(FRAME)),
        ("bom-semicolon.csv", "\ufeff" + csv_of(FRAME, ";", ",")),
        ("zipped.csv.gz", zipped(csv_of(FRAME).encode())),
        ("zipped-by-another-name.csv", zipped(csv_of(FRAME, ";", ",").encode())),
        ("excel.csv", "sep=;\r\n" + csv_of(FRAME, ";", ",").replace("\n", "\r\n")),
        ("excel-bom.csv", '\ufeff"sep=|"\n' + csv_of(FRAME, "|")),
        ("unicode-text.txt", csv_of(FRAME, "\t").encode("utf-16")),
        ("utf-16-be.csv", b"\xfe\xff" + csv_of(FRAME, ";", ",").encode("utf-16-be")),
        ("zipped-utf-16.csv", zipped(csv_of(FRAME).encode("utf-16"))),
        ("empty-at-the-end.csv", csv_of(FRAME, ";").replace("\n", ";;\n") + ";;;;\n;;;;\n"),
    ],
)
def test_every_form_of_csv_is_the_same_table(name, content, file_of):
    table = read_table(file_of(content, name))
    pd.testing.assert_frame_equal(table.apply(numbers_of, form=table), FRAME)


def test_a_quoted_name_may_hold_the_separator(file_of):
    table = read_table(file_of('"a, in g";b\n1,5;2\n'))
    assert table.to_dict("list") == {"a, in g": ["1,5"], "b": ["2"]}


@pytest.mark.parametrize("separator", ",;\t|")
@pytest.mark.parametrize("name", ["age, in; years", "age\n(years)", "age\r\n(years)", 'the "age"'])
def test_a_header_cell_may_hold_separators_quotes_and_lines(name, separator, file_of):
    quoted = name.replace('"', '""')
    table = read_table(file_of(f'"{quoted}"{separator}b{separator}c\n1{separator}2{separator}3\n'))
    assert list(table) == [name.replace("\r\n", "\n"), "b", "c"]


def test_windows_1252_is_read_where_it_can_be_nothing_else(file_of):
    rows = "prénom;montant\nZoë;1,5 €\nFrançois \u2013 l\u2019aîné;2\nJosé;3\n"
    path = file_of(rows.encode("cp1252"))
    table = read_table(path)
    assert table.attrs["encoding"] == "cp1252"
    assert table["prénom"].tolist() == ["Zoë", "François \u2013 l\u2019aîné", "José"]
    (batch,) = open_stream(path).batches(["prénom"], 10)
    assert batch.table["prénom"].to_pylist() == table["prénom"].tolist()
    late = "a\n" + "x\n" * 1_000_000 + "Zoë\n"
    assert read_table(file_of(late.encode("cp1252")))["a"].iloc[-1] == "Zoë"


def test_the_rows_of_a_file_of_excel_are_numbered_from_its_header(file_of):
    stream = open_stream(file_of("sep=;\na;b\n1;2\n3\n5;6\n"))
    (batch,) = stream.batches(["a"], 10)
    assert batch.rows.tolist() == [1, 3]
    assert batch.broken == {2: ("has 1 fields, the header has 2", "3")}


def test_a_semicolon_file_with_points_keeps_them(file_of):
    table = read_table(file_of("a;b\n1.5;2\n"))
    assert list(numbers_of(table["a"], table)) == [1.5]


def test_a_cell_may_hold_lines_in_a_large_file(file_of):
    text = "".join(f'{number},"one line\nand another"\n' for number in range(60_000))
    table = read_table(file_of("a,b\n" + text))
    assert len(table) == 60_000
    assert set(table["b"]) == {"one line\nand another"}


def test_dates_with_points_are_no_decimals(file_of):
    table = read_table(file_of("day;price\n01.02.2020;3,50\n03.04.2020;4\n"))
    assert list(numbers_of(table["price"], table)) == [3.5, 4.0]


def test_a_character_may_be_cut_where_the_look_ends(file_of):
    table = read_table(file_of("a;b\n" + "é;1,5\n" * 20_000))
    assert set(table["a"]) == {"é"}
    assert set(table["b"]) == {"1,5"}


def test_a_time_is_what_is_written_as_score_reads_it(file_of):
    path = file_of("time,when\n08:30,2026-01-02 08:30\n09:00,2026-01-02T09:00Z\n")
    table = read_table(path)
    kinds = {"time": "category", "when": "category"}
    stream = open_stream(path)
    (batch,) = stream.batches(list(kinds), 10)
    frame, _ = as_frame(batch, {"columns": kinds}, stream)
    for name in kinds:
        assert list(read_column(table[name], "category")) == list(frame[name])
    assert list(read_column(table["when"], "date").dt.hour) == [8, 9]


def test_parquet_is_the_same_table(tmp_path):
    FRAME.to_parquet(tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), FRAME)


def test_a_filtered_parquet_table_counts_its_rows_from_the_first(tmp_path, recipe_with, refusal):
    path = tmp_path / "table.parquet"
    FRAME.assign(a=[1.5, np.inf, 2.0]).set_axis(["p", "q", "r"]).to_parquet(path)
    table = read_table(path)
    assert list(table) == list(FRAME)
    message = refusal(check_table, table, recipe_with(), "t")
    assert message == "table t: column 'a', row 2: inf is not finite"


def test_the_named_index_of_a_parquet_table_is_a_column(tmp_path):
    FRAME.set_index("a").to_parquet(tmp_path / "table.parquet")
    assert set(read_table(tmp_path / "table.parquet")) == {"a", "b", "y"}


def test_a_column_that_turns_to_decimals_late_is_read_whole(file_of):
    table = read_table(file_of("a,y\n" + "1,2\n" * 400_000 + "1.5,2\n"))
    assert numbers_of(table["a"], table).iloc[-1] == 1.5


def test_the_wines_are_the_published_ones(wines):
    assert wines.shape == (1599, 12)
    assert wines["quality"].sum() == 9012


def test_a_missing_table_says_where_it_was_looked_up(tmp_path, refusal):
    path = tmp_path / "nothing.csv"
    assert refusal(read_table, path) == (
        f"table {path} is not there; a relative path starts from the recipe's repository or folder"
    )
    assert "is not there" in refusal(read_table, tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", " is empty"),
        ("\n\n", " is empty"),
        ("\ufeff", " is empty"),
        (zipped(b""), " is empty"),
        ("a,b,y\n", " has a header, but no rows"),
        ("a,b,y", " has a header, but no rows"),
        ("a,b,y\n1,2,3\n1,2\n", " cannot be read: CSV parse error: Row #3: Expected 3 columns, go"),
        ("a,b,y\n1,2,3\n1,2,3,4\n", " cannot be read: CSV parse error: Row #3: Expected 3 column"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", " is binary, neither CSV nor Parquet"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 99, " cannot be read: "),
        (zipped(b"a,y\n" + b"1,2\n" * 999)[:-20], " cannot be read: Compressed file ended"),
        (zipped(b"a,y\n" + b"1,2\n" * 99999)[:-20], " cannot be read: "),
        (b"PAR1" + b"?" * 99, " cannot be read: Could not open Parquet"),
        ("a,Цена\n1,2\n".encode("cp1251"), " is not UTF-8 text: invalid continuation byte in line"),
        ("a,Wrocław\n1,2\n".encode("cp1250"), " is not UTF-8 text: invalid start byte in line 1;"),
        ("a,café\n1,2\n".encode("mac-roman"), " is not UTF-8 text: invalid start byte in line 1"),
        (
            b"a,b\n" + b"\xc9\xca\xcb,2\n" * 20_000,
            " is not UTF-8 text: invalid continuation byte in line 2; save it as UTF-8 (in Excel: ",
        ),
        (
            b"a,b\n" + b"1,2\n" * 300_000 + b"\x81,2\n",
            " is not UTF-8 text: invalid start byte",
        ),
        (
            b"a\n\xc3\xa9tude\n\xe9tude\n",
            " is not UTF-8 text: invalid continuation byte in line 3;",
        ),
        (b"a,b\n1,x\n2,y\0z\n", ", line 3 holds a zero byte ('y\\x00z'); it is no text"),
        (b"PK\x03\x04" + b"\0" * 99, " is a workbook or another zip file, but not named so; a "),
        (
            b"\xd0\xcf\x11\xe0" + b"\0" * 99,
            " is an old Excel workbook, but not named so; let it",
        ),
        (
            '{"survived":0,"age":22}\n{"survived":1,"age":38}\n',
            " is JSON, not CSV; write it as",
        ),
        (
            '[{"survived":0},\n {"survived":1}]',
            " is JSON, not CSV; write it as Parquet first:",
        ),
        ('[\n {"survived":0}]', " is JSON, not CSV; write it as Parquet first: pandas.read_json"),
        ("a,,\n1,2,3\n", " has two columns without a name, with values below it"),
        ("a;;\n;;\n", " has a header, but no rows"),
    ],
)
def test_a_broken_file_is_refused(content, says, file_of, refusal):
    path = file_of(content)
    assert refusal(read_table, path).startswith(f"table {path}{says}")


TOWNS = "town,y\nWrocław,1\nŁódź,2\n"


@pytest.mark.parametrize("compress", [bytes, zipped, lambda text: arrow.compress(text, "zstd")])
def test_an_encoding_that_is_said_is_read(compress, file_of):
    path = file_of(bytes(compress(TOWNS.encode("cp1250"))))
    assert read_table(path, encoding="cp1250")["town"].tolist() == ["Wrocław", "Łódź"]
    stream = open_stream(path, "cp1250")
    [batch] = stream.batches(["town"], 9)
    assert batch.table["town"].to_pylist() == ["Wrocław", "Łódź"]


@pytest.mark.parametrize(
    ("content", "said", "says"),
    [
        (TOWNS.encode("cp1250"), "utf-8", " is not utf-8 text: invalid start byte in line 2; see "),
        (TOWNS.encode("cp1250"), "ascii", " is not ascii text: ordinal not in range(128) in line "),
        (TOWNS.encode(), "cp1252", " is UTF-8 text, as line 2 shows; data.encoding says cp1252"),
        (b"a\0b,y\n1,2\n", "", ", line 1 holds a zero byte ('a\\x00b'); it is no text"),
        (
            "x\nMANHÃ\n".encode("cp1252") + "été\n".encode(),
            "cp1252",
            " mixes encodings: line 3 is UTF-8 text ('été'), others are cp1252",
        ),
    ],
)
def test_a_wrong_encoding_is_told_with_its_line(content, said, says, file_of, refusal):
    path = file_of(content)
    assert refusal(read_table, path, encoding=said).startswith(f"table {path}{says}")


def test_a_zero_byte_far_down_is_told_with_its_row_and_column(file_of, recipe_with, refusal):
    path = file_of(b"a,b,y\n" + b"1,x,2\n" * 300_000 + b"1,x\0,3\n")
    columns = {"a": {}, "b": {"type": "category"}}
    recipe = recipe_with(data={"path": "t", "target": "y", "columns": columns})
    says = refusal(check_table, read_table(path), recipe, "t")
    assert says == "table t: column 'b', row 300001: 'x\\x00' holds a zero byte; it is no text"


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.csv.zst"])
def test_a_broken_file_among_several_is_refused(name, tmp_path, refusal):
    start = b"\x28\xb5\x2f\xfd" if name.endswith("zst") else b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    (tmp_path / name).write_bytes(start + b"\xff" * 99)
    says = refusal(gather, [tmp_path / name], tmp_path / "made.parquet")
    assert says.startswith(f"table {tmp_path / name}")


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    path.write_bytes(content)
    message = f"table {path}"
    try:
        read_table(path)
    except InputError as error:
        message = str(error)
    assert message.startswith(f"table {path}")
    assert "\n" not in message


def test_what_is_not_in_the_recipe_is_left_out(recipe_with):
    table = FRAME.assign(note="text", dropped="x")[["note", "y", "dropped", "b", "a"]]
    data = {"path": "p", "target": "y", "drop": ["dropped"], "columns": {"a": {}, "b": {}}}
    checked = check_table(table, recipe_with(data=data), "t")
    assert checked.left_out == ["note"]
    pd.testing.assert_frame_equal(checked.frame, FRAME)


def test_without_declared_columns_all_but_the_dropped_ones_are_features(recipe_with):
    data = {"path": "p", "target": "y", "drop": ["note"]}
    checked = check_table(FRAME.assign(note="text"), recipe_with(data=data), "t")
    assert list(checked.frame) == ["a", "b", "y"]
    assert checked.left_out == []


def test_a_dropped_column_that_is_not_there_is_refused_where_it_says_what_is_trained_on(
    recipe_with, refusal
):
    table = FRAME.assign(note=range(len(FRAME)))
    data = {"path": "p", "target": "y", "drop": ["nota"]}
    assert refusal(check_table, table, recipe_with(data=data), "t") == (
        "table t: data.drop: unknown column 'nota', did you mean 'note'? allowed: a, b, y, note"
    )
    declared = recipe_with(data={**data, "columns": {"a": {}, "b": {}}})
    assert list(check_table(table, declared, "t").frame) == ["a", "b", "y"]


def test_booleans_and_gaps_become_float64(file_of, recipe_with):
    table = read_table(file_of("a,b,y\ntrue,NA,1\nfalse,2,2\n,3,3\n"))
    columns = {"a": {"type": "boolean", "missing": 0.5}, "b": {"missing": 0.5}}
    recipe = recipe_with(data={"path": "p", "target": "y", "columns": columns})
    expected = pd.DataFrame({"a": [1, 0, np.nan], "b": [np.nan, 2, 3], "y": [1.0, 2, 3]})
    pd.testing.assert_frame_equal(check_table(table, recipe, "t").frame, expected)


def test_a_cell_of_blanks_is_missing(file_of, recipe_with):
    table = read_table(file_of("a,b,y\n1,u,1\n ,  ,2\n3,v,3\n"))
    columns = {"a": {"missing": 0.5}, "b": {"type": "category", "missing": 0.5}}
    recipe = recipe_with(data={"path": "p", "target": "y", "columns": columns})
    frame = check_table(table, recipe, "t").frame
    assert frame.isna().sum().to_dict() == {"a": 1, "b": 1, "y": 0}
    assert frame["a"].sum() == 4


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1, None], "number"),
        (["1", " ", None, "2.5"], "number"),
        ([True, None], "number"),
        ([None, None], "number"),
        (["007", "12"], "category"),
        (["1", "?"], "category"),
        ([date(2026, 1, 2), None], "date"),
        (["2026-01-02", "", "2026-01-02 10:00"], "date"),
        ([pd.Timestamp("2026-01-02", tz="UTC")], "date"),
        (["1", "inf"], "category"),
        ([[1], [2]], "category"),
    ],
)
def test_a_column_shows_its_type(values, shown):
    assert shown_type(pd.Series(values)) == shown


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"y": 5.0}, "target 'y' is constant, there is nothing to learn"),
        ({"y": [5.0, np.nan, 6.0]}, "column 'y', row 2 is missing"),
        ({"y": [np.nan] * 3}, "column 'y', row 1 is missing (and 2 more rows)"),
        ({"y": ["5", "6", " "]}, "column 'y', row 3 is missing"),
        ({"a": ["1", " ", "3"]}, "column 'a', row 2 is missing"),
        ({"y": [5.0, 6.0, np.inf]}, "column 'y', row 3: inf is not finite"),
        ({"y": ["5", "6", "good"]}, "column 'y', row 3: 'good' is not a number"),
        ({"a": ["1", "high", "low"]}, "column 'a', row 2: 'high' is not a number (and 1 more row"),
        ({"a": [1.0, np.inf, -np.inf]}, "column 'a', row 2: inf is not finite (and 1 more row"),
        ({"a": ["1", "2", "1e999"]}, "column 'a', row 3: inf is not finite"),
        ({"a": [1.0, 2.0, np.nan]}, "column 'a', row 3 is missing"),
        ({"a": [1.0, -2.0, 3.0]}, "column 'a', row 2: -2 is not at least 0"),
        ({"a": [1.0, 2.0, 31.0]}, "column 'a', row 3: 31 is not at most 9.5"),
        ({"a": pd.Timestamp("2026-01-01")}, "column 'a', row 1: '2026-01-01 00:00:00' is not a"),
        ({"a": pd.Timedelta(seconds=1)}, "column 'a', row 1: '0 days 00:00:01' is not a number"),
        ({"a": [[1], [2], [3]]}, "column 'a', row 1: '[1]' is not a number (and 2 more rows)"),
        ({"b": [1.0, 2.0, 1.0]}, "column 'b', row 2: '2.0' is not a boolean"),
        (
            {"b": [1.0, np.nan, np.nan]},
            "column 'b' is missing in 66.7% of the rows, more than the 50",
        ),
    ],
)
def test_a_cell_that_is_not_allowed_is_named(changed, says, recipe_with, refusal):
    columns = {"a": {"min": 0, "max": 9.5}, "b": {"type": "boolean", "missing": 0.5}}
    recipe = recipe_with(data={"path": "p", "target": "y", "columns": columns})
    assert check_table(FRAME, recipe, "t").left_out == []
    message = refusal(check_table, FRAME.assign(**changed), recipe, "t")
    assert message.startswith(f"table t: {says}")


LIMITS = {"a": {"type": "integer", "min": 0, "max": 9}, "b": {"missing": 0.5}}
GROWN = pd.DataFrame(
    {"a": [1, 2, 3, -1, 10, 2.5, None], "b": [1, None] * 3 + [1], "y": range(7)}, dtype="float64"
)


@pytest.mark.parametrize(("outside", "rows"), [("keep", [0, 1, 2, 3, 4, 5]), ("drop", [0, 1, 2])])
def test_rows_outside_the_limits_are_told_and_kept_or_left_out(outside, rows, recipe_with):
    data = {"path": "p", "target": "y", "columns": LIMITS, "outside_limits": outside}
    checked = check_table(GROWN, recipe_with(data=data), "t")
    assert checked.frame.index.tolist() == rows
    assert checked.rows_left_out["outside_limits"] == 7 - len(rows)
    assert checked.outside == [
        "'a' is missing in row 7",
        "'a' is not an integer in row 6",
        "'a' is not at least 0 in row 4",
        "'a' is not at most 9 in row 5",
    ]


@pytest.mark.parametrize("outside", ["keep", "drop"])
def test_more_gaps_than_are_allowed_are_told_where_they_are_no_reason_to_refuse(
    outside, recipe_with
):
    table = FRAME.iloc[[0, 1] * 5].assign(a=[1.0, 2.0, *[np.nan] * 8])
    data = {"path": "p", "target": "y", "outside_limits": outside}
    checked = check_table(
        table, recipe_with(data={**data, "columns": {"a": {"missing": 0.1}}}), "t"
    )
    assert checked.outside == [
        "'a' is missing in 80.0% of the rows, more than the 10.0% that are allowed"
    ]
    assert len(checked.frame) == 10
    few = recipe_with(data={**data, "columns": {"a": {"missing": 0.8}}})
    assert check_table(table, few, "t").outside == []


def test_a_table_of_which_nothing_is_left_says_why(recipe_with, refusal):
    data = {"path": "p", "target": "y", "columns": LIMITS, "outside_limits": "keep"}
    message = refusal(check_table, GROWN.assign(a=np.nan), recipe_with(data=data), "t")
    assert message == "table t: no row is left; 'a' is missing in row 1 (and 6 more rows)"


def test_a_fraction_is_no_integer(recipe_with, refusal):
    recipe = recipe_with(data={"path": "p", "target": "y", "columns": {"a": {"type": "integer"}}})
    message = refusal(check_table, FRAME, recipe, "t")
    assert message == "table t: column 'a', row 1: 1.5 is not an integer (and 1 more row)"


@pytest.mark.parametrize(
    ("renamed", "says"),
    [
        ({"a": "A"}, "unknown column 'a', did you mean 'A'? allowed: A, b, y"),
        ({"y": "yy"}, "unknown target 'y', did you mean 'yy'? allowed: a, b, yy"),
    ],
)
def test_a_missing_column_names_the_nearest(renamed, says, recipe_with, refusal):
    message = refusal(check_table, FRAME.rename(columns=renamed), recipe_with(), "t")
    assert message == f"table t: {says}"


def test_a_missing_time_column_is_named(recipe_with, refusal):
    recipe = recipe_with(split={"method": "time", "time_column": "moment"})
    message = refusal(check_table, FRAME, recipe, "t")
    assert message == "table t: unknown column 'moment'; allowed: a, b, y"


def test_the_time_column_is_no_feature(recipe_with):
    recipe = recipe_with(
        data={"path": "p", "target": "y"}, split={"method": "time", "time_column": "day"}
    )
    checked = check_table(FRAME.assign(day=pd.Timestamp("2026-01-01")), recipe, "t")
    assert list(checked.frame) == ["a", "b", "y"]


def test_a_table_of_the_target_alone_is_refused(recipe_with, refusal):
    recipe = recipe_with(data={"path": "p", "target": "y"})
    message = refusal(check_table, FRAME[["y"]], recipe, "t")
    assert message == "table t has no column but the target and the dropped ones"


def test_the_wines_hold_what_their_recipe_says(wines, wine_recipe):
    checked = check_table(wines, wine_recipe, "wines")
    assert checked.left_out == []
    pd.testing.assert_frame_equal(checked.frame, wines)


def test_the_profile_describes_each_column():
    frame = pd.DataFrame({"a": [1.0, 1.0, np.nan, 4.0], "y": [0.0, 1.0, 2.0, 3.0]})
    profile = profile_table(frame).set_index("column")
    assert dict(profile.loc["a", ["rows", "missing", "distinct", "mean", "min", "max"]]) == {
        "rows": 4,
        "missing": 1,
        "distinct": 2,
        "mean": 2.0,
        "min": 1.0,
        "max": 4.0,
    }
    assert list(profile.loc["y", ["25%", "50%", "75%"]]) == [0.75, 1.5, 2.25]


tables = st.lists(
    st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), min_size=1, max_size=10
).map(lambda rows: pd.DataFrame(rows, columns=["a", "b"]))


@given(tables, st.data())
def test_the_digest_changes_with_any_cell(frame, data):
    row = data.draw(st.integers(0, len(frame) - 1))
    column = data.draw(st.integers(0, 1))
    value = data.draw(st.floats().filter(lambda value: value != frame.iloc[row, column]))
    changed = frame.copy()
    changed.iloc[row, column] = value
    assert table_digest(frame.copy()) == table_digest(frame)
    assert table_digest(changed) != table_digest(frame)


def test_the_digest_sees_the_last_of_many_rows():
    frame = pd.DataFrame({"a": np.zeros(100_000)})
    changed = frame.copy()
    changed.iloc[-1, 0] = 1
    assert table_digest(changed) != table_digest(frame)


@pytest.mark.parametrize(
    "other",
    [
        FRAME.rename(columns={"a": "A"}),
        FRAME[["b", "a", "y"]],
        FRAME.iloc[::-1],
        FRAME.iloc[:2],
        FRAME[["a", "b"]],
        FRAME.astype({"b": "int64"}),
    ],
    ids=["name", "column order", "row order", "rows", "columns", "type"],
)
def test_the_digest_is_of_names_order_and_types_too(other):
    assert table_digest(other) != table_digest(FRAME)


MIXED = pd.DataFrame(
    {
        "city": ["Lyon", None, "Nantes", "Lyon"],
        "since": ["2020-01-31", "2021-02-28 10:00", None, "2022-12-31"],
        "vip": [True, None, False, True],
        "store": [1.0, np.nan, 22.0, 1.0],
        "kind": ["new", "old", "old", "new"],
    }
)
COLUMNS = {
    "city": {"type": "category", "missing": 0.5},
    "since": {"type": "date", "min": "2019-01-01", "missing": 0.5},
    "vip": {"type": "boolean", "missing": 0.5},
    "store": {"type": "category", "missing": 0.5},
}


def classify(recipe_with, target="kind", positive="old", columns=COLUMNS, **sections):
    data = {"path": "p", "target": target, "positive_class": positive, "columns": columns}
    return recipe_with(task="classification", data=data, **sections)


def test_text_dates_and_booleans_are_read_as_what_they_are(recipe_with):
    frame = check_table(MIXED, classify(recipe_with), "t").frame
    assert list(frame.dtypes.astype(str)) == ["str", "datetime64[us]", "float64", "str", "str"]
    assert frame["store"].tolist()[0] == "1"  # no .0 from the gap beside it
    assert list(frame["vip"].fillna(-1)) == [1, -1, 0, 1]
    assert frame["since"].isna().tolist() == [False, False, True, False]


def test_undeclared_columns_are_what_they_show(recipe_with, file_of):
    table = read_table(
        file_of("a,b,c,d,y\n1,x,2020-01-01,true,0\n2,,,false,1\n3,z,2021-01-01,,1\n,x,,,0\n")
    )
    data = {"path": "p", "target": "y", "positive_class": 1}
    frame = check_table(table, recipe_with(task="classification", data=data), "t").frame
    assert list(frame.dtypes.astype(str)) == [
        "float64",
        "str",
        "datetime64[us]",
        "float64",
        "int64",
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"since": "31/12/2020"},
            "column 'since', row 1: '31/12/2020' is not a date (and 3 more rows)",
        ),
        (
            {"since": "2018-01-01"},
            "column 'since', row 1: 2018-01-01 00:00:00 is not at least 2019-",
        ),
        ({"since": 5}, "column 'since', row 1: '5' is not a date"),
        ({"vip": ["maybe", "no", None, None]}, "column 'vip', row 1: 'maybe' is not a boolean"),
        ({"city": None}, "column 'city' is missing in 100.0% of the rows, more than the 50"),
        ({"kind": [None, "old", "old", "new"]}, "column 'kind', row 1 is missing; the target must"),
        ({"kind": "old"}, "target 'kind' has the one class 'old' only, there is nothing to learn"),
        (
            {"kind": ["a", "old", "old", "c"]},
            "target 'kind': class 'a' has one row, at least two are needed (and 1 more such class)",
        ),
        (
            {"kind": [1.5, 2, 1, 2]},
            "target 'kind', row 1: 1.5 is no class; to predict numbers, set",
        ),
        (
            {"kind": ["New", "new", "New", "new"]},
            "data.positive_class: unknown class 'old'; allowed",
        ),
    ],
)
def test_a_cell_or_class_that_is_not_allowed_is_named(changed, says, recipe_with, refusal):
    recipe = classify(recipe_with)
    message = refusal(check_table, MIXED.assign(**changed), recipe, "t")
    assert says in message


def test_a_continuous_target_is_no_classification(recipe_with, refusal):
    table = pd.DataFrame({"a": np.arange(400.0), "y": np.arange(400) // 2})
    recipe = recipe_with(task="classification", data={"path": "p", "target": "y"})
    message = refusal(check_table, table, recipe, "t")
    assert "has 200 different values, more than the 100 that a classification may have" in message


def test_two_classes_need_a_positive_one_and_three_have_none(recipe_with, refusal):
    table = pd.DataFrame({"a": range(6), "y": [0, 1] * 3})
    recipe = recipe_with(task="classification", data={"path": "p", "target": "y"})
    says = refusal(check_table, table, recipe, "t")
    assert says.endswith("which one the model is to find, data.positive_class: 0 or 1")
    three = table.assign(y=[0, 1, 2] * 2)
    data = {"path": "p", "target": "y", "positive_class": 1}
    says = refusal(check_table, three, recipe_with(task="classification", data=data), "t")
    assert says.endswith("has 3 classes; data.positive_class is for two: leave it out")


def test_text_is_no_target_of_a_regression(recipe_with, refusal):
    recipe = recipe_with(data={"path": "p", "target": "kind"})
    assert "'new' is not a number" in refusal(check_table, MIXED, recipe, "t")


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [True, False, True, False], ["x", "y", "x", "y"]])
def test_labels_stay_what_they_are(labels, recipe_with):
    recipe = recipe_with(
        task="classification", data={"path": "p", "target": "y", "positive_class": labels[0]}
    )
    frame = check_table(pd.DataFrame({"a": range(4), "y": labels}), recipe, "t").frame
    assert frame["y"].tolist() == labels
    assert [type(one) for one in frame["y"].tolist()] == [type(one) for one in labels]


def test_the_profile_tells_of_every_kind_of_column(recipe_with):
    frame = check_table(MIXED, classify(recipe_with), "t").frame
    profile = profile_table(frame).set_index("column")
    assert profile.loc["city", ["missing", "distinct", "most_common"]].tolist() == [1, 2, "Lyon"]
    assert profile.loc["since", "min"] == "2020-01-31 00:00:00"
    assert profile.loc["kind", "share"] == 0.5


def test_the_digest_minds_text_gaps_and_their_place(recipe_with):
    frame = check_table(MIXED, classify(recipe_with), "t").frame
    digest = table_digest(frame)
    assert table_digest(frame.copy()) == digest
    others = [
        frame.assign(city=["Lyon", "", "Nantes", "Lyon"]),
        frame.assign(city=["LyonN", None, "antes", "Lyon"]),
        frame.assign(since=frame["since"] + pd.Timedelta(days=1)),
        frame.assign(kind=sorted(frame["kind"])),
    ]
    assert digest not in {table_digest(other.astype(frame.dtypes)) for other in others}
    assert len({table_digest(other.astype(frame.dtypes)) for other in others}) == 4


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([10, 9, 100], [2, 1, 3]),
        (["10", "9", "100"], [2, 1, 3]),
        (["2026-11-21", "2026-02-01T08:00Z", None], [2, 1, None]),
        (pd.to_datetime(["2026-11-21", "2026-02-01"]), [2, 1]),
    ],
)
def test_a_time_has_the_order_of_its_values(values, order):
    ranks = read_time(pd.Series(values), "t.csv").rank()
    assert [None if pd.isna(rank) else rank for rank in ranks] == order


def test_a_time_that_would_be_sorted_by_the_alphabet_is_refused(refusal):
    column = pd.Series(["3/14/2021", "11/2/2020"], name="day")
    assert refusal(read_time, column, "t.csv") == (
        "table t.csv: column 'day', row 1: '3/14/2021' is not a date (and 1 more row); "
        "a date is written 2026-11-21"
    )


TRIPS = pd.DataFrame(
    {
        "y": ["1.5", "-2", "7", "7", "9", ""],
        "a": ["1", "2", "3", "3", "x", "5"],
        "zone": ["01", "01", "1", "1", "01", "01"],
    },
    dtype="str",
)


def trips(**data):
    own = {"path": "p", "target": "y", "columns": {"a": {}}, **data}
    return {"data": own, "task": "regression"}


def test_where_tells_which_rows_count_by_any_column_and_they_keep_their_numbers(recipe_with):
    recipe = recipe_with(**trips(where="y > 0 and zone != '07' and a < 9"))
    checked = check_table(TRIPS, recipe, "t")
    assert checked.frame.index.tolist() == [0, 2, 3]
    assert checked.rows_left_out["where"] == 3


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (
            "zones == '1'",
            "table t: data.where: unknown column 'zones', did you mean 'zone'? allowed: y, a, zone",
        ),
        ("zone > 1", "data.where: 'zone': category and number cannot be compared by >"),
        ("a > 100", "table t: data.where: a > 100 leaves no row"),
    ],
)
def test_a_where_that_cannot_be_is_told_in_a_line(where, says, recipe_with, refusal):
    assert refusal(check_table, TRIPS, recipe_with(**trips(where=where)), "t") == says


def test_equal_rows_are_left_out_and_a_sample_is_by_content(recipe_with):
    recipe = recipe_with(**trips(where="a > 0 and y > -9", duplicates="drop"))
    checked = check_table(TRIPS, recipe, "t")
    assert (checked.frame.index.tolist(), checked.rows_left_out["duplicates"]) == ([0, 1, 2], 1)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(500, 2)), columns=["a", "y"])
    recipe = recipe_with(**trips(sample=100))
    first = check_table(table, recipe, "t")
    shuffled = check_table(table.sample(frac=1, random_state=1), recipe, "t")
    assert (len(first.frame), first.rows_left_out["sample"]) == (100, 400)
    assert {*first.frame["a"]} == {*shuffled.frame["a"]}
    assert len(check_table(table.head(50), recipe, "t").frame) == 50


@pytest.mark.parametrize("chosen", [{"duplicates": "drop"}, {"sample": 20}])
def test_which_of_equal_rows_stays_is_not_the_order_of_the_file(chosen, recipe_with):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"a": rng.integers(5, size=90), "y": rng.integers(3, size=90), "who": rng.permutation(90)}
    )
    table["what nobody reads"] = [[1], {"k": None}, b"\xff"] * 30
    lists = pd.ArrowDtype(arrow.list_(arrow.int64()))
    table["nor this"] = pd.Series([[1], [2, 3], None] * 30, dtype=lists)
    recipe = recipe_with(**trips(**chosen), split={"method": "group", "column": "who"})
    first, shuffled = (
        {*each.loc[check_table(each, recipe, "t").frame.index, "who"]}
        for each in (table, table.sample(frac=1, random_state=1, ignore_index=True))
    )
    assert first == shuffled
