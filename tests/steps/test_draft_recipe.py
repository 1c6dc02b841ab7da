"""What the draft asks on the terminal."""

from steps.draft_recipe import _questions


def test_questions_are_few_and_the_others_counted():
    assert _questions([]) == []
    assert _questions(["one", "two"]) == [("sure?", "one"), ("", "two")]
    assert _questions(list("abcdefghij"))[-2:] == [("", "h"), ("", "and 2 more, in the recipe")]
