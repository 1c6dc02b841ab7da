"""The environment that a logged model needs: conda.yaml, with just the model's packages pinned."""

from collections.abc import Iterable
from importlib.metadata import packages_distributions, version
from pathlib import Path
from platform import python_version
from typing import Any

import yaml

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
        packages: what own code imports besides.
    """
    environment = yaml.safe_load(template.read_text(encoding="utf-8"))
    known = packages_distributions()
    imported = [estimator.partition(".")[0], *packages]
    own = [name for package in imported if package != "sklearn" for name in known.get(package, [])]
    pins = [f"{name}=={version(name)}" for name in dict.fromkeys([*_PACKAGES, *own])]
    return {
        "name": environment["name"],
        "channels": environment["channels"],
        "dependencies": [f"python={python_version()}", "pip", {"pip": pins}],
    }
