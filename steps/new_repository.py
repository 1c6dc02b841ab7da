"""new_repository: writes a small repository of one's own, ready to be pushed.

Called with `output`, a folder that is not there or is empty. Leaves in it what `starter/` holds: a
recipe, its code with one function or class of each sort, a test of it, a workflow and a table; or
nothing. Makes no run of its own.
"""

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from common.errors import InputError
from common.words import counted
from engine.command_line import typed_path
from engine.entry_point import run_command
from engine.processes.forkserver import PROJECT
from engine.provenance.project_state import read_git, run_git
from steps.runs.result import write_result
from steps.sources.table_source import check_path

_STARTER = PROJECT / "starter"
_SCHEMA = "recipes/recipe.schema.json"
_ADDRESS, _VERSION = "https://example.org/you/cuvee.git", "v1.2"  # as they stand in the starter
_WORDS = (".md", ".yaml", ".yml")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*_cache")


@dataclass(frozen=True)
class Origin:
    """Where other machines find this very Cuvée: its Git URL, and a tag or commit."""

    address: str
    version: str


@click.command("new_repository")
@click.option("--output", required=True)
def main(output: str) -> None:
    """Writes a repository into the folder `output`."""
    place = _choose_place(output)
    origin = _find_origin()
    try:
        with TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as folder:
            made = Path(folder, place.name)
            _write(made, origin)
            files = sum(each.is_file() for each in made.rglob("*"))
            _put(made, place)
    except OSError as error:
        # Of a folder of files, the first one's.
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise InputError(f"output: {place} cannot be written: {reason}") from error
    click.echo(_summary(place, files, origin))


def _choose_place(output: str) -> Path:
    """The folder to write, which must be new or empty, in one that must be there."""
    check_path(output, "output")
    place = typed_path(output).resolve()
    if place.is_relative_to(PROJECT.resolve()):
        raise InputError(
            f"output: {place} is inside Cuvée, where every recipe is its own; name a folder "
            "elsewhere, such as -P output=/path/to/deliveries"
        )
    if not place.parent.is_dir():
        raise InputError(f"output: the folder {place.parent} is not there")
    if place.exists() and not place.is_dir():
        raise InputError(f"output: {place} is a file, and is left as it is")
    if place.exists() and any(place.iterdir()):
        raise InputError(f"output: {place} is not empty, and is left as it is; name a new one")
    return place


def _find_origin() -> Origin | None:
    """Where this Cuvée is from; None if it is from no address that others can read."""
    try:
        git = read_git(PROJECT)
    except OSError:
        return None
    if git.remote is None or not re.match(r"[^/]+:", git.remote):
        return None
    try:
        tag = run_git(["describe", "--tags", "--exact-match", "HEAD"], PROJECT).strip()
    except OSError:
        tag = ""
    return Origin(git.remote, tag or git.commit)


def _write(folder: Path, origin: Origin | None) -> None:
    shutil.copytree(_STARTER, folder, ignore=_NOT_COPIED)
    shutil.copyfile(PROJECT / _SCHEMA, folder / _SCHEMA)
    for file in folder.rglob("*") if origin else ():
        if origin and file.suffix in _WORDS:
            text = file.read_text(encoding="utf-8")
            text = text.replace(_ADDRESS, origin.address).replace(_VERSION, origin.version)
            file.write_text(text, encoding="utf-8")


def _put(made: Path, place: Path) -> None:
    """Moves what was made to its place, all or nothing; an empty folder there stays itself."""
    if not place.exists():
        made.rename(place)
        return
    moved: list[Path] = []
    try:
        for each in sorted(made.iterdir()):
            moved.append(each.rename(place / each.name))
    except OSError:
        for each in moved:
            each.rename(made / each.name)
        raise


def _summary(place: Path, files: int, origin: Origin | None) -> str:
    address = origin or Origin(_ADDRESS, _VERSION)
    version = f"{shlex.quote(address.address)} -v {shlex.quote(address.version)}"
    lines = [
        ("repository", f"{place}, {counted(files, 'file')}"),
        ("next", f"cd {shlex.quote(str(place))}"),
        ("", 'git init -b main && git add . && git commit -m "A recipe and its code"'),
        ("", f"mlflow run {version} --env-manager uv -P recipe=recipes/deliveries.yaml"),
    ]
    if origin is None:
        words = f"this Cuvée has no Git address: write it in place of {_ADDRESS}, and its version"
        lines.insert(1, ("sure?", words))
    return "\n" + "\n".join(f"{name:<12}{text}" for name, text in lines)


if __name__ == "__main__":
    run_command(main, write_result)
