"""The artifacts of a step, each kind in its own folder."""

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import mlflow
import pandas as pd
from mlflow.data.dataset import Dataset
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, infer_signature
from mlflow.models.model import ModelInfo
from sqlalchemy.exc import SQLAlchemyError

from tracking.mlflow_manager import log_artifact
from tracking.output_manager import save_local

Result = TypeVar("Result")


def log_predictions(
    df: pd.DataFrame, entity: str, model: str | None, config: Mapping[str, Any]
) -> None:
    """Logs predictions as one Parquet file in `predictions/`."""
    log_artifact(save_local(df, "predictions", entity, model, config), "predictions")


def log_model(
    model_obj: Path,
    name: str,
    artifacts: Mapping[str, Path],
    signature: ModelSignature,
    input_example: pd.DataFrame,
    conda_env: Mapping[str, Any],
    metadata: Mapping[str, Any],
    model_config: Mapping[str, Any],
) -> ModelInfo:
    """Logs a pyfunc model from code.

    Args:
        model_obj: the Python file that defines the model.
        name: the logged model's name.
        artifacts: the files that it loads, by the name under which it finds them.
        signature: of its inputs and outputs.
        input_example: a few rows that it accepts.
        conda_env: what it needs, pinned.
        metadata: kept inside the model, so that they travel with it.
        model_config: kept there too, and given to the model when it is loaded.
    """
    return mlflow.pyfunc.log_model(
        name=name,
        python_model=str(model_obj),
        artifacts={key: str(path) for key, path in artifacts.items()},
        signature=signature,
        input_example=input_example,
        conda_env=dict(conda_env),
        metadata=dict(metadata),
        model_config=dict(model_config),
    )


def make_dataset(table: pd.DataFrame, **facts: Any) -> Dataset:
    """Describes a table as MLflow's dataset; the facts are those of `mlflow.data.from_pandas`.

    The table has one type of value a column, as a checked one does.
    """
    # It mistrusts whole numbers whenever it is asked for the schema, and knows two kinds of local
    # file that it treats alike.
    warnings.filterwarnings("ignore", "Hint: Inferred schema contains integer")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The specified dataset source can be interpreted")
        dataset = mlflow.data.from_pandas(table, **facts)
    # MLflow looks for missing values one by one in Python: most of the time of a large table.
    gaps = [int(table[name].isna().argmax()) for name in table]
    dataset.schema = infer_signature(table.iloc[sorted({0, *gaps})]).inputs
    return dataset


def log_dataset(dataset: Dataset, context: str) -> None:
    """Logs a dataset as an input of the run; context is what it is for, such as training."""
    again_if_datasets_collide(lambda: mlflow.log_input(dataset, context=context))


def again_if_datasets_collide(log: Callable[[], Result]) -> Result:
    """Calls what logs a dataset, and again if another run logged the same one at that moment.

    MLflow refuses one of two that log the same new dataset; asked again, it finds that dataset.
    """
    for pause in (0.1, 0.5, 2.0):
        try:
            return log()
        except (MlflowException, SQLAlchemyError) as error:
            if "datasets" not in str(error):
                raise
            time.sleep(pause)
    return log()


def log_plot(local_path: Path) -> None:
    """Logs a picture in `plots/`."""
    log_artifact(local_path, "plots")


def log_config(config_dict: Mapping[str, Any], entity: str, model: str | None) -> None:
    """Logs a resolved configuration as YAML in `config/`."""
    log_artifact(save_local(config_dict, "config", entity, model, config_dict), "config")


def log_report(local_path: Path, run_id: str | None = None) -> None:
    """Logs a report at the root of a run's artifacts, where the UI shows it at once."""
    log_artifact(local_path, run_id=run_id)


def log_table(df: pd.DataFrame, name: str) -> None:
    """Logs a small table as `<name>.json`, which the UI shows, and compares between runs."""
    mlflow.log_table(df, f"{name}.json")
