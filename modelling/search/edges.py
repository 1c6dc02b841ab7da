"""Whether the best values of a sweep lie at the end of what was searched."""

import math
from collections.abc import Iterator
from typing import Any

from common.errors import InputError
from common.values import spell
from modelling.estimators.estimators import check_hyperparameter
from modelling.recipe import Recipe
from modelling.search.space import Integers, Point, Range, Reals, Space, is_number

_NEAR = 0.02  # of the range, or of its logarithm


def find_edges(recipe: Recipe, space: Space, best: Point) -> list[str]:
    """Names the hyperparameters of the best point that might go on where the search ended.

    An end that the estimator sets, as 0 and 1 of a share, is none of the search's.

    Args:
        recipe: of the models.
        space: what was searched.
        best: the best point.

    Returns:
        A sentence's beginning each: `alpha = 0.0001 is the lowest value that was searched`.
    """
    model = recipe.models[best.model]
    found = []
    for name, values in space.models[best.model].items():
        value = best.hyperparameters.get(name)
        for word, beyond in _ends_at(values, value):
            try:
                check_hyperparameter(model, name, beyond, recipe.task, recipe.code)
            except InputError:
                continue
            found.append(f"{name} = {spell(value)} is near the {word} value that was searched")
    return found


def _ends_at(values: Range, value: Any) -> Iterator[tuple[str, Any]]:
    """Gives the end that a value lies at, if any, with a value beyond it."""
    if isinstance(values, Reals):
        low, high = float(values.low), float(values.high)
    else:
        numbers = sorted(each for each in values.values if is_number(each))
        if len(numbers) < 3 or len(numbers) < len(values.values):
            return
        low, high = numbers[0], numbers[-1]
    if not is_number(value) or low == high:
        return
    log = isinstance(values, Reals) and values.log
    start, end, place = (math.log(each) if log else each for each in (low, high, value))
    is_whole = isinstance(values, Integers) or isinstance(low, int)
    step = max(1, (high - low) // 10) if is_whole else 0.1 * (high - low)
    if place - start <= _NEAR * (end - start):
        yield "lowest", low / 10 if log else low - step
    elif end - place <= _NEAR * (end - start):
        yield "highest", high * 10 if log else high + step
