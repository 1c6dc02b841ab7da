"""A person's own code: the Python file, or package folder, that stands beside a recipe.

Its files are read with the recipe and are part of it from then on, so that they go wherever it
goes: to the steps, to other machines, into the record of a run and into the logged model.
"""

import ast
import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.errors import InputError, unknown_name
from common.secrets import why_secret

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from modelling.recipe import Recipe

Files = Mapping[str, str]
"""The text of each file, by its path from the recipe's folder; empty without own code."""

_CODE = ".py"
_WHOLE = "__init__.py"


def read_files(folder: Path, name: str) -> dict[str, str]:
    """Reads the code that a recipe names.

    Args:
        folder: the recipe's.
        name: of a Python file there, or of a folder that is a package.

    Raises:
        ValueError: it is not there or no Python, has the name of a module, or holds a secret.
    """
    path = folder / name
    files = sorted(path.rglob(f"*{_CODE}")) if path.is_dir() else [path]
    is_package = path / _WHOLE in files
    if Path(name).name != name or not (path.is_file() or path.is_dir()):
        beside = sorted(each.name for each in folder.glob(f"*{_CODE}"))
        raise ValueError(f"{unknown_name('file beside the recipe', name, beside)}")
    if not (is_package or (path.is_file() and path.suffix == _CODE)):
        raise ValueError(f"{name} is neither a file *.py nor a folder with {_WHOLE}")
    _check_name(path)
    return {file.relative_to(folder).as_posix(): _read(file) for file in files}


