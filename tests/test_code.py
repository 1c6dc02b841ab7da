"""The code itself: style, types, and which folder may import which."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=" ".join,
)
def test_checker_finds_nothing(command: list[str]) -> None:
    program = shutil.which(command[0], path=f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    assert program
    result = subprocess.run(
        [program, *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_main_does_not_wait_for_scikit_learn() -> None:
    """The forkserver imports it meanwhile: in main it would cost each pipeline seconds."""
    code = "import main, sys; print('sklearn' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False", result.stderr
