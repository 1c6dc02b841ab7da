"""A saved Pipeline: may it be loaded, and is it the same as another?"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from common.errors import InputError
from modelling.models import row_details, sklearn_wrapper


def check_trusted(path: Path, own_code: str = "") -> None:
    """Checks that the logged model may load a file of skops: it holds only trusted types.

    Args:
        path: the file.
        own_code: the name of the model's own code, as it is imported here.

    Raises:
        InputError: it holds others; one line names them.
    """
    trusted = {*sklearn_wrapper.TRUSTED_TYPES, *sklearn_wrapper.own_types(path, own_code)}
    untrusted = set(skops.io.get_untrusted_types(file=path)) - trusted
    if untrusted:
        raise InputError(
            f"the model holds types that skops does not trust: {', '.join(sorted(untrusted))}; "
            "choose another estimator, or serialization: cloudpickle in the recipe"
        )


def model_digest(pipeline: Path, features: dict[str, Any]) -> str:
    """Returns the sha256 of a model's content: its Pipeline, its features and its code.

    Two files of skops for the same Pipeline differ in their bytes (time stamps, object addresses
    and file names); equal Pipelines have equal digests here.
    """
    digest = hashlib.sha256()
    digest.update(
        _skops_content(pipeline) if pipeline.suffix == ".skops" else pipeline.read_bytes()
    )
    digest.update(json.dumps(features, sort_keys=True).encode())
    for code in (sklearn_wrapper, row_details):
        # Git may have written CRLFs into it.
        digest.update(Path(str(code.__file__)).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _skops_content(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        content = _without_addresses(json.loads(archive.read("schema.json")), archive)
    return json.dumps(content, sort_keys=True).encode()


def _without_addresses(node: Any, archive: zipfile.ZipFile) -> Any:
    """The schema of skops without object addresses, and with files as their digests."""
    if isinstance(node, list):
        return [_without_addresses(item, archive) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _file_digest(value, archive) if key == "file" else _without_addresses(value, archive)
        for key, value in node.items()
        if key != "__id__"
    }


def _file_digest(name: str, archive: zipfile.ZipFile) -> str:
    data = archive.read(name)
    if not name.endswith(".npy"):
        return hashlib.sha256(data).hexdigest()
    array = np.load(io.BytesIO(data), allow_pickle=False)
    digest = hashlib.sha256(f"{array.dtype.descr}{array.shape}".encode())
    # The padding between the fields of a record is not content.
    for part in [array[field] for field in array.dtype.names or ()] or [array]:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
