"""A draft of a recipe: what it makes of a table, and that its own text is read as it was meant."""

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from common.errors import InputError
from modelling.drafting import draft as draft_module
from modelling.drafting import written
from modelling.drafting.column_look import look_at_column
from modelling.drafting.draft import draft_recipe, recipe_name, render_draft
from modelling.drafting.written import find_habits
from modelling.files.table_file import read_table
from modelling.recipe import Recipe, load_recipe
from modelling.search.space import build_space
from modelling.tables.split import split_table
from modelling.tables.table import check_table

ROWS = 300
RANDOM = np.random.default_rng(0)
NOISE = pd.DataFrame(RANDOM.normal(size=(ROWS, 3)), columns=["a", "b", "c"])
LABELS = pd.Series(np.where(NOISE["a"] + RANDOM.normal(size=ROWS) > 0, "yes", "no"))


def draft(table, target="y", **named):
    return draft_recipe(table, target, "small", "table.csv", **named)


def drafted(target, **columns):
    return draft(NOISE[["a"]].assign(y=target, **columns))


def read_back(drafted, folder):
    path = folder / "recipe.yaml"
    path.write_text(render_draft(drafted, "table.csv", "mlflow run ."), encoding="utf-8")
    return load_recipe(path)


@pytest.mark.parametrize(
    ("target", "task", "positive"),
    [
        (NOISE["a"], "regression", None),
        (LABELS, "classification", "yes"),
        (LABELS == "yes", "classification", True),
        ((LABELS == "yes").astype(int), "classification", 1),
        ((LABELS == "yes") * 2.0 - 1, "classification", 1),
        ((LABELS == "yes").map({True: " No", False: "Yes "}), "classification", "Yes"),
        (pd.Series(["treated"] * 200 + ["control"] * 100), "classification", "treated"),
        (pd.Series(["None"] * 100 + ["apnea"] * 200), "classification", "apnea"),
        (pd.Series(["oui "] * 100 + ["non"] * 150 + ["oui"] * 50), "classification", "oui"),
        (pd.Series(["good"] * 200 + ["poor"] * 100), "classification", "poor"),
        (pd.Series([1] * 200 + [2] * 100), "classification", 2),
        (pd.Series([0.5, 1.5] * 150), "regression", None),
        (pd.Series([0, 1, 2] * 100), "classification", None),
        (pd.Series(["x", "y", "z"] * 100), "classification", None),
        (pd.Series([3, 4, 5] * 100), "regression", None),
        (pd.Series([1, 2, 4] * 100), "regression", None),
        (pd.Series(range(150)).repeat(2).reset_index(drop=True), "regression", None),
    ],
)
def test_the_target_shows_the_task_and_the_positive_class(target, task, positive):
    recipe = drafted(target).recipe
    assert recipe.task == task
    assert recipe.data.positive_class == positive
    assert type(recipe.data.positive_class) is type(positive)


def test_how_the_table_is_read_goes_with_the_recipe(tmp_path):
    said = {"encoding": "cp1250", "sheet": "#1: 2024"}
    recipe = read_back(draft(NOISE, "a", reading=said), tmp_path)
    assert (recipe.data.encoding, recipe.data.sheet) == ("cp1250", "#1: 2024")


def test_the_task_may_be_chosen(refusal):
    table = NOISE.assign(y=[1, 2, 3] * 100)
    assert draft(table).recipe.task == "classification"
    assert draft(table, task="regression").recipe.task == "regression"
    message = refusal(draft, NOISE, "a", task="classification")
    assert "is no class; to predict numbers, set task: regression" in message


