"""The reports of a pipeline's steps must not keep it from ending as it would without them."""

import subprocess
from types import SimpleNamespace

import pytest

from steps.reporting import report


def test_reports_that_take_too_long_are_left(monkeypatch, tmp_path):
    started = []

    def run(words, timeout, **_):
        started.append(words[-1])
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    reports = report.StepReports()
    info = SimpleNamespace(artifact_uri=tmp_path.as_uri())
    reports.begin(SimpleNamespace(run=SimpleNamespace(info=info), run_id="0123"), beside=False)
    reports.wait()
    reports.wait()
    assert started == ["0123"]


def test_why_a_report_is_not_drawn_stands_on_its_run_until_it_is(monkeypatch):
    tags = {}
    client = SimpleNamespace(
        get_run=lambda run_id: SimpleNamespace(data=SimpleNamespace(tags=dict(tags))),
        set_tag=lambda run_id, name, value: tags.update({name: value}),
        delete_tag=lambda run_id, name: tags.pop(name),
    )
    monkeypatch.setattr(report, "MlflowClient", lambda: client)

    def fail(run):
        raise OSError("no room is left")

    monkeypatch.setattr(report, "_draw_report", fail)
    with pytest.raises(OSError, match="no room"):
        report.write_report("0123")
    assert tags == {"pipeline.report_error": "no room is left"}
    monkeypatch.setattr(report, "_draw_report", lambda run: "drawn")
    assert report.write_report("0123") == "drawn"
    assert tags == {}
