"""A model that needs the project is not registered: nobody could load it elsewhere."""

import shutil
import subprocess
from pathlib import Path

import cloudpickle
import pytest
import skops.io

from common.errors import InputError
from common.file_digests import file_sha256
from modelling.models.sklearn_wrapper import TRUSTED_TYPES
from steps.registry.portability import check_travels

PROJECT = Path(__file__).parents[3]


@pytest.mark.slow
def test_an_estimator_of_the_project_is_refused_before_it_becomes_a_version(make_store):
    store = make_store(like="champion")
    recipe = store.folder / "own.yaml"
    text = (PROJECT / "recipes/wine_quality.yaml").read_text()
    ridge = "estimator: sklearn.linear_model.Ridge\n"
    assert text.count(ridge) == 1
    own = "estimator: tests.end_to_end.own_estimators.OwnRidge\n    serialization: cloudpickle\n"
    recipe.write_text(text.replace(ridge, own))
    outcome = store.main(f"recipe={recipe}", "model=ridge")
    outcome.assert_refused("register", ["No module named 'tests'", "so it is not registered"])
    assert list(outcome.versions) == [1]


@pytest.fixture
def model(template, tmp_path):
    """The files of a registered model, and those that hold its Pipeline."""
    (source,) = Path(template("champion").store.folder).glob("mlruns/*/models/*/artifacts")
    folder = shutil.copytree(source, tmp_path / "model")
    (pipeline,) = folder.glob("artifacts/*.skops")
    return folder, pipeline


def test_a_model_of_skops_takes_no_process(model, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process"))
    check_travels(model[0])


@pytest.mark.slow
def test_a_pickle_of_installed_packages_travels_and_code_that_imports_the_project_does_not(model):
    folder, pipeline = model
    pickle = pipeline.with_suffix(".pkl")
    pickle.write_bytes(cloudpickle.dumps(skops.io.load(pipeline, trusted=list(TRUSTED_TYPES))))
    settings = folder / "MLmodel"
    text = settings.read_text().replace(pipeline.name, pickle.name)
    settings.write_text(text.replace(file_sha256(pipeline), file_sha256(pickle)))
    pipeline.unlink()
    check_travels(folder)
    code = folder / "sklearn_wrapper.py"
    code.write_text(code.read_text() + "\nfrom common.words import show_figure\n")
    with pytest.raises(InputError, match=r"No module named '(common|modelling)'"):
        check_travels(folder)
