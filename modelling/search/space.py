"""What a sweep searches: for each model, the values or the range of each hyperparameter.

A text is a list of values with commas, or one of `log(low, high)`, `interval(low, high)` and
`range(start, stop, step)`, whose stop is left out as in Python.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from common.errors import InputError, unknown_name
from common.values import as_value, parse_value
from modelling.estimators.estimators import build_pipeline, check_hyperparameter
from modelling.estimators.nested import named_estimator
from modelling.recipe import Recipe
from modelling.search.families import rank_of_cost, usual_space

SAMPLERS = ("auto", "tpe", "random", "qmc", "grid")
PRUNERS = ("auto", "none", "halving", "median", "wilcoxon")

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*")
_QUOTES = "'\""
_LARGEST_GRID = 10_000


@dataclass(frozen=True)
class Choices:
    """Some values: numbers, text, booleans, None or lists."""

    values: tuple[Any, ...]

    def ends(self) -> Sequence[Any]:
        """Returns the values that have to be checked."""
        return self.values

    def nearest(self, value: Any) -> Any:
        """Returns the value itself if it is one of these, and else the first."""
        return next((each for each in self.values if each == value), self.values[0])


@dataclass(frozen=True)
class Integers:
    """The integers from start on, each a step further, before stop."""

    start: int
    stop: int
    step: int

    @property
    def values(self) -> range:
        """The integers, as Python's range."""
        return range(self.start, self.stop, self.step)

    def ends(self) -> Sequence[Any]:
        """Returns the lowest and the highest."""
        return (self.values[0], self.values[-1])

    def nearest(self, value: Any) -> Any:
        """Returns the integer that is nearest to a value; the lowest, if that is no number."""
        return (
            min(self.values, key=lambda each: abs(each - value)) if is_number(value) else self.start
        )


@dataclass(frozen=True)
class Reals:
    """The real numbers from low to high, equally likely, or their logarithms if log is set."""

    low: float
    high: float
    log: bool

    def ends(self) -> Sequence[Any]:
        """Returns the lowest and the highest."""
        return (self.low, self.high)

    def nearest(self, value: Any) -> Any:
        """Returns the number that is nearest to a value; the highest, if that is no number."""
        return float(min(max(value, self.low), self.high)) if is_number(value) else self.high


Range = Choices | Integers | Reals


