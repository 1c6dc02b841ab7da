"""A process that has the imports done, from which steps are forked.

It is started before anything heavy is imported, so that it imports while its parent does too: this
module must stay light.
"""

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

from engine.cache.code_digests import code_digests
from engine.processes.no_account import survive_without_account
from engine.processes.preload import MODULES_VARIABLE

PROJECT = Path(__file__).resolve().parents[2]

_awaited: list[str] = []


def can_fork() -> bool:
    """Says whether this platform can fork steps."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def start_forkserver_later(modules: Sequence[str]) -> None:
    """Lets `start_awaited_forkserver` start that process, where it is not known to be needed."""
    _awaited[:] = modules


def start_awaited_forkserver() -> None:
    """Starts the process that was put off, if one was."""
    if _awaited:
        start_forkserver(_awaited)
        _awaited.clear()


def start_forkserver(modules: Sequence[str]) -> None:
    """Starts the process that imports these modules of the project; returns at once."""
    if not can_fork():
        return
    survive_without_account()
    for module in modules:  # the code that it imports now is the code that the step cache knows
        code_digests(PROJECT, module)
    before = dict(os.environ)
    # The only way to tell it what to import, and from where whatever the working directory is.
    os.environ[MODULES_VARIABLE] = " ".join(modules)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), before.get("PYTHONPATH", "")])
    try:
        multiprocessing.get_context("forkserver").set_forkserver_preload(
            ["engine.processes.preload"]
        )
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
