"""The digest of a table's content."""

import hashlib

import numpy as np
import pandas as pd


def table_digest(frame: pd.DataFrame) -> str:
    """Returns the sha256 of a checked table's whole content: names, order and every value."""
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        digest.update(f"{name}\0{column.dtype}\0{len(frame)}\0".encode())
        if isinstance(column.dtype, pd.StringDtype):
            digest.update(column.isna().to_numpy().tobytes())
            text = column.fillna("")
            digest.update(text.str.len().to_numpy().tobytes())
            digest.update(text.str.cat().encode())
        else:
            digest.update(np.ascontiguousarray(column.to_numpy()).view(np.uint8).data)
    return digest.hexdigest()
