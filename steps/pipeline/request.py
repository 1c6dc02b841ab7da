"""What a pipeline was asked for, checked before any run is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from common.values import parse_value
from engine.cache.key import LOCK, check_own_lock, not_installed
from engine.processes.forkserver import PROJECT
from modelling.judging.metrics import check_gate, threshold_metric
from modelling.own_code import check_own_code
from modelling.recipe import Recipe, load_recipe
from steps.runs.provenance_write import record_request
from steps.sources.table_source import check_source
from steps.sources.workspace import Workspace, find_recipe

_MOST_NAMED = 5


@dataclass(frozen=True)
class Request:
    """What main was asked for, with `auto` resolved."""

    recipe_path: str
    recipe: Recipe
    model: str
    data: str
    hyperparameters: dict[str, Any]
    until: str

    @property
    def workspace(self) -> Workspace:
        """What the recipe's relative paths start from."""
        return Workspace(self.recipe_path)

    def code_files(self) -> list[Path]:
        """Returns where the recipe's own code was read."""
        folder = Path(PROJECT, self.recipe_path).parent
        return [folder / name for name in self.recipe.code]

    def edited_code(self) -> list[str]:
        """Names the files of own code that are not what they were when this pipeline began."""
        files = zip(self.code_files(), self.recipe.code.items(), strict=True)
        # Of a recipe as it was recorded, they are in the recipe itself.
        return [name for file, (name, text) in files if file.is_file() and _read(file) != text]

    @property
    def data_of_prepare(self) -> str:
        """The table as `prepare` is told it: a query may be longer than a parameter."""
        is_query = self.recipe.data.sql and self.data == self.recipe.data.source
        return "auto" if is_query else self.data


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def resolve(recipe: str, model: str, data: str, until: str, given: dict[str, str]) -> Request:
    """Reads the recipe and checks all that can be checked before any run is made."""
    recipe = find_recipe(recipe)
    settings = load_recipe(recipe, PROJECT).with_together(model)
    if own_lock := Workspace(recipe).lock:
        _check_lock(own_lock)
    check_own_code(settings)
    check_gate(settings)
    if settings.decision.metric:
        threshold_metric(settings)
    name, chosen = settings.choose_model(model)
    hyperparameters = {key: parse_value(text) for key, text in given.items()}
    if hyperparameters or settings.code:
        # Only then, since scikit-learn takes half a second to import.
        from modelling.estimators.estimators import build_pipeline

        seed = settings.split.seed
        build_pipeline(chosen, hyperparameters, seed, settings.task, None, settings.code)
    check_source(settings.data.source if data == "auto" else data)
    source = Workspace(recipe).table(settings.data.source, data)
    return Request(recipe, settings, name, source, hyperparameters, until)


def _check_lock(own_lock: Path) -> None:
    """Checks the lock of the recipe's own repository, and tells what of it is not here."""
    check_own_lock(PROJECT / LOCK, own_lock)
    if missing := not_installed(own_lock):
        names = ", ".join(missing[:_MOST_NAMED]) + (", …" if missing[_MOST_NAMED:] else "")
        click.echo(
            f"main: {own_lock} is not installed here, it lacks {names}: install it, and run with "
            "--env-manager local",
            err=True,
        )


def log_request(request: Request) -> None:
    """Records what is to be made again when this run is to be reproduced."""
    record_request(
        {
            "recipe": request.recipe_path,
            "model": request.model,
            "data": request.data,
            "until": request.until,
            "hyperparameters": request.hyperparameters,
        }
    )
