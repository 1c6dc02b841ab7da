"""draft_recipe: looks at a table and writes a recipe for it.

Called with `data`, `target`, `task`, `output`, `seconds`, `encoding`, `sheet`. Leaves the recipe in
a file that was not there before, and among the artifacts of the run.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import click
import mlflow

from common.errors import InputError
from common.file_digests import text_sha256
from common.tags import LONGEST_TAG
from engine.command_line import TypedCommand, typed_command, typed_path
from engine.entry_point import run_command
from engine.processes.forkserver import PROJECT
from modelling.drafting.column_look import show
from modelling.drafting.draft import Draft, draft_recipe, recipe_name, render_draft
from modelling.files.table_file import read_table
from modelling.recipe import known_encoding
from steps.runs.names import DATA_SHA256
from steps.runs.result import write_result
from steps.runs.step import named_run
from steps.sources.table_source import check_path, fetch_table
from steps.sources.workspace import Workspace
from tracking.mlflow_manager import log_artifact, log_metrics
from tracking.output_manager import temporary_folder

_MOST_SHOWN = 8
_SCHEMA = "recipes/recipe.schema.json"


@click.command("draft_recipe")
@click.option("--data", required=True)
@click.option("--target", required=True)
@click.option("--task", default="auto", type=click.Choice(["auto", "regression", "classification"]))
@click.option("--output", default="auto")
@click.option("--seconds", default=30.0, type=click.FloatRange(min=0))
@click.option("--encoding", default="auto")
@click.option("--sheet", default="auto")
def main(
    data: str, target: str, task: str, output: str, seconds: float, encoding: str, sheet: str
) -> None:
    """Drafts a recipe that predicts the column `target` of the table `data`."""
    place = _choose_place(output, data)
    name = recipe_name(place.stem)
    workspace = Workspace(str(place))
    data = workspace.place_of_typed(data)
    reading = _reading(encoding, sheet)
    with named_run("draft_recipe", name):
        encoding, sheet = reading["encoding"], reading["sheet"]
        path = fetch_table(data, temporary_folder("download"), encoding=encoding, sheet=sheet)
        table = read_table(path, encoding=encoding)
        mlflow.set_tag(DATA_SHA256, text_sha256(path))
        draft = draft_recipe(
            table,
            target,
            name,
            _path_in_recipe(data, workspace),
            task,
            partial(_show_progress, "looks at the columns"),
            seconds,
            partial(_show_progress, "tries the models"),
            reading,
        )
        command = TypedCommand(typed_command().start).again(recipe=str(place))
        words = render_draft(draft, _name_of(data, path), command, _schema_from(place))
        _write(place, words)
        _put_schema(place)
        log_artifact(place)
        log_metrics(
            {
                "rows": len(table),
                "columns": len(draft.recipe.data.columns),
                "columns_dropped": len(draft.dropped),
            }
        )
        mlflow.set_tag("pipeline.columns_dropped", ", ".join(draft.dropped)[:LONGEST_TAG] or "none")
        click.echo(_summary(draft, place, command))


def _reading(encoding: str, sheet: str) -> dict[str, str]:
    """What is said of how the table's files are read, as keys of a recipe's section data."""
    said = {"encoding": encoding, "sheet": sheet}
    reading = {key: "" if value == "auto" else value for key, value in said.items()}
    try:
        known_encoding(reading["encoding"])
    except ValueError as error:
        raise InputError(f"encoding: {error}") from error
    return reading


def _choose_place(output: str, data: str) -> Path:
    """The file to write, which must not exist, in a folder that must."""
    if output == "auto":
        if _is_temporary(Path.cwd()):
            raise InputError(
                "output: this copy of the project is MLflow's own and temporary; say where the "
                "recipe is to be kept, such as -P output=/path/to/recipe.yaml"
            )
        stem = PurePosixPath(urlparse(data).path if "://" in data else data).name.split(".")[0]
        output = f"recipes/{recipe_name(stem)}.yaml"
    place = typed_path(str(check_path(output, "output")))
    if place.is_dir():
        raise InputError(f"output: {output} is a folder; name the file")
    if place.exists():
        raise InputError(
            f"output: {output} exists and is left as it is; move it away, or name another file "
            "with -P output=recipes/another.yaml"
        )
    if not place.parent.is_dir():
        raise InputError(
            f"output: the folder {place.parent} is not there; a relative path starts from where "
            "you stand"
        )
    return place


def _is_temporary(project: Path) -> bool:
    """Whether MLflow fetched the project from a URL into a folder that nobody will find again."""
    temporary = Path(tempfile.gettempdir()).resolve()
    return any(
        folder.parent == temporary and folder.name.startswith(tempfile.gettempprefix())
        for folder in (project.resolve(), *project.resolve().parents)
    )


def _schema_from(place: Path) -> str:
    """Where the JSON schema is, seen from a recipe: the project's, or one that is put beside it."""
    folder = place.absolute().parent
    is_inside = folder.is_relative_to(PROJECT)
    return os.path.relpath(PROJECT / _SCHEMA, folder) if is_inside else Path(_SCHEMA).name


