"""The pipeline of a user whose home cannot be written, as in some containers."""

import pytest

pytestmark = pytest.mark.slow


def test_it_runs_without_a_word_and_leaves_nothing_in_a_home(make_store, tmp_path, read_artifact):
    variables = {"HOME": "/proc", "XDG_CACHE_HOME": "", "TMPDIR": str(tmp_path)}
    outcome = make_store().main("until=prepare", is_typed=True, **variables)
    assert outcome.code == 0, outcome.terminal
    assert not [
        word for word in ("Errno", "INFO", "WARNING", "created a") if word in outcome.terminal
    ]
    assert read_artifact(outcome.step("prepare"), "report/train.html").stat().st_size > 10_000
    assert [path.name for path in tmp_path.iterdir() if "cuvee_of_uid" not in path.name] == []
