"""A process that has the imports done, from which steps are forked.

It is started before anything heavy is imported, so that it imports while its parent does too: this
module must stay light.
"""

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

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
    "pandera.accessors.pandas_accessor",
    "pandera.backends.pandas.register",
    "pyarrow.dataset",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
)


def can_fork() -> bool:
    """Says whether this platform can fork steps."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def start_forkserver(modules: Sequence[str]) -> None:
    """Starts the process that imports these modules of the project; returns at once."""
    if not can_fork():
        return
    before = os.environ.get("PYTHONPATH")
    # The only way to tell it where the modules are, whatever the working directory.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), *([before] if before else [])])
    try:
        multiprocessing.get_context("forkserver").set_forkserver_preload([*modules, *_NEEDED_LATER])
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
