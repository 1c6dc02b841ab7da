"""The code that a step runs: what counts, and what does not."""

import ast
from pathlib import Path

import pytest

from engine.cache import code_digests as module
from engine.cache.code_digests import code_digests

PROJECT = Path(__file__).parents[3]

CODE = '''"""What it does."""
from pack import other

def double(x):
    """Twice as much."""
    return 2 * x  # really
'''


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text("")
    (tmp_path / "pack/step.py").write_text(CODE)
    (tmp_path / "pack/other.py").write_text("import json\nimport pack.deep\nVALUE = 1\n")
    (tmp_path / "pack/deep.py").write_text("LIMIT = 1\n")
    (tmp_path / "pack/unused.py").write_text("LIMIT = 1\n")
    return tmp_path


def digests_after(project, file, text):
    # A new place, since a file's digest is remembered within a process.
    moved = project.with_name(project.name + "-moved")
    project.rename(moved)
    (moved / file).write_text(text)
    return code_digests(moved, "pack.step")


def test_code_is_the_files_that_are_imported(project):
    assert list(code_digests(project, "pack.step")) == [
        "pack/__init__.py",
        "pack/deep.py",
        "pack/other.py",
        "pack/step.py",
    ]


@pytest.mark.parametrize(
    "text",
    [
        CODE.replace("really", "truly"),
        CODE.replace("Twice as much", "Two times"),
        CODE.replace("What it does", "What it did"),
        CODE.replace("2 * x", "2*x"),
        CODE.replace("def double", "\n\n\ndef double"),
        CODE.replace("def double", '"""Of the name above."""\n\n\ndef double'),
    ],
    ids=["comment", "docstring", "module docstring", "spaces", "blank lines", "text below a name"],
)
def test_what_is_no_code_does_not_count(project, text):
    before = code_digests(project, "pack.step")
    assert digests_after(project, "pack/step.py", text) == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pack/step.py", CODE.replace("2 *", "3 *")),
        ("pack/deep.py", "LIMIT = 2\n"),
        ("pack/step.py", CODE.replace("return 2 * x", 'return "Twice"')),
    ],
    ids=["own", "imported", "text that is returned"],
)
def test_code_counts(project, file, text):
    before = code_digests(project, "pack.step")
    after = digests_after(project, file, text)
    assert [name for name in before if before[name] != after[name]] == [file]


RELATIVE = {
    "from .far import VALUE\n": "pack/far.py",
    "from . import far\n": "pack/far.py",
    "def late():\n    from .sub.near import VALUE\n": "pack/sub/near.py",
    "from .sub import near\n": "pack/sub/near.py",
    "from .sub.near import *\n": "pack/sub/near.py",
    "from .sub import up\n": "pack/far.py",
    "from .sub import wide\n": "pack/sub/near.py",
}


@pytest.mark.parametrize(("text", "imported"), RELATIVE.items())
def test_relative_imports_count(project, text, imported):
    """Its own, and those of what it imports: from the package above, of a package itself."""
    (project / "pack/sub/wide").mkdir(parents=True)
    (project / "pack/far.py").write_text("VALUE = 1\n")
    (project / "pack/sub/near.py").write_text("VALUE = 1\n")
    (project / "pack/sub/up.py").write_text("from ..far import VALUE\n")
    (project / "pack/sub/wide/__init__.py").write_text("from ..near import VALUE\n")
    (project / "pack/step.py").write_text(text)
    before = code_digests(project, "pack.step")
    after = digests_after(project, imported, "VALUE = 2\n")
    assert [name for name in before if before[name] != after[name]] == [imported]


def test_an_import_from_above_the_project_is_none_of_it(project):
    (project / "pack/step.py").write_text("from ...elsewhere import VALUE\n")
    assert list(code_digests(project, "pack.step")) == ["pack/__init__.py", "pack/step.py"]


def test_what_is_no_python_is_told_with_its_place(project):
    (project / "pack/deep.py").write_text("LIMIT = \n")
    with pytest.raises(ValueError, match=r"pack/deep\.py, line 1: invalid syntax"):
        code_digests(project, "pack.step")


def test_other_code_does_not_count(project):
    before = code_digests(project, "pack.step")
    assert digests_after(project, "pack/unused.py", "LIMIT = 2\n") == before


def test_what_is_left_out_is_left_out_with_what_only_it_imports(project):
    (project / "pack/only.py").write_text("VALUE = 1\n")
    (project / "pack/carrier.py").write_text("from pack.only import VALUE\n")
    (project / "pack/step.py").write_text("import pack.carrier\nimport pack.deep\n")
    found = code_digests(project, "pack.step", ["pack/carrier.py"])
    assert list(found) == ["pack/__init__.py", "pack/deep.py", "pack/step.py"]
    whole = code_digests(project, "pack.step", ["pack"])
    assert list(whole) == ["pack/__init__.py", "pack/step.py"]  # its own are never


def test_code_that_another_process_has_read_is_not_parsed_again(project, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def digests():
        module._read_all.cache_clear()
        module._read_code.cache_clear()
        module._known_code.cache_clear()
        return code_digests(project, "pack.step")

    before = digests()
    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", lambda content: pytest.fail("it was parsed"))
        assert digests() == before
    (project / "pack/deep.py").write_text("LIMIT = 2\n")
    after = digests()
    assert {name for name in after if after[name] != before[name]} == {"pack/deep.py"}
