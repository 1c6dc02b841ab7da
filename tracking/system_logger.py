"""What the machine and this process did during a step."""

import resource
import sys

import mlflow
import psutil
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking.fluent import run_id_to_system_metrics_monitor

from tracking.mlflow_manager import log_metrics

_MEGABYTE = 1e6
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def log_system_metrics() -> dict[str, float]:
    """Logs and returns the figures of the active run, as its last ones.

    MLflow's own sampler, which `start_run` starts, logs a point every ten seconds; a shorter step
    gets its point here. `system/…` are MLflow's figures of the machine: CPU (%), memory, disk (MB
    and %) and network traffic since the run began (MB); `system/process_…` those of this process:
    CPU time (s), memory now and at its peak (MB), and where the platform counts them, bytes read
    and written (MB).
    """
    run = mlflow.active_run()
    if run is None:
        return {}
    run_id = run.info.run_id
    monitor = run_id_to_system_metrics_monitor.get(run_id) or SystemMetricsMonitor(run_id)
    monitor.collect_metrics()
    figures = {**monitor.aggregate_metrics(), **_process_figures()}
    figures = {f"system/{name}": float(value) for name, value in figures.items()}
    log_metrics(figures)
    return figures


def _process_figures() -> dict[str, float]:
    process = psutil.Process()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT
    with process.oneshot():
        cpu, memory = process.cpu_times(), process.memory_info()
        figures = {
            "process_cpu_seconds": cpu.user + cpu.system,
            "process_memory_megabytes": memory.rss / _MEGABYTE,
            "process_peak_memory_megabytes": max(peak, memory.rss) / _MEGABYTE,
        }
        if hasattr(process, "io_counters"):
            disk = process.io_counters()
            figures["process_disk_read_megabytes"] = disk.read_bytes / _MEGABYTE
            figures["process_disk_write_megabytes"] = disk.write_bytes / _MEGABYTE
    return figures