def _put_schema(place: Path) -> None:
    """Puts the JSON schema beside a recipe that is not of the project, if none is there."""
    beside = place.parent / Path(_SCHEMA).name
    if not place.absolute().is_relative_to(PROJECT) and not beside.exists():
        shutil.copyfile(PROJECT / _SCHEMA, beside)


def _path_in_recipe(data: str, workspace: Workspace) -> str:
    """The table as seen from the recipe's repository, so that it goes with the recipe."""
    root = Path.cwd()
    if workspace.is_project and Path(data).is_relative_to(root):
        return str(Path(data).relative_to(root))
    return workspace.name_of(data)


def _name_of(data: str, path: Path) -> str:
    """The table's own name: of several files or a query, as it was asked for."""
    return path.name if "://" in data else PurePosixPath(data).name


def _show_progress(what: str, names: list[str]) -> Iterator[str]:
    with click.progressbar(names, label=f"draft_recipe: {what}") as bar:
        yield from bar


def _write(place: Path, text: str) -> None:
    try:
        with place.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                place.unlink()
                raise
    except OSError as error:
        raise InputError(f"output: {place} cannot be written: {error.strerror}") from error


def _summary(draft: Draft, place: Path, command: str) -> str:
    recipe = draft.recipe
    gate = ", ".join(recipe.gate)
    lines = [
        ("recipe", f"{place}, for {draft.rows} rows"),
        ("task", f"{recipe.task} of {show(recipe.data.target)} ({draft.task_reason})"),
        ("columns", f"{len(recipe.data.columns)} to train on, {len(draft.dropped)} dropped"),
        *_first_lines("", _reasons(draft)),
        *_first_lines("sure?", draft.doubts),
        ("split", f"{recipe.split.method}, {recipe.split.test_size:.0%} test rows"),
        (
            "models",
            ", ".join(
                f"{name} (default)" if name == recipe.default_model else name
                for name in recipe.models
            ),
        ),
        *(("" if number else "tried", line) for number, line in enumerate(draft.tried)),
        ("gate", f"{gate} against the naive baseline; decides: {recipe.metrics.primary}"),
        ("next", f"look through {place}, then"),
        ("", command),
    ]
    if recipe.is_binary:
        label = show(recipe.data.positive_class)
        lines.insert(2, ("finds", f"{label} ({draft.positive_reason})"))
    return "\n" + "\n".join(f"{name:<9}{text}" for name, text in lines)


def _reasons(draft: Draft) -> list[str]:
    """Why columns are dropped, those first whose words could be used."""
    texts = {name for name, check in draft.keep.items() if check.type == "text"}
    names = sorted(draft.dropped, key=lambda name: name not in texts)
    return [f"{show(name)}: {draft.dropped[name]}" for name in names]


def _first_lines(label: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    more = len(lines) - _MOST_SHOWN
    shown = [*lines[:_MOST_SHOWN], *([f"and {more} more, in the recipe"] if more > 0 else [])]
    return [("" if number else label, line) for number, line in enumerate(shown)]


if __name__ == "__main__":
    run_command(main, write_result)
