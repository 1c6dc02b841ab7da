"""What the result of a step depends on, and how to say in words what of it has changed."""

import ast
import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from packaging.requirements import InvalidRequirement, Requirement

from engine.memory import Memory

_MOST_REASONS = 3
# What is behind the digest of a file's content: to parse all of them takes a third of a second.
_code_memory = Memory("code_digests.json", 2000)


@dataclass(frozen=True)
class Dependencies:
    """All that decides what a step gives: its key is their digest.

    code: digest by file; parameters: value by name; inputs: digest by name; environment: version
    by name.
    """

    code: Mapping[str, str]
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]
    environment: Mapping[str, str]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Returns all of it as JSON."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, default=str)

    @property
    def key(self) -> str:
        """The sha256 over everything, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def changes_since(self, before: "Dependencies") -> list[str]:
        """Says in words what is not as it was, code first."""
        mine, theirs = _flat(self.parameters), _flat(before.parameters)
        return [
            *(f"{name} changed" for name in _different(self.code, before.code)),
            *(_change(name, mine, theirs) for name in _different(mine, theirs)),
            *(f"{name} changed" for name in _different(self.inputs, before.inputs)),
            *(
                f"{name} went from {before.environment.get(name, 'the locked version')} to "
                f"{self.environment.get(name, 'the locked version')}"
                for name in _different(self.environment, before.environment)
            ),
        ]


def in_words(reasons: Sequence[str]) -> str:
    """Returns the first reasons and the number of the others, in one line."""
    more = f", and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
    return ", ".join(reasons[:_MOST_REASONS]) + more


def _change(name: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    if name not in theirs:
        return f"{name} was not set and is {mine[name]} now"
    if name not in mine:
        return f"{name} was {theirs[name]} and is not set now"
    return f"{name} went from {theirs[name]} to {mine[name]}"


def _different(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name in dict.fromkeys([*mine, *theirs])
        if name not in mine or name not in theirs or mine[name] != theirs[name]
    ]


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    if not isinstance(values, dict) or not values:
        return {prefix: values}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}.{name}" if prefix else name)
    return flat


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


def environment_versions(lock: Path) -> dict[str, str]:
    """Returns the lock's digest, Python's version, and each package that is not as locked."""
    return dict(_versions(lock.read_text(encoding="utf-8")))


@cache
def _versions(text: str) -> dict[str, str]:
    versions = {
        "requirements.lock": hashlib.sha256(text.encode()).hexdigest(),
        "python": platform.python_version(),
    }
    for requirement in locked_requirements(text):
        if requirement.marker is None or requirement.marker.evaluate():
            installed = _installed(requirement.name)
            if not requirement.specifier.contains(installed, prereleases=True):
                versions[requirement.name] = installed
    return versions


def locked_requirements(text: str) -> list[Requirement]:
    """Returns what a lock of uv or pip pins, without the hashes."""
    lines = (re.split(r" --| \\|#", line)[0].rstrip() for line in text.splitlines())
    return [requirement for line in lines if (requirement := _requirement(line))]


def _requirement(line: str) -> Requirement | None:
    if not line or line.startswith((" ", "-")):
        return None
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0+not.installed"
