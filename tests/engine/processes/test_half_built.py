"""An entry point that starts in an environment which another run still installs waits for it."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.processes import half_built

LOCK = """\
Numpy==2.0 \\
    --hash=sha256:00
    # via cuvee (pyproject.toml)
ruamel.yaml==1.0 \\
    --hash=sha256:00
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:00
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment as MLflow names them, without a package, and how to install one."""
    prefix = tmp_path / f"mlflow-{'0' * 40}"
    site = prefix / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "requirements.lock").write_text(LOCK)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.setattr(half_built, "_SECONDS_BETWEEN_LOOKS", 0.02)

    def install(name):
        (site / f"{name}.dist-info").mkdir(exist_ok=True)
        (site / f"{name}.dist-info" / "RECORD").touch()

    return install


def test_a_python_without_the_packages_says_so_in_one_line(tmp_path):
    main = Path(__file__).parents[3] / "main.py"
    bare = [sys.executable, "-S", str(main)]  # without site-packages
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "lacks the packages of requirements.lock" in line


def wait(tmp_path):
    started = time.monotonic()
    half_built.wait_until_installed(tmp_path / "requirements.lock")
    return time.monotonic() - started


def test_a_whole_environment_is_used_at_once(environment, tmp_path, capsys):
    environment("numpy-2.0")
    environment("ruamel_yaml-1.0")
    assert wait(tmp_path) < 1
    assert capsys.readouterr().err == ""


def test_the_rest_is_waited_for(environment, tmp_path, capsys):
    environment("numpy-2.0")
    threading.Timer(0.15, environment, ["ruamel.yaml-1.0"]).start()
    assert wait(tmp_path) > 0.1
    assert "another run is still installing" in capsys.readouterr().err


def test_an_environment_that_nobody_goes_on_with_is_told(environment, tmp_path, monkeypatch):
    monkeypatch.setattr(half_built, "_SECONDS_WITHOUT_CHANGE", 0.2)
    environment("numpy-2.0")
    with pytest.raises(SystemExit, match="lacks 1 packages"):
        wait(tmp_path)


def test_an_environment_of_the_users_own_is_his_affair(environment, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert wait(tmp_path) < 1
