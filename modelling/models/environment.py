"""The environment that a logged model needs: conda.yaml, with just the model's packages pinned."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from platform import python_version
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PACKAGES = (
    "mlflow",
    "scikit-learn",
    "skops",
    "cloudpickle",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
)


def model_environment(
    template: Path, estimator: str, packages: Iterable[str] = ()
) -> dict[str, Any]:
    """Returns a conda environment with exact pins of what is installed here.

    Args:
        template: the project's conda.yaml, which gives the name and the channels.
        estimator: dotted path of the estimator; its package is pinned too.
        packages: what own code imports besides; what these need themselves is pinned too.
    """
    environment = yaml.safe_load(template.read_text(encoding="utf-8"))
    known = packages_distributions()
    imported = [estimator.partition(".")[0], *packages]
    own = [name for package in imported if package != "sklearn" for name in known.get(package, [])]
    pins = [f"{name}=={version(name)}" for name in _with_needs(own)]
    return {
        "name": environment["name"],
        "channels": environment["channels"],
        "dependencies": [f"python={python_version()}", "pip", {"pip": pins}],
    }


def _with_needs(own: Iterable[str]) -> list[str]:
    """The distributions of every model, these, and all that these need."""
    found, pending = list(_PACKAGES), list(dict.fromkeys(own))
    while pending:
        name = pending.pop(0)
        if canonicalize_name(name) in map(canonicalize_name, found):
            continue
        try:
            needs = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # of another machine, or left out
            continue
        found.append(name)
        pending += [
            need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})
        ]
    return found
