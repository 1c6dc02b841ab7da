"""The pages of the documentation, and the code in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(str(p.relative_to(PROJECT)) for p in PROJECT.glob("docs/**/*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page in these languages."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    return [code for language, code in _BLOCK.findall(text) if language in languages]


def without_comment(line: str) -> str:
    """A line without the comment at its end."""
    return re.sub(r"(^|\s+)# .*$", "", line)


def commands(page: str) -> Iterator[str]:
    """The commands of a page, each on as many lines as it has there."""
    for block in code_blocks(page, "sh"):
        lines: list[str] = []
        for line in map(without_comment, block.splitlines()):
            lines.append(line)
            command = "\n".join(lines)
            if _is_whole(command):
                lines = []
                if command.strip():
                    yield command
        assert lines == [], f"{page}: a quotation or a backslash without an end: {lines}"


def _is_whole(command: str) -> bool:
    """Whether a command ends here: no quotation is open, and no line is continued."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")