@dataclass(frozen=True)
class Point:
    """One place in the space: a model of the recipe and its hyperparameters, by plain name."""

    model: str
    hyperparameters: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The same text for equal points: JSON."""
        return json.dumps([self.model, dict(self.hyperparameters)], sort_keys=True, default=str)

    @classmethod
    def from_key(cls, key: str) -> "Point":
        """Reads what `key` gives."""
        model, hyperparameters = json.loads(key)
        return cls(model, hyperparameters)

    def __str__(self) -> str:
        words = [f"{name}={_short(value)}" for name, value in self.hyperparameters.items()]
        return " ".join([self.model, *words])


@dataclass(frozen=True)
class Space:
    """The ranges by model and by hyperparameter; a hyperparameter belongs to its model only."""

    models: Mapping[str, Mapping[str, Range]]

    @property
    def is_finite(self) -> bool:
        """Whether it can be gone through point by point: no range of real numbers."""
        return not any(isinstance(found, Reals) for found in self._ranges())

    @property
    def is_listed(self) -> bool:
        """Whether it has lists of values only."""
        return all(isinstance(found, Choices) for found in self._ranges())

    def has(self, point: Point) -> bool:
        """Whether a point is a place in it."""
        ranges = self.models.get(point.model)
        return (
            ranges is not None
            and ranges.keys() == point.hyperparameters.keys()
            and all(ranges[name].nearest(v) == v for name, v in point.hyperparameters.items())
        )

    def _ranges(self) -> Iterator[Range]:
        return (found for ranges in self.models.values() for found in ranges.values())

    def count(self) -> int:
        """Returns the number of points of a finite space."""
        return sum(map(_grid_size, self.models.values()))

    def grid(self) -> Iterator[Point]:
        """Goes through a finite space, the last hyperparameter of a model fastest."""
        for model, ranges in self.models.items():
            for values in product(*(_values(found) for found in ranges.values())):
                yield Point(model, dict(zip(ranges, values, strict=True)))

    def sample_grid(self, count: int, seed: int) -> Iterator[Point]:
        """Goes through some points of a finite space of any size, in random order, none twice."""
        # A permutation of numbers that exist only as a range.
        for number in Random(seed).sample(range(self.count()), count):  # noqa: S311
            yield self._at(number)

    def _at(self, number: int) -> Point:
        model, ranges = next(iter(self.models.items()))
        for model, ranges in self.models.items():  # noqa: B007
            if number < _grid_size(ranges):
                break
            number -= _grid_size(ranges)
        chosen: dict[str, Any] = {}
        for name, found in reversed(list(ranges.items())):
            number, place = divmod(number, len(_values(found)))
            chosen[name] = _values(found)[place]
        return Point(model, {name: chosen[name] for name in ranges})


def _values(found: Range) -> Sequence[Any]:
    if isinstance(found, Reals):
        raise InputError(f"{_reals_text(found)} has no end: it is no part of a grid")
    return found.values


def _grid_size(ranges: Mapping[str, Range]) -> int:
    return math.prod(len(_values(found)) for found in ranges.values())


def _reals_text(found: Reals) -> str:
    return f"{'log' if found.log else 'interval'}({found.low:g},{found.high:g})"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def parse_range(given: Any) -> Range:
    """Reads values or a range.

    Args:
        given: the text of a command line, or what stands in a recipe: such a text, a list or a
            value.

    Raises:
        InputError: it is no range, or one that is reversed or empty; the message says what is
            allowed.
    """
    if isinstance(given, list):
        return Choices(_distinct([as_value(value) for value in given]))
    if not isinstance(given, str):
        return Choices((given,))
    call = _CALL.fullmatch(given)
    if call is None:
        return Choices(_distinct([parse_value(text) for text in _split(given)]))
    name, arguments = call.groups()
    if name not in _RANGES:
        raise InputError(unknown_name("range", name, _RANGES))
    return _RANGES[name](given.strip(), _numbers(given.strip(), arguments))


def _distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    if not values:
        raise InputError("an empty list of values")
    return tuple({json.dumps(value, default=str): value for value in values}.values())


def _split(text: str) -> list[str]:
    """Splits at the commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote or letter in _QUOTES:
            quote = "" if letter == quote else quote or letter
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    if not all(part.strip() for part in parts):
        raise InputError(f"{text!r} has an empty value between its commas")
    return [part.strip() for part in parts]


def _numbers(text: str, arguments: str) -> list[int | float]:
    numbers = [parse_value(part) for part in _split(arguments)] if arguments.strip() else []
    for number in numbers:
        if not is_number(number) or not math.isfinite(number):
            raise InputError(f"{text}: {number!r} is no number")
    return numbers


def _reals(text: str, numbers: list[int | float], log: bool) -> Range:
    if len(numbers) != 2:
        raise InputError(f"{text}: takes two numbers, low and high")
    low, high = map(float, numbers)
    if log and low <= 0:
        raise InputError(f"{text}: a logarithm needs numbers above 0, got {low:g}")
    _check_order(text, low, high)
    return Reals(low, high, log)


def _integers(text: str, numbers: list[int | float]) -> Range:
    if len(numbers) not in (2, 3) or not all(isinstance(number, int) for number in numbers):
        raise InputError(f"{text}: takes two or three whole numbers: start, stop and step")
    start, stop, step = (int(number) for number in (*numbers, 1)[:3])
    if step < 1:
        raise InputError(f"{text}: the step must be at least 1")
    _check_order(text, start, stop)
    return Integers(start, stop, step)


def _check_order(text: str, low: float, high: float) -> None:
    if low == high:
        raise InputError(f"{text} is empty: both ends are {low:g}")
    if low > high:
        raise InputError(f"{text} is reversed: {low:g} is above {high:g}")


