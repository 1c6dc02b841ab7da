"""Values and ranges as they are written, and the space that they make."""

from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from modelling.recipe import load_recipe
from modelling.search.search import choose_sampler, count_trials
from modelling.search.space import (
    Choices,
    Integers,
    Point,
    Reals,
    Space,
    build_space,
    check_grid_size,
    own_points,
    parse_range,
)

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("recipes/wine_quality.yaml", PROJECT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.001,0.01,0.1", Choices((0.001, 0.01, 0.1))),
        ("0.5", Choices((0.5,))),
        ("1,1,2", Choices((1, 2))),
        ("squared_error, huber", Choices(("squared_error", "huber"))),
        ("none,3", Choices((None, 3))),
        ("[64, 32],[32]", Choices(([64, 32], [32]))),
        ("'a,b',c", Choices(("a,b", "c"))),
        ("log(1e-4,1)", Reals(1e-4, 1.0, True)),
        (" interval( 0 , 1 ) ", Reals(0.0, 1.0, False)),
        ("range(2,12)", Integers(2, 12, 1)),
        ("range(100,500,100)", Integers(100, 500, 100)),
    ],
)
def test_what_is_written_is_what_is_searched(text, expected):
    assert parse_range(text) == expected


def test_the_stop_of_a_range_is_left_out_as_in_python():
    assert list(parse_range("range(100,500,100)").values) == [100, 200, 300, 400]


def test_a_recipe_may_write_a_list_or_a_value():
    assert parse_range([1, "1e-4"]) == Choices((1, 1e-4))
    assert parse_range(7) == Choices((7,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("log(0,1)", "above 0"),
        ("log(-1,1)", "above 0"),
        ("log(1,1e-4)", "reversed"),
        ("interval(1,0)", "reversed"),
        ("interval(1,1)", "empty"),
        ("range(12,2)", "reversed"),
        ("range(5,5)", "empty"),
        ("range(1,9,0)", "step"),
        ("range(1,9,-1)", "step"),
        ("range(0.5,9)", "whole numbers"),
        ("range(1)", "two or three"),
        ("log(1)", "two numbers"),
        ("log(a,1)", "no number"),
        ("log(1,inf)", "no number"),
        ("log(1,true)", "no number"),
        ("interval()", "two numbers"),
        ("lgo(1,2)", "did you mean 'log'"),
        ("0.1,,1", "empty value"),
        ("0.1,", "empty value"),
    ],
)
def test_what_is_no_range_is_refused(text, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        parse_range(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    with suppress(InputError):
        assert parse_range(text).ends()


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_a_sample_of_the_grid_holds_other_points_each_and_of_the_grid_only(first, second, seed):
    space = Space(
        {
            model: {f"h{k}": Choices(tuple(range(size))) for k, size in enumerate(sizes)}
            for model, sizes in (("a", first), ("b", second))
        }
    )
    grid = [point.key for point in space.grid()]
    sample = [point.key for point in space.sample_grid(space.count(), seed)]
    assert len(grid) == space.count()
    assert sorted(sample) == sorted(grid)


def test_a_grid_of_any_size_can_be_sampled_and_is_refused_as_a_whole():
    hundred = Integers(0, 1000, 1)
    space = Space({"m": {"a": hundred, "b": hundred, "c": hundred}})
    assert len(list(islice(space.sample_grid(5, 0), 5))) == 5
    with pytest.raises(InputError, match="1,000,000,000 points"):
        check_grid_size(space)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(0, 1)))
def test_a_point_is_read_back_from_its_key(values):
    point = Point("m", values)
    assert Point.from_key(point.key) == point


def test_a_hyperparameter_belongs_to_the_model_that_its_name_says(recipe):
    given = {"random_forest.max_depth": "range(2,5)", "elastic_net.alpha": "1,2"}
    space = build_space(recipe, "elastic_net,random_forest", given)
    assert space.models["random_forest"]["max_depth"] == Integers(2, 5, 1)
    assert "max_depth" not in space.models["elastic_net"]
    assert space.models["elastic_net"]["alpha"] == Choices((1, 2))


