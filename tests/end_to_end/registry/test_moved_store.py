"""A store that was copied or moved with its folder does not go on in the old place."""

import shutil

import pytest

from tests.end_to_end.store import Store
from tracking.store_place import find_former_folder

VERDICT = "pipeline.verdict"


def files_of(store):
    return {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}


def test_a_copy_is_told_and_taken_over_and_the_original_is_left_alone(make_store, tmp_path):
    original = make_store(like="champion")
    before = files_of(original)
    copy = Store(shutil.copytree(original.folder, tmp_path / "copy of it"))
    runs = len(copy.runs())
    refused = [copy.main(), copy.step("rollback")]
    for outcome in refused:
        assert outcome.code == 1
        line = outcome.terminal.strip()
        assert f"its artifacts are still to be in {original.folder}: `python scripts/" in line
        assert "\n" not in line
    assert len(copy.runs()) == runs
    told = copy.check_status()
    assert told.returncode == 1
    assert "WRONG    the store" in told.stdout
    moved = copy.check_status("--moved")
    assert moved.returncode == 0
    assert f"places in {original.folder} are in {copy.folder} now" in " ".join(moved.stdout.split())
    again = copy.main()
    assert again.parent.data.tags[VERDICT] == "unchanged", again.terminal
    assert again.parent.info.artifact_uri.startswith(str(copy.folder))
    assert {step.data.tags["mlflow.project.entryPoint"] for step in again.runs} == {"main"}
    assert files_of(original) == before
    twice = copy.check_status("--moved")
    assert (twice.returncode, "was not moved or copied" in twice.stdout) == (1, True)


@pytest.mark.parametrize("has_files", [True, False])
def test_a_moved_store_is_seen_whether_its_old_folder_is_there_or_not(
    make_store, tmp_path, has_files
):
    store = make_store(like="champion")
    assert find_former_folder(store.folder / "mlflow.db") is None
    moved = tmp_path / "moved"
    shutil.move(store.folder, moved)
    assert find_former_folder(moved / "mlflow.db") == store.folder
    if has_files:
        store.folder.mkdir()
        assert find_former_folder(moved / "mlflow.db") == store.folder


def test_a_store_whose_artifacts_are_elsewhere_on_purpose_was_not_moved(make_store, tmp_path):
    """A database in another folder than one stands in, and one reached by a link."""
    store = make_store(like="champion")
    (tmp_path / "databases").mkdir()
    elsewhere = tmp_path / "databases" / "mlflow.db"
    (store.folder / "mlflow.db").rename(elsewhere)
    assert find_former_folder(elsewhere) is None
    make_store().folder.joinpath("mlflow.db").rename(store.folder / "mlflow.db")  # another one
    assert find_former_folder(elsewhere) is None
    (tmp_path / "link.db").symlink_to(elsewhere)
    assert find_former_folder(tmp_path / "link.db") is None
    assert find_former_folder(tmp_path / "none.db") is None
