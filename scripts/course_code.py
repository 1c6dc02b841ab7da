"""Prints the course's complete code after a block, as one script that runs.

python scripts/course_code.py 12 > wine.py
python scripts/course_code.py 12 --french > vin.py
"""

import re
import sys
from pathlib import Path

import click

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_BLOCK = re.compile(r"^## (\d+)\. (.*)\n((?:(?!^## ).*\n)*)", re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_after(block: int, page: Path) -> str:
    """Returns the Python of a page's blocks up to one, each below its number and title.

    Raises:
        ValueError: the page has no such block.
    """
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    if block >= len(found):
        raise ValueError(f"there is no block {block}: 0 to {len(found) - 1}")
    parts = [
        f"# {number}. {title}\n\n" + "\n".join(_PYTHON.findall(text))
        for number, title, text in found[: block + 1]
        if "```python" in text
    ]
    return "\n\n".join(parts)


@click.command()
@click.argument("block", type=click.IntRange(min=0))
@click.option("--french", is_flag=True, help="Of the French page.")
def main(block: int, french: bool) -> None:
    """Prints the course's complete code after a BLOCK."""
    page = "fr/apprendre/cours.md" if french else "learn/course.md"
    try:
        click.echo(code_after(block, _DOCS / page), nl=False)
    except ValueError as error:
        sys.exit(f"course_code: {error}")


if __name__ == "__main__":
    main()
