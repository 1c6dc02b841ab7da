"""Text and tables in Markdown, as MLflow shows it, whatever the text holds."""

from collections.abc import Iterable, Sequence

_SPECIAL = "&<>\\`*_{}[]()#|~!$"


def escape(text: object) -> str:
    """Returns a text as Markdown that shows this very text: no tag, link or emphasis comes of it.

    Letters that mean something in Markdown or HTML become character references, which mean
    nothing in either.
    """
    line = " ".join(str(text).split())
    return "".join(f"&#{ord(letter)};" if letter in _SPECIAL else letter for letter in line)


def paragraphs(lines: Iterable[object]) -> str:
    """Returns lines of text as Markdown that shows these very lines, each a paragraph."""
    return "\n\n".join(map(escape, lines))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