NUMBER = {"type": "integer", "min": 0}
DATE = {"type": "date", "min": date(2024, 1, 20)}
DAY_BEFORE = {"type": "date", "min": date(2024, 1, 19)}
JANUARY_31 = {"min": date(2024, 1, 31)}
MONTHS = {"format": "%B %d, %Y", "min": date(2023, 11, 27)}


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ([18, 95] * 150, {"type": "integer", "min": 0, "max": 180}),
        ([-10, 10, 5] * 100, {"type": "integer", "min": -30, "max": 30}),
        ([0.25, 0.5] * 150, {"min": 0, "max": 0.75}),
        ([1.0, 3.0] * 150, {"min": 0, "max": 5}),
        ([1.0, 3.0, None] * 100, {"type": "integer", "min": 0, "max": 5, "missing": 0.55}),
        ([1e308, 2.0, 3.0] * 100, {"type": "number", "min": 0}),
        ([0, 1, 1] * 100, {"type": "integer", "min": 0}),
        (["Yes", "no", None] * 100, {"type": "boolean", "missing": 0.55}),
        ([-74.0, -73.98, -73.78] * 100, {"min": -75, "max": -73}),
        ([-0.5, -0.25] * 150, {"min": -0.75, "max": 0}),
        ([1e-300, 2e-300] * 150, {"min": 0, "max": 3e-300}),
        ([20_000, 30_000, 40_000] * 100 + [900_000], {"type": "integer", "min": 0}),
        ([-900.5, 1.0, 2.0, 3.0] + [1.5, 2.5] * 150, {"max": 910}),
        ([2**53 + 1, 2**53 + 2] * 150, {"type": "category"}),
        (["9007199254740993", "9007199254740992"] * 150, {"type": "category"}),
        (["3.978", "12.000", "965", "1.000.000"] * 75, NUMBER | {"format": "1.234,56", "max": 2e6}),
        (["0,31", "3,21"] * 150, {"format": "1234,56", "min": 0, "max": 6.2}),
        (["6\u202f266,19", "975,5"] * 150, {"format": "1 234,56", "min": 0, "max": 12_000}),
        (["1\u2019026.50", "75.5"] * 150, {"format": "1'234.56", "min": 0, "max": 2000}),
        (["$1,026.62", "$500.50"] * 150, {"format": "$1,234.56", "min": 0, "max": 1600}),
        (["1 026,62 €", "500,50 €"] * 150, {"format": "1 234,56 €", "min": 0, "max": 1600}),
        (["26%", "12%"] * 150, {"type": "integer", "format": "1234.56%", "min": 0, "max": 40}),
        (["13/02/2024", "01/02/2024"] * 150, DATE | {"format": "%d/%m/%Y"}),
        (["2/13/24 8:30 PM", "2/1/24 9:00 AM"] * 150, DAY_BEFORE | {"format": "%m/%d/%y"}),
        (["13.02.2024 08:30", "01.02.2024"] * 150, DAY_BEFORE | {"format": "%d.%m.%Y"}),
        (["01.02.2024", "02.02.2024"] * 150, {"type": "date", "format": "%d.%m.%Y"} | JANUARY_31),
        (["13 Feb 2024", "1 Feb 2024"] * 150, DATE | {"format": "%d %b %Y"}),
        (["13 févr. 2024", "1er févr. 2024"] * 150, DATE | {"format": "%d %b %Y"}),
        (["February 13, 2024", "May 1, 2024"] * 150, {"type": "date"} | MONTHS),
        ([True, None, False] * 100, {"type": "boolean", "missing": 0.55}),
        (["x", "y", None] * 100, {"type": "category", "missing": 0.55}),
        (["x", " ", "x"] * 100, {"type": "category", "missing": 0.55}),
        (["1.5", " ", "2.5"] * 100, {"min": 0, "max": 3.5, "missing": 0.55}),
        (["01", "02", "11"] * 100, {"type": "category"}),
        ([date(2026, 1, 1), date(2026, 3, 2)] * 150, {"type": "date", "min": date(2025, 11, 2)}),
        (["2026-01-01", "2026-03-02"] * 150, {"type": "date", "min": date(2025, 11, 2)}),
        (["0001-01-01", "2026-03-02"] * 150, {"type": "date"}),
        (["2026-01", "2026-03"] * 150, {"type": "date", "min": date(2025, 11, 3)}),
        (
            [f"202601{day:02d}" for day in range(1, 31)] * 10,
            {"type": "date", "format": "%Y%m%d", "min": date(2025, 12, 3)},
        ),
        (
            [20260100 + day for day in range(1, 31)] * 10,
            {"type": "date", "format": "%Y%m%d", "min": date(2025, 12, 3)},
        ),
        (
            [20260100 + day for day in range(1, 33)] * 10,
            {"type": "integer", "min": 0, "max": 21000000},
        ),
        (
            [f"202613{day:02d}" for day in range(1, 31)] * 10,
            {"type": "integer", "min": 0, "max": 21000000},
        ),
        (
            ["1.5", "\u22122.5"] * 150,
            {"format": "1234.56", "min": -6.5, "max": 5.5},
        ),
    ],
)
def test_a_column_is_typed_with_looser_limits(values, check):
    found = look_at_column(pd.Series(values, name="x")).check.model_dump(exclude_defaults=True)
    assert {"type": "number", **found} == {"type": "number", **check}


