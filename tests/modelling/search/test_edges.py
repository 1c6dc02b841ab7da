"""The best point of a sweep at the end of what was searched."""

import pytest

from modelling.search.edges import find_edges
from modelling.search.space import Point, build_space

ELASTIC = {"net": {"estimator": "sklearn.linear_model.ElasticNet"}}


@pytest.mark.parametrize(
    ("given", "best", "edges"),
    [
        ({"alpha": "log(1e-4,1)"}, {"alpha": 1.05e-4}, ["alpha = 0.000105 is near the lowest"]),
        ({"alpha": "log(1e-4,1)"}, {"alpha": 0.99}, ["alpha = 0.99 is near the highest"]),
        ({"alpha": "log(1e-4,1)"}, {"alpha": 0.01}, []),
        # 0 and 1 are the ends of every share.
        ({"l1_ratio": "interval(0,1)"}, {"l1_ratio": 0.0}, []),
        (
            {"l1_ratio": "interval(0,0.5)"},
            {"l1_ratio": 0.5},
            ["l1_ratio = 0.5 is near the highest"],
        ),
        ({"max_iter": "range(1,50)"}, {"max_iter": 1}, []),
        ({"max_iter": "range(5,50)"}, {"max_iter": 49}, ["max_iter = 49 is near the highest"]),
        ({"alpha": "0.1,1,10"}, {"alpha": 10}, ["alpha = 10 is near the highest"]),
        ({"alpha": "0.1,1"}, {"alpha": 1}, []),
        ({"fit_intercept": "true,false"}, {"fit_intercept": True}, []),
    ],
)
def test_the_edge_is_named_unless_the_estimator_sets_it(recipe_with, given, best, edges):
    recipe = recipe_with(models=ELASTIC)
    space = build_space(recipe, "auto", given)
    said = find_edges(recipe, space, Point("net", best))
    assert [words.split(" value")[0] for words in said] == edges
