"""The diff that a run recorded, where there may be none."""

from types import SimpleNamespace

import mlflow
import pytest
from mlflow import MlflowClient

from common.errors import InputError
from steps.runs.provenance_read import RecordedRun
from steps.runs.provenance_write import DIFF_FILE


@pytest.fixture
def recorded(tmp_path, make_database):
    uri = make_database(tmp_path)
    mlflow.set_tracking_uri(uri)

    def record(is_dirty, left_out=(), diff=None):
        run = MlflowClient().create_run("0")
        if diff is not None:
            MlflowClient().log_text(run.info.run_id, diff, DIFF_FILE)
        return RecordedRun(run, {}, SimpleNamespace(is_dirty=is_dirty), {}, {}, left_out)

    yield record
    mlflow.set_tracking_uri(None)


def test_what_was_left_out_is_no_diff(recorded, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    left_out = ("data/mine.csv (2.7 MB)",)
    assert recorded(is_dirty=False).diff() is None
    assert recorded(is_dirty=True, left_out=left_out).diff() is None
    assert recorded(is_dirty=True, left_out=left_out, diff="a diff").diff().read_text() == "a diff"
    assert recorded(is_dirty=True, diff="").diff() is None  # only the index was changed
    with pytest.raises(InputError, match=DIFF_FILE):
        recorded(is_dirty=True).diff()  # it is lost