@pytest.mark.parametrize(
    ("values", "decimal_comma", "form", "doubt"),
    [
        (
            ["3.978", "965"],
            False,
            "",
            "3.978 is taken for 3.978; if it is 3978: format: '1.234,56'",
        ),
        (["3.978", "965"], True, "1.234,56", "3.978 is taken for 3978; if it is 3.978: no format"),
        (["3.978", "0.965"], True, "", ""),
        (["3.978", "1.593"], False, "", ""),
        (["3.978", "96.5"], True, "", ""),
        (
            ["1,234", "965"],
            False,
            "1,234.56",
            "1,234 is taken for 1234; if it is 1.234: format: '1",
        ),
        (["1,234", "965,5"], False, "1234,56", ""),
    ],
)
def test_a_number_that_may_be_two_is_named(values, decimal_comma, form, doubt):
    table = pd.DataFrame({"x": values * 50})
    table.attrs["decimal_comma"] = decimal_comma
    look = look_at_column(table["x"], find_habits(table))
    assert look.check.format == form
    assert look.doubt.startswith(doubt)
    assert bool(look.doubt) == bool(doubt)
    # Another column shows how the table writes numbers.
    table["z"] = ["0,31", "3,21"] * 50
    look = look_at_column(table["x"], find_habits(table))
    assert look.doubt == ""
    if doubt:
        assert look.check.format == ("1.234,56" if "." in values[0] else "1234,56")


def test_a_mark_is_found_behind_the_cells_that_are_looked_at_first():
    column = pd.Series([*map(str, range(100, 160)), "3.978"], dtype="str")
    look = look_at_column(column, find_habits(column.to_frame("x")))
    assert look.doubt.startswith("3.978 is taken for 3.978; if it is 3978")


def test_a_date_that_may_be_two_is_named_and_left_out_unless_another_shows_it():
    table = pd.DataFrame({"day": ["11/02/2024", "05/06/2024"] * 50})
    look = look_at_column(table["day"], find_habits(table))
    assert (
        look.doubt
        == look.useless
        == (
            "dates such as '11/02/2024', in which the day or the month may come first: format "
            "'%d/%m/%Y' or '%m/%d/%Y'"
        )
    )
    assert look.check.format == "%d/%m/%Y"
    table["other"] = ["2/13/24", "1/1/24"] * 50
    assert look_at_column(table["day"], find_habits(table)).check.format == "%m/%d/%Y"


