"""What the result of a step depends on, and how to say in words what of it has changed."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from common.errors import InputError
from engine.cache.code_digests import code_digests, import_folder, imported_packages, is_installed

RULES = "rules of the key"
"""Entry of the environment: which rules say what is in a key. Others make other keys."""
LOCK = "requirements.lock"
OWN_LOCK = "requirements.lock of the recipe's repository"
"""Entries of the environment: the digests of both."""
ABSENT = "0+not.installed"
"""The version of what a lock names and is not there."""
_MOST_REASONS = 3
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")


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
        """Says in words what is not as it was, code first; of a digest the first characters."""
        rules, old_rules = (each.environment.get(RULES) for each in (self, before))
        if rules != old_rules:
            return [f"what decides a result is told by rules {rules}, and was by {old_rules or 0}"]
        mine, theirs = _flat(self.parameters), _flat(before.parameters)
        changes = [
            *(f"{name} changed" for name in _different(self.code, before.code)),
            *(_change(name, mine, theirs) for name in _different(mine, theirs)),
            *(f"{name} changed" for name in _different(self.inputs, before.inputs)),
            *(
                f"{name} went from {before.environment.get(name, 'the locked version')} to "
                f"{self.environment.get(name, 'the locked version')}"
                for name in _different(self.environment, before.environment)
            ),
        ]
        return [_DIGEST.sub(r"\1", change) for change in changes]


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


@dataclass(frozen=True)
class ClassCode:
    """What stands behind a class that is named in a recipe: files' digests, packages' versions."""

    code: Mapping[str, str]
    environment: Mapping[str, str]


@cache
def class_code(project: Path, path: str) -> ClassCode:
    """Finds, without importing it, the code of a class.

    Args:
        project: the project's root.
        path: the dotted path of the class.

    Returns:
        Of an installed package the version of its distribution; of any other code the digest of
        the module's file and of what it imports from the same folder, by their paths in the project
        or else from the root, with the versions of the packages that it imports. Nothing for
        scikit-learn, which is locked.
    """
    folder = import_folder(path)
    if folder is None or path.startswith("sklearn."):
        return ClassCode({}, {})
    if is_installed(path):
        return ClassCode({}, package_versions([path.partition(".")[0]]))
    root = project.resolve()
    files = {folder / name: digest for name, digest in code_digests(folder, path).items()}
    return ClassCode(
        {
            (file.relative_to(root) if file.is_relative_to(root) else file).as_posix(): digest
            for file, digest in files.items()
        },
        package_versions(imported_packages(folder, path)),
    )


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Returns the versions of the distributions that packages are of, by their names."""
    known = packages_distributions() if packages else {}
    return {name: version(name) for package in packages for name in known.get(package, [])}


def environment_versions(lock: Path, own_lock: Path | None = None) -> dict[str, str]:
    """Returns the locks' digests, Python's version, and each package that is not as locked.

    Args:
        lock: the project's.
        own_lock: of the recipe's own repository, if it has one.
    """
    versions = dict(_versions(lock.read_text(encoding="utf-8"), LOCK))
    if own_lock:
        versions |= _versions(own_lock.read_text(encoding="utf-8"), OWN_LOCK)
    return versions


@cache
def _versions(text: str, name: str) -> dict[str, str]:
    versions = {
        name: hashlib.sha256(text.encode()).hexdigest(),
        "python": platform.python_version(),
    }
    for requirement in _of_this_machine(text):
        installed = _installed(requirement.name)
        if not requirement.specifier.contains(installed, prereleases=True):
            versions[requirement.name] = installed
    return versions


def _of_this_machine(text: str) -> list[Requirement]:
    """What a lock pins for this Python and machine."""
    found = locked_requirements(text)
    return [each for each in found if each.marker is None or each.marker.evaluate()]


def not_installed(lock: Path) -> list[str]:
    """Names the packages of a lock that are not here."""
    pins = _of_this_machine(lock.read_text(encoding="utf-8"))
    return [pin.name for pin in pins if _installed(pin.name) == ABSENT]


def check_own_lock(lock: Path, own_lock: Path) -> None:
    """Checks that the lock of a recipe's own repository has all that the project's has, as it is.

    Raises:
        InputError: it has not; one line names a package.
    """
    ours, theirs = (
        {canonicalize_name(pin.name): str(pin.specifier) for pin in _of_this_machine(text)}
        for text in (file.read_text(encoding="utf-8") for file in (lock, own_lock))
    )
    for name, version_of_ours in ours.items():
        if theirs.get(name) != version_of_ours:
            raise InputError(
                f"{own_lock}: {name}{version_of_ours} is needed, and it has "
                f"{theirs.get(name) or 'none'}; compile it with {lock} among its sources, as "
                "docs/train/own_code.md says"
            )


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
        return ABSENT
