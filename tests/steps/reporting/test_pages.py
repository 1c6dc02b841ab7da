"""What the pages of score and reproduce say, from what such runs left."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from modelling.judging.comparison import CLOSE, DIFFERENT, IDENTICAL
from modelling.reporting.report import Shares
from steps.reporting import verdict
from steps.reporting.parts import read_sections
from steps.reporting.run_files import RunFiles
from steps.runs.names import VERDICT, VERDICT_REASON


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