SHUFFLED = RANDOM.permutation(ROWS)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("x", [f"{number:x}" for number in range(3000, 3000 + ROWS)], "every value is different"),
        ("x", [f"say {n // 2} or {n} to it" for n in range(ROWS)], "as type: text"),
        ("x", [f"say {n // 2 * 2} now" for n in range(ROWS - 1)] + ["b"], "like an ident"),
        ("x", SHUFFLED + 100, "counts the rows"),
        ("x", [None, *range(1, ROWS)], "counts the rows"),
        ("order_id", [None, *RANDOM.integers(0, 10**6, ROWS - 1)], "the name of an identifier"),
        ("x", [np.inf, *NOISE["a"][1:]], "it holds inf, which is no number"),
        ("x", np.arange(ROWS) ** 2, "only grow (or fall) from row to row"),
        ("customer_id", RANDOM.integers(0, 10**6, ROWS), "under the name of an identifier"),
        ("orderId", SHUFFLED // 2 * 7 % 1000, ""),
        ("x", [5] * ROWS, "it is always 5"),
        ("x", ["Köln\n"] * ROWS, "it is always Köln"),
        ("x", [None] * ROWS, "it is empty"),
        ("x", [" "] * ROWS, "it is empty"),
        ("x", pd.Series([None] * ROWS, dtype="str"), "it is empty"),
        ("", NOISE["a"], "it has no name"),
        ("row_key", NOISE["a"], "under this name; rename it"),
        ("x" * 1100, NOISE["a"], "its name is too long"),
        ("x", [[1, 2]] * ROWS, "values of type list"),
        ("x", [*map(str, RANDOM.normal(size=ROWS - 3)), "?", "?", "?"], "3 cells such as '?'"),
        (
            "x",
            [f"{1700 + n}-02-11" for n in range(ROWS - 1)] + ["?"],
            "dates, but for one cell",
        ),
        ("x", [f"{n}.{n // 2}.7" for n in range(ROWS)], "every value is different"),
    ],
)
def test_what_cannot_be_learnt_from_says_why(name, values, why):
    table = pd.DataFrame({name: values})
    look = look_at_column(table[name], find_habits(table))
    assert why in (look.useless or look.suspect)
    assert bool(why) == bool(look.useless or look.suspect)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("store_id", RANDOM.integers(1, 9, ROWS)),
        ("age", RANDOM.integers(18, 90, ROWS)),
        ("income", RANDOM.integers(0, 10**6, ROWS)),
        ("paid", NOISE["b"] ** 2),
        ("city", RANDOM.choice([f"city {number}" for number in range(60)], ROWS)),
        ("idle", np.arange(ROWS) % 150),
        ("grade", ["x", None] * 150),
    ],
)
def test_an_ordinary_column_is_kept(name, values):
    look = look_at_column(pd.Series(values, name=name))
    assert (look.useless, look.suspect) == ("", "")


def test_of_text_that_is_no_feature_the_draft_does_not_say_how_to_use_it():
    table = NOISE.assign(y=LABELS, sold=[f"on 1/2/{1700 + n}" for n in range(ROWS)])
    text = render_draft(draft(table), "table.csv", "mlflow run .", "recipe.schema.json")
    assert text.startswith("# yaml-language-server: $schema=recipe.schema.json\n# ")
    assert "to use it:" not in text
    assert "move it to the columns below" not in text


def test_plain_dates_are_read_in_no_other_format(monkeypatch):
    days = pd.Series(pd.date_range("2024-01-01", periods=100).strftime("%Y-%m-%d"), dtype="str")
    read = []
    plainly = written.read_column

    def read_column(column, kind, form=""):
        read.append((kind, form))
        return plainly(column, kind, form)

    monkeypatch.setattr(written, "read_column", read_column)
    assert written.find_written(days, written.NO_HABITS) == written.Written("date")
    assert {form for kind, form in read if kind == "date"} == {""}


def test_the_number_of_a_shop_is_a_category():
    column = pd.Series(RANDOM.integers(1, 9, ROWS), name="store_id")
    assert look_at_column(column).check.type == "category"


def test_what_is_dropped_stands_in_the_recipe_with_its_reason(tmp_path):
    table = NOISE.assign(y=LABELS, customer_id=range(ROWS), row_key=1.5, const="x\n#", void=None)
    made = draft(table)
    assert list(made.dropped) == ["customer_id", "row_key", "const", "void"]
    text = render_draft(made, "table.csv", "mlflow run .")
    assert "    - const # it is always x #\n" in text
    assert "    #   to use it: {type: integer, min: 0, max: 600}\n" in text
    assert read_back(made, tmp_path) == made.recipe


@pytest.mark.parametrize("target", [LABELS, NOISE["a"] * 3 + NOISE["b"] ** 2])
def test_a_column_that_gives_the_target_away_is_dropped(target):
    numbers = (target == "yes") if target is LABELS else target
    made = draft(NOISE[["a", "b"]].assign(y=target, copy=numbers * 7.0 + 1.5))
    assert list(made.dropped) == ["copy"]
    assert "give the target away" in made.dropped["copy"]


