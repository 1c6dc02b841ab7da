"""A model that the step train logged, loaded and known to predict here what it did there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel

from common.errors import InputError
from modelling.judging.answers import PREDICTION
from steps.runs.model_digests import download_checked


@dataclass(frozen=True)
class TrainedModel:
    """A loaded model, the facts that `train` put into its metadata, and where its files are."""

    pyfunc: PyFuncModel
    facts: dict[str, Any]
    folder: Path


def load_trained(model_uri: str, task: str, recipe: str | None = None) -> TrainedModel:
    """Loads a model and checks that it predicts what the fitted estimator did when it was logged.

    Args:
        model_uri: models:/ with an id, or a name and a version or alias.
        task: the recipe's.
        recipe: its name, where the model must be of it.

    Raises:
        InputError: it cannot be loaded, was not made by `train`, was altered, or is of another
            recipe.
        ValueError: it predicts something else here.
    """
    try:
        local = download_checked(model_uri)
        # Its warnings of other versions take longer than the check below, which finds what matters.
        model = mlflow.pyfunc.load_model(str(local), suppress_warnings=True)
    except (MlflowException, OSError) as error:
        raise InputError(f"model {model_uri} cannot be loaded: {error}") from error
    facts = model.metadata.metadata or {}
    sample, answers = (local / "artifacts" / f"{name}.parquet" for name in ("sample", "answers"))
    if not facts.get("model_digest") or not (sample.is_file() and answers.is_file()):
        raise InputError(f"model {model_uri} was not made by the step train")
    if recipe and facts.get("recipe") != recipe:
        own = facts.get("recipe")
        raise InputError(
            f"model {model_uri} is of the recipe {own!r}, not of {recipe!r}; say which recipe: "
            f"recipe=recipes/{own}.yaml"
        )
    if not predict_all(model, pd.read_parquet(sample), task).equals(pd.read_parquet(answers)):
        raise ValueError(
            f"model {model_uri} does not predict here what it predicted when it was trained; "
            "is its environment (conda.yaml beside the model) the one that is installed?"
        )
    return TrainedModel(model, facts, local)


def check_recent(trained: TrainedModel, uri: str) -> None:
    """Checks that a model tells the rows that it can predict from the others.

    Raises:
        InputError: it was trained before models did.
    """
    if not hasattr(trained.pyfunc.unwrap_python_model(), "predict_valid"):
        raise InputError(f"model {uri} is too old to be used here; train it again")


def predict_all(model: PyFuncModel, rows: pd.DataFrame, task: str) -> pd.DataFrame:
    """Returns the answers for raw rows: `prediction`, and probabilities of a classification."""
    if task == "regression":
        return pd.DataFrame({PREDICTION: model.predict(rows)})
    return model.predict(rows, params={"method": "predict_all"})
