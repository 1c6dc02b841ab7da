"""A cell means what its column's kind says, wherever it stands and whatever stands beside it."""

import io
import json
import math
import unicodedata
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.errors import InputError
from modelling.files.table_file import has_decimal_comma, read_table
from modelling.models.features import fit_features
from modelling.models.sklearn_wrapper import (
    GAPS,
    apply_features,
    find_problems,
    is_missing,
    read_column,
    with_columns,
)
from modelling.recipe import ColumnCheck, Features, load_recipe
from modelling.tables.cells import read_numbers
from modelling.tables.split import split_table
from modelling.tables.stream import as_frame, open_stream
from modelling.tables.table import check_table

FORMATS = ["1234,56", "1,234.56", "1.234,56", "1 234,56", "1'234.56", "$1,234.56", "1 234,56 €"]

cells = st.one_of(
    st.sampled_from(
        [
            *GAPS,
            *("01", "1", "1.0", "A7", "true", "No", "ja", "2024-02-13", "13/02/2024", "1,5"),
            *("1.234", "1.234,5", "$5", "26%", "1e3", "inf", str(2**53 + 1), " 1 ", "yes\u00a0"),
        ]
    ),
    st.text(max_size=4),
    st.integers().map(str),
    st.floats().map(str),
)


def same(one, other):
    pd.testing.assert_series_equal(one, other, check_names=False, check_index=False)


KINDS = [
    *[("number", form) for form in ("", *FORMATS)],
    *[("boolean", ""), ("category", ""), ("date", ""), ("date", "%d/%m/%Y")],
]


@given(st.lists(cells, min_size=1, max_size=6), st.sampled_from(KINDS))
def test_a_cell_is_the_same_alone_and_among_others(values, kind):
    column = pd.Series(values, dtype="str")
    together = read_column(column, *kind)
    alone = [read_column(column.iloc[[row]], *kind) for row in range(len(column))]
    same(together, pd.concat(alone))
    # As an object, as a request has it beside numbers.
    mixed = read_column(pd.Series([*values, 5, None], dtype=object), *kind)
    same(together, mixed.iloc[:-2])
    assert is_missing(column).tolist() == [value.strip() in GAPS for value in values]


@given(
    st.decimals(-(10**9), 10**9, places=2, allow_nan=False), st.sampled_from(FORMATS), st.booleans()
)
def test_a_number_is_read_as_its_format_writes_it(number, form, is_spaced):
    thousands = form[form.index("1") + 1].replace("2", "")
    decimal = form[form.index("56") - 1]
    text = f"{abs(number):,.2f}".replace(",", "T").replace(".", decimal).replace("T", thousands)
    text = form[: form.index("1")] + text + form[form.index("56") + 2 :]
    if is_spaced:
        text = text.replace(" ", "\u202f").replace("'", "\u2019")
    minus = "-" if number < 0 else ""
    column = pd.Series([minus + text, f"({text})" if minus else f"+{text}", "oops", None])
    read = read_column(column, "number", form).tolist()
    assert read[:2] == [float(number)] * 2
    assert all(map(math.isnan, read[2:]))


@pytest.mark.parametrize(
    ("form", "text", "number"),
    [
        ("1,234.56", "12,34,567.5", 1234567.5),  # of India
        ("1,234.56", "1,23", math.nan),
        ("1,234.56", "1.234,5", math.nan),
        ("1.234,56", "3.978", 3978),
        ("1.234,56", "965", 965),
        ("1.234,56", "6,16", 6.16),
        ("1.234,56", "6.16", math.nan),
        ("1234.56%", "26%", 26),
        ("1234.56%", "26 %", 26),
        ("1234.56%", "0.26", 0.26),
        ("$1,234.56", "-$5", -5),
        ("$1,234.56", "$-5", -5),
        ("$1,234.56", "$ 5.5", 5.5),
        ("$1,234.56", "€5", math.nan),
        ("$1,234.56", "$", math.nan),
        ("$1,234.56", "(5", math.nan),
        ("$1,234.56", "--5", math.nan),
        ("CHF 1'234.56", "CHF 1\u2019026.-", math.nan),
        ("CHF 1'234.56", "CHF 1\u2019026.50", 1026.5),
        ("1234,56", "1,5e3", 1500),
    ],
)
def test_what_a_format_does_not_write_is_no_number(form, text, number):
    read = read_column(pd.Series([text]), "number", form)
    np.testing.assert_array_equal(read, [number])


