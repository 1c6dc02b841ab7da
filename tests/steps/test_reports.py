"""The reports of a pipeline's steps must not keep it from ending as it would without them."""

import subprocess
from types import SimpleNamespace

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
