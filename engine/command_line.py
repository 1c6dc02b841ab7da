"""Command lines as MLproject writes them: `--name value`, the hyperparameters at the end."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import click
import psutil

from common.secrets import without_credentials

# Any option that an entry point does not declare is a hyperparameter of the estimator.
TAKES_HYPERPARAMETERS = {"ignore_unknown_options": True, "allow_extra_args": True}

_KEPT = ("recipe", "data")
_NOTHING = "auto"
_PARAMETER = ("-P", "--param-list")
_ENTRY_POINT = ("-e", "--entry-point")
_MOST_PARENTS = 3


def typed_path(path: str) -> Path:
    """Returns a path that was typed: a relative one starts from where the command was typed.

    `mlflow run` goes into the project, which of a URL is a folder that nobody will find again.
    """
    folder = _typed_folder()
    return Path(path) if folder == Path.cwd() else folder / path


def _typed_folder() -> Path:
    with suppress(OSError, psutil.Error):
        own = psutil.Process()
        # As it was at first: MLflow takes it away when the run is opened.
        run_id = own.environ().get("MLFLOW_RUN_ID")
        for parent in own.parents()[:_MOST_PARENTS] if run_id else ():
            if parent.environ().get("MLFLOW_RUN_ID") != run_id:
                return Path(parent.cwd())
    return Path.cwd()


def mlflow_run_above() -> tuple[float, list[str]]:
    """When the `mlflow run` above started what became this process, and its command line.

    Raises:
        OSError: there is none.
    """
    process = psutil.Process()
    while parent := process.parent():
        words = parent.cmdline()
        names = [os.path.basename(word) for word in words[:4]]
        if "run" in words and ("mlflow" in names or "mlflow.exe" in names):
            return process.create_time(), words
        process = parent
    raise OSError("no mlflow run is above this process")


@dataclass(frozen=True)
class TypedCommand:
    """A command of this project as somebody typed it.

    start: its words before the parameters; given: its parameters, by name; is_script: whether they
    are written as those of main.py.
    """

    start: tuple[str, ...] = ("mlflow", "run", ".", "--env-manager", "uv")
    given: Mapping[str, str] = field(default_factory=dict)
    is_script: bool = False

    def again(self, entry_point: str = "main", **changed: str) -> str:
        """Returns the command for the same recipe and table, with these parameters.

        Words stand in the shell's quotes where they need them, and URLs without their passwords.
        """
        known = {name: self.given.get(name, _NOTHING) for name in _KEPT}
        kept = {name: value for name, value in known.items() if value != _NOTHING} | changed
        kept = {name: without_credentials(value) for name, value in kept.items()}
        start = [*map(without_credentials, self.start)]
        if self.is_script and entry_point == "main":
            pairs = [word for name, value in kept.items() for word in (f"--{name}", value)]
            return shlex.join([*start, *pairs])
        if self.is_script:
            start = ["mlflow", "run", str(Path(start[-1]).parent), "--env-manager", "local"]
        chosen = [] if entry_point == "main" else ["-e", entry_point]
        pairs = [word for name, value in kept.items() for word in ("-P", f"{name}={value}")]
        return shlex.join([*start, *chosen, *pairs])


def typed_command() -> TypedCommand:
    """Returns the command that was typed for this process: of the `mlflow run` above, or its own.

    What is neither that nor main.py is told as the pages have it.
    """
    with suppress(OSError, psutil.Error):
        # As it was at first, as above.
        if "MLFLOW_RUN_ID" in psutil.Process().environ():
            _, words = mlflow_run_above()
            return _read_mlflow_run(words[words.index("run") + 1 :])
    if Path(sys.argv[0]).name != "main.py":
        return TypedCommand()
    given: dict[str, str] = {}
    with suppress(ValueError):  # click has refused it
        given = _read_pairs(sys.argv[1:])
    return TypedCommand(("python", sys.argv[0]), given, is_script=True)


def _read_mlflow_run(words: list[str]) -> TypedCommand:
    """Reads what stands behind `mlflow run`."""
    start, given = ["mlflow", "run"], {}
    rest = iter(words)
    for word in rest:
        if word in _PARAMETER:
            name, _, value = next(rest, "").partition("=")
            given[name] = value
        elif word in _ENTRY_POINT:
            next(rest, "")
        elif not word.startswith(tuple(f"{option}=" for option in _ENTRY_POINT)):
            start.append(word)
    return TypedCommand(tuple(start), given)


_LIKE_A_SLIP = 0.85  # n_jobs and jobs, which are two things, are less alike


def read_hyperparameters(context: click.Context) -> dict[str, str]:
    """Turns `--alpha 0.5 --max_depth=null`, which a command did not declare, into names and texts.

    Raises:
        click.UsageError: these are no pairs of a name and a value, or a name is a slip of a
            parameter that the command declares.
    """
    try:
        given = _read_pairs(context.args)
    except ValueError as error:
        raise click.UsageError(
            f"hyperparameters are written --name value, got: {' '.join(context.args)}"
        ) from error
    _check_for_slips(given, [str(parameter.name) for parameter in context.command.params])
    return given


def _read_pairs(words: Sequence[str]) -> dict[str, str]:
    """The texts by their names, of `--name text` and `--name=text`."""
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, has_text, text = word.partition("=")
        known = text if has_text else next(rest, None)
        if known is None or not name.startswith("--"):
            raise ValueError(f"{word!r} is no name with a text")
        given[name.removeprefix("--")] = known
    return given


def _check_for_slips(given: Mapping[str, str], declared: list[str]) -> None:
    for name in given:
        if meant := get_close_matches(name, declared, n=1, cutoff=_LIKE_A_SLIP):
            raise click.UsageError(f"unknown parameter {name!r}, did you mean {meant[0]!r}?")
