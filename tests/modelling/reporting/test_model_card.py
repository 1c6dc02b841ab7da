"""What a fitted Pipeline tells of itself."""

import numpy as np
import pandas as pd

from modelling.estimators import Inputs, build_pipeline, fit_pipeline
from modelling.recipe import Model
from modelling.reporting.model_card import describe_pipeline

ROWS = 120
RANDOM = np.random.default_rng(0)


def test_weights_bear_names_that_a_person_knows():
    table = pd.DataFrame(
        {
            "age": np.where(RANDOM.random(ROWS) < 0.2, np.nan, RANDOM.normal(size=ROWS)),
            "vip": RANDOM.integers(0, 2, ROWS).astype(float),
            "plan": [*RANDOM.choice(["basic", "gold_2", None], ROWS - 2), "old", "older"],
        }
    )
    model = Model(estimator="sklearn.linear_model.Ridge", scale=True, parameters={"alpha": 2.0})
    inputs = Inputs(numbers=["age"], flags=["vip"], few=["plan"], may_miss=True)
    pipeline = build_pipeline(model, {}, 0, "regression", inputs)
    card = describe_pipeline(fit_pipeline(pipeline, table, table["vip"]))
    assert list(card["weights"]["values"]) == [
        "age",
        "age is missing",
        "vip",
        "plan = basic",
        "plan = gold_2",
        "plan is missing",
        "plan is rare",
    ]
    assert card["chosen"] == ["alpha", "random_state"]
