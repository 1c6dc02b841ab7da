"""What a program reads of a run, also where the store is away."""

import json

import mlflow
import pytest

from engine.entry_point import Ending
from steps.runs import result


def test_who_waits_for_the_file_is_told_though_the_store_does_not_answer(tmp_path, monkeypatch):
    def is_away(*_):
        raise ConnectionError("no store")

    monkeypatch.setattr(mlflow.MlflowClient, "get_run", is_away)
    file = tmp_path / "result.json"
    ending = Ending("main", "abc", 1, "the store is away", 9.0, file, has_report=False)
    with pytest.raises(ConnectionError):
        result.write_result(ending)
    said = json.loads(file.read_text(encoding="utf-8"))
    assert (said["status"], said["run_id"], said["error"]) == ("failed", "abc", "the store is away")
