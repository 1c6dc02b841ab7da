"""The code as a whole."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_main_does_not_wait_for_scikit_learn() -> None:
    """The forkserver imports it meanwhile: in main it would cost each pipeline seconds."""
    code = "import main, sys; print('sklearn' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False", result.stderr
