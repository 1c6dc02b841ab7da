"""monitor on next month's rows: a date and a counter lie above the training's, as they must."""

import numpy as np
import pandas as pd
import pytest

RECIPE = """
name: meters
task: regression
data:
  path: {path}
  target: y
  columns: {{day: {{type: date}}, meter: {{}}, x: {{}}}}
models:
  ridge: {{estimator: sklearn.linear_model.Ridge, scale: true}}
monitor: {{max_drop: 1}}
"""


def rows_of(days, shift=0.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=len(days) * 5)
    return pd.DataFrame(
        {
            "day": np.repeat(days, 5),
            "meter": np.arange(len(x)) + 1e4 + 5 * (days[0] - pd.Timestamp("2024-01-01")).days,
            "x": x,
            "y": 3 * x + rng.normal(0, 0.1, len(x)) + shift,
        }
    )


@pytest.fixture(scope="module")
def store(make_store):
    made = make_store()
    rows_of(pd.date_range("2024-01-01", periods=80)).to_csv(made.folder / "t.csv", index=False)
    recipe = made.folder / "meters.yaml"
    recipe.write_text(RECIPE.format(path=made.folder / "t.csv"))
    made.steps(recipe)
    return made


def monitor(store, rows):
    rows.to_csv(store.folder / "new.csv", index=False)
    recipe, data = store.folder / "meters.yaml", store.folder / "new.csv"
    return store.step("monitor", f"recipe={recipe}", f"data={data}")


def test_growth_is_told_and_is_no_alarm(store):
    outcome = monitor(store, rows_of(pd.date_range("2024-03-21", periods=30)))
    assert outcome.code == 0, outcome.terminal
    tags, figures = outcome.of("monitor").data.tags, outcome.of("monitor").data.metrics
    assert tags["pipeline.alert"] == tags["pipeline.drift"] == "none"
    assert (figures["drifted_columns"], figures["grown_columns"]) == (0, 2)
    assert "no drift, since they can only grow: " in outcome.terminal
    assert "day (days) " in outcome.terminal
    assert "meter " in outcome.terminal


def test_an_alarm_is_a_finding_and_no_crash(store, read_artifact):
    outcome = monitor(store, rows_of(pd.date_range("2023-11-01", periods=30), shift=5.0))
    assert outcome.code == 3
    run = outcome.of("monitor")
    alert = run.data.tags["pipeline.alert"]
    assert "is worse than the limit" in alert
    assert "day (days) " in alert  # rows from before the training are no growth
    assert run.data.tags["pipeline.error"] == f"ALERT: {alert}"
    assert "Traceback" not in outcome.terminal + read_artifact(run, "logs/monitor.log").read_text()
