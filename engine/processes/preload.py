"""Imported by the forkserver before it forks anything: imports what every step will need."""

import gc
import importlib
import os

MODULES_VARIABLE = "CUVEE_PRELOAD"

# skops looks for each function of SciPy in all modules that are there: the fewer, the quicker.
_FIRST = ("skops.io",)
# What MLflow and its libraries import only when they come to need it, as every step does.
_NEEDED_LATER = (
    "alembic.command",
    "git",
    "matplotlib.backends.backend_agg",
    "mlflow.data.pandas_dataset",
    "mlflow.metrics",
    "mlflow.models.evaluation.default_evaluator",
    "mlflow.models.evaluation.evaluators.classifier",
    "mlflow.models.evaluation.evaluators.default",
    "mlflow.models.evaluation.evaluators.regressor",
    "mlflow.models.evaluation.evaluators.shap",
    "mlflow.pyfunc.scoring_server",
    "mlflow.sklearn",
    "mlflow.store.artifact.local_artifact_repo",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.tracing.processor.otel",
    "mlflow.tracing.provider",
    "mlflow.utils.search_logged_model_utils",
    "pyarrow.dataset",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
)


def preload() -> None:
    """Imports the modules that MODULES_VARIABLE names, and what they need later.

    A module that is not there is left to the step that misses it. Without the garbage collector:
    what imports make is kept, and looking through it again and again takes a quarter of the time.
    """
    gc.disable()
    for name in (*_FIRST, *os.environ.pop(MODULES_VARIABLE, "").split(), *_NEEDED_LATER):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    gc.freeze()
    gc.enable()


if MODULES_VARIABLE in os.environ:
    preload()
