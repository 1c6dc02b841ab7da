"""Command lines as MLproject writes them: `--name value`, the hyperparameters at the end."""

from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

import click
import psutil

# Any option that an entry point does not declare is a hyperparameter of the estimator.
TAKES_HYPERPARAMETERS = {"ignore_unknown_options": True, "allow_extra_args": True}


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


_LIKE_A_SLIP = 0.85  # n_jobs and jobs, which are two things, are less alike


def read_hyperparameters(context: click.Context) -> dict[str, str]:
    """Turns `--alpha 0.5 --max_depth null`, which a command did not declare, into names and texts.

    Raises:
        click.UsageError: these are no pairs of a name and a value, or a name is a slip of a
            parameter that the command declares.
    """
    arguments = context.args
    names, values = arguments[::2], arguments[1::2]
    if len(names) != len(values) or any(not name.startswith("--") for name in names):
        raise click.UsageError(
            f"hyperparameters are written --name value, got: {' '.join(arguments)}"
        )
    given = {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
    _check_for_slips(given, [str(parameter.name) for parameter in context.command.params])
    return given


def _check_for_slips(given: Mapping[str, str], declared: list[str]) -> None:
    for name in given:
        if meant := get_close_matches(name, declared, n=1, cutoff=_LIKE_A_SLIP):
            raise click.UsageError(f"unknown parameter {name!r}, did you mean {meant[0]!r}?")
