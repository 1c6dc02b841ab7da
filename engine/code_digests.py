"""The code that a step runs, found by its imports, and whether it has been edited since.

Used before anything is imported that may be missing: only the standard library may be used here.
"""

import ast
import hashlib
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from engine.memory import Memory

# What is behind the digest of a file's content: to parse all of them takes a third of a second.
_code_memory = Memory("code_digests.json", 2000)


def code_digests(project: Path, module: str) -> dict[str, str]:
    """Finds, without running it, the code that a module of the project runs.

    Args:
        project: the folder that imports start from.
        module: such as `steps.train`.

    Returns:
        The digest of each file that the module imports, its own included, by its path in the
        project. Comments, docstrings and formatting do not count.
    """
    found: dict[str, str] = {}
    pending = [module]
    remembered = len(_known_code())
    while pending:
        for file in _files_of(project, pending.pop()):
            name = file.relative_to(project).as_posix()
            if name not in found:
                found[name], imported = _read_code(file)
                pending.extend(imported)
    if len(_known_code()) > remembered:
        _code_memory.add(_known_code())
    return dict(sorted(found.items()))


def edited_files(project: Path, digests: Mapping[str, str]) -> list[str]:
    """Names the files whose code is not what it was when this process first read it.

    Args:
        project: the folder that imports start from.
        digests: as `code_digests` gave them.
    """
    return [name for name, digest in digests.items() if _digest_now(project / name) != digest]


def _digest_now(file: Path) -> str | None:
    try:
        return _read_code.__wrapped__(file)[0]
    except (OSError, SyntaxError, ValueError):
        return None


@cache
def _files_of(project: Path, module: str) -> tuple[Path, ...]:
    """The module's file, if the project has it, and those of the packages around it."""
    parts = module.split(".")
    paths = [project.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    files = [file for path in paths for file in (path / "__init__.py", path.with_suffix(".py"))]
    return tuple(file for file in files if file.is_file())


@cache
def _read_code(file: Path) -> tuple[str, Sequence[str]]:
    """The digest of a file's code, and the names of the modules that it imports."""
    content = file.read_bytes()
    # Python's version, since another one may see another tree.
    name = f"{platform.python_version()} {hashlib.sha256(content).hexdigest()}"
    known = _known_code()
    if name not in known:
        known[name] = _parse_code(content)
    digest, imported = known[name]
    return digest, imported


@cache
def _known_code() -> dict[str, Any]:
    return _code_memory.read()


def _parse_code(content: bytes) -> tuple[str, Sequence[str]]:
    tree = ast.parse(content)
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported += [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_text(line)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16], tuple(imported)


def _is_text(line: ast.stmt) -> bool:
    """Whether it is a docstring, or a text below a name."""
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
