"""Makes notebooks/*.ipynb, without output, of the scripts beside them (jupytext's py:percent).

In an environment of requirements-notebooks.lock. A cell with the tag `active-py` is code in the
script and text in the notebook: the solution of an exercise, which "Run all" leaves out.
"""

import sys
from pathlib import Path

import click
import jupytext
import nbformat

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def make_notebook(script: Path) -> str:
    """Returns the text of the notebook that a script is: the same text each time."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.from_dict(_METADATA)
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
    text: str = nbformat.writes(notebook)
    return text + "\n"


@click.command(help=str(__doc__))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if something differs.")
def main(check: bool) -> None:
    """Writes the notebooks that differ from their scripts, or only names them."""
    made = {path.with_suffix(".ipynb"): make_notebook(path) for path in NOTEBOOKS.glob("*.py")}
    kept = {path: path.read_text(encoding="utf-8") for path in NOTEBOOKS.glob("*.ipynb")}
    differing = sorted(path for path in {*made, *kept} if made.get(path) != kept.get(path))
    for path in differing:
        click.echo(path.name)
        if not check and path in made:
            path.write_text(made[path], encoding="utf-8")
    sys.exit(int(check and bool(differing)))


if __name__ == "__main__":
    main()
