"""A report is one file of HTML, whatever it tells; a poster is the same as SVG and as PNG."""

import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from modelling.judging.checks import Finding
from modelling.kinds import ROW_KEY
from modelling.reporting import poster
from modelling.reporting.graph import StepState, lay_out_graph
from modelling.reporting.markdown import escape
from modelling.reporting.poster import (
    HEIGHT,
    WIDTH,
    Card,
    Text,
    _width,
    as_png,
    as_svg,
    draw_poster,
)
from modelling.reporting.report import (
    Bar,
    Bars,
    DataPage,
    Fact,
    Failure,
    ModelCard,
    Report,
    Shares,
    Table,
    render_report,
    show_like,
    show_seconds,
)
from modelling.tables.profile import compare_sides, table_report
from steps.pipeline.order import ORDER

EVIL = '<img src=x onerror="alert(1)"> & <script>alert(2)</script>'
REPORT = Report(
    recipe="wine",
    subject="wine ridge",
    task="regression of quality",
    run_id="0123456789abcdef",
    run_name="main wine ridge",
    started=datetime(2026, 11, 24, 6, 0),
    seconds=12.0,
    word="promoted",
    tone="good",
    sentence="ridge is promoted",
)


def sides(columns, rows=400, seed=0):
    rng = np.random.default_rng(seed)
    whole = pd.DataFrame(
        rng.normal(size=(rows, columns)), columns=[f"c{i}" for i in range(columns)]
    )
    whole["y"] = rng.normal(size=rows)
    whole.insert(0, ROW_KEY, np.arange(rows))
    cut = int(0.8 * rows)
    return {"train": whole[:cut].reset_index(drop=True), "test": whole[cut:].reset_index(drop=True)}


def compare(rows, counts=None):
    totals = {side: len(frame) for side, frame in rows.items()}
    return compare_sides(rows, totals, "y", counts or {})


def found(profile):
    return {one["code"]: one["sentence"] for one in profile["checks"] if one["sentence"]}


@pytest.mark.parametrize(
    "part",
    [
        {"sentence": EVIL},
        {"reason": EVIL},
        {"facts": (Fact(EVIL, EVIL, EVIL),)},
        {"failure": Failure(EVIL, EVIL, EVIL)},
        {"steps": (StepState(EVIL, "ran", 1.0, EVIL, "0123", EVIL),)},
        {"worst": Table((EVIL,), ((EVIL,),), note=EVIL)},
    ],
)
def test_html_is_text_wherever_it_stands(part):
    page = render_report(replace(REPORT, **part))
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_page_asks_for_nothing():
    page = render_report(REPORT)
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)


def test_two_hundred_columns_stay_small():
    page = render_report(replace(REPORT, data=DataPage(compare(sides(200)), None)))
    assert page.count('class="mini"') == 201
    assert len(page) < 1_000_000


def test_one_is_no_plural():
    rows = sides(30)
    profile = compare(rows, {"duplicates_across_split": 1})
    assert found(profile)["shared_rows"].startswith("1 test row stands among the training rows")
    model = ModelCard("ridge", "Ridge", (), (), (), ("alcohol",))
    page = render_report(replace(REPORT, data=DataPage(profile, None), model=model))
    assert "<summary>1 more column</summary>" in page
    assert "1 column as it is: alcohol" in page


def test_what_the_model_is_for_stands_with_it_under_the_title():
    about = {"intended use": "<for> us", "owner": "Ana"}
    model = ModelCard("ridge", "Ridge", (), (), (), ())
    page = render_report(replace(REPORT, title="Prices of houses", about=about, model=model))
    assert "<b>Prices of houses</b>" in page
    assert "<b>Intended use:</b> &lt;for&gt; us" in page
    assert "<b>Owner:</b> Ana" in page


def test_skrubs_pages_are_left_out_when_they_are_too_large():
    noise = np.random.default_rng(0).bytes(2_000_000).hex()
    assert DataPage(None, None, {"train": "small"}).packed()
    assert not DataPage(None, None, {"train": noise}).packed()


def test_a_column_that_gives_the_target_away_is_found():
    rows = sides(3)
    assert found(compare(rows)) == {}
    leaking = {side: frame.assign(c0=2 * frame["y"] + 1) for side, frame in rows.items()}
    profile = compare(leaking)
    assert "c0 alone explains" in found(profile)["leak"]
    assert profile["columns"][1]["explains"] > 0.95


def test_sides_that_differ_and_rows_on_both_are_found():
    rows = sides(2)
    rows["test"]["c0"] += 5
    profile = compare(rows, {"duplicates_across_split": 3, "rows_left_out_where": 2})
    said = found(profile)
    assert said["left_out_rows"] == "Rows of the table that do not count: 2 by data.where"
    assert said["drift"].startswith("c0 (")
    assert said["shared_rows"].startswith("3 test rows stand among")


def test_what_is_found_is_shown_above_what_is_well_with_the_code_that_mutes_it():
    findings = (
        Finding("leak", "A column gives the target away", "severe", "pH alone tells"),
        Finding("slow", "Slow, and no better for it", "note", ""),
    )
    page = render_report(replace(REPORT, findings=findings, cautions=("pH alone tells",)))
    assert "<b>Careful:</b> pH alone tells." in page
    assert page.index("A column gives the target away") < page.index("Nothing to say of")
    assert "checks: {mute: [leak]}" in page


def test_times_are_short():
    assert [show_seconds(value) for value in (0.63, 48, 125, 3840)] == [
        "0.6 s",
        "48 s",
        "2 min 05 s",
        "1 h 04 min",
    ]


