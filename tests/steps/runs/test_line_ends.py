"""One commit has one result: a clone in which Git writes CRLFs has the same digests."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from common import file_digests
from common.file_digests import file_sha256, text_sha256
from modelling.files.table_file import read_table
from modelling.models import model_files, sklearn_wrapper
from modelling.models.model_files import model_digest
from modelling.recipe import load_recipe
from modelling.tables.digest import table_digest
from modelling.tables.split import split_table
from modelling.tables.stream import open_stream
from modelling.tables.table import check_table
from steps.pipeline.dependencies import StepDependencies

PROJECT = Path(__file__).parents[3]
WORDS = "label,size,y\n" + "".join(f'"first\nlast",{n},{n / 2}\n' for n in range(40))


def with_crlf(file: Path, source: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    return file


def test_each_step_of_a_clone_with_crlfs_has_the_same_key(tmp_path):
    names = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True)
    for name in names.stdout.splitlines():
        if name.endswith((".py", ".yaml", ".lock")) and not name.startswith("tests/"):
            with_crlf(tmp_path / name, PROJECT / name)
    keys = []
    for project in (PROJECT, tmp_path):
        recipe = load_recipe("recipes/wine_quality.yaml", project)
        depends = StepDependencies(project, recipe)
        keys.append(
            (
                depends.of_prepare("wines.csv", "table"),
                depends.of_train("ridge", {}, "rows"),
                depends.of_evaluate("rows", "model", None),
            )
        )
    assert keys[0] == keys[1]


def test_a_model_has_the_same_digest_with_a_wrapper_that_has_crlfs(tmp_path, monkeypatch):
    (tmp_path / "model.pkl").write_bytes(b"a model")
    before = model_digest(tmp_path / "model.pkl", {})
    crlf = with_crlf(tmp_path / "wrapper.py", Path(sklearn_wrapper.__file__))
    monkeypatch.setattr(model_files.sklearn_wrapper, "__file__", str(crlf))
    assert model_digest(tmp_path / "model.pkl", {}) == before


def test_a_table_with_crlfs_is_the_same_table(tmp_path):
    """Also in a cell of two lines: by digest, content, keys of rows, and as a stream."""
    lf = tmp_path / "lf.csv"
    lf.write_bytes(WORDS.encode())
    crlf = with_crlf(tmp_path / "crlf.csv", lf)
    assert file_sha256(lf) != file_sha256(crlf)
    assert file_sha256(lf) == text_sha256(lf) == text_sha256(crlf)
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    data = recipe.data.model_copy(update={"columns": {}, "drop": (), "target": "y"})
    recipe = recipe.model_copy(update={"data": data})
    frames = [check_table(read_table(path), recipe, path.name).frame for path in (lf, crlf)]
    assert table_digest(frames[0]) == table_digest(frames[1])
    rows = [split_table(frame, "y", recipe.split).rows for frame in frames]
    pd.testing.assert_frame_equal(*rows)
    streams = [next(open_stream(path).batches(["label"], 100)).table for path in (lf, crlf)]
    assert streams[0] == streams[1]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_crlf_between_two_pieces_is_one(tmp_path, monkeypatch, size):
    monkeypatch.setattr(file_digests, "_PIECE", size)
    (tmp_path / "lf").write_bytes(b"a\nb\rc\r\r\nd\r\n\r")
    (tmp_path / "crlf").write_bytes(b"a\r\nb\rc\r\r\nd\r\n\r")
    (tmp_path / "other").write_bytes(b"a\nb\nc\r\r\nd\r\n\r")
    lf, crlf, other = (text_sha256(tmp_path / name) for name in ("lf", "crlf", "other"))
    assert lf == crlf != other


def test_what_is_no_text_is_taken_as_it_is(tmp_path):
    file = tmp_path / "table.parquet"
    file.write_bytes(b"PAR1\0\r\n")
    assert text_sha256(file) == file_sha256(file)


def test_git_gives_every_clone_the_same_bytes(tmp_path):
    """By .gitattributes, whatever core.autocrlf says; binary files are left alone."""

    def git(*words, folder=tmp_path):
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=True)
        return done.stdout

    git("init", "-q")
    git("config", "core.autocrlf", "true")
    text, binary = b"a\nb\n", b"\0a\nb\r\n"
    shutil.copy(PROJECT / ".gitattributes", tmp_path)
    files = {"code.py": text, "run.sh": text, "MLproject": text, "t.csv": text, "t.parquet": text}
    for name, content in (files | {"other": binary}).items():
        (tmp_path / name).write_bytes(content)
    git("add", "-A")
    for name, content in (files | {"other": binary}).items():
        (tmp_path / name).unlink()
        git("checkout", "--", name)
        assert (tmp_path / name).read_bytes() == content, name
