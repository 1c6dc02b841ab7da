"""The poster: a whole pipeline in one picture, for a slide. As SVG, and the same as PNG.

It is laid out once, as shapes and texts of a known size, which both writers only repeat: nothing
that fits in one can overlap in the other.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jinja2
from PIL import Image, ImageDraw, ImageFont

from modelling.judging.fonts import OTHER_FONTS
from modelling.reporting.report import Bars, Fact, Report, shorten, show_like, show_seconds

WIDTH, HEIGHT = 1920, 1080

_MARGIN = 84
_GAP = 40
_TEMPLATES = Path(__file__).parent / "templates"
_INK, _SOFT, _LINE, _PAPER, _CARD = "#1d1b1a", "#5f5a57", "#dedad6", "#ffffff", "#f7f6f4"
_ACCENT, _BAR, _MINUS = "#7b1e3a", "#3d6fa5", "#b34700"
_TONES = {"good": "#0b6b4b", "note": "#7a5200", "bad": "#a3211b"}
_LAST_CYRILLIC = "\u052f"  # DejaVu Sans has all letters before
_SMOOTH = 2  # shapes are drawn this many times larger, so that curves have no stairs


@dataclass(frozen=True)
class Box:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    radius: float = 0
    stroke: str = ""


@dataclass(frozen=True)
class Arrow:
    """A level line with a tip at its right end."""

    x: float
    y: float
    length: float
    colour: str = _SOFT


@dataclass(frozen=True)
class Text:
    """A line of text; y is its base line, anchor one of start, middle and end."""

    x: float
    y: float
    words: str
    size: float
    colour: str = _INK
    bold: bool = False
    anchor: str = "start"


Shape = Box | Arrow | Text


@dataclass(frozen=True)
class Card:
    """A station of the pipeline: its name, how it went, and its figures.

    tone: good or bad, where something is; that a step ran is neither.
    """

    name: str
    state: str
    facts: tuple[Fact, ...]
    tone: str = ""


def draw_poster(report: Report, cards: Sequence[Card], bars: Sequence[Bars]) -> list[Shape]:
    """Lays the poster out.

    Args:
        report: whose verdict it shows.
        cards: the stations, from the data to the registry.
        bars: at most two charts of at most six bars, drawn below.

    Returns:
        Shapes on WIDTH times HEIGHT, each drawn over those before it.
    """
    shapes: list[Shape] = [Box(0, 0, WIDTH, HEIGHT, _PAPER), Box(0, 0, WIDTH, 14, _ACCENT)]
    shapes += _heading(report)
    width = (WIDTH - 2 * _MARGIN - (len(cards) - 1) * _GAP) / len(cards)
    for number, card in enumerate(cards):
        x = _MARGIN + number * (width + _GAP)
        shapes += _card(card, x, 330, width, 330)
        if number:
            shapes.append(Arrow(x - _GAP + 5, 495, _GAP - 10))
    half = (WIDTH - 2 * _MARGIN - 100) / 2
    for number, chart in enumerate(bars[:2]):
        shapes += _chart(chart, _MARGIN + number * (half + 100), 724, half)
    return [*shapes, *_foot(report)]


def _heading(report: Report) -> Iterator[Shape]:
    wide = WIDTH - 2 * _MARGIN
    when = report.started.strftime("%d %B %Y, %H:%M").lstrip("0")
    colour = _TONES[report.tone]
    title = f"{report.title or report.recipe} · {report.task}"
    yield _fitted(_MARGIN, 92, title, 28, wide - 400, _ACCENT, True)
    yield Text(WIDTH - _MARGIN, 92, when, 24, _SOFT, anchor="end")
    said = report.answer or report.sentence
    size = next((size for size in (50, 44, 38) if len(_in_lines(said, size, wide)) < 3), 31)
    lines = _in_lines(said, size, wide)
    if len(lines) > 3:
        lines = [*lines[:2], " ".join(lines[2:])]
    first, step = {1: (178, 0), 2: (158, 56)}.get(len(lines), (142, 40))
    for number, line in enumerate(lines):
        yield _fitted(_MARGIN, first + step * number, line, size, wide, bold=True)
    badge = _width(report.word, 26, True) + 44
    yield Box(_MARGIN, 244, badge, 46, colour, 23)
    yield Text(_MARGIN + badge / 2, 276, report.word, 26, _PAPER, True, "middle")
    words = f"{report.sentence}. {report.reason}" if report.answer else report.reason
    yield _fitted(_MARGIN + badge + 24, 276, words, 24, wide - badge - 24, _SOFT)


def _in_lines(words: str, size: float, wide: float) -> list[str]:
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, size, True) > wide:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _card(card: Card, x: float, y: float, width: float, height: float) -> Iterator[Shape]:
    inner = width - 44
    colour = _TONES.get(card.tone, _SOFT)
    yield Box(x, y, width, height, _CARD, 14, _LINE)
    yield Box(x + 22, y + 22, 44, 6, colour, 3)
    yield _fitted(x + 22, y + 68, card.name, 27, inner, bold=True)
    yield _fitted(x + 22, y + 97, card.state, 19, inner, colour)
    for number, fact in enumerate(card.facts[:3]):
        top = y + 148 + number * 66
        yield _fitted(x + 22, top, fact.value, 25, inner, bold=True)
        yield _fitted(x + 22, top + 25, fact.label, 18, inner, _SOFT)


def _chart(chart: Bars, x: float, y: float, width: float) -> Iterator[Shape]:
    yield _fitted(x, y, chart.title, 26, width, bold=True)
    yield _fitted(x, y + 30, chart.unit, 19, width, _SOFT)
    shown = chart.bars[:5]
    name = max(0.3 * width, *(_width(shorten(bar.name, 32), 21, False) for bar in shown), 0) + 24
    number = 130
    room = width - name - number
    largest = max([abs(bar.value) for bar in shown] + [1e-12])
    for place, bar in enumerate(shown):
        base = y + 76 + place * 40
        yield _fitted(x, base, shorten(bar.name, 32), 21, name - 10)
        length = max(2.0, room * abs(bar.value) / largest)
        colour = _BAR if bar.value >= 0 else _MINUS
        yield Box(x + name, base - 19, length, 24, colour, 4)
        yield Text(x + name + length + 14, base, show_like(bar.value, largest), 21, _INK)


def _foot(report: Report) -> Iterator[Shape]:
    yield Box(_MARGIN, HEIGHT - 88, WIDTH - 2 * _MARGIN, 2, _LINE)
    known = {fact.label: fact.value for fact in (report.origin.facts if report.origin else ())}
    parts = [f"run {report.run_id[:12]}", show_seconds(report.seconds)]
    for label, words in (
        ("Git commit", "commit"),
        ("sha256 of the table", "table"),
        ("sha256 of requirements.lock", "lock"),
    ):
        if label in known:
            parts.append(f"{words} {known[label][:12]}")
    text = "   ·   ".join(part for part in parts if part)
    yield _fitted(_MARGIN, HEIGHT - 48, text, 20, WIDTH - 2 * _MARGIN, _SOFT)


def _fitted(
    x: float,
    y: float,
    words: str,
    size: float,
    width: float,
    colour: str = _INK,
    bold: bool = False,
) -> Text:
    """A text that is no wider than this: smaller, down to 16, then cut at its end, if need be."""
    words = " ".join(words.split())
    while size > 16 and _width(words, size, bold) > width:
        size = max(16, round(0.9 * size))
    if _width(words, size, bold) > width:
        kept = len(words)
        while kept and _width(words[:kept].rstrip() + "…", size, bold) > width:
            kept -= max(1, kept // 20)
        words = words[: max(kept, 0)].rstrip() + "…"
    return Text(x, y, words, size, colour, bold)


def _width(words: str, size: float, bold: bool) -> float:
    return float(_font(words, size, bold).getlength(words))


def _font(words: str, size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, or where it lacks letters, the first font that lacks the fewest of them."""
    if not any(letter.isalpha() and letter > _LAST_CYRILLIC for letter in words):
        return _load(_dejavu(bold), size)
    fonts, letters = _fonts(bold), set(map(ord, words))
    return _load(min(fonts, key=lambda file: len(letters - fonts[file])), size)


