"""A fit gets the cores that are free, and one where threads would only wait for each other."""

import os

import numpy as np
import pandas as pd
import psutil
import pytest
import sklearn.ensemble  # noqa: F401 - loads OpenMP
from threadpoolctl import threadpool_info, threadpool_limits

from modelling.estimators import threads
from modelling.estimators.threads import free_cores, threads_for

SMALL = pd.DataFrame(np.zeros((1000, 10)))
LARGE = pd.DataFrame(np.zeros((100_000, 10)))


@pytest.mark.parametrize(
    ("used", "allowed", "quota", "free"),
    [
        ([0, 0, 0, 0], range(4), "max 100000", 4),
        ([100, 100, 100, 100], range(4), "max 100000", 1),
        ([100, 3, 5, 90], range(4), "max 100000", 2),
        ([50, 50, 50, 50], range(4), "max 100000", 2),
        ([0, 0, 0, 0], range(4), "250000 100000", 2),  # a container may use less than it sees
        ([100, 0, 0, 0], [0, 1], "max 100000", 1),
        ([0, 10, 100, 100], [0, 1], "", 2),
    ],
)
def test_the_cores_that_are_idle_and_may_be_used_are_free(
    used, allowed, quota, free, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        psutil, "cpu_percent", lambda interval, percpu: [float(one) for one in used]
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(allowed), raising=False)
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(threads, "_QUOTA_FILE", tmp_path / "cpu.max")
    assert free_cores() == free


def test_the_cores_of_this_machine_are_counted():
    assert 1 <= free_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("table", "limit", "free", "expected"),
    [(LARGE, 2, 2, 2), (LARGE, 2, 1, 1), (SMALL, 2, 2, 1), (LARGE, 1, 2, 1)],
    ids=["free", "busy", "a small table", "in a trial"],
)
def test_a_fit_has_as_many_threads_as_there_are_free_cores(
    table, limit, free, expected, monkeypatch
):
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    with threadpool_limits(limits=limit):
        before = threadpool_info()
        with threads_for(table):
            now = {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()}
        assert threadpool_info() == before
    assert now == {"blas": 1, "openmp": expected}
