"""The sections of a report about single rows: why, how sure, and whether probabilities hold."""

from typing import Any

import pandas as pd

from common.words import MINUS, counted, show_brief, show_percent
from modelling.inspecting.reliability import ALL_ROWS, PROMISED_COVERAGE
from modelling.kinds import ROW_KEY
from modelling.reporting.report import Section, Table
from steps.reporting.parts import name_by_number
from steps.reporting.runs import PipelineRuns

_CLEARLY_OFF = 0.05
_NUMBERED = ("first reason", "second reason", "third reason")


def read_row_sections(runs: PipelineRuns) -> list[Section]:
    """The sections of an evaluation, as far as it left what they show."""
    found = (_why(runs), _how_sure(runs), _calibration(runs))
    return [section for section in found if section]


def _read(runs: PipelineRuns, name: str) -> pd.DataFrame | None:
    files = runs.files("evaluate")
    return files.table(name) if files else None


def _whole(columns: dict[str, Any]) -> Table:
    frame = pd.DataFrame(columns)
    return Table.of(frame, len(frame))


def _why(runs: PipelineRuns) -> Section | None:
    """What moves the answers of some test rows most."""
    table = _read(runs, "reasons")
    if table is None or runs.recipe is None:
        return None
    is_class, about = runs.recipe.task == "classification", runs.recipe.about
    show = show_percent if is_class else _with_unit(about.unit)
    rows = name_by_number(runs, table)
    key = next(name for name in ("row of the table", ROW_KEY) if name in rows)
    true = [about.labels.get(str(one), show_brief(one)) for one in table["true"]]
    shown = {key: rows[key].tolist(), "answer": table["which"].tolist(), "true": true}
    says = "it says"
    if is_class and "explained_class" not in table:
        says += f": {about.name_class(runs.target, runs.recipe.data.positive_class)}"
    elif is_class:
        known = table["explained_class"]
        shown["asked for"] = [about.name_class(runs.target, label) for label in known]
    shown[says] = [show(value) for value in table["value"]]
    for number, name in enumerate(_NUMBERED, 1):
        if f"reason_{number}" in table:
            pairs = table[[f"reason_{number}", f"contribution_{number}"]].itertuples(index=False)
            shown[name] = [f"{reason}: {_moved(move, is_class)}" for reason, move in pairs]
    error = table["error"].max()
    how = (
        f"They are estimated, with a standard error of at most {_moved(error, is_class, '')}."
        if error > 0
        else "They are exact."
    )
    mean = f", {show(table['base'].iloc[0])}," if table["base"].nunique() == 1 else ""
    text = (
        f"From its mean answer{mean} these columns move it most: for its worst answers, and for a "
        f"low, a middling and a high one. {how} They are reasons of the model, not of the world."
    )
    return Section("why", "Why", text, table=_whole(shown))


def _how_sure(runs: PipelineRuns) -> Section | None:
    """Whether intervals, or sets of classes, hold what is true as often as promised."""
    table, figures = _read(runs, "coverage"), runs.metrics("evaluate")
    promised = figures.get(PROMISED_COVERAGE)
    if table is None or promised is None or runs.recipe is None:
        return None
    is_class = runs.recipe.task == "classification"
    of_all = table.iloc[0]
    what = "is among the classes" if is_class else "lies in the interval"
    text = (
        f"What is true {what} that the model gives for each row, in "
        f"{show_percent(of_all['coverage'])} of the {counted(of_all['rows'], 'test row')}; "
        f"{show_percent(promised)} are promised."
    )
    broken = table.loc[table["broken"].astype(bool) & (table["rows_of"] != ALL_ROWS), "rows_of"]
    if len(broken):
        text += f" Clearly less often for: {', '.join(broken)}."
    size = "classes on average" if is_class else "width, the median"
    show = show_brief if is_class else _with_unit(runs.recipe.about.unit)
    shown = {
        "rows": table["rows_of"].tolist(),
        "how many": table["rows"].tolist(),
        "holds in": [show_percent(share) for share in table["coverage"]],
        "95% interval": [
            f"{show_percent(low)} to {show_percent(high)}"
            for low, high in table[["low", "high"]].itertuples(index=False)
        ],
        size: [show(value) for value in table["size"]],
    }
    return Section("sure", "How sure of a row", text, table=_whole(shown))


def _calibration(runs: PipelineRuns) -> Section | None:
    """Whether probabilities are the shares that they say."""
    table = _read(runs, "calibration_table")
    if table is None or runs.recipe is None:
        return None
    name = runs.recipe.about.name_class(runs.target, runs.recipe.data.positive_class)
    gaps = (table["said"] - table["came"]).abs()
    off = float((gaps * table["rows"]).sum() / table["rows"].sum())
    text = (
        f"Of rows that are given 30% for {name}, some 30 in 100 should be of it. The probabilities "
        f"are off by {_points(off)} on average."
    )
    if off > _CLEARLY_OFF and runs.recipe.decision.calibrate == "none":
        text += " decision.calibrate in the recipe corrects that."
    shown = {
        "it says": [
            f"{show_percent(low)} to {show_percent(high)}"
            for low, high in table[["from", "to"]].itertuples(index=False)
        ],
        "test rows": table["rows"].tolist(),
        "on average": [show_percent(share) for share in table["said"]],
        "it is so in": [show_percent(share) for share in table["came"]],
        "95% interval": [
            f"{show_percent(low)} to {show_percent(high)}"
            for low, high in table[["low", "high"]].itertuples(index=False)
        ],
    }
    return Section("probabilities", "Do probabilities hold?", text, table=_whole(shown))


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _with_unit(unit: str) -> Any:
    return lambda value: f"{show_brief(float(value))}{f' {unit}' if unit else ''}"


def _moved(value: float, is_share: bool, plus: str = "+") -> str:
    """A contribution with its sign: +12.3 points, or in the target's unit."""
    size = _points(abs(value)) if is_share else show_brief(float(f"{abs(value):.2g}"))
    return f"{plus if value >= 0 else MINUS}{size}"
