"""What the draft asks on the terminal."""

from types import SimpleNamespace

from modelling.recipe import ColumnCheck
from steps.draft_recipe import _first_lines, _reasons


def test_questions_are_few_and_the_others_counted():
    assert _first_lines("sure?", []) == []
    assert _first_lines("sure?", ["one", "two"]) == [("sure?", "one"), ("", "two")]
    assert _first_lines("sure?", list("abcdefghij"))[-2:] == [
        ("", "h"),
        ("", "and 2 more, in the recipe"),
    ]


def test_a_text_that_is_left_out_is_told_before_all_else():
    dropped = {**{f"id_{number}": "an identifier" for number in range(9)}, "note": "free text"}
    keep = {"id_0": ColumnCheck(type="integer"), "note": ColumnCheck(type="text")}
    assert _reasons(SimpleNamespace(dropped=dropped, keep=keep))[0] == "note: free text"