def test_a_reason_that_is_only_written_down_for_one_class_gives_it_away():
    reason = LABELS.map({"yes": "moved", "no": None})
    assert list(drafted(LABELS, reason=reason).dropped) == ["reason"]


def test_columns_that_give_the_target_away_together_are_named():
    casual, registered = RANDOM.integers(0, 90, ROWS), RANDOM.integers(0, 400, ROWS)
    made = draft(NOISE.assign(casual=casual, registered=registered, y=casual + registered))
    words = "registered and casual together reach r2 1.000: are they known when you predict?"
    assert words in made.doubts
    for name in ("casual", "registered"):
        assert words in made.seen[name]
    prices = NOISE.assign(
        price=casual + 1.5, count=registered + 1, y=(casual + 1.5) * (registered + 1)
    )
    assert any(
        "price and count together" in line or "count and price together" in line
        for line in draft(prices).doubts
    )
    edge = NOISE.assign(y=np.where(NOISE["a"] + NOISE["b"] > 0, "yes", "no"))
    assert any("together reach roc_auc" in line for line in draft(edge).doubts)
    assert draft(NOISE.assign(y=NOISE["a"] + RANDOM.normal(size=ROWS))).doubts == []


def test_a_column_that_gives_one_of_several_classes_away_is_dropped():
    mood = pd.Series(RANDOM.choice(["glad", "sad", "so-so"], ROWS))
    made = draft(NOISE.assign(very_glad=(mood == "glad").astype(int), y=mood))
    assert list(made.dropped) == ["very_glad"]
    assert "alone it reaches roc_auc 1.000 of the class glad" in made.dropped["very_glad"]


def test_a_number_whose_edge_parts_the_classes_is_kept_and_named():
    made = draft(NOISE.assign(paid=SHUFFLED / 7, y=np.where(SHUFFLED > ROWS / 2, "yes", "no")))
    assert "paid" in made.recipe.data.columns
    assert any(line.startswith("paid: alone it reaches roc_auc") for line in made.doubts)


def test_a_draft_tries_on_the_rows_that_prepare_trains_on(monkeypatch):
    patient = np.arange(ROWS) // 6
    of_patient = RANDOM.normal(size=ROWS)[patient]
    given = []
    monkeypatch.setattr(
        draft_module, "choose_best", lambda recipe, *rest: given.append(rest[1]) or (recipe, [])
    )
    draft(NOISE.assign(patient=patient, y=of_patient), seconds=1)
    assert given[0].tolist() == [str(number) for number in patient]


@pytest.mark.parametrize("is_number", [False, True])
def test_an_identifier_that_repeats_with_its_target_is_named(is_number):
    patient = np.arange(ROWS) // 6
    of_patient = RANDOM.normal(size=ROWS)[patient]
    target = of_patient if is_number else np.where(of_patient > 0, "ill", "well")
    made = draft(NOISE.assign(patient=[f"P{number:03}" for number in patient], y=target))
    assert "patient" in made.dropped
    assert any(line.startswith("patient repeats: rows of one patient") for line in made.doubts)
    assert (made.recipe.split.method, made.recipe.split.column) == ("group", "patient")


def test_rows_without_a_target_and_classes_of_one_row_are_left_out_and_counted(tmp_path):
    target = pd.Series(["x", "y", "z"] * 100)
    target[:2] = ["rare", "rarer"]
    target[2:50] = None
    made = draft(NOISE.assign(y=target), "y")
    assert (made.rows, made.recipe.data.missing_target) == (250, "drop")
    assert "y: 48 rows without it left out" in made.doubts
    assert any("2 rows left out, the only one of its class: rare" in line for line in made.doubts)
    assert read_back(made, tmp_path) == made.recipe
    checked = check_table(NOISE.assign(y=target), made.recipe, "t")
    assert checked.rows_left_out == {"missing_target": 48, "outside_limits": 0, "rare_classes": 2}
    assert checked.frame.index[0] == 50


