"""Each kind of artifact goes to its own folder, and can be read back."""

import json

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.models import infer_signature
from sklearn.tree import DecisionTreeRegressor

from tracking.artifacts_logger import (
    log_code_model,
    log_config,
    log_model,
    log_plot,
    log_predictions,
    log_report,
    log_table,
    make_dataset,
)
from tracking.mlflow_manager import start_run
from tracking.output_manager import build_output_filename

MODEL = """
import json, pathlib
import mlflow.models
from mlflow.pyfunc import PythonModel

class Doubler(PythonModel):
    def load_context(self, context):
        self.factor = json.loads(pathlib.Path(context.artifacts["factor"]).read_text())

    def predict(self, context, model_input, params=None):
        return self.factor * model_input["x"]

mlflow.models.set_model(Doubler())
"""

FRAME = pd.DataFrame({"row_key": [1, 2], "prediction": [5.5, 6.5]})


@pytest.fixture
def run():
    with start_run("wine", "ridge") as run:
        yield run.info.run_id


def fetch(run_id, path):
    return mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)


def test_predictions_are_one_parquet_file(run, artifacts):
    log_predictions(FRAME, "wine", "ridge", {"a": 1})
    (path,) = artifacts(run, "predictions")
    assert path.startswith("predictions/wine-ridge-predictions-")
    pd.testing.assert_frame_equal(pd.read_parquet(fetch(run, path)), FRAME)


def test_a_config_is_yaml_in_its_own_order(run, artifacts):
    config = {"name": "Cuvée", "data": {"path": "a.csv", "drop": []}, "alpha": 0.5}
    log_config(config, "wine", None)
    (path,) = artifacts(run, "config")
    with open(fetch(run, path), encoding="utf-8") as file:
        text = file.read()
    assert yaml.safe_load(text) == config
    assert list(yaml.safe_load(text)) == list(config)
    assert "Cuvée" in text


def test_a_plot_goes_to_plots_and_a_report_to_the_root(run, artifacts, tmp_path):
    for name in ("figure.png", "report.html"):
        (tmp_path / name).write_text(name)
    log_plot(tmp_path / "figure.png")
    log_report(tmp_path / "report.html")
    assert artifacts(run) == ["plots", "report.html"]
    assert artifacts(run, "plots") == ["plots/figure.png"]


def test_plots_reports_and_configs_are_named_by_what_they_depend_on(run, artifacts, tmp_path):
    config = {"alpha": 1}
    for name in ("figure.png", "report.html"):
        (tmp_path / name).write_text(name)
    log_plot(str(tmp_path / "figure.png"), "wine", "ridge", config)
    log_report(str(tmp_path / "report.html"), "wine", None, config)
    log_config({"b": 2}, "wine", "ridge", config)
    names = [
        "config/" + build_output_filename("wine", "ridge", "config", config) + ".yaml",
        "plots/" + build_output_filename("wine", "ridge", "plot", config) + ".png",
        build_output_filename("wine", None, "report", config) + ".html",
    ]
    assert [*artifacts(run, "config"), *artifacts(run, "plots")] == names[:2]
    assert names[2] in artifacts(run)


@pytest.mark.parametrize("serialization", ["skops", "cloudpickle"])
def test_an_estimator_is_logged_with_its_run_though_it_is_a_tree(run, serialization):
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    tree = DecisionTreeRegressor().fit(rows, [1.0, 2.0, 4.0])
    info = log_model(tree, "wine", "tree", {"serialization": serialization})
    model = mlflow.sklearn.load_model(info.model_uri)
    assert list(model.predict(rows)) == [1.0, 2.0, 4.0]
    logged = mlflow.get_logged_model(info.model_id)
    assert (logged.name, logged.source_run_id) == ("wine-tree", run)


def test_a_table_can_be_shown_and_loaded(run, artifacts):
    log_table(FRAME, "worst")
    assert artifacts(run) == ["worst.json"]
    pd.testing.assert_frame_equal(mlflow.load_table("worst.json", [run]), FRAME)


def test_a_model_is_logged_from_code_with_its_files_and_facts(run, tmp_path):
    (tmp_path / "doubler.py").write_text(MODEL)
    (tmp_path / "factor.json").write_text(json.dumps(2))
    rows = pd.DataFrame({"x": [1.5, 2.5]})
    environment = {"name": "x", "dependencies": ["python=3.11.7", "pip", {"pip": ["mlflow==1"]}]}
    info = log_code_model(
        tmp_path / "doubler.py",
        name="wine-doubler",
        artifacts={"factor": tmp_path / "factor.json"},
        signature=infer_signature(rows, 2 * rows["x"]),
        input_example=rows,
        conda_env=environment,
        metadata={"model_digest": "abc"},
        model_config={"unit": "glass"},
    )
    model = mlflow.pyfunc.load_model(info.model_uri)
    assert list(model.predict(rows)) == [3.0, 5.0]
    assert model.metadata.metadata["model_digest"] == "abc"
    assert model.metadata.run_id == run
    assert str(model.metadata.signature.inputs) == "['x': double (required)]"
    folder = mlflow.artifacts.download_artifacts(info.model_uri)
    with open(f"{folder}/conda.yaml", encoding="utf-8") as file:
        assert yaml.safe_load(file) == environment
    assert mlflow.get_logged_model(info.model_id).name == "wine-doubler"


def test_a_dataset_has_the_schema_that_mlflow_itself_infers():
    whole = {
        "number": 0.5,
        "count": 1,
        "flag": True,
        "text": "a",
        "date": pd.Timestamp("2026-11-24"),
    }
    table = pd.DataFrame([whole] * 500).astype({"text": "str"})
    for name in ("number", "text", "date"):
        table[f"{name} with a gap"] = table[name].mask(table.index == 321)
    dataset = make_dataset(table, source="a.csv", digest="x", targets="flag")
    assert dataset.schema == mlflow.data.from_pandas(table, source="a.csv", digest="x").schema
    assert [column.required for column in dataset.schema] == [True] * 5 + [False] * 3
