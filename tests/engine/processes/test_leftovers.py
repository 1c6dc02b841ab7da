"""Temporary folders go with their process, however it ends."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from engine.processes.leftovers import vanishing_folder

PROJECT = Path(__file__).parents[3]

HOLD = """
import sys, time
from engine.processes.leftovers import vanishing_folder
with vanishing_folder() as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_folder_is_gone_after_the_block_also_with_an_error():
    folders = []
    with suppress(ValueError), vanishing_folder() as folder:
        folders.append(folder)
        (folder / "sub").mkdir()
        raise ValueError
    assert not folders[0].exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_folder_is_gone_after_a_kill(number):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    folder = Path(process.stdout.readline().strip())
    assert (folder / "file").is_file()
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