def test_a_table_that_grows_keeps_its_recipe():
    later = np.r_[RANDOM.integers(0, 2, 1000), RANDOM.integers(0, 4, 500)]
    table = pd.DataFrame(
        {
            "babies": later,
            "income": np.exp(RANDOM.normal(10.8, 0.5, 1500) * np.linspace(1, 1.1, 1500)).round(),
            "height": RANDOM.uniform(0, 2, 1500) * np.linspace(1, 3, 1500),
            "y": RANDOM.choice(["yes", "no"], 1500),
        }
    )
    table.loc[1490:1492, "height"] = 50
    made = draft(table.head(1000))
    checked = check_table(table, made.recipe, "t")
    assert len(checked.frame) == 1500
    (line,) = checked.outside
    assert line.startswith("'height' is not at most 9")
    assert line.endswith(" in row 1491 (and 2 more rows)")


def test_the_draft_of_a_target_of_another_country(tmp_path):
    salaries = pd.Series((NOISE["a"] * 1000 + 20_000).map("{:,.2f}".format))
    table = NOISE.assign(y=salaries.str.replace(",", "\u202f").str.replace(".", ","))
    table.attrs["decimal_comma"] = True
    made = draft(table)
    assert made.recipe.data.target_format == "1 234,56"
    frame = check_table(table, read_back(made, tmp_path), "t").frame
    np.testing.assert_allclose(frame["y"], NOISE["a"] * 1000 + 20_000, atol=0.01)


def test_a_draft_can_be_swept():
    for target in (LABELS, NOISE["b"]):
        recipe = drafted(target).recipe
        space = build_space(recipe, "auto", {})
        assert {*space.models} == {*recipe.models}
        assert all(space.models.values())


def test_strong_columns_of_an_easy_table_are_kept():
    easy = pd.Series(np.where(NOISE["a"] > 0, "yes", "no"))
    table = NOISE.assign(y=easy, twin=NOISE["a"] * 2 + RANDOM.normal(size=ROWS) / 1e4)
    table["b"] = table["a"] + RANDOM.normal(size=ROWS) / 20
    made = draft(table)
    assert made.dropped == {}
    assert "is it known when you predict?" in made.seen["a"]


def test_the_only_column_is_kept_whatever_it_looks_like(tmp_path):
    table = pd.DataFrame({"x": range(ROWS), "y": np.arange(ROWS) * 2.5})
    made = draft(table)
    assert list(made.recipe.data.columns) == ["x"]
    assert made.seen["x"].endswith("kept, since there is no other: it counts the rows")


@pytest.mark.parametrize(
    ("positives", "method", "test_size", "primary", "threshold"),
    [
        (150, "hash", 0.25, "roc_auc", 0.5),
        (60, "stratified", 0.25, "roc_auc", 0.5),
        (20, "stratified", 0.25, "average_precision", 0.5),
        (3, "stratified", 0.34, "average_precision", 0.5),
        (2, "stratified", 0.5, "average_precision", 0.5),
    ],
)
def test_rare_classes_change_the_split_and_the_metric(
    positives, method, test_size, primary, threshold
):
    recipe = drafted([1] * positives + [0] * (ROWS - positives)).recipe
    assert (recipe.split.method, recipe.split.test_size) == (method, test_size)
    assert (recipe.metrics.primary, recipe.decision.threshold) == (primary, threshold)


def test_a_rare_class_with_enough_rows_has_its_threshold_tuned():
    table = pd.concat([NOISE] * 4, ignore_index=True) + RANDOM.normal(size=(4 * ROWS, 3))
    recipe = draft(table.assign(y=[1] * 60 + [0] * (4 * ROWS - 60))).recipe
    assert (recipe.decision.threshold, recipe.decision.metric) == ("tuned", "f1")


@pytest.mark.parametrize(
    ("rows", "task", "default", "models"),
    [
        (300, "regression", "ridge", {"ridge", "random_forest", "gradient_boosting"}),
        (3000, "classification", "gradient_boosting", {"gradient_boosting", "random_forest"}),
        (12000, "regression", "hist_gradient_boosting", {"hist_gradient_boosting", "ridge"}),
    ],
)
def test_models_fit_the_size_of_the_table(rows, task, default, models):
    table = pd.DataFrame(RANDOM.normal(size=(rows, 2)), columns=["a", "b"])
    recipe = draft(
        table.assign(y=table["a"] > 0 if task == "classification" else table["b"])
    ).recipe
    assert recipe.default_model == default
    assert models <= set(recipe.models)