@pytest.mark.parametrize(
    ("form", "text", "date"),
    [
        ("", "2024-02-13", "2024-02-13"),
        ("", "13/02/2024", None),
        ("%d/%m/%Y", "13/02/2024", "2024-02-13"),
        ("%d/%m/%Y", "3/2/2024 08:30", "2024-02-03 08:30"),
        ("%d/%m/%Y", "2024-02-13", "2024-02-13"),  # as a request may say it
        ("%d/%m/%Y", "02/13/2024", None),
        ("%m/%d/%y", "2/13/24", "2024-02-13"),
        ("%d.%m.%Y", "13.02.2024 08:30:59", "2024-02-13 08:30:59"),
        ("%d %b %Y", "13 Feb 2024", "2024-02-13"),
        ("%d %b %Y", "13 févr. 2024", "2024-02-13"),
        ("%d %b %Y", "1er Août 2024 08:30", "2024-08-01 08:30"),
        ("%d %B %Y", "13 de\u0301cembre 2024", "2024-12-13"),
        ("%d-%b-%y", "13-avr-24", "2024-04-13"),
        ("%d %b %Y", "13 brumaire 2024", None),
        ("%d/%m/%Y", "NaT", None),
        ("%Y%m%d", "20240213", "2024-02-13"),
        ("%Y%m%d", 20240213, "2024-02-13"),  # as JSON and Parquet have it
        ("%Y%m%d", 20240213.0, "2024-02-13"),  # beside a gap
        ("%Y%m%d", 20241302, None),
        ("%d/%m/%Y", 20240213, None),
    ],
)
def test_a_date_is_read_as_its_format_writes_it(form, text, date):
    (read,) = read_column(pd.Series([text]), "date", form)
    assert read is pd.NaT if date is None else read == pd.Timestamp(date)


@pytest.mark.parametrize("word", ["yes", "Oui", "JA", "true", "1", "1.0", "y", "Sí", "sim", " t "])
def test_a_boolean_has_words(word):
    assert read_column(pd.Series([word]), "boolean").tolist() == [1]


@pytest.mark.parametrize("word", ["no", "Non", "NEIN", "False", "0", "n", "faux", "não"])
def test_and_others_for_no(word):
    assert read_column(pd.Series([word]), "boolean").tolist() == [0]


def model_of(path, kinds):
    """The fitted features of a table, as a training on all of its rows has them."""
    table = read_table(path)
    read = {name: read_column(table[name], kind) for name, kind in kinds.items()}
    frame = pd.DataFrame(read)
    gaps = [name for name in frame if frame[name].isna().any()]
    return table, fit_features(frame, Features(), kinds, gaps)


