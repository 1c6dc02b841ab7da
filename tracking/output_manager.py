"""Files by one naming rule: kept where one stands, or on their way to become artifacts."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

OUTPUTS = "outputs"
"""The folder of files that are kept."""
CATEGORIES = ("predictions", "model", "plot", "config", "report")


def build_output_filename(
    entity: str, model: str | None, category: str, config: Mapping[str, Any]
) -> str:
    """Returns a file's name without its ending, such as `wine_quality-ridge-predictions-1f3a09bc`.

    Args:
        entity: the recipe's name.
        model: one of its models, or None.
        category: one of CATEGORIES.
        config: what the content depends on; its digest ends the name, so that the same settings
            give the same name, and others another.

    Raises:
        ValueError: no such category.
    """
    if category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}; allowed: {', '.join(CATEGORIES)}")
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()
    return "-".join(part for part in (entity, model, category, digest[:8]) if part)


def save_local(
    obj: Any, category: str, entity: str, model: str | None, config: Mapping[str, Any]
) -> str:
    """Writes an object to a file in `outputs/`, where one stands, and returns its path.

    Predictions (a DataFrame) become Parquet, a plot (a Figure) PNG, a config (a mapping) YAML, a
    report (text) HTML, and a model (an estimator) a file of skops, or of cloudpickle where
    `config["serialization"]` says so.
    """
    name = build_output_filename(entity, model, category, config)
    folder = Path(OUTPUTS).absolute()
    folder.mkdir(exist_ok=True)
    return str(_write(obj, category, folder / name, config))


def save_temporary(
    obj: Any, category: str, entity: str, model: str | None, config: Mapping[str, Any]
) -> Path:
    """Writes an object as `save_local` does, to a file that goes when the process ends."""
    path = _folder() / build_output_filename(entity, model, category, config)
    return _write(obj, category, path, config)


def _write(obj: Any, category: str, path: Path, config: Mapping[str, Any]) -> Path:
    match category:
        case "predictions":
            path = _with_ending(path, ".parquet")
            obj.to_parquet(path, index=False)
        case "plot":
            path = _with_ending(path, ".png")
            obj.savefig(path)
        case "config":
            path = _with_ending(path, ".yaml")
            text = yaml.safe_dump(dict(obj), sort_keys=False, allow_unicode=True)
            path.write_text(text, encoding="utf-8")
        case "report":
            path = _with_ending(path, ".html")
            path.write_text(obj, encoding="utf-8")
        case "model":
            path = _save_model(obj, path, config.get("serialization", "skops"))
    return path


def _save_model(estimator: Any, path: Path, serialization: str) -> Path:
    # Imported here, since skops takes seconds to and main saves no model.
    if serialization == "cloudpickle":
        import cloudpickle

        path = _with_ending(path, ".pkl")
        path.write_bytes(cloudpickle.dumps(estimator))
    else:
        import skops.io

        path = _with_ending(path, ".skops")
        skops.io.dump(estimator, path)
    return path


def _with_ending(path: Path, ending: str) -> Path:
    """The path with this ending behind its whole name: a model's name may hold a point."""
    return path.with_name(path.name + ending)


def temporary_path(name: str) -> Path:
    """Returns a path for a file of this name, in the folder that goes when the process ends."""
    return _folder() / name


def temporary_folder(name: str) -> Path:
    """Returns a new or existing folder of this name, in the one that goes when the process ends."""
    path = _folder() / name
    path.mkdir(exist_ok=True)
    return path


def _folder() -> Path:
    return Path(_temporary_directory().name)


@cache
def _temporary_directory() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="cuvee-")