def test_a_plain_name_belongs_to_all_models(recipe):
    space = build_space(recipe, "ridge,elastic_net", {"alpha": "1,2"})
    assert [ranges["alpha"] for ranges in space.models.values()] == [Choices((1, 2))] * 2


def test_the_command_line_takes_the_place_of_the_recipe(recipe):
    space = build_space(recipe, "auto", {"alpha": "1"})
    assert space.models == {"elastic_net": {"alpha": Choices((1,)), "l1_ratio": Reals(0, 1, False)}}


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        ("auto", {"alhpa": "1,2"}, "'alhpa', did you mean 'alpha'"),
        ("auto", {"alpha": "1,abc"}, "Got 'abc'"),
        ("auto", {"alpha": "interval(-1,1)"}, "Got -1.0"),
        ("random_forest", {"max_depth": "interval(2,12)"}, "Got 2.0"),
        ("elastic_nett", {}, "did you mean 'elastic_net'"),
        ("auto", {"ridge.alpha": "1,2"}, "model ridge is not swept"),
        ("auto", {"rigde.alpha": "1,2"}, "did you mean 'ridge'"),
        ("ridge,random_forest", {"alpha": "1,2"}, "hyperparameter of RandomForestRegressor"),
        ("auto", {"alpha": "log(0,1)"}, "alpha: "),
    ],
)
def test_a_space_that_the_estimator_does_not_take_is_refused(recipe, model, given, words):
    with pytest.raises(InputError) as refused:
        build_space(recipe, model, given)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_a_section_the_models_are_raced_as_they_are(recipe):
    bare = recipe.model_copy(update={"sweep": type(recipe.sweep)()})
    space = build_space(bare, "auto", {})
    assert [*space.grid()] == [Point(name, {}) for name in recipe.models]
    assert (choose_sampler(space, "auto"), count_trials(space, "grid", None)) == ("grid", 5)
    with pytest.raises(InputError, match="nothing to sweep"):
        build_space(bare, "ridge", {})
    alone = bare.model_copy(update={"models": {"ridge": recipe.models["ridge"]}})
    with pytest.raises(InputError, match="nothing to sweep"):
        build_space(alone.model_copy(update={"default_model": "ridge"}), "auto", {})


def test_in_a_time_all_models_are_searched_each_from_its_own_parameters(recipe):
    space = build_space(recipe, "auto", {}, in_time=True)
    assert list(space.models) == list(recipe.models)
    without = recipe.model_copy(update={"sweep": recipe.sweep.model_copy(update={"space": {}})})
    usual = build_space(without, "auto", {}, in_time=True)
    assert usual.models["ridge"] == {"alpha": Reals(1e-3, 1e3, True)}
    assert usual.models["elastic_net"] == {}
    points = own_points(recipe, space)
    assert [point.model for point in points] == [
        "ridge",
        "hist_gradient_boosting",
        "gradient_boosting",
        "random_forest",
        "elastic_net",
    ]
    assert points[0].hyperparameters == {"alpha": 1.0}
    assert points[1].hyperparameters == {"learning_rate": 0.05, "max_leaf_nodes": 31}
    assert points[3].hyperparameters == {"max_depth": 4, "min_samples_leaf": 2}


@pytest.mark.parametrize(
    ("found", "value", "nearest"),
    [
        (Integers(4, 65, 4), 31, 32),
        (Integers(4, 65, 4), None, 4),
        (Reals(0.2, 1.0, False), 5, 1.0),
        (Reals(0.2, 1.0, False), "sqrt", 1.0),
        (Choices((1, None)), None, None),
        (Choices((1, None)), 3, 1),
    ],
)
def test_a_value_outside_has_one_that_is_nearest(found, value, nearest):
    assert found.nearest(value) == nearest


def test_the_nearest_of_some_values_is_written_as_they_are():
    """A sampler tells 1 from 1.0."""
    assert repr(Choices((0.1, 1, 10)).nearest(1.0)) == "1"