def test_examples_in_comments_are_keys_that_work():
    text = render_draft(
        drafted(LABELS, day=pd.date_range("2026-01-01", periods=ROWS)), "t.csv", "mlflow run ."
    )
    for line in ("threshold: tuned", "metric: f1 # or", "business_score: {"):
        assert f"  # {line}" in text
        text = text.replace(f"  # {line}", f"  {line}")
    text = text.replace("  threshold: 0.5\n", "").replace("  method: hash", "  #")
    text = text.replace("  #   method: time", "  method: time").replace("  #   time_c", "  time_c")
    recipe = Recipe.model_validate(yaml.safe_load(text))
    assert recipe.metrics.business_score.true_positive == 20
    assert recipe.decision.threshold == "tuned"
    assert (recipe.split.method, recipe.split.time_column) == ("time", "day")


@pytest.mark.parametrize(
    ("table", "target", "says"),
    [
        (NOISE, "a, b", "target a, b: a recipe predicts one target; draft one for each"),
        (NOISE, "aa", "unknown target 'aa', did you mean 'a'? allowed: a, b, c"),
        (NOISE[["a"]], "a", "no column to learn from beside the target"),
        (NOISE[["a"]].assign(k=1), "a", "beside the target ('k': it is always 1)"),
        (NOISE.assign(y=1), "y", "target 'y' is constant, always 1: there is nothing to learn"),
        (NOISE.assign(y=None), "y", "target 'y' is empty"),
        (NOISE.assign(y=[f"n{n}" for n in range(ROWS)]), "y", "text that differs in every row"),
        (NOISE.assign(y=[f"c{n // 2}" for n in range(ROWS)]), "y", "150 different values, more"),
        (NOISE.assign(y=["x"] * 299 + ["y"]), "y", "class 'y' has one row"),
        (NOISE.assign(y=[1.0, 2.5] + [None] * 298), "y", "has 2 rows with a target; at least 10"),
        (NOISE.assign(y=pd.date_range("2026-01-01", periods=ROWS)), "y", "'y' holds dates"),
        (NOISE.assign(y=[np.inf, *NOISE["a"][1:]]), "y", "row 1: inf is not finite"),
        (NOISE.head(9), "a", "has 9 rows; at least 10 are needed"),
        (NOISE.rename(columns={"a": "prediction"}), "prediction", "cannot be named 'prediction'"),
    ],
)
def test_what_no_recipe_can_be_made_for_is_refused(table, target, says, refusal):
    assert says in refusal(draft, table, target)


def test_names_are_made_of_file_names():
    names = ["WA_Fn-Telco Churn", "Überschuß 2", "表", "--", "x" * 200]
    made = [recipe_name(name) for name in names]
    assert made == ["wa_fn_telco_churn", "uberschu_2", "table", "table", "x" * 100]


NASTY = [
    "a: b",
    "- a",
    "#x",
    "'",
    '"',
    "no",
    "1",
    "null",
    "{x}",
    "a\nb",
    " a",
    "ü\x85\u2028",
    "🍷",
    "%",
]


@pytest.mark.parametrize("spell", [int, "C{:02d}".format])
def test_what_repeats_is_a_group_unless_the_target_follows_its_order(spell):
    customers = np.repeat(np.arange(60), 5)
    random = np.random.default_rng(3)
    of_customer = {"label": random.choice(["in", "out"], 60), "number": random.normal(size=60)}
    of_quantity = {"label": np.where(np.arange(60) > 25, "in", "out"), "number": np.arange(60) ** 2}
    for kind in ("label", "number"):
        for targets, method in ((of_customer, "group"), (of_quantity, "other")):
            table = pd.DataFrame(
                {
                    "customer": [spell(customer) for customer in customers],
                    "x": random.normal(size=300).round(3),
                    "y": targets[kind][customers],
                }
            )
            split = draft_recipe(table, "y", "visits", "visits.csv").recipe.split
            assert (split.method == "group") == (method == "group"), (kind, method)
            assert split.column == ("customer" if method == "group" else None)


