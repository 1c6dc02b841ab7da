"""What the pages of score and reproduce say, from what such runs left."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from modelling.judging.comparison import CLOSE, DIFFERENT, IDENTICAL
from modelling.recipe import About, load_recipe
from modelling.reporting.report import Shares
from steps.reporting import verdict
from steps.reporting.run_files import RunFiles
from steps.reporting.sections import read_sections
from steps.reporting.single_rows import read_row_sections
from steps.runs.names import VERDICT, VERDICT_REASON
from tracking.output_manager import build_output_filename

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def run_of(tmp_path):
    """A run of an entry point that left these tables, tags and metrics."""

    def make(entry_point, tables, tags, metrics, status="FINISHED"):
        for name, table in tables.items():
            content = {"columns": list(table), "data": table.to_numpy().tolist()}
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        data = SimpleNamespace(tags=tags, metrics=metrics)
        run = SimpleNamespace(data=data, info=SimpleNamespace(status=status))
        files = RunFiles(tmp_path.as_uri())
        return SimpleNamespace(
            entry_point=entry_point,
            tags=tags,
            run=run,
            steps={entry_point: run},
            recipe=None,
            recipe_name="wine_quality",
            model_name="forest",
            is_pipeline=False,
            files={entry_point: files}.get,
            metrics=lambda _: {},
        )

    return make


def sections_of(runs):
    return {section.name: section for section in read_sections(runs)}


def test_slices_without_any_figure_are_shown_as_such(run_of):
    columns = ["slice", "how", "rows", "rmse", "low", "high", "difference", "worse"]
    row = ["age > 90", "named", 1, None, None, None, None, False]
    runs = run_of("evaluate", {"slices": pd.DataFrame([row], columns=columns)}, {}, {})
    (shown,) = sections_of(runs)["slices"].table.rows
    assert shown[:3] == ("age > 90", 1, "no number")


def test_score_tells_what_was_written_where_and_what_was_not_with_its_reasons(run_of):
    bins = ["below 4.292460317", "4.292460317 to 5"]
    tables = {
        "drift": pd.DataFrame(
            [["(prediction)", 0.3, 0.2, True, False, bins[1], 0.1026, 0.25]],
            columns=["column", "psi", "limit", "drifted", "grown", "bin", "in training", "now"],
        ),
        "shares": pd.DataFrame({
            "column": ["(prediction)"], "bins": [bins], "in training": [[0.4, 0.6]], "now": [[0, 1]]
        }),
        "first_rejects": pd.DataFrame({"row": [8], "reason": ["column 'pH': 'sour' is no number"]}),
        "sample": pd.DataFrame({"row": range(1, 31), "prediction": 5.5}),
    }  # fmt: skip
    tags = {"pipeline.input": "new.csv", "pipeline.output": "/o.csv", "pipeline.rejects": "/r.csv"}
    runs = run_of("score", tables, tags, {"rows": 1003, "scored": 1001, "rejected": 2})
    found = sections_of(runs)
    assert list(found) == ["scores", "rejects", "drift", "sample"]
    facts = {fact.label: (fact.value, fact.note) for fact in found["scores"].facts}
    assert facts["scores"] == ("/o.csv", "1,001 rows")
    assert facts["rejects"] == ("/r.csv", "2 rows")
    assert found["rejects"].table.rows == ((8, "column 'pH': 'sour' is no number"),)
    assert found["rejects"].table.more == 1
    assert (len(found["sample"].table.rows), found["sample"].table.more) == (10, 991)
    (row,) = found["drift"].table.rows
    assert row[1] == Shares((0.4, 0.6), (0, 1))
    assert row[2:] == ("0.30", "0.20", "yes", "4.292 to 5", "10.3%", "25.0%")


@pytest.mark.parametrize(
    ("word", "tone", "sentence"),
    [
        (IDENTICAL, "good", "the same to the last digit"),
        (CLOSE, "good", "but for the last digits"),
        (DIFFERENT, "bad", "not the same"),
    ],
)
def test_reproduce_answers_whether_it_is_the_same_and_a_difference_is_no_failure(
    run_of, word, tone, sentence
):
    rows = [
        ["data", "sha256 of the table", "a" * 64, "a" * 64, IDENTICAL, None],
        ["evaluate", "rmse", "0.6299727529231166", "0.6299727529231199", word, 5e-15],
    ]
    columns = ["step", "what", "then", "now", "outcome", "difference"]
    tables = {"comparison": pd.DataFrame(rows, columns=columns).astype(object)}
    tags = {VERDICT: word, VERDICT_REASON: "first at evaluate", "pipeline.first_difference": "x"}
    status = "FAILED" if word == DIFFERENT else "FINISHED"
    runs = run_of("reproduce", tables, tags, {"largest_difference": 5e-15}, status)
    said = verdict.read_verdict(runs)
    assert said[:2] == (word, tone)
    assert sentence in said[2]
    assert verdict.read_failure(runs) is None
    assert [fact.value for fact in verdict.read_facts(runs)][1:] == ["x", "5e-15"]
    shown = sections_of(runs)["comparison"].table.rows
    assert {"a" * 12} == {row[3] for row in shown if row[1] == "sha256 of the table"}
    if word == DIFFERENT:  # first, with all their digits
        assert shown[0][1:5] == ("rmse", DIFFERENT, "0.6299727529231166", "0.6299727529231199")


def test_an_evaluation_tells_why_how_sure_and_whether_probabilities_hold(run_of):
    tables = {
        "reasons": pd.DataFrame({
            "row_key": ["00000000000000ff"], "which": ["worst"], "value": [0.147], "error": [0.021],
            "base": [0.267], "reason_1": ["age = 77"], "contribution_1": [-0.127],
            "reason_2": ["orders is missing"], "contribution_2": [0.115], "others": [0.0],
            "true": [1],
        }),
        "coverage": pd.DataFrame({
            "rows_of": ["all", "age above 60"], "rows": [2000, 300], "coverage": [0.905, 0.8],
            "low": [0.891, 0.75], "high": [0.917, 0.841], "size": [1.4, 1.2],
            "broken": [False, True],
        }),
        "calibration_table": pd.DataFrame({
            "from": [0.0, 0.4], "to": [0.4, 0.9], "rows": [300, 100], "said": [0.2, 0.6],
            "came": [0.1, 0.5], "low": [0.05, 0.4], "high": [0.15, 0.6],
        }),
    }  # fmt: skip
    runs = run_of("evaluate", tables, {}, {})
    runs.target, runs.recipe = "churned", load_recipe("recipes/customer_churn.yaml", PROJECT)
    runs.metrics = lambda _: {"promised_interval_coverage": 0.9}
    why, sure, probabilities = read_row_sections(runs)
    assert "From its mean answer, 26.7%, these columns move it most" in why.text
    assert "estimated, with a standard error of at most 2.1 points" in why.text
    assert dict(zip(why.table.columns, why.table.rows[0], strict=True)) == {
        "row_key": "00000000000000ff",
        "answer": "worst",
        "true": runs.recipe.about.labels.get("1", "1"),
        f"it says: {runs.recipe.about.name_class('churned', 1)}": "14.7%",
        "first reason": "age = 77: \N{MINUS SIGN}12.7 points",
        "second reason": "orders is missing: +11.5 points",
    }
    assert "in 90.5% of the 2,000 test rows; 90.0% are promised" in sure.text
    assert sure.text.endswith("Clearly less often for: age above 60.")
    assert "off by 10.0 points on average. decision.calibrate" in probabilities.text
    assert probabilities.table.rows[1] == (
        "40.0% to 90.0%", 100, "60.0%", "50.0%", "40.0% to 60.0%"
    )  # fmt: skip


@pytest.mark.parametrize("recipe", ["wine", "sales_predictions", "drift_demo", "wine-drift"])
def test_plots_are_told_apart_whatever_the_recipe_is_called(run_of, tmp_path, recipe):
    columns = ["column", "psi", "limit", "drifted", "grown", "bin", "in training", "now"]
    row = ["x", 0.3, 0.2, True, False, "0 to 1", 0.1, 0.25]
    tables = {
        "drift": pd.DataFrame([row], columns=columns),
        "monitor": pd.DataFrame({"metric": ["rmse"], "now": [1.0], "promised": [1.0]}),
    }
    runs = run_of("monitor", tables, {}, {})
    runs.recipe_name = recipe
    (tmp_path / "plots").mkdir()
    for what in ("drift", "predictions", "rmse"):
        name = build_output_filename(recipe, what, "plot", {})
        (tmp_path / "plots" / f"{name}.png").write_bytes(what.encode())
    found = sections_of(runs)
    assert [plot.content for plot in found["promise"].plots] == [b"rmse"]
    assert [plot.content for plot in found["drift"].plots] == [b"drift", b"predictions"]


@pytest.fixture
def outcomes_of(run_of):
    """The page of a classification with these counts, whose rows count as a column says."""

    def read(weight, **counts):
        recipe = load_recipe("recipes/customer_churn.yaml", PROJECT)
        runs = run_of("evaluate", {}, {}, {})
        runs.recipe = recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"weight": weight})}
        )
        runs.target, runs.metrics = "churned", lambda _: counts
        return sections_of(runs)["outcomes"]

    return read


@pytest.mark.parametrize(
    ("weight", "title", "shown"),
    [
        (None, "test rows", ["12", "1,204", "0", "3"]),
        ("w", "weight", ["0.4375", "1,204", "0", "2.5"]),
    ],
)
def test_what_comes_of_it_is_in_rows_or_in_what_they_weigh(outcomes_of, weight, title, shown):
    counts = [float(text.replace(",", "")) for text in shown]
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    found = outcomes_of(weight, **dict(zip(names, counts, strict=True)))
    place = found.table.columns.index(title)
    assert [row[place] for row in found.table.rows][:4] == shown
    assert ("A row counts as its w says." in found.text) == (weight == "w")


def test_a_class_whose_name_has_a_brace_is_told_as_it_is(run_of):
    rows = [["sex", "f", 100, 40, 0.3, 0.7], ["sex", "m", 100, 40, 0.5, 0.9]]
    columns = ["slice", "group", "rows", "positives", "selection_rate", "true_positive_rate"]
    runs = run_of("evaluate", {"fairness": pd.DataFrame(rows, columns=columns)}, {}, {})
    runs.target, runs.recipe = "{y}", load_recipe("recipes/customer_churn.yaml", PROJECT)
    runs.recipe = runs.recipe.model_copy(update={"about": About()})
    assert sections_of(runs)["fairness"].text == (
        "It says {y} = 1 of 30% of the rows of f, and of 50% of m. "
        "Where it is {y} = 1, it says so in 70% of f, and 90% of m."
    )


def test_groups_without_a_row_of_the_class_have_no_rate_of_it(run_of):
    columns = ["slice", "group", "rows", "positives", "selection_rate", "true_positive_rate"]
    rows = [["sex", "f", 100, 0, 0.3, None], ["sex", "m", 100, 0, 0.3, None]]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    runs = run_of("evaluate", {"fairness": table}, {}, {})
    runs.target, runs.recipe = "churned", load_recipe("recipes/customer_churn.yaml", PROJECT)
    shown = sections_of(runs)["fairness"].table.rows
    assert [row[3:] for row in shown] == [("30.0%", "\N{EN DASH}")] * 2


def test_an_evaluation_from_before_tells_nothing_of_single_rows(run_of):
    assert read_row_sections(run_of("evaluate", {}, {}, {})) == []
