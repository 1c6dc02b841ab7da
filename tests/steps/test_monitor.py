"""What the step says of rows that cannot be held against a promise."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from modelling.errors import InputError
from modelling.recipe import load_recipe
from steps.monitor import _measure

PROJECT = Path(__file__).parents[2]
CHURN = load_recipe("recipes/customer_churn.yaml", PROJECT)


def test_rows_of_one_class_have_no_roc_auc(tmp_path):
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "profile.json").write_text(json.dumps({}))
    table = pd.DataFrame({"a": [1.0, 2.0], CHURN.data.target: [0, 0]})
    said = pd.DataFrame({"prediction": [0, 0], "probability_0": 1.0, "probability_1": 0.0})
    model = SimpleNamespace(
        features={"columns": {"a": "number"}},
        pipeline=SimpleNamespace(classes_=np.array([0, 1])),
        predict_valid=lambda rows: (rows[["a"]], said, {}),
    )
    pyfunc = SimpleNamespace(unwrap_python_model=lambda: model)
    trained = SimpleNamespace(pyfunc=pyfunc, folder=tmp_path)
    recipe = CHURN.model_copy(
        update={"metrics": CHURN.metrics.model_copy(update={"primary": "roc_auc"})}
    )
    with pytest.raises(InputError, match="no row of the class 1: roc_auc cannot be measured"):
        _measure(table, trained, recipe, "new.csv")
