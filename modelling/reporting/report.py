"""What a report says, and how it becomes one file of HTML that needs nothing else."""

import base64
import gzip
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

import jinja2
import pandas as pd
from markupsafe import Markup

from common.words import MINUS, counted, is_finite, places_of, show_brief, show_number
from modelling.judging.checks import Finding
from modelling.reporting.graph import StepState, lay_out_graph

_FOLDER = Path(__file__).parent / "templates"
_LARGEST_TABLE_REPORTS = 1_500_000
_SHOWN_ROWS = 30
_LONGEST_NAME = 60
_LONGEST_LINE = 20
_FIGURE = re.compile(rf"[-{MINUS}]?\d[\d,.]*\s?\S{{0,3}}")

Number = float | int | None


@dataclass(frozen=True)
class Fact:
    """A figure with its label and, in small print, what to hold it against."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Failure:
    """What went wrong: in which step, the line for a person, and the end of the log."""

    step: str
    line: str
    log: str


@dataclass(frozen=True)
class GateRow:
    """A metric of the model, what it was held against, and whether that was passed.

    low and high are of the difference to the champion; interval is of the metric itself, and train
    is its figure on the training rows.
    """

    metric: str
    candidate: Number
    baseline: Number
    champion: Number
    required: str
    passed: bool | None
    low: Number = None
    high: Number = None
    interval: tuple[float, float] | None = None
    train: Number = None


@dataclass(frozen=True)
class Plot:
    """A picture, as PNG, with the words that stand for it."""

    title: str
    description: str
    content: bytes

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Shares:
    """How rows are distributed over bins: those of the training, and others; a cell of a table."""

    train: tuple[float, ...]
    test: tuple[float, ...]

    @property
    def shares(self) -> dict[str, tuple[float, ...]]:
        """By the side."""
        return {"train": self.train, "test": self.test}


@dataclass(frozen=True)
class Table:
    """Rows of values under their names; more counts the rows that are left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: int = 0
    note: str = ""

    @classmethod
    def of(cls, frame: pd.DataFrame, most: int = 50, rows: int = 0, note: str = "") -> Self:
        """Makes one of the first rows of a frame.

        Args:
            frame: numbers stay numbers, whatever else becomes text, and what is missing nothing.
            most: how many rows are shown.
            rows: how many there are, if the frame does not have them all.
            note: what is said of them.
        """
        shown = frame.head(most)
        cells = tuple(tuple(map(_plain, row)) for row in shown.itertuples(index=False))
        left_out = max(rows, len(frame)) - len(shown)
        return cls(tuple(map(str, frame.columns)), cells, left_out, note)

    @cached_property
    def figures(self) -> set[int]:
        """The places of the columns whose first cell that is not empty is a figure."""
        columns = zip(*self.rows, strict=True)
        firsts = (next((one for one in cells if one is not None), "") for cells in columns)
        return {place for place, first in enumerate(firsts) if is_figure(first)}


def _plain(value: Any) -> Any:
    """A cell of a table: a number as such, whatever else as text, nothing for what is missing."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, Shares):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value.item() if hasattr(value, "item") else str(value)
    return value


@dataclass(frozen=True)
class Bar:
    """A named value of a bar chart, with its deviation."""

    name: str
    value: float
    deviation: float = 0.0


@dataclass(frozen=True)
class Bars:
    """A bar chart: what its values are, and how many bars are left out."""

    title: str
    unit: str
    bars: tuple[Bar, ...]
    more: int = 0


@dataclass(frozen=True)
class ModelCard:
    """The trained model: its estimator, hyperparameters, features and what they weigh."""

    name: str
    estimator: str
    chosen: tuple[Fact, ...]
    others: tuple[Fact, ...]
    formulas: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    note: str = ""
    weights: Bars | None = None
    importance: Bars | None = None


@dataclass(frozen=True)
class DataPage:
    """The table: `compare_sides` of both sides, and skrub's report of each."""

    profile: Mapping[str, Any] | None
    columns: Table | None
    table_reports: Mapping[str, str] = field(default_factory=dict)

    def packed(self) -> dict[str, str]:
        """Returns skrub's reports, compressed and in base64; none if they are too large."""
        packed = {
            side: base64.b64encode(gzip.compress(page.encode(), 6, mtime=0)).decode()
            for side, page in self.table_reports.items()
        }
        return packed if sum(map(len, packed.values())) < _LARGEST_TABLE_REPORTS else {}


@dataclass(frozen=True)
class Section:
    """A part that only some runs have, such as a sweep or drift: words, figures, table, plots."""

    name: str
    title: str
    text: str = ""
    facts: tuple[Fact, ...] = ()
    table: Table | None = None
    plots: tuple[Plot, ...] = ()