@pytest.fixture
def csv(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


texts = st.text(st.characters(codec="utf-8", exclude_characters='\r\n"\0'), max_size=5)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-9, 99).map(lambda n: f"{n:03}"), texts, st.sampled_from(GAPS)),
            st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(None)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_csv_parquet_json_and_a_request_are_the_same(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("same")
    raw = pd.DataFrame([*rows, ("x", 1.0)], columns=["code", "n"]).astype(
        {"code": "str", "n": "float64"}
    )
    raw["code"] = raw["code"].str.strip()
    raw.to_csv(folder / "t.csv", index=False, quoting=1)
    raw.to_parquet(folder / "t.parquet")
    kinds = {"code": "category", "n": "number"}
    trained, fitted = model_of(folder / "t.csv", kinds)
    expected = apply_features(trained, fitted)
    request = pd.DataFrame(json.loads(json.dumps(raw.replace({np.nan: None}).to_dict("list"))))
    for rows in (read_table(folder / "t.parquet"), request, raw):
        pd.testing.assert_frame_equal(apply_features(rows, fitted), expected)
    for name in ("t.csv", "t.parquet"):
        stream = open_stream(folder / name)
        frames = [as_frame(batch, fitted, stream)[0] for batch in stream.batches([*kinds], 3)]
        streamed = apply_features(pd.concat(frames, ignore_index=True), fitted)
        pd.testing.assert_frame_equal(streamed, expected)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_numbers_that_are_read_at_once_are_those_of_their_text(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("at_once") / "t.csv"
    frame = pd.DataFrame([*rows, ("1", "x")], columns=["n", "c"])
    frame.to_csv(path, index=False, quoting=1)
    try:
        plain, at_once = read_table(path), read_table(path, ["n"])
    except InputError:
        assume(False)
    for name, kind in (("n", "number"), ("c", "category")):
        same(read_column(at_once[name], kind), read_column(plain[name], kind))
        same(is_missing(at_once[name]), is_missing(plain[name]))


ROWS = 59


def codes(*more):
    lines = [f"{number:02},{number / 2},{number / 3:.3f}" for number in range(1, ROWS + 1)]
    return "code,x,y\n" + "\n".join([*lines, *more]) + "\n"


def test_another_row_changes_no_code_no_key_and_no_side(csv, recipe_with):
    columns = {"code": {"type": "category"}, "x": {}}
    recipe = recipe_with(data={"path": "p", "target": "y", "columns": columns})
    tables = [csv(codes(), "one.csv"), csv(codes("A7,30,20"), "two.csv")]
    frames = [check_table(read_table(path), recipe, "t").frame for path in tables]
    assert frames[0]["code"].tolist() == [f"{number:02}" for number in range(1, ROWS + 1)]
    before, after = (split_table(frame, "y", recipe.split) for frame in frames)
    assert before.rows["row_key"].tolist() == after.rows["row_key"].tolist()[:ROWS]
    assert set(before.test["row_key"]) <= set(after.test["row_key"])
    assert set(before.train["row_key"]) <= set(after.train["row_key"])


def test_undeclared_codes_with_a_zero_in_front_are_text(csv, recipe_with):
    recipe = recipe_with(data={"path": "p", "target": "y"})
    frame = check_table(read_table(csv(codes())), recipe, "t").frame
    assert frame["code"].iloc[0] == "01"


def test_what_pandas_takes_for_a_number_is_the_category_that_training_wrote(csv):
    path = csv("zip,flag,n\n02139,true,1\n94103,FALSE,2\n00501,true,3\n2.50,true,4\n")
    kinds = {"zip": "category", "flag": "category", "n": "number"}
    trained, fitted = model_of(path, kinds)
    assert fitted["spellings"] == {
        "zip": {"2139": "02139", "501": "00501", "2.5": "2.50"},
        "flag": {"True": "true", "False": "FALSE"},
    }
    expected = apply_features(trained, fitted)
    pd.testing.assert_frame_equal(apply_features(pd.read_csv(path), fitted), expected)
    gap = pd.read_csv(io.StringIO("zip,flag,n\n02139,True,1\n,,\n"))
    assert apply_features(gap, fitted)["zip"].iloc[0] == "02139"


def test_a_number_that_two_spell_is_neither_but_its_own_text(csv):
    assert model_of(csv("c\n01\n001\n"), {"c": "category"})[1]["spellings"] == {}
    assert model_of(csv("c\n01\n1\n"), {"c": "category"})[1]["spellings"] == {}


def test_long_identifiers_keep_their_digits_or_are_refused(csv, tmp_path):
    ids = [2**53 + number for number in range(6)]
    path = csv("id,n\n" + "".join(f"{number},1\n" for number in ids) + ",1\n")
    kinds = {"id": "category", "n": "number"}
    trained, fitted = model_of(path, kinds)
    assert apply_features(trained, fitted)["id"].nunique() == 6
    pd.DataFrame({"id": pd.array([*ids, None], "Int64"), "n": 1}).to_parquet(tmp_path / "t.parquet")
    parquet = tmp_path / "t.parquet"
    assert apply_features(read_table(parquet), fitted)["id"].tolist()[:6] == [*map(str, ids)]
    stream = open_stream(parquet)
    (batch,) = stream.batches([*kinds], 10)
    assert as_frame(batch, fitted, stream)[0]["id"].tolist()[:6] == [*map(str, ids)]
    floats = pd.read_csv(path)  # whose gap made floats of them
    problems = find_problems(floats, apply_features(floats, fitted), fitted)
    assert problems[0] == (
        "column 'id': '9007199254740992.0' is no category: a float has lost its last digits"
    )
    assert sorted(problems) == list(range(6))


def test_a_gap_is_the_same_everywhere_and_refused_where_training_knew_none(csv):
    kinds = {"veneer": "category", "x": "number", "day": "date"}
    path = csv("veneer,x,day\nNone,1,2024-01-01\nStone,,2024-01-02\n")
    trained, fitted = model_of(path, kinds)
    assert (fitted["gaps"], fitted["imputes"]) == (["veneer", "x"], True)
    frames = [trained, pd.read_csv(path), pd.read_csv(path, keep_default_na=False)]
    for frame in frames:
        inputs = apply_features(frame, fitted)
        assert inputs["veneer"].isna().tolist() == [True, False]
        assert find_problems(frame, inputs, fitted) == {}
    for gap in (None, "", " ", "NaT", pd.NaT, np.nan):
        frame = pd.DataFrame({"veneer": [None], "x": [None], "day": [gap]})
        problems = find_problems(frame, apply_features(frame, fitted), fitted)
        assert problems == {0: "column 'day' is missing"}
    strict = fit_features(pd.DataFrame({"veneer": ["Stone"]}), Features(), {"veneer": "category"})
    for word in GAPS:
        frame = pd.DataFrame({"veneer": [word]})
        problems = find_problems(frame, apply_features(frame, strict), strict)
        assert problems == {0: "column 'veneer' is missing"}


def test_blanks_around_a_label_or_a_category_are_nothing(csv, recipe_with):
    path = csv("a,b,y\n1,u ,yes\n2,u,yes \n3, v,no\n4,v,no\u00a0\n")
    columns = {"a": {}, "b": {"type": "category"}}
    data = {"path": "p", "target": "y", "positive_class": " yes", "columns": columns}
    frame = check_table(read_table(path), recipe_with(task="classification", data=data), "t").frame
    assert set(frame["b"]) == {"u", "v"}
    assert set(frame["y"]) == {"yes", "no"}


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ("0 1 1 0", [0, 1, 1, 0]),
        ("1.0 0.0 1.0 0.0", [1, 0, 1, 0]),
        ("01 02 01 02", ["01", "02", "01", "02"]),
        ("true FALSE true FALSE", [True, False, True, False]),
        ("true 1 true 1", ["true", "1", "true", "1"]),
        ("None a None a", ["None", "a", "None", "a"]),
        ("9007199254740993 9007199254740992 " * 2, ["9007199254740993", "9007199254740992"] * 2),
    ],
)
def test_labels_are_what_all_of_them_spell(csv, recipe_with, values, labels):
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values.split()))
    data = {"path": "p", "target": "y", "positive_class": labels[0], "columns": {"a": {}}}
    recipe = recipe_with(task="classification", data=data)
    frame = check_table(read_table(csv("a,y\n" + rows)), recipe, "t").frame
    assert frame["y"].tolist() == labels


