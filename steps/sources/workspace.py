"""The workspace: what a recipe's relative paths start from, maybe a team's own repository."""

from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from pathlib import Path

from engine.command_line import typed_path
from engine.processes.forkserver import PROJECT


@dataclass(frozen=True)
class Workspace:
    """The Git repository that a recipe is in, or else its folder; of one of the project, that."""

    recipe: str

    @cached_property
    def folder(self) -> Path:
        """Where relative paths start."""
        file = Path(PROJECT, self.recipe).resolve()
        if self.is_project:
            return PROJECT
        return next((each for each in file.parents if (each / ".git").exists()), file.parent)

    @property
    def is_project(self) -> bool:
        """Whether it is this project, for whose recipes nothing is different."""
        return Path(PROJECT, self.recipe).resolve().is_relative_to(PROJECT)

    @property
    def lock(self) -> Path | None:
        """The lock of a repository of its own; None if it has none."""
        lock = self.folder / "requirements.lock"
        return lock if lock.is_file() and not self.is_project else None

    def place_of_typed(self, source: str) -> str:
        """Returns where a table is whose path was typed: from there, else as `place_of` says."""
        if source.startswith("$"):
            return source
        return ", ".join(map(self._place_of_typed, source.split(", ")))

    def _place_of_typed(self, path: str) -> str:
        place = typed_path(path).absolute()
        is_here = "://" not in path and place != PROJECT / path and _is_there(place)
        return str(place) if is_here else self.place_of(path)

    def table(self, source: str, typed: str = "auto") -> str:
        """Returns where the recipe's table is, or the one that was typed in its place."""
        return self.place_of(source) if typed == "auto" else self.place_of_typed(typed)

    def place_of(self, source: str) -> str:
        """Returns where the table is that a path of the recipe names; any other one is left.

        Of several, with `, ` between, each by itself.
        """
        if self.is_project or source.startswith("$"):  # the query of a database
            return source
        return ", ".join(map(self._place_of_one, source.split(", ")))

    def _place_of_one(self, path: str) -> str:
        place = self.folder / path
        is_elsewhere = "://" in path or (PROJECT / path).exists()
        return path if is_elsewhere and not _is_there(place) else str(place)

    def name_of(self, source: str) -> str:
        """Returns how a table is named from here: the same in every clone of the repository."""
        if self.is_project:
            return source
        return ", ".join(path.removeprefix(f"{self.folder}/") for path in source.split(", "))


def _is_there(place: Path) -> bool:
    """Says whether there is a file or folder, or what fits a pattern."""
    return place.exists() or (has_magic(str(place)) and bool(glob(str(place), recursive=True)))


def find_recipe(recipe: str) -> str:
    """Returns a recipe as the steps find it: one that is not in the project by its absolute path.

    A relative path starts from the project, or else from where the command was typed.
    """
    if Path(PROJECT, recipe).is_file():
        return recipe
    typed = typed_path(recipe)
    return str(typed.resolve()) if typed.is_file() else recipe
