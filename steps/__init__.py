"""One file an entry point: it reads its inputs, calls modelling/, and writes through tracking/."""

import gc
import os
import sys

if sys.argv[0] == "-m":  # an entry point, whose imports are to be kept: no need to look for rubbish
    gc.disable()

from engine.chatter import silence_mlflow
from engine.processes.forkserver import PROJECT
from engine.processes.half_built import wait_until_installed

if "OMP_WAIT_POLICY" not in os.environ:
    # Read when OpenMP is loaded. A thread that waits for another looks for microseconds, not for
    # milliseconds, before it leaves its core: to that other, where cores are shared.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")

silence_mlflow()
wait_until_installed(PROJECT / "requirements.lock")

import engine.processes.guard  # noqa: E402, F401 - first: it notes who started this process
