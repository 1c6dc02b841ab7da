"""What the step says of rows that cannot be held against a promise."""

import json
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from common.errors import InputError
from modelling.inspecting.monitoring import KeptPromise
from modelling.judging.answers import Answers
from modelling.recipe import Split, load_recipe
from steps import monitor
from steps.monitor import Measurement, _measure, _tell
from steps.reporting import monitoring, verdict

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


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"method": "group", "column": "customer"}, [0, 1, 0, -1, -2]),
        ({"method": "group", "column": "another"}, None),
        ({}, None),
    ],
)
def test_rows_are_of_the_groups_that_the_split_kept_together(split, expected):
    rows = pd.DataFrame({"customer": ["b", "a", " b", None, ""]}, index=[3, 4, 9, 10, 11])
    found = monitor._groups(rows, CHURN.model_copy(update={"split": Split(**split)}))
    assert (None if found is None else found.tolist()) == expected


def test_rows_of_one_group_alone_are_drawn_each():
    """Of one group, each resample would be the same, and chance no width."""
    split = Split(method="group", column="customer")
    rows = pd.DataFrame({"customer": ["b", " b", "b"]})
    assert monitor._groups(rows, CHURN.model_copy(update={"split": split})) is None


def test_the_data_means_nothing_in_the_description(monkeypatch):
    tags = {}
    monkeypatch.setattr(mlflow, "set_tags", tags.update)
    none = np.zeros(1)
    drifted = pd.DataFrame({"column": ["<b>[a](b)*_"], "psi": [1.0]})
    measured = Measurement(Answers(none), none, 2, 0, "row 1: '<i>'", drifted, drifted)
    kept = KeptPromise("within_half_point", 0.5, 0.4, 0.6, 0.7, 0.63, True, none)
    champion = SimpleNamespace(version="1", name="wine_quality")
    _tell(measured, kept, champion, ["drift above 0.25: <b>[a](b)*_ 1.00"], "new_rows.csv")
    assert not set(tags[MLFLOW_RUN_NOTE].replace("**ALERT**", "")) & set("*[]<>_`")
    assert tags[MLFLOW_RUN_NOTE].count("**ALERT**: ") == 1


def test_intervals_that_no_longer_hold_are_an_alert(monkeypatch):
    rng = np.random.default_rng(0)
    inputs = pd.DataFrame({"a": np.zeros(1_000)})
    said = pd.DataFrame({"prediction": np.zeros(1_000)})
    ends = {"prediction_low": -1.645, "prediction_high": 1.645}
    model = SimpleNamespace(
        features={"intervals": {"coverage": 0.9}}, interval=lambda *_: said.assign(**ends)
    )
    none = pd.DataFrame({"column": [], "psi": []})
    kept = KeptPromise("rmse", 1.0, 0.9, 1.1, 1.0, 1.1, False, np.zeros(1))
    for spread, wanted in ((1.0, 0), (1.3, 1)):
        true = rng.normal(size=1_000) * spread
        coverage = monitor._coverage(model, inputs, said, true, None, None)
        measured = Measurement(Answers(true), true, 1_000, 0, None, none, none, coverage)
        alerts = monitor._alerts(kept, measured, CHURN)
        assert len(alerts) == wanted
    assert alerts[0].endswith("of the rows are within what the model said of each, promised 90.0%")
    model.features = {}
    assert monitor._coverage(model, inputs, said, true, None, None) is None


def monitored(alert, now, status="FAILED"):
    """A run of monitor, as a report reads it: 0.78 (± 0.01) was promised, the limit is 0.70."""
    metrics = {"roc_auc": now, "roc_auc_low": now - 0.03, "roc_auc_high": now + 0.03}
    metrics |= {"promised_roc_auc": 0.78, "roc_auc_limit": 0.7, "rows": 400, "measured_rows": 390}
    metrics |= {"drifted_columns": 1 if "drift" in alert else 0}
    recipe = CHURN.model_copy(
        update={"metrics": CHURN.metrics.model_copy(update={"primary": "roc_auc"})}
    )
    return SimpleNamespace(
        entry_point="monitor",
        tags={"pipeline.alert": alert, "pipeline.model_version": "3"},
        run=SimpleNamespace(
            data=SimpleNamespace(metrics=metrics), info=SimpleNamespace(status=status)
        ),
        recipe=recipe,
        recipe_name="customer_churn",
        model_name="boosting",
    )


def less_sure():
    """A run of monitor whose intervals hold 82 of 100 rows, in place of 90."""
    runs = monitored("82.0% of the rows are within what the model said of each", 0.77)
    ends = {"interval_coverage_low": 0.78, "interval_coverage_high": 0.86}
    runs.run.data.metrics |= {"promised_interval_coverage": 0.9, "interval_coverage": 0.82, **ends}
    return runs


@pytest.mark.parametrize(
    ("runs", "word", "tone", "sentence", "advice"),
    [
        (monitored("none", 0.77, "FINISHED"), "all well", "good", "is as good as promised", 0),
        (monitored("roc_auc 0.6 is worse", 0.6), "alert", "bad", "No longer as good", 1),
        (monitored("roc_auc 0.6 is worse; drift", 0.6), "alert", "bad", "No longer as good", 2),
        (monitored("drift above 0.25: age", 0.77), "alert", "note", "within the limit so far", 1),
        (less_sure(), "alert", "bad", "Less often right about a row than it says", 1),
    ],
)
def test_a_report_answers_whether_the_model_is_still_good(runs, word, tone, sentence, advice):
    found = verdict.read_verdict(runs)
    assert found[:2] == (word, tone)
    assert sentence in found[2]
    assert len(monitoring.read_advice_of_monitor(runs)) == advice
    assert verdict.read_failure(runs) is None
    now = runs.run.data.metrics["roc_auc"]
    assert verdict.read_answer(runs) == (
        f"boosting scores a row of “leaves” above one of the rest in {100 * now:.0f} "
        f"({100 * now - 3:.0f} to {100 * now + 3:.0f}) of 100 cases; its test promised 78; "
        "measured on 390 rows"
    )
    assert next(fact.label for fact in verdict.read_facts(runs)) == "roc_auc now"
