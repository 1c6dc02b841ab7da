"""Executes a notebook as "Run all" does; itself runs in the environment of the notebooks.

    python execute.py NOTEBOOK OUTPUT [--solutions]

With `--solutions`, the solution of each exercise stands in the place of its TODO.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_LONGEST_SECONDS = 600


def put_solutions_in_place(notebook: nbformat.NotebookNode) -> None:
    """Leaves the exercises out, and makes the solutions code."""
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    exercises = [number for number, found in enumerate(tags) if "exercise" in found]
    solutions = [number for number, found in enumerate(tags) if "solution" in found]
    assert solutions == [number + 1 for number in exercises]
    for number in solutions:
        assert notebook.cells[number].cell_type == "raw"
        notebook.cells[number] = nbformat.v4.new_code_cell(notebook.cells[number].source)
    notebook.cells = [cell for n, cell in enumerate(notebook.cells) if n not in exercises]


def main(path: Path, output: Path, *options: str) -> None:
    """Executes the notebook where it is, and writes what it shows."""
    notebook = nbformat.read(path, as_version=4)
    if "--solutions" in options:
        put_solutions_in_place(notebook)
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=_LONGEST_SECONDS,
        kernel_name="python3",
        resources=place,
        coalesce_streams=True,  # a line that is printed may come in several parts
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
