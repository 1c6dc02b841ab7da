"""The parameters of a train run, with MLflow's autologging and without."""

import os

import mlflow
import pandas as pd
import pytest

from modelling.estimators.estimators import build_pipeline
from modelling.recipe import Sampling, load_recipe
from steps.train import _log_parameters
from tests.end_to_end.store import PROJECT
from tracking.mlflow_manager import configure_autologging


@pytest.fixture
def store(tmp_path, make_database):
    mlflow.set_tracking_uri(make_database(tmp_path))
    yield
    configure_autologging(None)
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.mark.usefixtures("store")
def test_what_is_done_about_rare_classes_is_a_parameter():
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    sampling = Sampling(method="over", sampling_strategy=0.8)
    recipe = recipe.model_copy(update={"sampling": sampling})
    model = recipe.models["ridge"]
    with mlflow.start_run(experiment_id="0") as run:
        _log_parameters(recipe, model, build_pipeline(model, {}, 0, recipe.task))
    params = mlflow.get_run(run.info.run_id).data.params
    assert (params["sampling"], params["sampling_strategy"]) == ("over", "0.8")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("settings", [None, {}])
def test_a_forest_has_its_parameters_beside_those_of_autologging(settings):
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    recipe = recipe.model_copy(update={"autologging": settings})
    model = recipe.models["random_forest"]
    pipeline = build_pipeline(model, {"n_estimators": 2, "verbose": 0}, 0, recipe.task)
    with mlflow.start_run(experiment_id="0") as run:
        configure_autologging(settings)
        pipeline.fit(pd.DataFrame({"a": [1.0, 2.0, 3.0]}), [1.0, 2.0, 4.0])
        _log_parameters(recipe, model, pipeline)
    params = mlflow.get_run(run.info.run_id).data.params
    assert params["n_estimators"] == "2"
    assert params["scale"] == "False"
    assert ("estimator__n_estimators" in params) == (settings is not None)
    assert params["verbose"] == ("0" if settings is None else "False")
