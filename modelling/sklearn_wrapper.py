"""The model that is logged: raw columns in, predictions out.

MLflow keeps this very file with each model (models-from-code) and runs it when the model is loaded.
It must not import anything of this project, so that a model of last year still runs its own code.
"""

import json
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
import skops.io
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
from mlflow.pyfunc import PythonModel, PythonModelContext

# Beyond what skops trusts by itself: the inner parts of scikit-learn's own estimators. None of
# them runs code that stands in the file.
TRUSTED_TYPES = (
    "_loss._loss.CyAbsoluteError",
    "_loss._loss.CyExponentialLoss",
    "_loss._loss.CyHalfBinomialLoss",
    "_loss._loss.CyHalfGammaLoss",
    "_loss._loss.CyHalfMultinomialLoss",
    "_loss._loss.CyHalfPoissonLoss",
    "_loss._loss.CyHalfSquaredError",
    "_loss._loss.CyHalfTweedieLoss",
    "_loss._loss.CyHuberLoss",
    "_loss._loss.CyPinballLoss",
    "numpy.dtype",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.KDTree64",
    "sklearn.tree._tree.Tree",
)

_OPERATORS = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}


class SklearnWrapper(PythonModel):
    """A fitted scikit-learn Pipeline behind the features that the recipe declares."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the Pipeline and the fitted features from the model's own files."""
        features = Path(context.artifacts["features"]).read_text(encoding="utf-8")
        self.features = json.loads(features)
        self.pipeline = load_pipeline(Path(context.artifacts["pipeline"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """Predicts (n,) values from a DataFrame of n rows with the recipe's raw columns."""
        return self.pipeline.predict(apply_features(model_input, self.features))


def load_pipeline(path: Path) -> Any:
    """Loads a Pipeline: of skops, with the trusted types only, or (if allowed) of cloudpickle.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: the file holds another type.
        PermissionError: it is a pickle, and MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false.
    """
    if path.suffix == ".skops":
        return skops.io.load(path, trusted=list(TRUSTED_TYPES))
    if not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get():
        raise PermissionError(
            f"{path.name} is a pickle, and MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false"
        )
    import cloudpickle

    with path.open("rb") as file:
        return cloudpickle.load(file)


def apply_features(frame: pd.DataFrame, fitted: dict[str, Any]) -> pd.DataFrame:
    """Computes what the Pipeline takes from raw columns.

    Args:
        frame: n rows with at least the raw columns, numeric.
        fitted: as `modelling.features.fit_features` returns it.

    Returns:
        (n, raw columns + declared features) float64, in a fixed order.
    """
    raw = frame[fitted["columns"]].astype("float64")
    columns = {name: raw[name].to_numpy() for name in raw.columns}
    with np.errstate(all="ignore"):
        computed = {
            name: np.broadcast_to(_evaluate(tree, columns), len(raw))
            for name, tree in fitted["formulas"].items()
        }
    for name, score in fitted["quantile_scores"].items():
        parts = [_quantile_score(columns[part["column"]], part) for part in score]
        computed[name] = np.sum(parts, axis=0)
    return pd.concat([raw, pd.DataFrame(computed, index=raw.index, dtype="float64")], axis=1)


def _evaluate(tree: Any, columns: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, list):
        operator, *operands = tree
        return _OPERATORS[operator](*(_evaluate(operand, columns) for operand in operands))
    return columns[tree["column"]] if isinstance(tree, dict) else tree


def _quantile_score(values: np.ndarray, part: dict[str, Any]) -> np.ndarray:
    """1 for the lowest quantile to len(edges) + 1 for the highest; turned round where falling."""
    edges = part["edges"]
    score = np.searchsorted(edges, values, side="left") + 1.0
    if part["direction"] == "falling":
        score = len(edges) + 2.0 - score
    return np.where(np.isnan(values), np.nan, score)


mlflow.models.set_model(SklearnWrapper())