@cache
def _load(file: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@cache
def _fonts(bold: bool) -> dict[Path, frozenset[int]]:
    """The letters of DejaVu Sans, and of each other font that is installed."""
    # Here, since it takes longer to import than most posters need.
    from matplotlib import font_manager, ft2font

    installed = [name for name in OTHER_FONTS if name in font_manager.get_font_names()]
    weight = "bold" if bold else "normal"
    wanted = [font_manager.FontProperties(family=[name], weight=weight) for name in installed]
    files = [_dejavu(bold), *(Path(font_manager.findfont(font)) for font in wanted)]
    return {file: frozenset(ft2font.FT2Font(file).get_charmap()) for file in files}


@cache
def _dejavu(bold: bool) -> Path:
    """DejaVu Sans, which comes with matplotlib and is as wide as Verdana, at least."""
    package = find_spec("matplotlib")
    if package is None or package.origin is None:
        raise FileNotFoundError("matplotlib is not installed, whose font the poster needs")
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    return folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf"


def as_svg(shapes: Sequence[Shape]) -> str:
    """Writes the poster as SVG."""
    template = _environment().get_template("poster.svg.j2")
    named = [(type(shape).__name__, shape) for shape in shapes]
    return template.render(shapes=named, width=WIDTH, height=HEIGHT)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True
    )


def as_png(shapes: Sequence[Shape]) -> bytes:
    """Writes the poster as PNG."""
    large = Image.new("RGB", (WIDTH * _SMOOTH, HEIGHT * _SMOOTH))
    pen = ImageDraw.Draw(large)
    for shape in shapes:
        if isinstance(shape, Box):
            _paint_box(pen, shape)
        elif isinstance(shape, Arrow):
            _paint_arrow(pen, shape)
    picture = large.reduce(_SMOOTH)
    pen = ImageDraw.Draw(picture)
    anchors = {"start": "ls", "middle": "ms", "end": "rs"}
    for shape in shapes:
        if isinstance(shape, Text):
            font = _font(shape.words, shape.size, shape.bold)
            place = (shape.x, shape.y)
            pen.text(place, shape.words, shape.colour, font, anchors[shape.anchor])
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=3)
    return content.getvalue()


def _paint_box(pen: ImageDraw.ImageDraw, box: Box) -> None:
    corners = (box.x, box.y, box.x + box.width, box.y + box.height)
    pen.rounded_rectangle(
        [corner * _SMOOTH for corner in corners],
        box.radius * _SMOOTH,
        box.fill,
        box.stroke or None,
        _SMOOTH,
    )


def _paint_arrow(pen: ImageDraw.ImageDraw, arrow: Arrow) -> None:
    end = arrow.x + arrow.length
    line = [arrow.x, arrow.y, end - 8, arrow.y]
    tip = [(end, arrow.y), (end - 11, arrow.y - 7), (end - 11, arrow.y + 7)]
    pen.line([value * _SMOOTH for value in line], arrow.colour, 3 * _SMOOTH)
    pen.polygon([(x * _SMOOTH, y * _SMOOTH) for x, y in tip], arrow.colour)
