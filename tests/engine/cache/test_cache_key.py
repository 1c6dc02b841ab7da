"""The key of a step: what counts, what does not, and how a change is told."""

from importlib.metadata import version
from pathlib import Path

import pytest

from common.errors import InputError
from engine.cache.key import (
    OWN_LOCK,
    Dependencies,
    check_own_lock,
    class_code,
    environment_versions,
    in_words,
    not_installed,
)

PROJECT = Path(__file__).parents[3]


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
        (
            {"parameters": {"alpha": "0123456789abcdef" * 4, "recipe": {"split": {"seed": 0}}}},
            "alpha went from 0.01 to 01234567",
        ),
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


def test_a_lock_of_the_recipes_own_repository_counts_as_the_projects_does(tmp_path):
    ours, own = tmp_path / "requirements.lock", tmp_path / "own.lock"
    ours.write_text(f"numpy=={version('numpy')}\n")
    own.write_text(f"numpy=={version('numpy')}\nclick==0.1\nnot-here==1\n")
    found = environment_versions(ours, own)
    alone = environment_versions(ours)
    assert alone.items() < found.items()
    assert found.keys() - alone.keys() == {OWN_LOCK, "click", "not-here"}
    own.write_text(own.read_text() + "other==2 ; sys_platform == 'never'\n")
    assert environment_versions(ours, own)[OWN_LOCK] != found[OWN_LOCK]
    assert not_installed(own) == ["not-here"]


def test_a_lock_of_the_recipes_own_repository_has_all_that_the_project_has(tmp_path):
    ours, own = tmp_path / "requirements.lock", tmp_path / "own.lock"
    ours.write_text(
        "NumPy==1 \\\n    --hash=sha256:00\nwin==1 ; sys_platform == 'never'\nskops==3\n"
    )
    own.write_text("holidays==9\nnumpy==1 --hash=sha256:11\nskops==3\n")
    check_own_lock(ours, own)
    for text, has in (("numpy==2\nskops==3\n", "==2"), ("skops==3\n", "none")):
        own.write_text(text)
        with pytest.raises(InputError) as caught:
            check_own_lock(ours, own)
        assert str(caught.value) == (
            f"{own}: numpy==1 is needed, and it has {has}; compile it with {ours} among its "
            "sources, as docs/train/own_code.md says"
        )


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


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """Writes files into a folder that imports start from."""

    def write(folder, files):
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path / folder)
        return tmp_path / folder

    yield write
    class_code.cache_clear()


def test_an_installed_class_is_its_distributions_version(importable):
    def versions(version):
        class_code.cache_clear()
        folder = f"{version}/site-packages"
        package = {
            "boosting/__init__.py": "",
            f"boosting_gpu-{version}.dist-info/METADATA": (
                f"Metadata-Version: 2.1\nName: boosting-gpu\nVersion: {version}\n"
            ),
            f"boosting_gpu-{version}.dist-info/top_level.txt": "boosting\n",
        }
        importable(folder, package)
        return class_code(PROJECT, "boosting.Regressor")

    found = versions("4.5")
    assert (found.code, found.environment) == ({}, {"boosting-gpu": "4.5"})
    assert versions("4.6").environment == {"boosting-gpu": "4.6"}


@pytest.mark.parametrize("is_in_project", [True, False])
def test_a_class_of_ones_own_is_its_files_and_the_packages_that_they_import(
    importable, is_in_project
):
    files = {
        "mine/__init__.py": "from .tree import Tree\n",
        "mine/tree.py": "import json\nimport sklearn.tree\nfrom helpers import half\n",
        "helpers.py": "def half(x):\n    return x / 2\n",
    }
    folder = importable("own", files)
    project = folder if is_in_project else PROJECT
    before = class_code(project, "mine.Tree")
    names = ["helpers.py", "mine/__init__.py", "mine/tree.py"]
    assert list(before.code) == names if is_in_project else [str(folder / name) for name in names]
    assert list(before.environment) == ["scikit-learn"]


@pytest.mark.parametrize("path", ["sklearn.linear_model.Ridge", "no_such_package.X", "Ridge", "os"])
def test_what_is_locked_or_not_there_adds_nothing(path):
    found = class_code(PROJECT, path)
    assert (found.code, found.environment) == ({}, {})
