"""A sheet of a workbook: each cell as it was typed, or why the sheet is no table."""

from datetime import date, datetime, time, timedelta

import pytest
import xlsxwriter

from modelling.tables.workbook import open_sheet

TABLE = [["code", "price"], ["01", 1.5], ["02", 2.0], ["A7", 3.25], ["03", 4.0]]


@pytest.fixture
def book(tmp_path):
    """Writes a workbook: by the name of a sheet its rows, or a function that is given the sheet."""

    def write(**sheets):
        path = tmp_path / "sales.xlsx"
        formats = {date: "yyyy-mm-dd", datetime: "d/m/yy hh:mm", time: "hh:mm", timedelta: "[h]:mm"}
        with xlsxwriter.Workbook(path) as made:
            styles = {kind: made.add_format({"num_format": form}) for kind, form in formats.items()}
            for name, rows in sheets.items():
                sheet = made.add_worksheet(name)
                if callable(rows):
                    rows(sheet)
                    continue
                for row, cells in enumerate(rows):
                    for column, cell in enumerate(cells):
                        if isinstance(cell, str):
                            sheet.write_string(row, column, cell)
                        else:
                            sheet.write(row, column, cell, styles.get(type(cell)))
        return path

    return write


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("01", "01"),
        (" S ", " S "),
        ("1,5", "1,5"),
        ("", None),
        (None, None),
        (1.0, "1"),
        (-0.25, "-0.25"),
        (1e20, "1e+20"),
        (2.0**53 - 1, "9007199254740991"),
        (True, "True"),
        (date(2024, 2, 13), "2024-02-13"),
        (datetime(2024, 2, 13, 8, 30), "2024-02-13 08:30:00"),
        (time(8, 30), "08:30:00"),
        (timedelta(hours=25, minutes=30), "25:30:00"),
    ],
)
def test_a_cell_is_what_was_typed(cell, shown, book):
    (row, _) = open_sheet(book(One=[["a", "b"], [cell, "x"], ["y", "z"]])).rows()
    assert row == {"a": shown, "b": "x"}


def test_what_is_empty_around_a_table_does_not_count(book):
    rows = [[], ["", "code", 2023.0, "", ""], ["", "01", 1.0], [], ["", "02", 2.0], ["", "", ""]]
    sheet = open_sheet(book(One=rows, Empty=[]))
    assert [*sheet.columns] == ["code", "2023"]
    assert [*sheet.rows()] == [{"code": "01", "2023": "1"}, {}, {"code": "02", "2023": "2"}]


def test_a_heading_that_stands_there_twice_is_as_in_a_csv_file(book):
    assert [*open_sheet(book(One=[["a", "b", "a"], [1, 2, 3]])).columns] == ["a", "b", "a (2)"]


def test_a_sheet_is_named_where_there_are_several(book, refusal):
    path = book(North=TABLE, South=[["x"], [1]], Empty=[])
    assert open_sheet(path, "North").columns.keys() == {"code", "price"}
    message = refusal(open_sheet, path)
    assert "has 2 sheets: North, South; say which one is the table: data.sheet" in message
    message = refusal(open_sheet, path, "Nort")
    assert "unknown sheet 'Nort', did you mean 'North'? allowed: North, South, Empty" in message
    assert "sheet 'Empty' is empty" in refusal(open_sheet, path, "Empty")


def test_a_hidden_sheet_counts_only_by_its_name(book):
    def hidden(sheet):
        sheet.write_column(0, 0, ["x", 1])
        sheet.hide()

    path = book(Sales=TABLE, Lists=hidden)
    assert open_sheet(path).columns.keys() == {"code", "price"}
    assert open_sheet(path, "Lists").columns.keys() == {"x"}


def merged(*ranges):
    def write(sheet):
        for row, cells in enumerate(TABLE):
            sheet.write_row(row + 1, 0, cells)
        for place in ranges:
            sheet.merge_range(place, "Sales")

    return write


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (merged("A1:B1"), "sheet 'S': the cells A1:B1 are merged; a table has one row of headings"),
        (merged("A4:A5"), "sheet 'S': the cells A4:A5 are merged; only the first of them holds"),
        (
            [["Sales of 2024"], ["code", "price"], *TABLE[1:]],
            "column B has no heading in row 1; if",
        ),
        (
            [["a", "b"], ["kg", "m"], *[[1, 2]] * 3],
            "row 2 seems to be a second row of headings: 'kg' stands above numbers",
        ),
        ([["a", "", "c"], [1, 2, 3]], "column B has no heading in row 1"),
        ([["a", "b", ""], *[[1, 2]] * 60, [1, 2, 3]], "column C has no heading in row 1"),
        ([["a", "a (2)", "a"], [1, 2, 3]], "has two columns named 'a (2)'"),
        ([["a", "b"]], "sheet 'S' has a header, but no rows"),
        ([], "sales.xlsx is empty"),
    ],
)
def test_a_sheet_that_is_no_table_is_told_with_advice(rows, says, book, refusal):
    assert says in refusal(open_sheet, book(S=rows))


def test_words_that_may_be_data_are_no_headings(book):
    for first in (["kg", 1], ["-", "n/a"], ["kg", "m"]):
        rows = [["a", "b"], first, *[[1, "x" if first[1] == "m" else 2]] * 3]
        assert open_sheet(book(S=rows)).columns.keys() == {"a", "b"}


@pytest.mark.parametrize("content", [b"PK\x03\x04" + b"?" * 99, b"a,b\n1,2\n", b""])
def test_what_is_no_workbook_is_told_in_a_line(content, tmp_path, refusal):
    path = tmp_path / "sales.xlsx"
    path.write_bytes(content)
    assert refusal(open_sheet, path).startswith(f"table {path} cannot be read: ")
