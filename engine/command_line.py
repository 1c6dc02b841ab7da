"""Command lines as MLproject writes them: `--name value`, the hyperparameters at the end."""

from collections.abc import Sequence

import click

# Any option that an entry point does not declare is a hyperparameter of the estimator.
TAKES_HYPERPARAMETERS = {"ignore_unknown_options": True, "allow_extra_args": True}


def read_hyperparameters(arguments: Sequence[str]) -> dict[str, str]:
    """Turns `--alpha 0.5 --max_depth null` into names and texts.

    Raises:
        click.UsageError: the arguments are no pairs of a name and a value.
    """
    names, values = arguments[::2], arguments[1::2]
    if len(names) != len(values) or any(not name.startswith("--") for name in names):
        raise click.UsageError(
            f"hyperparameters are written --name value, got: {' '.join(arguments)}"
        )
    return {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
