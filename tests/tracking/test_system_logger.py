"""The system metrics are real figures of this machine and this process."""

import mlflow
import psutil

from tracking.mlflow_manager import start_run
from tracking.system_logger import log_system_metrics


def test_the_figures_of_the_active_run_are_logged_and_returned(stored):
    with start_run("wine", None, {}) as run:
        figures = log_system_metrics()
    metrics = stored(run.info.run_id).data.metrics
    assert {name: metrics[name] for name in figures} == figures
    for kind in ("cpu_utilization", "system_memory_usage", "disk_usage", "network_"):
        assert any(name.startswith(f"system/{kind}") for name in figures), kind


def test_the_process_has_its_own_figures():
    with start_run("wine", None, {}):
        before = log_system_metrics()
        held = bytearray(b"x" * 200_000_000)
        sum(range(3_000_000))
        after = log_system_metrics()
    assert len(held) == 200_000_000
    assert after["system/process_cpu_seconds"] > before["system/process_cpu_seconds"] > 0
    grown = after["system/process_memory_megabytes"] - before["system/process_memory_megabytes"]
    assert 150 < grown < 300


def test_the_peak_of_memory_stays():
    with start_run("wine", None, {}):
        held = bytearray(b"x" * 200_000_000)
        during = log_system_metrics()
        del held
        after = log_system_metrics()
    peak = "system/process_peak_memory_megabytes"
    assert after[peak] >= during[peak] >= during["system/process_memory_megabytes"]
    assert after[peak] > after["system/process_memory_megabytes"] + 100


def test_the_figures_are_those_of_the_system():
    with start_run("wine", None, {}):
        figures = log_system_metrics()
    resident = psutil.Process().memory_info().rss / 1e6
    assert abs(figures["system/process_memory_megabytes"] - resident) < 100
    assert 0 <= figures["system/cpu_utilization_percentage"] <= 100
    assert 0 < figures["system/disk_usage_percentage"] <= 100
    memory = psutil.virtual_memory().total / 1e6
    assert 0 < figures["system/system_memory_usage_megabytes"] < memory


def test_a_run_without_a_sampler_has_figures_too(stored):
    with mlflow.start_run(log_system_metrics=False) as run:
        figures = log_system_metrics()
    assert figures
    assert stored(run.info.run_id).data.metrics.keys() == figures.keys()


def test_without_a_run_nothing_is_logged():
    assert log_system_metrics() == {}
    assert mlflow.active_run() is None
