"""The artifacts of a step, each kind in its own folder."""

import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
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
from tracking.output_manager import build_output_filename, save_temporary, temporary_path

Result = TypeVar("Result")


def log_predictions(
    df: pd.DataFrame, entity: str, model: str | None, config: Mapping[str, Any]
) -> None:
    """Logs predictions as one Parquet file in `predictions/`."""
    log_artifact(save_temporary(df, "predictions", entity, model, config), "predictions")


def log_model(
    model_obj: Any, entity: str, model: str | None, config: Mapping[str, Any]
) -> ModelInfo:
    """Logs a fitted estimator of scikit-learn, as MLflow's own flavor for these has it.

    It is kept by skops, which trusts the types of scikit-learn, NumPy and SciPy here, or by
    cloudpickle where `config["serialization"]` says so.

    Args:
        model_obj: the estimator, a Pipeline for example.
        entity: the recipe's name.
        model: one of its models, or None; both make the logged model's name.
        config: kept inside the model.
    """
    # Here, since they take a while, and no step needs them.
    import mlflow.sklearn
    import skops.io

    name = "-".join(part for part in (entity, model) if part)
    packages = ("mlflow", "scikit-learn", "skops", "cloudpickle", "numpy", "pandas")
    pins = [f"{package}=={version(package)}" for package in packages]
    more: dict[str, Any] = {"serialization_format": "cloudpickle"}
    if config.get("serialization", "skops") == "skops":
        types = skops.io.get_untrusted_types(data=skops.io.dumps(model_obj))
        more = {"skops_trusted_types": [each for each in types if _is_stock(each)]}
    return mlflow.sklearn.log_model(
        model_obj, name=name, pip_requirements=pins, metadata={"config": dict(config)}, **more
    )


def _is_stock(path: str) -> bool:
    return path.partition(".")[0] in ("sklearn", "numpy", "scipy")


def log_code_model(
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


def log_plot(
    local_path: str | Path,
    entity: str | None = None,
    model: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Logs a picture in `plots/`, under its own name or, with an entity, by the naming rule."""
    log_artifact(_named(Path(local_path), "plot", entity, model, config), "plots")


def log_config(
    config_dict: Mapping[str, Any],
    entity: str,
    model: str | None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Logs a resolved configuration as YAML in `config/`; what names it is itself, or config."""
    named_by = config_dict if config is None else config
    log_artifact(save_temporary(config_dict, "config", entity, model, named_by), "config")


def log_report(
    local_path: str | Path,
    entity: str | None = None,
    model: str | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    run_id: str | None = None,
) -> None:
    """Logs a report at the root of a run's artifacts, where the UI shows it at once.

    It is named as `log_plot` names a picture, and goes to the active run or to another one.
    """
    log_artifact(_named(Path(local_path), "report", entity, model, config), run_id=run_id)


def _named(
    path: Path,
    category: str,
    entity: str | None,
    model: str | None,
    config: Mapping[str, Any] | None,
) -> Path:
    """The file itself; with an entity, a copy that has the name that the rule gives it."""
    if entity is None:
        return path
    name = build_output_filename(entity, model, category, config or {})
    return Path(shutil.copyfile(path, temporary_path(name + path.suffix)))


def log_table(df: pd.DataFrame, name: str) -> None:
    """Logs a small table as `<name>.json`, which the UI shows, and compares between runs."""
    mlflow.log_table(df, f"{name}.json")
