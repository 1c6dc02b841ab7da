"""Writes docs/use/result.schema.json from steps/runs/result.py.

python scripts/write_result_schema.py
"""

import json
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from steps.runs.result import Result

FILE = PROJECT / "docs/use/result.schema.json"


def schema_text() -> str:
    """Returns the JSON Schema of what an entry point writes to `result`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Result.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