@dataclass(frozen=True)
class Origin:
    """How to make it again: commands, and the facts that decide what comes out."""

    commands: tuple[tuple[str, str], ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Report:
    """All that a report says.

    word and tone: the verdict, and whether it is good, note or bad; answer: how good the model is,
    if that is known; sentence: the verdict in one sentence; reason: what it rests on; cautions:
    what the severe checks found; advice: what to try next; part_of: of a step, the pipeline's run
    id; facts: the two or three figures behind it; title: of the recipe; about: what its model is
    for, by label.
    """

    recipe: str
    subject: str
    task: str
    run_id: str
    run_name: str
    started: datetime
    seconds: float | None
    word: str
    tone: str
    sentence: str
    reason: str = ""
    answer: str = ""
    cautions: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    part_of: str = ""
    facts: tuple[Fact, ...] = ()
    failure: Failure | None = None
    steps: tuple[StepState, ...] = ()
    gate: tuple[GateRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    confidence: float | None = None
    plots: tuple[Plot, ...] = ()
    worst: Table | None = None
    data: DataPage | None = None
    model: ModelCard | None = None
    sections: tuple[Section, ...] = ()
    origin: Origin | None = None
    title: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def found(self) -> list[Finding]:
        """What the checks found."""
        return [finding for finding in self.findings if finding.sentence]

    @property
    def has_champion(self) -> bool:
        """Whether the metrics of a champion stand beside those of the model."""
        return any(row.champion is not None for row in self.gate)

    @property
    def has_gate(self) -> bool:
        """Whether the metrics went through the gate."""
        return any(row.passed is not None for row in self.gate)


def render_report(report: Report, compiled: Path | None = None) -> str:
    """Returns the report as HTML: one file, with everything in it.

    Args:
        report: what it says.
        compiled: a folder that keeps the compiled templates for the next report.
    """
    return _environment(compiled).get_template("report.html.j2").render(report=report)


def show_metric(value: float | None, metric: str) -> str:
    """Writes a figure of a metric for a person."""
    return show_number(value, places_of(metric))


def is_figure(value: Any) -> bool:
    """Says whether a cell holds a number, or words that go no further than its unit."""
    return isinstance(value, int | float) or bool(_FIGURE.fullmatch(str(value)))


def is_short(value: Any) -> bool:
    """Says whether a cell holds words that stay in a line, as a range does: 91.1% to 93.9%."""
    return len(str(value)) <= _LONGEST_LINE


def show_like(value: float, largest: float) -> str:
    """Writes a number with the places of the largest beside it: 0.1439 and 0.0001."""
    if not is_finite(value) or not is_finite(largest) or largest <= 0:
        return show_number(value)
    places = min(8, max(0, 3 - math.floor(math.log10(largest)) - 1 + (largest < 1)))
    return f"{value + 0.0:,.{places}f}".replace("-", MINUS)


def show_seconds(seconds: float | None) -> str:
    """Writes a time: 0.6 s, 48 s, 2 min 05 s, 1 h 04 min."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def shorten(text: object, longest: int = _LONGEST_NAME) -> str:
    """Cuts a long text in its middle: both ends tell names apart."""
    words = " ".join(str(text).split())
    if len(words) <= longest:
        return words
    end = longest // 3
    return f"{words[: longest - end - 1]}…{words[-end:]}"


def breakable(name: object) -> Markup:
    """Lets a name with underscores go on in the next line behind one of them."""
    return Markup("_<wbr>").join(str(name).split("_"))  # which escapes the parts


def as_sentence(words: str) -> str:
    """Ends words with a full stop; how they begin is left, since that may be a name."""
    return words if words.endswith((".", "?", "!", "…")) else f"{words}."


def _bars_path(shares: Sequence[float], highest: float, width: float, height: float) -> str:
    """The path of an SVG with a bar a share."""
    step = width / max(len(shares), 1)
    return "".join(
        f"M{number * step + 0.5:.1f} {height}v{-height * share / highest:.1f}h{step - 1:.1f}"
        f"v{height * share / highest:.1f}z"
        for number, share in enumerate(shares)
        if share > 0
    )


def _outline_path(shares: Sequence[float], highest: float, width: float, height: float) -> str:
    """The path of an SVG with the outline of the bars."""
    step = width / max(len(shares), 1)
    tops = [height - height * share / highest for share in shares]
    return f"M0 {height}" + "".join(f"V{top:.1f}h{step:.1f}" for top in tops) + f"V{height}"


def _mini(shares: Mapping[str, Sequence[float]], width: float, height: float) -> dict[str, str]:
    highest = max([*shares["train"], *shares["test"], 1e-12])
    return {
        "train": _bars_path(shares["train"], highest, width, height),
        "test": _outline_path(shares["test"], highest, width, height),
    }


@cache
def _environment(compiled: Path | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        bytecode_cache=jinja2.FileSystemBytecodeCache(str(compiled)) if compiled else None,
    )
    environment.filters |= {
        "number": show_number,
        "metric": show_metric,
        "like": show_like,
        "brief": show_brief,
        "counted": counted,
        "seconds": show_seconds,
        "shorten": shorten,
        "sentence": as_sentence,
        "breakable": breakable,
    }
    environment.tests |= {"figure": is_figure, "short": is_short}
    environment.globals |= {
        "mini": _mini,
        "graph": lay_out_graph,
        "shown_rows": _SHOWN_ROWS,
    }
    return environment
