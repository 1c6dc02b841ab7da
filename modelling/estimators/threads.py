"""How many threads a fit uses: results are the same with any number, the time is not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
from threadpoolctl import ThreadpoolController

_FEW_CELLS = 1_000_000
_SECONDS_TO_LOOK = 0.1
_MAY_BE_BUSY = 0.25  # of a core that counts as free
_QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


@contextmanager
def threads_for(features: pd.DataFrame) -> Iterator[None]:
    """Limits the threads of BLAS and OpenMP while an estimator is fitted on these rows.

    The BLAS gets one: with more it adds up in another order, and the last digits differ. OpenMP's
    threads wait for each other thousands of times in a fit. They get the cores that are free now,
    and one if the table is small; never more than the process has, as a trial of a sweep does.
    """
    pools = ThreadpoolController()
    allowed = [pool["num_threads"] for pool in pools.info() if pool["user_api"] == "openmp"]
    most = min(allowed, default=1)
    if most > 1:
        most = min(most, free_cores()) if features.size >= _FEW_CELLS else 1
    with pools.limit(limits={"blas": 1, "openmp": most}):
        yield


def free_cores() -> int:
    """Looks for a moment how many of the cores that this process may use are idle; at least 1."""
    used = psutil.cpu_percent(_SECONDS_TO_LOOK, percpu=True)
    if hasattr(os, "sched_getaffinity"):
        used = [used[core] for core in os.sched_getaffinity(0) if core < len(used)]
    idle = sum(1 - percent / 100 for percent in used)
    return max(1, int(min(idle + _MAY_BE_BUSY, _quota())))


def _quota() -> float:
    """The cores that a container may use of those that it sees."""
    try:
        quota, period = _QUOTA_FILE.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no Linux, no container, or `max`
        return float("inf")
