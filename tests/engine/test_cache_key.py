"""The key of a step: what counts, what does not, and how a change is told."""

from pathlib import Path

import pytest

from engine.cache_key import Dependencies, environment_versions, in_words

PROJECT = Path(__file__).parents[2]


def dependencies(**changes):
    known = {
        "code": {"steps/train.py": "1"},
        "parameters": {"alpha": 0.01, "recipe": {"split": {"seed": 0}}},
        "inputs": {"the table": "1"},
        "environment": {"python": "3.11.7"},
    }
    return Dependencies(**{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": {"steps/train.py": "2"}}, "steps/train.py changed"),
        ({"code": {}}, "steps/train.py changed"),
        (
            {"parameters": {"alpha": 0.5, "recipe": {"split": {"seed": 0}}}},
            "alpha went from 0.01 to 0.5",
        ),
        (
            {"parameters": {"alpha": 0.01, "recipe": {"split": {"seed": 1}}}},
            "recipe.split.seed went from 0 to 1",
        ),
        ({"parameters": {"recipe": {"split": {"seed": 0}}}}, "alpha was 0.01 and is not set now"),
        ({"inputs": {"the table": "2"}}, "the table changed"),
        ({"environment": {"python": "3.11.8"}}, "python went from 3.11.7 to 3.11.8"),
        (
            {"environment": {"python": "3.11.7", "numpy": "1.0"}},
            "numpy went from the locked version to 1.0",
        ),
    ],
)
def test_a_change_gives_another_key_and_is_told(changes, reason):
    before, after = dependencies(), dependencies(**changes)
    assert after.key != before.key
    assert after.changes_since(before) == [reason]


def test_many_reasons_are_counted():
    assert in_words(["a", "b", "c"]) == "a, b, c"
    assert in_words(["a", "b", "c", "d", "e"]) == "a, b, c, and 2 more"


def test_dependencies_survive_being_written_down():
    written = Dependencies.from_json(dependencies().to_json())
    assert written.key == dependencies().key
    assert written.changes_since(dependencies()) == []


def test_environment_names_what_is_not_as_locked(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# made by hand\nnumpy==0.0.1\n    # via me\nnot-installed==1\n"
        "colorama==99 ; sys_platform == 'never'\npytest>=1\n"
    )
    versions = environment_versions(lock)
    assert set(versions) == {"requirements.lock", "python", "numpy", "not-installed"}


def test_the_environment_of_the_tests_is_the_locked_one():
    assert set(environment_versions(PROJECT / "requirements.lock")) == {
        "requirements.lock",
        "python",
    }


def test_a_lock_with_hashes_is_read_in_either_form(tmp_path):
    (tmp_path / "requirements.lock").write_text(
        "numpy==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n    # via cuvee\n"
        "not-installed==1.0 --hash=sha256:00\n"
        "absent==1 ; sys_platform == 'none' \\\n    --hash=x:0\n"
    )
    versions = environment_versions(tmp_path / "requirements.lock")
    assert set(versions) == {"requirements.lock", "python", "numpy", "not-installed"}
