"""Digests of files: remembered while nothing says that the file is another."""

import hashlib
import os
import time

import pytest

from common import file_digests
from common.file_digests import file_sha256


@pytest.fixture
def old_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_digests, "_SECONDS_UNTIL_TIMES_TELL", -1)
    monkeypatch.setattr(file_digests, "_SMALL", 0)
    file = tmp_path / "table.csv"
    file.write_bytes(b"a,b\n1,2\n")
    return file


def test_digest_is_of_the_content(old_file):
    assert file_sha256(old_file) == hashlib.sha256(b"a,b\n1,2\n").hexdigest()


def test_a_known_file_is_not_read_again(old_file):
    known = file_sha256(old_file)
    memory = file_digests._memory.file
    memory.write_text(memory.read_text().replace(known, "remembered"))
    assert file_sha256(old_file) == "remembered"


def test_other_content_of_the_same_size_and_time_is_seen(old_file):
    before, status = file_sha256(old_file), old_file.stat()
    time.sleep(0.02)
    old_file.write_bytes(b"a,b\n1,3\n")
    os.utime(old_file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_sha256(old_file) != before


def test_a_file_that_has_just_changed_is_not_remembered(old_file, monkeypatch):
    monkeypatch.setattr(file_digests, "_SECONDS_UNTIL_TIMES_TELL", 60)
    file_sha256(old_file)
    assert not file_digests._memory.file.exists()


def test_a_damaged_memory_is_no_reason_to_fail(old_file):
    before = file_sha256(old_file)
    file_digests._memory.file.write_text("{")
    assert file_sha256(old_file) == before


def test_a_memory_that_cannot_be_written_is_no_reason_to_fail(old_file, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(old_file))
    assert file_sha256(old_file) == hashlib.sha256(old_file.read_bytes()).hexdigest()
