"""A logged model of which one byte is not as it was logged is refused before any of it is run."""

import os
import py_compile
import shutil
from pathlib import Path
from urllib.parse import urlparse

import mlflow
import pytest
from mlflow import MlflowClient

from common.errors import InputError
from steps.runs.model_digests import download_checked, record_digests

CODE = """
from pathlib import Path
import mlflow
Path({witness!r}).touch()
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, model_input):
        return model_input
mlflow.models.set_model(Model())
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A logged and registered model that leaves a file where its code was run."""
    folder = tmp_path_factory.mktemp("store")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = mlflow.create_experiment("e", artifact_location=(folder / "kept").as_uri())
    code, witness, features = (folder / name for name in ("model.py", "run", "features.json"))
    code.write_text(CODE.format(witness=str(witness)))
    features.write_text("{}")
    with mlflow.start_run(experiment_id=experiment):
        info = mlflow.pyfunc.log_model(
            name="m",
            python_model=str(code),
            artifacts={"features": str(features)},
            pip_requirements=[],
        )
    mlflow.register_model(f"models:/{info.model_id}", "m")
    record_digests(info.model_id)
    shutil.rmtree(Path(urlparse(info.artifact_path).path) / "__pycache__", ignore_errors=True)
    yield info.model_id, Path(urlparse(info.artifact_path).path), witness
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture
def tampered(logged, tmp_path):
    """The model's folder, which is as before afterwards."""
    _, folder, witness = logged
    shutil.copytree(folder, tmp_path / "kept")
    witness.unlink(missing_ok=True)
    yield folder
    assert not witness.exists(), "its code was run"
    shutil.rmtree(folder)
    shutil.move(tmp_path / "kept", folder)


def append(name):
    return lambda folder: (folder / name).open("a").write("\n")


CHANGES = {
    "the code": (append("model.py"), "model.py was altered"),
    "the environment": (append("conda.yaml"), "conda.yaml was altered"),
    "what MLflow reads first": (append("MLmodel"), "MLmodel was altered"),
    "the features": (append("artifacts/features.json"), "artifacts/features.json was altered"),
    "one more file": (append("sitecustomize.py"), "sitecustomize.py was added"),
    "one file less": (
        lambda folder: (folder / "artifacts/features.json").unlink(),
        "artifacts/features.json is missing",
    ),
}


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_another_byte_is_refused_by_name(logged, tampered, change, words):
    change(tampered)
    with pytest.raises(InputError, match=f"{words} since it was logged, so nothing of it was run"):
        download_checked("models:/m/1")


def test_the_model_as_it_was_logged_is_taken_by_id_version_and_alias(logged):
    MlflowClient().set_registered_model_alias("m", "champion", "1")
    for uri in (f"models:/{logged[0]}", "models:/m/1", "models:/m@champion", "models:/m/latest"):
        assert (download_checked(uri) / "model.py").is_file()


def test_compiled_code_that_was_put_there_is_not_run(logged, tampered, tmp_path):
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('evil')")
    compiled = tampered / "__pycache__" / "model.cpython-311.pyc"
    py_compile.compile(str(evil), str(compiled), doraise=True)
    folder = download_checked("models:/m/1")
    assert not list(folder.rglob("*.pyc"))


@pytest.mark.parametrize("uri", ["/models/m", "file:///models/m", "runs:/1/m", "s3://b/m", "m/1"])
def test_only_what_the_server_knows_is_loaded(logged, uri):
    with pytest.raises(InputError, match="only models that the tracking server knows are loaded"):
        download_checked(uri)


def test_a_model_of_other_origin_is_refused(logged):
    client = MlflowClient()
    client.delete_logged_model_tag(logged[0], "pipeline.files_sha256")
    with pytest.raises(InputError, match="was not made by the step train"):
        download_checked("models:/m/1")
    record_digests(logged[0])
