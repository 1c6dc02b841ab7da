"""How the files of tables end; it imports nothing, so that whoever only asks need not wait."""

JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
PARQUET = (".parquet", ".parq", ".pq")
TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", *PARQUET, *JSON_LINES)