def test_numbers_of_another_country_are_the_same_in_every_step(csv, recipe_with):
    path = csv("umsatz;rabatt;y\n3.978;6,16;1.000,5\n965;0,5;2\n")
    columns = {"umsatz": {"format": "1.234,56"}, "rabatt": {}}
    data = {"path": "p", "target": "y", "target_format": "1.234,56", "columns": columns}
    table = read_table(path)
    frame = check_table(table, recipe_with(data=data), "t").frame
    assert frame.to_dict("list") == {
        "umsatz": [3978, 965],
        "rabatt": [6.16, 0.5],
        "y": [1000.5, 2],
    }
    kinds = dict.fromkeys(("umsatz", "rabatt"), "number")
    fitted = fit_features(frame[[*kinds]], Features(), kinds, formats={"umsatz": "1.234,56"})
    stream = open_stream(path)
    (batch,) = stream.batches([*kinds], 10)
    read = as_frame(batch, fitted, stream)[0], read_numbers(table, fitted, has_decimal_comma(table))
    for rows in (*read, pd.DataFrame({"umsatz": ["3.978", 965], "rabatt": [6.16, 0.5]})):
        pd.testing.assert_frame_equal(apply_features(rows, fitted), frame[[*kinds]])


@pytest.mark.parametrize(
    ("kind", "form", "says"),
    [
        ("number", "1234", "is not the number 1234.56 as the table writes it"),
        ("number", "1,234,56", "is not the number 1234.56 as the table writes it"),
        ("date", "%d/%m", "does not write a date; for 21/11/2026 it is '%d/%m/%Y'"),
        ("date", "day", "does not write a date"),
        ("category", "1.234,56", "a category has no format"),
    ],
)
def test_a_format_that_is_none_is_refused(kind, form, says):
    with pytest.raises(ValueError, match=says):
        ColumnCheck(type=kind, format=form)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_may_stand_in_a_recipe(form):
    assert ColumnCheck(format=form).format == form
    assert read_column(pd.Series([form]), "number", form).tolist() == [float(Decimal("1234.56"))]


def test_a_number_that_no_float_holds_is_infinite_and_a_complex_one_is_none():
    large = pd.Series([10**400, -(10**400), 1.5, None], dtype=object)
    assert read_column(large, "number").tolist()[:3] == [math.inf, -math.inf, 1.5]
    assert read_column(pd.Series([1j, 2.0]), "number").isna().all()


def test_a_name_is_the_same_however_its_accents_are_written(tmp_path):
    """As one sign or as two, in the recipe, in the table, in a stream of it, and in a request."""
    one, two = (unicodedata.normalize(form, "abonné") for form in ("NFC", "NFD"))
    recipe, table = tmp_path / "recipe.yaml", tmp_path / "table.csv"
    wines = (
        Path("recipes/wine_quality.yaml").read_text().replace("target: quality", f"target: {two}")
    )
    recipe.write_text(wines)
    assert load_recipe(recipe).data.target == one
    table.write_text(f"{two},b\n1,2\n3,4\n")
    assert list(read_table(table).columns) == [one, "b"]
    (batch,) = open_stream(table).batches([one], 10)
    assert batch.table.to_pydict() == {one: ["1", "3"]}
    rows = with_columns(pd.DataFrame({two: [1.0]}), {"columns": {one: "number"}})
    assert list(rows) == [one]