@pytest.mark.parametrize("upright", [False, True])
def test_no_step_of_the_graph_lies_on_another_or_outside(upright):
    steps = [StepState(step.name, "ran", after=step.after) for step in ORDER]
    graph = lay_out_graph(steps, upright)
    assert len(graph.edges) == 5
    places = {(box.x, box.y) for box in graph.boxes}
    assert len(places) == len(steps)
    for x, y in places:
        assert 0 <= x <= graph.width - graph.box_width
        assert 0 <= y <= graph.height - graph.box_height


def test_long_names_stay_in_their_place_on_the_poster():
    long = "a name that is much longer than any card or chart has room for, and then some " * 3
    cards = [Card(long, f"ran · {long}", (Fact(long, long),) * 5)] * 6
    bars = [Bars(long, long, tuple(Bar(long, value) for value in (1.0, -2.0)))] * 2
    report = replace(REPORT, recipe=long, sentence=long, reason=long)
    shapes = draw_poster(report, cards, bars)
    for shape in shapes:
        if isinstance(shape, Text) and shape.anchor == "start":
            assert shape.x + _width(shape.words, shape.size, shape.bold) <= WIDTH - 60
        assert shape.y <= HEIGHT
    assert as_png(shapes).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "installed", "name"),
    [
        ("の品", ["STIXGeneral", "DejaVu Serif"], "STIXGeneral"),
        ("の品", ["not installed"], "DejaVu Sans"),
        ("wine · größe…", ["STIXGeneral"], "DejaVu Sans"),
    ],
)
def test_letters_that_dejavu_lacks_are_of_another_font(monkeypatch, words, installed, name):
    monkeypatch.setattr(poster, "OTHER_FONTS", installed)
    poster._fonts.cache_clear()
    assert poster._font(words, 20, bold=False).getname()[0] == name
    poster._fonts.cache_clear()


def test_html_is_text_on_the_poster():
    svg = as_svg(draw_poster(replace(REPORT, sentence=EVIL), [Card("data", "", ())], []))
    assert "<script" not in svg
    assert "&lt;script" in svg


def test_markdown_of_the_data_means_nothing():
    text = escape("**b** | [a](http://x) <script> `c` _d_\nnew")
    assert not set(text) & set("*|[]<>`_\n")


def test_the_poster_says_the_answer_whole_and_is_green_only_where_something_is_good():
    answer = "boosting is worth 2.6 a row, and nothing is worth 0, worst for those who " * 2
    report = replace(REPORT, answer=answer.strip(), tone="note")
    cards = [Card("train", "ran", ()), Card("gate", "ran", (), "good"), Card("x", "ran", (), "bad")]
    shapes = draw_poster(report, cards, [])
    heading = [shape.words for shape in shapes if isinstance(shape, Text) and shape.bold]
    assert answer.strip() in " ".join(heading)
    colours = [shape.colour for shape in shapes if getattr(shape, "words", "") == "ran"]
    green, red = "#0b6b4b", "#a3211b"
    assert colours[1:] == [green, red]
    assert colours[0] not in (green, red)


@pytest.mark.parametrize(
    ("value", "largest", "words"),
    [(0.14391, 0.14391, "0.1439"), (0.00007, 0.14391, "0.0001"), (2.165, 2.165, "2.17"),
     (-0.0, 2.0, "0.00"), (41234.5, 99999.0, "41,234"), (-1.5, 30.0, "\N{MINUS SIGN}1.5")],
)  # fmt: skip
def test_numbers_of_a_chart_have_the_places_of_the_largest(value, largest, words):
    assert show_like(value, largest) == words


def test_a_distribution_is_drawn_in_its_cell_and_figures_stand_at_the_right():
    table = Table(("a", "b", "c"), ((Shares((0.5, 0.5), (0.1, 0.9)), "12.5%", "words"),))
    page = render_report(replace(REPORT, worst=table))
    assert page.count('class="mini"') == 1
    assert '<td class="num">12.5%</td><td class="short">words</td>' in page


def test_a_gap_in_a_column_of_figures_stands_where_these_do_and_a_range_in_one_line():
    rows = ((None, "91.1% to 93.9%"), (3.5, "long words that may go into several lines"))
    page = render_report(replace(REPORT, worst=Table(("figures", "words"), rows)))
    assert '<th scope="col" class="num">figures</th><th scope="col">words</th>' in page
    assert '<td class="num">\N{EN DASH}</td><td class="short">91.1% to 93.9%</td>' in page
    assert '<td class="wordy">long words that may go into several lines</td>' in page


def test_of_many_columns_those_that_explain_most_can_be_looked_into(monkeypatch):
    shown = []

    class Page:
        def __init__(self, frame, title, **_):
            shown.append((list(frame), title))

        def html(self):
            return ""

    monkeypatch.setattr("skrub.TableReport", Page)
    names = [f"x{number}" for number in range(120)]
    frame = pd.DataFrame(0, index=range(2), columns=[*names, "y"])
    columns = [{"name": "y", "explains": None, "is_target": True}] + [
        {"name": name, "explains": number / 120 if number > 5 else None, "is_target": False}
        for number, name in enumerate(names)
    ]
    table_report(frame, "train rows", columns)
    table_report(frame[["x0", "y"]], "test rows", columns[:2])
    assert shown == [
        ([*names[21:], "y"], "train rows: 100 of 121 columns, which explain most"),
        (["x0", "y"], "test rows"),
    ]