_RANGES: dict[str, Callable[[str, list[int | float]], Range]] = {
    "interval": lambda text, numbers: _reals(text, numbers, log=False),
    "log": lambda text, numbers: _reals(text, numbers, log=True),
    "range": _integers,
}


def build_space(
    recipe: Recipe, model: str, given: Mapping[str, Any], in_time: bool = False
) -> Space:
    """Puts together what the recipe and the command line say, and checks it.

    Args:
        recipe: its `sweep` section holds models and ranges.
        model: names of models with commas; `auto` is those of that section, or the default model;
            all models as they are, where nothing else is said.
        given: ranges by hyperparameter, which take the place of the recipe's. A name such as
            `random_forest.max_depth` belongs to that model, a plain one to all that are swept.
        in_time: whether a time is given to search in: then `auto` is all models, each where the
            recipe says nothing in the space that is usual for it.

    Raises:
        InputError: a model, a hyperparameter or a value is wrong, or there is nothing to sweep.
    """
    if model == "auto":
        is_race = in_time or not (given or recipe.sweep.models or recipe.sweep.space)
        names = recipe.sweep.models or (tuple(recipe.models) if is_race else ())
        names = names or (recipe.choose_model("auto")[0],)
    else:
        names = tuple(dict.fromkeys(_split(model)))
    for name in names:
        recipe.choose_model(name)
    ranges = {name: _recipe_ranges(recipe, name, in_time) for name in names}
    for key, text in given.items():
        owners, name = _owners(recipe, names, key)
        for owner in owners:
            ranges[owner][name] = _read(key, text)
    if len(names) == 1 and not ranges[names[0]]:
        raise InputError(
            "nothing to sweep: give a range such as -P 'alpha=log(1e-4,1)', or write a section "
            "sweep in the recipe"
        )
    for name in names:
        _check(recipe, name, ranges[name])
    return Space(ranges)


def own_points(recipe: Recipe, space: Space) -> list[Point]:
    """Returns a point for each model, cheap ones first: the recipe's parameters.

    It is what is nearest to them in the space; where the recipe sets none, to the default.
    """
    names = sorted(space.models, key=lambda name: rank_of_cost(recipe.models[name].estimator))
    return [_own_point(recipe, name, space.models[name]) for name in names]


def _own_point(recipe: Recipe, name: str, ranges: Mapping[str, Range]) -> Point:
    model = recipe.models[name]
    estimator = build_pipeline(model, {}, 0, recipe.task, None, recipe.code)["estimator"]
    values = named_estimator(estimator).get_params()
    return Point(name, {key: found.nearest(values.get(key)) for key, found in ranges.items()})


def is_number(value: Any) -> bool:
    """Says whether a value is a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _recipe_ranges(recipe: Recipe, model: str, in_time: bool) -> dict[str, Range]:
    found = recipe.sweep.space.get(model, {})
    if in_time and not found:
        found = dict(usual_space(recipe.models[model].estimator))
    return {name: _read(f"sweep.space.{model}.{name}", value) for name, value in found.items()}


def _read(name: str, given: Any) -> Range:
    try:
        return parse_range(given)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _owners(recipe: Recipe, swept: Sequence[str], key: str) -> tuple[Sequence[str], str]:
    model, _, name = key.rpartition(".")
    if not model:
        return swept, name
    recipe.choose_model(model)
    if model not in swept:
        raise InputError(f"{key}: the model {model} is not swept, only {', '.join(swept)}")
    return [model], name


def _check(recipe: Recipe, model: str, ranges: Mapping[str, Range]) -> None:
    """Tries the ends of each range on the estimator, one hyperparameter at a time."""
    for name, found in ranges.items():
        for value in found.ends():
            check_hyperparameter(recipe.models[model], name, value, recipe.task, recipe.code)


def check_grid_size(space: Space) -> int:
    """Returns the number of points of a finite space that all of it is to be searched.

    Raises:
        InputError: there are too many.
    """
    count = space.count()
    if count > _LARGEST_GRID:
        raise InputError(
            f"a grid of {count:,} points: at most {_LARGEST_GRID:,} are searched whole; give "
            "trials, or fewer values"
        )
    return count
