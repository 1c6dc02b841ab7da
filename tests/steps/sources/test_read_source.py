"""What a loader of one's own gives is read as a file is, whatever pandas holds it in."""

from textwrap import dedent

import pandas as pd
import pytest

from modelling.recipe import Recipe
from modelling.tables.table import check_table
from steps.sources.read_source import read_source

LOADER = """
    import pandas as pd

    def load(path):
        return pd.read_csv(path, dtype_backend={backend!r}, dtype={dtype!r})
"""


@pytest.mark.parametrize("dtype", [None, "string[pyarrow]"])
def test_text_of_arrow_is_text(dtype, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('zone,fee,vip,day,y\n x ,"$1,200.50",True,2026-01-02,1\nz,$7,,,2\n,,,,3\n')
    code = dedent(LOADER.format(backend="pyarrow", dtype=dtype))
    data = {
        "path": str(path),
        "target": "y",
        "columns": {
            "zone": {"type": "category", "missing": 1},
            "fee": {"format": "$1,234.56", "missing": 1},
            "vip": {"type": "boolean", "missing": 1},
            "day": {"type": "date", "missing": 1},
        },
    }
    recipe, plain = (
        Recipe.model_validate(
            {
                "name": "r",
                "task": "regression",
                "code": {"own.py": code},
                "data": {**data, **loader},
                "models": {"m": {"estimator": "sklearn.linear_model.Ridge"}},
            }
        )
        for loader in ({"loader": "own.load"}, {})
    )
    loaded, read = (
        check_table(read_source(path, each, []), each, "t").frame for each in (recipe, plain)
    )
    assert read["fee"].tolist()[:2] == [1200.5, 7]
    pd.testing.assert_frame_equal(loaded, read)
