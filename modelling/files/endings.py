"""How the files of tables end; it imports nothing, so that whoever only asks need not wait."""

_COMPRESSED = ("", ".gz", ".zst")
JSON_LINES = tuple(kind + end for kind in (".jsonl", ".ndjson") for end in _COMPRESSED)
PARQUET = (".parquet", ".parq", ".pq")
_CSV = tuple(kind + end for kind in (".csv", ".tsv") for end in _COMPRESSED)
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TABLES = (*_CSV, ".txt", *PARQUET, *JSON_LINES, *WORKBOOKS)
