"""Labels and probabilities become the numbers that metrics take, whatever the labels are."""

import numpy as np
import pandas as pd
import pytest

from modelling.judging.answers import Answers, Classes, find_class, find_classes, read_answers

BINARY = {"path": "p", "target": "y", "positive_class": "yes"}


@pytest.mark.parametrize(
    ("labels", "positive", "expected"),
    [
        ([0, 1, 1], 1, [0, 1, 1]),
        ([0, 1, 1], "1", [0, 1, 1]),
        ([0, 1, 1], 0, [1, 0, 0]),
        ([False, True, True], True, [0, 1, 1]),
        ([False, True, True], "True", [0, 1, 1]),
        (["no", "yes", "yes"], "yes", [0, 1, 1]),
        (["Ja", "Nein", "Ja"], "Nein", [0, 1, 0]),
    ],
)
def test_the_positive_class_is_one(labels, positive, expected, recipe_with):
    data = {"path": "p", "target": "y", "positive_class": positive}
    classes = find_classes(recipe_with(task="classification", data=data), labels)
    assert list(classes.encode(labels)) == expected


def test_more_classes_are_numbered_in_their_order(recipe_with):
    recipe = recipe_with(task="classification", data={"path": "p", "target": "y"})
    classes = find_classes(recipe, ["pear", "apple", "fig", "apple"])
    assert classes == Classes(("apple", "fig", "pear"))
    assert list(classes.encode(["fig", "pear"])) == [1, 2]
    assert classes.columns == ["probability_apple", "probability_fig", "probability_pear"]


def test_a_regression_has_no_classes(recipe_with):
    assert find_classes(recipe_with(), [1.0, 2.0]) is None
    answers = read_answers(pd.DataFrame({"prediction": [1, 2]}), None)
    assert answers.predictions.dtype == float
    assert answers.probabilities is None


def test_a_class_that_is_not_there_names_the_nearest(refusal):
    assert refusal(find_class, ("no", "yes"), "Yes") == (
        "data.positive_class: unknown class 'Yes', did you mean 'yes'? allowed: no, yes"
    )
    assert "allowed: 0, 1" in refusal(find_class, (0, 1), 2)


def test_the_probability_is_the_positive_classes(recipe_with):
    table = pd.DataFrame(
        {"prediction": ["no", "yes"], "probability_no": [0.8, 0.1], "probability_yes": [0.2, 0.9]}
    )
    recipe = recipe_with(task="classification", data=BINARY)
    answers = read_answers(table, find_classes(recipe, ["no", "yes"]))
    assert list(answers.predictions) == [0, 1]
    assert list(answers.probabilities) == [0.2, 0.9]
    assert list(answers.of_rows(np.array([1])).probabilities) == [0.9]


def test_a_model_of_other_classes_is_refused(refusal):
    table = pd.DataFrame({"prediction": ["b"], "probability_a": [0.1], "probability_b": [0.9]})
    message = refusal(read_answers, table, Classes(("b", "c")))
    assert message == "the model knows the classes a, b; the table has b, c"


def test_answers_are_equal_by_their_probabilities_too():
    one = Answers(np.array([1.0, 0.0]), np.array([0.9, 0.1]))
    other = Answers(np.array([1.0, 0.0]), np.array([0.8, 0.1]))
    assert one.equals(Answers(one.predictions.copy(), one.probabilities.copy()))
    assert not one.equals(other)
    assert Answers(one.predictions).equals(Answers(one.predictions))
