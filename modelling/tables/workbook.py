"""A sheet of a workbook of Excel or OpenDocument, with its cells as a CSV file would have them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from common.errors import InputError, unknown_name
from modelling.files.changes import unchanged
from modelling.files.csv_files import composed, told_apart
from modelling.files.table_file import check_names
from modelling.models.sklearn_wrapper import GAPS

_LARGEST_WHOLE = 2**53
_LOOKED_AT = 50
_FEWEST_BELOW = 3


@dataclass(frozen=True)
class Sheet:
    """A sheet that holds a table: one row of headings, and rows below it.

    columns: by heading, its place among the cells of a row; place: of the row of headings, from 0;
    cells: the sheet as python-calamine reads it.
    """

    columns: Mapping[str, int]
    place: int
    cells: CalamineSheet

    def rows(self) -> Iterator[dict[str, str | None]]:
        """Gives each row as text by column, but the empty ones at the end."""
        empty = 0
        for cells in islice(self.cells.iter_rows(), self.place + 1, None):
            if _is_empty(cells):
                empty += 1
                continue
            for _ in range(empty):
                yield {}
            empty = 0
            yield {name: _shown(cells[number]) for name, number in self.columns.items()}


def open_sheet(path: Path, name: str = "") -> Sheet:
    """Opens the sheet of a workbook that is a table.

    Args:
        path: .xlsx, .xlsm, .xlsb, .xls or .ods.
        name: of the sheet; if empty, the only visible one that holds anything.

    Raises:
        InputError: it cannot be read, has no such sheet or several, or the sheet is no table: it
            has merged cells, a second row of headings, a column without a heading, or no row.
    """
    try:
        with unchanged(path), CalamineWorkbook.from_path(path) as book:
            cells = _find_sheet(book, path, name)
    except PasswordError as error:
        raise InputError(f"table {path} is protected by a password; save it without one") from error
    except (CalamineError, OSError) as error:
        raise InputError(f"table {path} cannot be read: {error}") from error
    shown = f"table {path}, sheet {cells.name!r}"
    rows = enumerate(cells.iter_rows())
    place, headings = next((item for item in rows if not _is_empty(item[1])), (0, []))
    below = [row for _, row in islice(rows, _LOOKED_AT) if not _is_empty(row)]
    if not below:
        raise InputError(f"{shown} has a header, but no rows" if headings else f"{shown} is empty")
    _refuse_merged(cells, place, shown)
    names = [composed(name) for name in told_apart(_shown(cell) or "" for cell in headings)]
    for number, name in enumerate(names):
        if not name.strip() and any(row[number] != "" for row in cells.iter_rows()):
            column = _letters((cells.start or (0, 0))[1] + number)
            raise InputError(
                f"{shown}: column {column} has no heading in row {place + 1}; if the headings "
                "stand further below, delete the rows above them"
            )
    columns = [number for number, name in enumerate(names) if name.strip()]
    check_names([names[number] for number in columns], path)
    _refuse_second_headings(columns, below, place, shown)
    return Sheet({names[number]: number for number in columns}, place, cells)


def _find_sheet(book: CalamineWorkbook, path: Path, name: str) -> CalamineSheet:
    if name:
        if name not in book.sheet_names:
            raise InputError(f"table {path}: " + unknown_name("sheet", name, book.sheet_names))
        return book.get_sheet_by_name(name)
    visible = [
        each.name
        for each in book.sheets_metadata
        if each.visible == SheetVisibleEnum.Visible and each.typ == SheetTypeEnum.WorkSheet
    ]
    filled = [sheet for sheet in map(book.get_sheet_by_name, visible) if sheet.height]
    if not filled:
        raise InputError(f"table {path} is empty")
    if len(filled) > 1:
        names = ", ".join(sheet.name for sheet in filled)
        raise InputError(
            f"table {path} has {len(filled)} sheets: {names}; say which one is the table: "
            "data.sheet, or -P sheet= of draft_recipe"
        )
    return filled[0]


def _refuse_merged(cells: CalamineSheet, place: int, shown: str) -> None:
    for (top, left), (bottom, right) in sorted(cells.merged_cell_ranges or []):
        if cells.end is None or top > cells.end[0] or left > cells.end[1]:
            continue
        where = f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}"
        advice = (
            "a table has one row of headings, one above each column: unmerge them, and delete the "
            "rows above the headings"
            if top <= place
            else "only the first of them holds the value: unmerge them, and fill in each"
        )
        raise InputError(f"{shown}: the cells {where} are merged; {advice}")


def _refuse_second_headings(
    columns: Sequence[int], below: Sequence[Sequence[Any]], place: int, shown: str
) -> None:
    """A row of words above nothing but numbers and dates, in two columns or more, is no data."""
    first, *others = below
    if len(others) < _FEWEST_BELOW or not all(isinstance(cell, str) for cell in first):
        return
    odd = [
        number
        for number in columns
        if first[number].strip() not in GAPS and _holds_values([row[number] for row in others])
    ]
    if len(odd) > 1:
        raise InputError(
            f"{shown}: row {place + 2} seems to be a second row of headings: {first[odd[0]]!r} "
            f"stands above numbers; a table has one: delete row {place + 1} or {place + 2}"
        )


def _holds_values(cells: Sequence[Any]) -> bool:
    filled = [cell for cell in cells if cell != ""]
    return len(filled) >= _FEWEST_BELOW and not any(isinstance(cell, str) for cell in filled)


def _is_empty(row: Sequence[Any]) -> bool:
    return all(cell == "" for cell in row)


def _shown(cell: Any) -> str | None:
    """A cell as text: as Excel shows it where that is all of its value, else its value."""
    if isinstance(cell, float):
        is_whole = cell.is_integer() and abs(cell) < _LARGEST_WHOLE
        return str(int(cell)) if is_whole else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return cell.isoformat() if isinstance(cell, date) else str(cell) or None


def _letters(column: int) -> str:
    """The name of a column in a sheet, from 0: A to Z, then AA."""
    before, last = divmod(column, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)
