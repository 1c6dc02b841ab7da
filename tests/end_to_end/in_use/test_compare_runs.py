"""scripts/compare_runs.py: what a pipeline gives that an earlier one does not, as a comment."""

import re
from types import SimpleNamespace

import pytest

from steps.overview.comparison import _parameters


@pytest.fixture(scope="module")
def made(template):
    return template("wines")


@pytest.fixture(scope="module")
def comment(made):
    """The forest held against the first champion, which both are of the same test rows."""
    first, forest = (made.outcomes[name].parent.info.run_id for name in ("first", "forest"))
    done = made.store.script(
        "compare_runs.py", first, forest, "--markdown", "--plots", "https://x/"
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def cells(comment, name):
    (line,) = re.findall(rf"^\| {name} \|.*$", comment, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_metric_that_decides_comes_first_with_its_interval_and_both_figures(comment, made):
    before, now = (made.outcomes[name].parent.data.metrics["rmse"] for name in ("first", "forest"))
    _, theirs, ours, difference, word = cells(comment, r"\*\*rmse\*\*")
    assert (theirs, ours) == (f"{before:.4f}", f"{now:.4f}")
    assert difference.startswith(f"{now - before:+.4f}".replace("-", "\N{MINUS SIGN}"))
    register = made.outcomes["forest"].step("register").data.metrics
    for end in ("low", "high"):
        assert f"{register[f'difference_{end}']:+.4f}".replace("-", "\N{MINUS SIGN}") in difference
    assert word == "**better**"
    assert not re.search(r"(?<!\w)-\d", comment)
    assert comment.index("**rmse**") < comment.index("| mae |")


def test_it_says_the_verdict_what_ran_and_why_and_what_differs(comment):
    assert comment.startswith("### ✅ wine&#95;quality: ")
    assert cells(comment, "prepare")[1] == "reused"
    assert "model went from elastic&#95;net to random&#95;forest" in cells(comment, "train")[3]
    assert cells(comment, "model")[1:] == ["auto", "random&#95;forest"]
    assert "](https://x/residuals.png)" in comment


def test_where_the_answer_is_written_is_no_difference():
    before, now = (
        SimpleNamespace(
            run=SimpleNamespace(data=SimpleNamespace(params={"result": path, "seed": "1"}))
        )
        for path in ("/one/result.json", "/two/result.json")
    )
    assert _parameters(before, now) == ""


def test_a_version_stands_for_its_pipeline_and_what_is_none_is_refused(made):
    second = made.outcomes["forest"].parent.info.run_id
    first = made.outcomes["first"].parent.info.run_id
    comments = [
        made.store.script("compare_runs.py", first, each, "--markdown").stdout
        for each in (second, "models:/wine_quality/2")
    ]
    assert comments[0] == comments[1]
    same = made.store.check_status("--compare", "models:/wine_quality/2", second)
    assert "no parameter, metric or tag differs" in same.stdout
    wrong = made.store.script("compare_runs.py", "models:/wine_quality/9", second, "--markdown")
    assert wrong.returncode == 1
    assert "there is no model version 'models:/wine_quality/9'" in wrong.stdout


def test_one_run_is_held_against_the_champion_before_it(made, comment, tmp_path):
    forest = made.outcomes["forest"].parent.info.run_id
    options = ("--plots", "https://x/", "--save-plots", str(tmp_path / "new"))
    alone = made.store.script("compare_runs.py", forest, "--markdown", *options)
    assert alone.stdout == comment
    pictures = {each.name: each.read_bytes() for each in (tmp_path / "new").iterdir()}
    assert {f"![{name[:-4].replace('_', ' ')}](https://x/{name})" for name in pictures} == set(
        re.findall(r"^!.*$", comment, re.MULTILINE)
    )
    assert all(each.startswith(b"\x89PNG") for each in pictures.values())


def test_what_failed_or_was_refused_says_so(made, tmp_path):
    refused = made.store.main("model=nonsense", f"result={tmp_path / 'm.json'}")
    assert refused.code == 2
    told = made.store.script("compare_runs.py", str(tmp_path / "m.json"), "--markdown")
    assert told.returncode == 0
    assert "Refused" in told.stdout
    assert "nonsense" in told.stdout
