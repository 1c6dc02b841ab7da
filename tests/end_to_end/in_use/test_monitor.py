"""monitor: the champion on new rows, as they were and as they are not any more."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.end_to_end.store import artifact

PROJECT = Path(__file__).parents[3]
CHURN = "recipes/customer_churn.yaml"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wines():
    return pd.read_csv(PROJECT / "data/red-wine-quality.csv").sample(500, random_state=3)


@pytest.fixture(scope="module")
def store(make_store):
    """Has a champion of the wines."""
    return make_store(like="champion")


@pytest.fixture(scope="module")
def kept(store, wines):
    wines.to_csv(store.folder / "kept.csv", index=False)
    return store.step("monitor", f"data={store.folder / 'kept.csv'}")


@pytest.fixture(scope="module")
def broken(store, wines):
    """Targets that have nothing to do with the wines; some are missing, and one pH is a word."""
    rows = wines.assign(
        quality=np.random.default_rng(0).permutation(wines["quality"]),
        alcohol=wines["alcohol"] + 2,
        pH=wines["pH"].astype(object),
    )
    rows.iloc[:5, rows.columns.get_loc("quality")] = None
    rows.iloc[7, rows.columns.get_loc("pH")] = "sour"
    rows.to_csv(store.folder / "broken.csv", index=False)
    text = (PROJECT / "recipes/wine_quality.yaml").read_text()
    recipe = store.folder / "recipe.yaml"
    recipe.write_text(text.replace("webhook: none", "webhook: http://127.0.0.1:9/T0PSECRETPATH"))
    return store.mlflow_run(
        f"recipe={recipe}", f"data={store.folder / 'broken.csv'}", entry_point="monitor"
    )


def test_rows_as_before_are_no_alert(kept, store):
    assert kept.code == 0, kept.terminal
    run = kept.of("monitor")
    assert run.info.status == "FINISHED"
    tags, figures = run.data.tags, run.data.metrics
    assert tags["pipeline.alert"] == tags["pipeline.drift"] == "none"
    assert tags["pipeline.model_version"] == "1"
    version = store.client.get_model_version("wine_quality", "1")
    evaluated = store.client.get_run(version.tags["pipeline.evaluate_run_id"])
    assert figures["promised_rmse"] == evaluated.data.metrics["rmse"]
    assert figures["rmse_low"] < figures["rmse"] < figures["rmse_high"] < figures["rmse_limit"]
    assert figures["measured_rows"] == figures["rows"] == 500
    report = artifact(run, "report.html").read_text()
    assert "its test promised 0.63\u00a0points; measured on 500 rows" in report
    assert "Still good?" in report
    assert "The rows are like those of the training." in report


def test_metrics_are_those_of_the_rows(kept, store, wines):
    said = store.champion("wine_quality").predict(wines.drop(columns="quality"))
    expected = np.sqrt(np.mean((said - wines["quality"]) ** 2))
    assert kept.of("monitor").data.metrics["rmse"] == pytest.approx(expected, rel=1e-12)


def test_an_alert_fails_the_run_in_one_line(broken):
    assert broken.code != 0
    run = broken.of("monitor")
    assert run.info.status == "FAILED"
    result = json.loads(artifact(run, "result.json").read_text())
    assert (result["status"], result["exit_code"], result["error"]) == ("alert", 3, None)
    assert result["alert"] == run.data.tags["pipeline.alert"]
    assert result["metric"]["low"] < result["metric"]["value"] < result["metric"]["high"]
    alert = run.data.tags["pipeline.alert"]
    assert "is worse than the limit" in alert
    assert "; drift above 0.25: alcohol " in alert
    assert run.data.tags["pipeline.error"] == f"ALERT: {alert}"
    assert broken.terminal.count(f"monitor: ALERT: {alert}") == 1
    assert "Traceback" not in broken.terminal
    report = artifact(run, "report.html").read_text()
    assert "No longer as good as promised" in report
    assert "What failed" not in report


def test_rows_that_cannot_be_measured_are_counted(broken):
    figures = broken.of("monitor").data.metrics
    assert (figures["rows"], figures["measured_rows"]) == (500, 494)
    assert "5 without a target, 1 that cannot be predicted (row 8: column 'pH': 'sour'" in (
        broken.terminal
    )


def test_tables_and_pictures_are_logged(broken, read_artifact):
    run = broken.of("monitor")
    table = json.loads(read_artifact(run, "monitor.json").read_text())
    assert table["columns"] == ["metric", "now", "promised"]
    rows = {name: figures for name, *figures in table["data"]}
    figures = [run.data.metrics[name] for name in ("rmse", "promised_rmse")]
    assert rows["rmse"] == pytest.approx(figures)
    assert read_artifact(run, "plots/*rmse*.png").stat().st_size > 5000
    assert read_artifact(run, "plots/*drift*.png").stat().st_size > 5000
    assert json.loads(read_artifact(run, "drift.json").read_text())["data"][0][0] == "alcohol"


def test_a_webhook_that_fails_is_said_and_hides_nothing(broken, read_artifact):
    tag = broken.of("monitor").data.tags["pipeline.webhook"]
    assert tag == "failed: 127.0.0.1 gave no answer (ConnectionError)"
    assert f"the webhook: {tag}" in broken.terminal
    log = read_artifact(broken.of("monitor"), "logs/monitor.log").read_text()
    assert "T0PSECRETPATH" not in broken.terminal + log


REFUSED = {
    "no target": (lambda rows: rows.drop(columns="quality"), ["unknown column 'quality'"]),
    "no labels": (lambda rows: rows.assign(quality=None), ["no row with a target"]),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_rows_that_tell_nothing_are_refused(store, wines, tmp_path, change, words):
    change(wines).to_csv(tmp_path / "new.csv", index=False)
    outcome = store.step("monitor", f"data={tmp_path / 'new.csv'}")
    outcome.assert_refused("monitor", words, parent=False)
    assert "pipeline.alert" not in outcome.of("monitor").data.tags


def test_no_champion_is_said(store):
    data = f"data={PROJECT / 'data/customer_data.csv'}"
    outcome = store.step("monitor", f"recipe={CHURN}", data)
    outcome.assert_refused("monitor", ["customer_churn has no champion yet"], parent=False)
