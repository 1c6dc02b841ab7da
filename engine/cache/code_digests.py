"""The code that a step runs, found by its imports, and whether it has been edited since.

Used before anything is imported that may be missing: only the standard library may be used here.
"""

import ast
import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.user_cache import Memory

# What is behind the digest of a file's content: to parse all of them takes a third of a second.
_code_memory = Memory("code_digests.json", 2000)
_INSTALLED = {"site-packages", "dist-packages"}
_PARSER = 2  # one more where `_parse_code` finds something else in the same file


def code_digests(project: Path, module: str, without: Sequence[str] = ()) -> dict[str, str]:
    """Finds, without running it, the code that a module of the project runs.

    Args:
        project: the folder that imports start from.
        module: such as `steps.train`.
        without: files and folders of the project that are left out, with what only they import.

    Returns:
        The digest of each file that the module imports, its own included, by its path in the
        project. Comments, docstrings and formatting do not count.

    Raises:
        ValueError: a file is no Python; one line says where.
    """
    return dict(_read_all(project, module, tuple(without))[0])


def imported_packages(project: Path, module: str) -> list[str]:
    """Names the packages that code imports which are neither in its folder nor Python's own.

    Args:
        project: the folder that imports start from.
        module: such as `steps.train`.
    """
    return sorted(_read_all(project, module)[1] - sys.stdlib_module_names)


def import_folder(module: str) -> Path | None:
    """Finds, without importing it, the folder that holds a module's package.

    None if there is no such package, or it is part of Python itself.
    """
    package = module.partition(".")[0]
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        return None
    if found is None or package in sys.stdlib_module_names:
        return None
    places = list(found.submodule_search_locations or [])
    file = places[0] if places else found.origin
    return Path(file).resolve().parent if file else None


def is_installed(module: str) -> bool:
    """Says whether a module is of an installed package, as it is wherever that is installed."""
    folder = import_folder(module)
    return folder is not None and bool(_INSTALLED.intersection(folder.parts))


@cache
def _read_all(
    project: Path, module: str, without: tuple[str, ...] = ()
) -> tuple[dict[str, str], set[str]]:
    """The digests of the files that a module runs, and the packages that are not among them."""
    own = set(_files_of(project, module))
    found: dict[str, str] = {}
    outside: set[str] = set()
    pending = [module]
    remembered = len(_known_code())
    while pending:
        wanted = pending.pop()
        files = _files_of(project, wanted)
        if not files:
            outside.add(wanted.partition(".")[0])
        for file in files:
            name = file.relative_to(project)
            is_left_out = file not in own and any(map(name.is_relative_to, without))
            if name.as_posix() not in found and not is_left_out:
                found[name.as_posix()], imported = _read_code(file)
                pending.extend(filter(None, (_absolute(each, name) for each in imported)))
    if len(_known_code()) > remembered:
        _code_memory.add(_known_code())
    return dict(sorted(found.items())), outside


def _absolute(module: str, file: Path) -> str:
    """A module as the folder's file imports it, by its name from there; empty if it has none."""
    name = module.lstrip(".")
    level = len(module) - len(name)
    if not level:
        return name
    package = file.parent.parts
    if level > len(package):
        return ""
    return ".".join([*package[: len(package) - level + 1], name])


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
    except (OSError, ValueError):
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
    """The digest of a file's code, and the names of the modules that it imports.

    A relative name keeps the dots that it begins with.
    """
    content = file.read_bytes()
    # Python's version, since another one may see another tree.
    name = f"{_PARSER} {platform.python_version()} {hashlib.sha256(content).hexdigest()}"
    known = _known_code()
    if name not in known:
        try:
            known[name] = _parse_code(content)
        except SyntaxError as error:
            raise ValueError(f"{file}, line {error.lineno}: {error.msg}") from error
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
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (f"{node.module}." if node.module else "")
            imported += [f"{package}{name.name}" for name in node.names]
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
