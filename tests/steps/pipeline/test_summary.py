"""What the terminal, a report and the status say of small runs."""

from types import SimpleNamespace

import mlflow
import pytest

from scripts.check_mlflow_status import _print_runs
from steps.pipeline.summary import _figures, _where_to_look
from steps.reporting import sections, verdict

METRICS = {"features": 1.0, "train_rows": 90.0, "rmse": 0.00021, "dummy_rmse": 0.00052}
DATA = SimpleNamespace(metrics=METRICS, tags={"pipeline.model": "ridge"})
RUN = SimpleNamespace(data=DATA)


def test_a_model_of_one_feature_has_one_feature():
    runs = SimpleNamespace(run=RUN, entry_point="train")
    assert _figures(SimpleNamespace(name="train", run=RUN), "mae") == "ridge, 1 feature"
    assert verdict._done(runs, "ridge") == "ridge is trained on 90 rows with 1 feature"


def test_a_sweep_of_one_trial_has_one_trial(tmp_path):
    table = '{"columns": ["rank", "state", "run_id"], "data": [[1, "complete", "0123"]]}'
    (tmp_path / "leaderboard.json").write_text(table)
    data = SimpleNamespace(metrics={"best_rmse": 0.00019})
    run = SimpleNamespace(info=SimpleNamespace(artifact_uri=tmp_path.as_uri()), data=data)
    runs = SimpleNamespace(
        entry_point="sweep",
        run=run,
        primary=lambda: "rmse",
        metrics=lambda _: METRICS,
        tags={"pipeline.together": "the best together: 2 models"},
    )
    text = sections._sweep(runs).text
    assert text.startswith("1 trial: 1 complete. ")
    assert "The winner has rmse 0.00019 there, and 0.00021 on the test rows." in text
    assert text.endswith("It is the best together: 2 models.")


def test_figures_of_a_small_scale_are_told_apart():
    step = SimpleNamespace(name="evaluate", run=RUN)
    assert _figures(step, "rmse") == "rmse 0.00021 (naive 0.00052)"


def test_the_command_to_look_can_be_copied(monkeypatch):
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "sqlite:////my runs/mlflow.db")
    expected = "mlflow ui --backend-store-uri 'sqlite:////my runs/mlflow.db'"
    assert _where_to_look(None) == expected


@pytest.mark.parametrize(
    ("recipe", "model", "shown"),
    [("wines", "ridge", "wines, ridge"), ("wines", None, "wines "), (None, None, "forest 7 ")],
)
def test_a_run_without_tags_is_told_by_its_name(capsys, recipe, model, shown):
    run = {"recipe": recipe, "model": model, "verdict": None, "status": "FINISHED"}
    run |= {"started": "2026-11-24T06:00", "run_id": "01234567", "name": "forest 7"}
    _print_runs(
        {
            "runs_by_status": {},
            "counts_are_complete": True,
            "experiments": [],
            "last_runs": [run],
        }
    )
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(f"2026-11-24T06:00  01234567 {shown}")
    assert "None" not in line
