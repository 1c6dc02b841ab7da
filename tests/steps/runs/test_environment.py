"""What the steps set for the libraries that they load."""

import os
import subprocess
import sys

import pytest

from engine.processes.forkserver import PROJECT

SHOW = "import os, sys, steps; print(os.environ.get('GOMP_SPINCOUNT'), 'sklearn' in sys.modules)"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "2000 False"),
        ({"GOMP_SPINCOUNT": "7"}, "7 False"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None False"),
    ],
)
def test_threads_that_wait_leave_their_core_before_openmp_is_loaded(variables, said):
    kept = {name: value for name, value in os.environ.items() if name[:5] not in ("GOMP_", "OMP_W")}
    shown = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=PROJECT,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == said