def test_the_second_column_of_a_name_is_told():
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(100, 3)).round(2), columns=["x", "x (2)", "y"])
    table["x (3)"] = table["x"]
    draft = draft_recipe(table, "y", "twice", "twice.csv")
    assert draft.doubts == ["x (2): the table has a column x before it; which is which?"]
    assert draft.dropped == {"x (3)": "it is the same as x"}


def test_labels_that_differ_in_capitals_or_blanks_are_told():
    labels = ["Yes", "yes", "No"] * 50
    table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=150), "y": labels})
    [doubt] = draft_recipe(table, "y", "answers", "answers.csv").doubts
    assert doubt.startswith("y: 'Yes' and 'yes' are 2 classes, though they differ in capitals")


def test_any_name_and_label_is_quoted_as_it_must_be(tmp_path):
    table = pd.DataFrame({name: RANDOM.normal(size=40) for name in NASTY})
    table["target: \n#"] = ["a: b\n", " #'\""] * 20
    made = draft(table, "target: \n#")
    assert read_back(made, tmp_path) == made.recipe
    assert set(made.recipe.data.columns) == set(NASTY)


CELLS = {
    "numbers": st.floats(allow_nan=False, width=32),
    "narrow": st.floats(-74, -73.7).map(lambda number: round(number, 2)),
    "others": st.integers(1, 10**7).map(lambda number: f"{number:,},5".replace(",", ".", 1)),
    "other dates": st.dates().map(lambda day: day.strftime("%d/%m/%Y")),
    "small": st.integers(0, 3),
    "large": st.integers(-(2**62), 2**62),
    "text": st.text(max_size=6),
    "words": st.sampled_from(["yes", "no", " ", "", "?", "1", "007", "2026-01-02"]),
    "flags": st.sampled_from([True, False, None]),
    "dates": st.dates(),
}


@st.composite
def tables(draw):
    names = draw(st.lists(st.text(max_size=8), min_size=2, max_size=4, unique=True))
    rows = draw(st.integers(10, 40))
    columns = {}
    for name in names:
        cells = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        columns[name] = draw(st.lists(cells, min_size=rows, max_size=rows))
    return pd.DataFrame(columns)


NO_RECIPE = (
    "is empty|is constant|in every row|holds dates|too small to split|with a target;"
    "|no column to learn|more than the 100|has one row|inf is not finite|cannot be named"
)


@settings(max_examples=10, phases=[Phase.generate])  # to shrink takes minutes
@given(tables(), st.booleans())
def test_any_table_is_drafted_so_that_prepare_takes_it_or_refused(tmp_path_factory, table, as_csv):
    folder = tmp_path_factory.mktemp("any")
    target = table.columns[-1]
    if as_csv:
        table.to_csv(folder / "table.csv", index=False)
        try:
            table = read_table(folder / "table.csv")
        except InputError:
            return
    try:
        made = draft(table, target)
    except InputError as error:
        if re.search(NO_RECIPE, str(error)):
            return
        raise  # for a cell that the recipe itself allows
    recipe = read_back(made, folder)
    assert recipe == made.recipe
    checked = check_table(table, recipe, "table.csv")
    assert checked.left_out == []
    split_table(checked.frame, target, recipe.split)


def test_one_value_is_no_plural():
    seen = look_at_column(pd.Series(["red", "red", None], name="colour")).seen
    assert seen == "1 value, most often red (100%), 33.3% missing"


@pytest.mark.parametrize("target", ["number", "label"])
def test_a_number_that_a_tree_cannot_take_is_no_reason_to_fail(target):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    table["y"] = table["a"] + rng.normal(size=200)
    if target == "label":
        table["y"] = np.where(table["y"] > 0, "yes", "no")
    table.loc[7, "b"] = 1e308
    assert "b" in draft(table).recipe.data.columns
