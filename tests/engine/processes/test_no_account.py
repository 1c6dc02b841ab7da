"""A user without a name or without a home that can be written, as in some containers."""

import getpass
import os
import tempfile

import pytest

from common.user_cache import user_cache
from engine.processes.no_account import survive_without_account


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Nobody can write to /proc; gives the folder for temporary files."""
    monkeypatch.setenv("HOME", "/proc")
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")  # so that it is as before at the end
        monkeypatch.delenv(name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_stands_for_the_home(no_home):
    survive_without_account()
    assert user_cache().is_relative_to(no_home)
    assert next(iter(no_home.iterdir())).stat().st_mode & 0o777 == 0o700
    assert os.environ["MPLCONFIGDIR"].startswith(str(no_home))


def test_another_users_folder_is_refused(no_home, monkeypatch):
    stranger = os.getuid() + 1
    (no_home / f"cuvee_of_uid_{stranger}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    with pytest.raises(PermissionError, match="is another user's: set XDG_CACHE_HOME"):
        survive_without_account()


def test_a_user_without_a_name_has_one(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "")
    monkeypatch.setattr(getpass, "getuser", lambda: {}["uid not found"])
    survive_without_account()
    assert os.environ["LOGNAME"] == f"uid-{os.getuid()}"
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path)
