"""Files before they become artifacts: one naming rule, one folder, gone when the process ends."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
import pandas as pd
import skops.io
import yaml
from matplotlib.figure import Figure

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
) -> Path:
    """Writes an object to a temporary file and returns its path.

    Predictions (a DataFrame) become Parquet, a plot (a Figure) PNG, a config (a mapping) YAML, a
    report (text) HTML, and a model (an estimator) a file of skops, or of cloudpickle where
    `config["serialization"]` says so.
    """
    path = _folder() / build_output_filename(entity, model, category, config)
    match category, obj:
        case "predictions", pd.DataFrame():
            path = path.with_suffix(".parquet")
            obj.to_parquet(path, index=False)
        case "plot", Figure():
            path = path.with_suffix(".png")
            obj.savefig(path)
        case "config", Mapping():
            path = path.with_suffix(".yaml")
            path.write_text(yaml.safe_dump(dict(obj), sort_keys=False, allow_unicode=True), "utf-8")
        case "report", str():
            path = path.with_suffix(".html")
            path.write_text(obj, encoding="utf-8")
        case "model", _ if config.get("serialization") == "cloudpickle":
            path = path.with_suffix(".pkl")
            path.write_bytes(cloudpickle.dumps(obj))
        case "model", _:
            path = path.with_suffix(".skops")
            skops.io.dump(obj, path)
        case _:
            raise TypeError(f"a {type(obj).__name__} cannot be saved as {category}")
    return path


def temporary_path(name: str) -> Path:
    """Returns a path for a file of this name, in the folder that goes when the process ends."""
    return _folder() / name


def _folder() -> Path:
    return Path(_temporary_directory().name)


@cache
def _temporary_directory() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="cuvee-")