def _read(file: Path) -> str:
    try:
        content = file.read_bytes()
        text = content.decode().replace("\r\n", "\n")
    except (UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{file.name} cannot be read: {error}") from error
    if reason := why_secret(file.name, content):
        raise ValueError(
            f"{file.name} would be recorded, and seems to hold a secret ({reason}): read that from "
            "a variable of the environment"
        )
    return text


def _check_name(path: Path) -> None:
    name = path.name.removesuffix(_CODE)
    if not name.isidentifier():
        raise ValueError(f"{path.name} cannot be named in a recipe: {name!r} is no name in Python")
    found = find_spec(name)
    if found is not None and Path(found.origin or "") not in (path, path / _WHOLE):
        raise ValueError(f"{name} is also the name of an installed module: rename {path.name}")


def plain_name(code: Files) -> str:
    """Returns the name by which a recipe refers to its code: taxi for taxi.py; empty without."""
    return next(iter(code), "").partition("/")[0].removesuffix(_CODE)


def is_own(path: str, code: Files) -> bool:
    """Says whether a dotted name is one of own code."""
    return bool(code) and path.partition(".")[0] == plain_name(code)


def own_module(code: Files) -> ModuleType:
    """Imports own code under the name that holds its digest, once.

    Raises:
        InputError: it does not parse, imports what is not there, or fails; one line says where.
    """
    return _load(tuple(code.items()))


@cache
def _load(code: tuple[tuple[str, str], ...]) -> ModuleType:
    # Here, since it takes a while to import, and most recipes have no code.
    import cloudpickle

    from modelling.models.sklearn_wrapper import OwnCodeError, load_own_code

    place = Path(_folder(code).name)
    for name, text in code:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    try:
        module = load_own_code(place / code[0][0].partition("/")[0])
    except OwnCodeError as error:
        raise InputError(str(error)) from error
    cloudpickle.register_pickle_by_value(module)  # for the processes of an estimator's n_jobs
    return module


@cache
def _folder(_code: tuple[tuple[str, str], ...]) -> TemporaryDirectory[str]:
    """Where the files are as long as this process lives."""
    return TemporaryDirectory(prefix="cuvee-")


def find_named(path: str, code: Files) -> Any:
    """Returns what a recipe names: of its own code, or of an installed package.

    Args:
        path: dotted, such as taxi.trip_minutes.
        code: the recipe's.

    Raises:
        InputError: there is nothing of that name; the nearest is named.
    """
    if is_own(path, code):
        found: Any = own_module(code)
        for name in path.split(".")[1:]:
            if not hasattr(found, name):
                known = _to_be_named(found)
                raise InputError(unknown_name(f"name in {next(iter(code))}", name, known))
            found = getattr(found, name)
        return found
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        has = f"the recipe's code is {next(iter(code))}" if code else "the recipe names no code"
        raise InputError(f"there is no {path} in what is installed, and {has}") from error


def _to_be_named(place: Any) -> list[str]:
    """The names that a recipe may mean: what a module or class makes, and not what it imports."""
    own = getattr(place, "__module__", place.__name__).partition(".")[0]
    return [
        name
        for name, value in vars(place).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", own).partition(".")[0] in (own, "mlflow")
        and (callable(value) or hasattr(value, "eval_fn"))
    ]


def check_takes(function: Any, path: str, arguments: Sequence[str]) -> None:
    """Checks that a function can be called with so many arguments.

    Raises:
        InputError: it cannot, or is none.
    """
    if not callable(function):
        raise InputError(f"{path} is no function: {function!r}"[:200])
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        takes = inspect.signature(function)
        raise InputError(
            f"{where(function)}{path}{takes} is called with {' and '.join(arguments)}: {error}"
        ) from error


def where(function: Callable[..., Any]) -> str:
    """Says where a function of own code stands: `taxi.py, line 12: `; nothing of another."""
    from modelling.models.sklearn_wrapper import place_of

    return place_of(function)


def in_words(given: Any) -> str:
    """Says in a few words what own code gave."""
    from modelling.models import sklearn_wrapper

    return sklearn_wrapper.in_words(given)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of own code.

    Raises:
        InputError: it raises; one line says where.
    """
    from modelling.models.sklearn_wrapper import OwnCodeError, call_own

    try:
        return call_own(function, *arguments)
    except OwnCodeError as error:
        raise InputError(str(error)) from error


def ask_rows(
    path: str, code: Files, table: "pd.DataFrame", gives: str, is_one: Callable[[Any], bool]
) -> "pd.Series":
    """Asks a function of own code for a value for each row of a table.

    Args:
        path: the function's dotted name.
        code: the recipe's.
        table: n rows, numbered from 0; the function gets copies.
        gives: what a value is, in words, for messages.
        is_one: whether something is such a value.

    Returns:
        (n,) such values.

    Raises:
        InputError: it raises, or gives something else, or for other rows, or not the same again.
    """
    import pandas as pd

    from modelling.models.sklearn_wrapper import other_rows

    function = find_named(path, code)
    given, again = (call(function, table.copy()) for _ in range(2))
    problem = other_rows(given, table.index)
    if not problem:
        values = pd.Series(given)
        problem = next((in_words(value) for value in values if not is_one(value)), "")
    if problem:
        raise InputError(f"{where(function)}{path} gave {problem}; it gives {gives} for each row")
    if not values.equals(pd.Series(again)):
        raise InputError(
            f"{where(function)}{path} gave something else when it was asked again: it must keep "
            "nothing, and what is random in it needs a seed"
        )
    return values


def ask_check(path: str, code: Files, table: "pd.DataFrame") -> str:
    """Asks a check of own code what it says of a table; empty if nothing.

    Raises:
        InputError: it raises, or gives something else than a sentence or nothing.
    """
    function = find_named(path, code)
    said = call(function, table.copy())
    if said is not None and not isinstance(said, str):
        raise InputError(
            f"{where(function)}{path} gave {in_words(said)}; a check gives nothing, or a sentence"
        )
    return " ".join((said or "").split())


def ask_plot(path: str, code: Files, rows: "pd.DataFrame") -> "Figure":
    """Asks a function of own code for a picture of rows.

    Raises:
        InputError: it raises, or gives none.
    """
    from matplotlib.figure import Figure

    function = find_named(path, code)
    figure = call(function, rows.copy())
    if not isinstance(figure, Figure):
        raise InputError(
            f"{where(function)}{path} gave {in_words(figure)}; a plot gives a matplotlib Figure"
        )
    return figure


@contextmanager
def failures_named(code: Files) -> Iterator[None]:
    """Turns what own code raises below it into an InputError that says where; others pass."""
    from modelling.models.sklearn_wrapper import describe_failure

    try:
        yield
    except Exception as error:
        file = own_file(code)
        cause = error.__cause__ if isinstance(error, InputError) else error
        frames = traceback.extract_tb(cause.__traceback__) if cause and file else []
        inside = [each for each in frames if file and Path(each.filename).is_relative_to(file)]
        if cause is None or file is None or not inside or not isinstance(cause, Exception):
            raise
        raise InputError(describe_failure(cause, file.parent, inside[-1].name)) from error


_TABLE = ("the table",)
_METRIC = ("predictions", "targets")
WEIGHTS = "sample_weight"
"""The third argument of a metric that is to be given how much each row counts."""


def check_own_code(recipe: "Recipe") -> None:
    """Checks that all that a recipe names of its own code is there, and takes what it is given.

    Raises:
        InputError: something is not, or does not; one line says what.
    """
    code = recipe.code
    if code:
        own_module(code)
    plain = {
        **{f"features.functions.{name}": path for name, path in recipe.features.functions.items()},
        **{f"plots.{name}": path for name, path in recipe.plots.items()},
        **{f"data.checks: {path}": path for path in recipe.data.checks},
        **{f"checks.functions.{name}": path for name, path in recipe.checks.functions.items()},
    }
    others = {
        "data.loader": recipe.data.loader,
        "data.filter": recipe.data.filter,
        "split.function": recipe.split.function,
    }
    plain |= {place: path for place, path in others.items() if path}
    for place, path in plain.items():
        try:
            takes = ("the path",) if place == "data.loader" else _TABLE
            check_takes(find_named(path, code), path, takes)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error


def read_metric(path: str, code: Files) -> tuple[Callable[..., Any], bool | None]:
    """Returns a metric's function, and which way is better if that is said there.

    Args:
        path: of a function of predictions and targets (and maybe sample_weight), or of what
            `mlflow.models.make_metric` makes of one.
        code: the recipe's.

    Raises:
        InputError: it is neither.
    """
    found = find_named(path, code)
    greater_is_better = None
    if hasattr(found, "eval_fn"):
        greater_is_better, found = bool(found.greater_is_better), found.eval_fn
    if takes_argument(found, 2, WEIGHTS):
        return found, greater_is_better
    if _takes(found, (*_METRIC, "metrics")) and not _takes(found, _METRIC):
        return partial(found, metrics={}), greater_is_better  # in MLflow's own form
    check_takes(found, path, _METRIC)
    return found, greater_is_better


def takes_argument(function: Callable[..., Any], place: int, name: str) -> bool:
    """Says whether a function's argument at a place, from 0, has this name."""
    try:
        return list(inspect.signature(function).parameters)[place : place + 1] == [name]
    except (TypeError, ValueError):
        return False


def _takes(function: Any, arguments: Sequence[str]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True


_opened: list[str] | None = None
_NOT_READ = (sys.prefix, sys.base_prefix, "/usr/", "/etc/", "/proc/", "/sys/", "/dev/")


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str):
        _opened.append(arguments[0])


@cache
def _watch_files() -> None:
    sys.addaudithook(_note_opened)  # for good: Python takes none off again


@contextmanager
def files_read() -> Iterator[list[str]]:
    """Gives the files that are opened inside it, but for Python's, packages' and the machine's."""
    global _opened
    _watch_files()
    _opened = []
    found: list[str] = []
    try:
        yield found
    finally:
        opened, _opened = _opened, None
        places = [name for name in opened if not name.endswith((_CODE, f"{_CODE}c"))]
        found += [name for name in places if not name.startswith(_NOT_READ)]


def own_name(code: Files) -> str:
    """Returns the name under which own code is imported; empty without."""
    return own_module(code).__name__ if code else ""


def own_packages(code: Files) -> list[str]:
    """Names the packages that own code imports, beside Python's own."""
    found: set[str] = set()
    for text in code.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return sorted(found - sys.stdlib_module_names)


def code_digests(code: Files) -> dict[str, str]:
    """Returns the digest of what each file does: comments and formatting do not count."""
    trees = {name: ast.dump(ast.parse(text)) for name, text in code.items()}
    return {name: hashlib.sha256(tree.encode()).hexdigest()[:16] for name, tree in trees.items()}


def names_own_code(value: Any, code: Files) -> bool:
    """Says whether a part of a recipe, as plain values, names something of its own code."""
    if isinstance(value, dict):
        return any(names_own_code(each, code) for each in value.values())
    if isinstance(value, list):
        return any(names_own_code(each, code) for each in value)
    return isinstance(value, str) and is_own(value, code)


def own_file(code: Files) -> Path | None:
    """Returns where a copy of own code is: its file, or its folder; None without."""
    if not code:
        return None
    file = Path(str(own_module(code).__file__))
    return file.parent if file.name == _WHOLE and "/" in next(iter(code)) else file
