"""How the files of tables are named; it imports little, so that whoever only asks need not wait."""

from pathlib import Path

_COMPRESSED = ("", ".gz", ".zst")
JSON_LINES = tuple(kind + end for kind in (".jsonl", ".ndjson") for end in _COMPRESSED)
PARQUET = (".parquet", ".parq", ".pq")
_CSV = tuple(kind + end for kind in (".csv", ".tsv") for end in _COMPRESSED)
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TABLES = (*_CSV, ".txt", *PARQUET, *JSON_LINES, *WORKBOOKS)
_HIDDEN = (".", "_", "~$")  # the last is what Excel keeps beside a file that is open


def files_that_count(folder: Path) -> list[Path]:
    """Returns the files below a folder in the order of their paths, but for hidden ones.

    Those are files and folders whose names begin with `.`, `_` or `~$`.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(_HIDDEN) for part in path.relative_to(folder).parts)
    )
