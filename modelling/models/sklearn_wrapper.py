"""The model that is logged: raw columns in, predictions out.

MLflow keeps this very file with each model (models-from-code) and runs it when the model is loaded.
It must not import anything of this project, so that a model of last year still runs its own code.
"""

import hashlib
import inspect
import json
import operator
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from functools import lru_cache, reduce
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from numbers import Number, Real
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute
import skops.io
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from threadpoolctl import LibController, ThreadpoolController

# Beyond what skops trusts by itself: the inner parts of scikit-learn's own estimators, and those of
# LightGBM and XGBoost, which read trees as data. None of them runs code that stands in the file.
TRUSTED_TYPES = (
    "_loss._loss.CyAbsoluteError",
    "_loss._loss.CyExponentialLoss",
    "_loss._loss.CyHalfBinomialLoss",
    "_loss._loss.CyHalfGammaLoss",
    "_loss._loss.CyHalfMultinomialLoss",
    "_loss._loss.CyHalfPoissonLoss",
    "_loss._loss.CyHalfSquaredError",
    "_loss._loss.CyHalfTweedieLoss",
    "_loss._loss.CyHalfTweedieLossIdentity",
    "_loss._loss.CyHuberLoss",
    "_loss._loss.CyPinballLoss",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.KDTree64",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)


def _compare(operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Makes 1 or 0 of two arrays or constants, and missing where one is."""

    def compare(one: Any, other: Any) -> Any:
        one, other = _as_date_beside(one, other), _as_date_beside(other, one)
        return np.where(pd.isna(one) | pd.isna(other), np.nan, operator(one, other))

    return compare


def _as_date_beside(value: Any, other: Any) -> Any:
    is_text = isinstance(value, str) and np.asarray(other).dtype.kind == "M"
    return np.datetime64(value, "us") if is_text else value


def _choose(condition: Any, then: Any, other: Any) -> Any:
    return np.where(np.isnan(condition), np.nan, np.where(condition, then, other))


def _date_part(name: str) -> Callable[[Any], Any]:
    return lambda dates: np.asarray(getattr(pd.DatetimeIndex(dates), name), dtype=float)


def _texts(values: Any) -> pd.Series:
    return pd.Series(values, dtype="str")


def _days(end: Any, start: Any = None) -> Any:
    return (end - (np.datetime64(0, "D") if start is None else start)) / np.timedelta64(1, "D")


_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
    "<": _compare(operator.lt),
    "<=": _compare(operator.le),
    ">": _compare(operator.gt),
    ">=": _compare(operator.ge),
    "==": _compare(operator.eq),
    "!=": _compare(operator.ne),
    "and": lambda *values: reduce(np.minimum, values),
    "or": lambda *values: reduce(np.maximum, values),
    "not": lambda value: 1 - value,
    "if": _choose,
    "log": np.log,
    "log1p": np.log1p,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
    "hour": _date_part("hour"),
    "weekday": _date_part("day_of_week"),
    "month": _date_part("month"),
    "year": _date_part("year"),
    "days": _days,
    "lower": lambda texts: _texts(texts).str.lower().to_numpy(),
    "length": lambda texts: _texts(texts).str.len().to_numpy(dtype=float),
    "contains": lambda texts, part: np.where(
        _texts(texts).isna(), np.nan, _texts(texts).str.contains(part, regex=False, na=False)
    ),
}


OWN_TRANSFORMER = "own "
"""How the name of a part of the Pipeline begins that is a transformer of the recipe."""

_PREDICTION = "prediction"
_PROBABILITY = "probability_"
METHODS = ("predict", "predict_proba", "predict_all", "explain", "interval")
_BLOCK_ROWS = 64
_FEW_ROWS = 10_000
_WITHOUT_PRODUCTS = (
    "catboost.",
    "lightgbm.",
    "sklearn.dummy",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting.",
    "sklearn.tree.",
    "xgboost.",
)
_VOTING = "sklearn.ensemble._voting"
_MADE_OF_OTHERS = ("sklearn.ensemble._bagging", "sklearn.ensemble._weight_boosting")


class SklearnWrapper(PythonModel):
    """A fitted scikit-learn Pipeline behind the features that the recipe declares."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the Pipeline and the fitted features from the model's own files.

        Raises:
            ValueError: a file is not as it was logged.
        """
        paths = {name: Path(path) for name, path in context.artifacts.items()}
        features, pipeline, own = paths["features"], paths["pipeline"], paths.get("own_code")
        self._details_file, self._sample_file = paths.get("row_details"), paths.get("sample")
        code = [*(code_files(own) if own else ()), *filter(None, [self._details_file])]
        check_digests((features, pipeline, *code), (context.model_config or {}).get("sha256", {}))
        self._background: Any = None  # the sample, when it was asked for
        self.features = json.loads(features.read_text(encoding="utf-8"))
        self.pipeline = load_pipeline(pipeline, load_own_code(own).__name__ if own else "")

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray | pd.DataFrame:
        """Predicts from a DataFrame of n rows with the recipe's raw columns.

        Args:
            context: not used.
            model_input: (n, at least the raw columns), as the table of the recipe has them.
            params: `method`: `predict`, the default; `predict_proba`, for a classifier;
                `predict_all`, for both at the price of one; `explain`, with `reasons`: how many
                of them, or 0 for the contribution of every column; or `interval`, if the recipe
                asked for `intervals`.

        Returns:
            predict: (n,) numbers or labels. predict_proba: (n, classes), a column a class, under
            its name. predict_all: a column `prediction`, and `probability_<class>` for each class.
            explain, interval: these, and what the function of this name gives.

        Raises:
            MlflowException: BAD_REQUEST, if a column is missing or a value cannot be read.
        """
        method = (params or {}).get("method", "predict")
        if method not in METHODS:
            raise _bad_request(f"unknown method {method!r}; allowed: {', '.join(METHODS)}")
        if method == "predict_proba" and not is_classifier(self.pipeline):
            raise _bad_request("a regression has no probabilities; allowed method: predict")
        inputs, problems = self._read(model_input)
        if not len(model_input):
            raise _bad_request("the input has no rows")
        if problems:
            row = min(problems)
            more = f" (and {len(problems) - 1} more rows)" if len(problems) > 1 else ""
            raise _bad_request(f"row {row + 1}: {problems[row]}{more}")
        answers = _answer(self.pipeline, inputs, self.features)
        if method == "predict":
            return answers[_PREDICTION]
        given = pd.DataFrame(answers)
        if method == "predict_proba":
            del given[_PREDICTION]
            return given.rename(columns=lambda name: name.removeprefix(_PROBABILITY))
        reasons = int((params or {}).get("reasons", 0))
        added: dict[str, Callable[[], pd.DataFrame]] = {
            "predict_all": lambda: given[[]],
            "explain": lambda: self.explain(model_input, inputs, given, reasons),
            "interval": lambda: self.interval(inputs, given),
        }
        return given.join(added[method]())

    def predict_valid(
        self, rows: pd.DataFrame
    ) -> tuple[pd.DataFrame, pd.DataFrame, dict[int, str]]:
        """Predicts those of n rows that can be predicted.

        Returns:
            What the Pipeline takes, of all n rows; the answers of the valid ones, in their order;
            and why the others are not, by their number from 0.

        Raises:
            MlflowException: BAD_REQUEST, if a column is missing.
        """
        inputs, problems = self._read(rows)
        valid = inputs
        if problems:
            valid = inputs.iloc[np.delete(np.arange(len(rows)), list(problems))]
        if not len(valid):
            return inputs, pd.DataFrame({_PREDICTION: []}), problems
        return inputs, answer(self.pipeline, valid, self.features), problems

    def explain(
        self, rows: pd.DataFrame, inputs: pd.DataFrame, answers: pd.DataFrame, reasons: int = 0
    ) -> pd.DataFrame:
        """Says why n rows are given their answers.

        What is explained is the number; or the probability, of the class to be found or, if none
        is said, of the most probable one.

        Args:
            rows: (n, at least the raw columns) valid ones.
            inputs: as `apply_features` gives them.
            answers: as `answer` gives them.
            reasons: how many; 0: what every column contributes.

        Returns:
            base, reason_1, contribution_1, … and others, what the other columns add to them; or
            value, base, and for each column contribution_<column> and error_<column>. Base and
            contributions add up to the value. Of a classification without a class to be found,
            explained_class is before them.

        Raises:
            MlflowException: BAD_REQUEST, if the model was logged before models could do that, or
                its own code fails for a row that is made of two.
        """
        if self._details_file is None or self._sample_file is None:
            raise _bad_request("this model cannot explain: it was trained before models could")
        details = load_own_code(self._details_file)
        read = self._read_cells(with_columns(rows, self.features))
        chosen, values = self._explained(answers)
        sign = 1 if chosen is None else np.where(chosen == 1, 1, -1)
        try:
            found = details.explain_exactly(self.pipeline, inputs, self.features, values, sign)
            if found is None:
                if self._background is None:
                    sample = self._read_cells(pd.read_parquet(self._sample_file))
                    self._background = details.KnownRows(sample, self._values(sample))
                known = details.KnownRows(read, self._as_values(answers))
                found = details.explain_by_sampling(self._values, known, self._background, chosen)
        except OwnCodeError as error:
            raise _bad_request(str(error)) from error
        told = found.as_frame()
        if reasons > 0:
            told = found.strongest(read, self.features["columns"], reasons)
        if chosen is not None and not self.features["decision"]:
            told.insert(0, "explained_class", self.pipeline.classes_[chosen])
        return told.set_axis(answers.index)

    def interval(self, inputs: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        """Says between which values, or among which classes, what is true is for n rows.

        Args:
            inputs: (n, inputs) as `apply_features` gives them.
            answers: as `answer` gives them.

        Returns:
            prediction_low and prediction_high; or prediction_set, a list of labels.

        Raises:
            MlflowException: BAD_REQUEST, if the recipe did not ask for intervals.
        """
        fitted = self.features.get("intervals")
        if fitted is None or self._details_file is None:
            raise _bad_request("this model has no intervals: its recipe has no key `intervals`")
        details = load_own_code(self._details_file)
        if not is_classifier(self.pipeline):
            predictions = answers[_PREDICTION].to_numpy()
            ends = details.interval(fitted, inputs, predictions)
            named = dict(zip(("prediction_low", "prediction_high"), ends, strict=True))
            return pd.DataFrame(named, index=answers.index)
        inside = details.class_sets(fitted, self._as_values(answers))
        sets = [self.pipeline.classes_[row].tolist() for row in inside]
        return pd.DataFrame({"prediction_set": sets}, index=answers.index)

    def _explained(self, answers: pd.DataFrame) -> tuple[np.ndarray | None, np.ndarray]:
        """Which class of each row is explained, if there are any, and its value."""
        if not is_classifier(self.pipeline):
            return None, answers[_PREDICTION].to_numpy()
        classes, decision = self.pipeline.classes_, self.features["decision"]
        probabilities = self._as_values(answers)
        chosen = np.argmax(probabilities, axis=1)
        if decision:
            chosen = np.full(len(chosen), np.flatnonzero(classes == decision["positive_class"])[0])
        return chosen, probabilities[np.arange(len(chosen)), chosen]

    def _values(self, read: pd.DataFrame) -> np.ndarray:
        """The numbers, or the (n, classes) probabilities, of rows whose cells are good.

        NaN of a row of which a formula has no finite value, if the Pipeline takes none.
        """
        inputs = apply_features(read, self.features)
        formulas = [*self.features["formulas"], *self.features.get("functions", ())]
        valid = np.isfinite(inputs[formulas].to_numpy()).all(axis=1)
        if self.features["imputes"] or valid.all():
            return self._as_values(answer(self.pipeline, inputs, self.features))
        given = self._as_values(answer(self.pipeline, inputs[valid], self.features))
        values = np.full((len(read), *given.shape[1:]), np.nan)
        values[valid] = given
        return values

    def _as_values(self, answers: pd.DataFrame) -> np.ndarray:
        if not is_classifier(self.pipeline):
            return answers[_PREDICTION].to_numpy()
        return answers[[f"{_PROBABILITY}{label}" for label in self.pipeline.classes_]].to_numpy()

    def _read_cells(self, rows: pd.DataFrame) -> pd.DataFrame:
        formats, spellings = self.features.get("formats", {}), self.features.get("spellings", {})
        read = {
            name: read_column(rows[name], kind, formats.get(name, ""), spellings.get(name))
            for name, kind in self.features["columns"].items()
        }
        return pd.DataFrame(read).reset_index(drop=True)

    def _read(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, str]]:
        rows = with_columns(rows, self.features)
        try:
            inputs = apply_features(rows, self.features)
        except OwnCodeError as error:
            raise _bad_request(str(error)) from error
        return inputs, find_problems(rows, inputs, self.features)


def answer(pipeline: Any, inputs: pd.DataFrame, fitted: dict[str, Any]) -> pd.DataFrame:
    """Predicts n rows, each as if it were alone: the others do not change its last digits.

    Args:
        pipeline: a fitted Pipeline.
        inputs: as `apply_features` gives them.
        fitted: the fitted features, with the decision of a binary classification.

    Returns:
        A column `prediction`, of numbers or labels, and of a classification `probability_<class>`
        for each class.
    """
    return pd.DataFrame(_answer(pipeline, inputs, fitted))


def _answer(pipeline: Any, inputs: pd.DataFrame, fitted: dict[str, Any]) -> dict[str, np.ndarray]:
    """The columns of an answer: a frame of them takes a tenth of the time of a prediction."""
    estimator = pipeline[-1] if isinstance(pipeline, Pipeline) else pipeline
    if not is_classifier(estimator):
        return {_PREDICTION: _row_by_row(pipeline, estimator, "predict", inputs)}
    probabilities = _row_by_row(pipeline, estimator, "predict_proba", inputs)
    labels = decide(probabilities, pipeline.classes_, fitted["decision"])
    columns = {
        f"{_PROBABILITY}{label}": probabilities[:, number]
        for number, label in enumerate(pipeline.classes_)
    }
    return {_PREDICTION: labels} | columns


def _row_by_row(pipeline: Any, estimator: Any, method: str, inputs: pd.DataFrame) -> np.ndarray:
    """Calls a method so that a row's digits are the same alone and among any others."""
    if type(estimator).__module__ == _VOTING and isinstance(estimator.estimators_[0], Pipeline):
        shares = estimator.weights or [1] * len(estimator.estimators_)
        # Added up one after the other: the order in which numpy does may depend on the rows.
        said = sum(
            share * _row_by_row(model, model[-1], method, inputs)
            for share, model in zip(shares, estimator.estimators_, strict=True)
        )
        return np.asarray(said) / sum(shares)
    with _one_openmp_thread() if len(inputs) <= _FEW_ROWS else nullcontext():
        if _has_no_products(estimator) and not _has_transformers(pipeline):
            return getattr(pipeline, method)(inputs)
        return _in_blocks(pipeline, estimator, method, inputs)


def _has_transformers(pipeline: Any) -> bool:
    """Whether a step before the estimator may look at more than one value at a time."""
    columns = pipeline.named_steps.get("columns") if isinstance(pipeline, Pipeline) else None
    parts = columns.transformers_ if columns is not None else ()
    return any(str(name).startswith(OWN_TRANSFORMER) for name, _, _ in parts)


def _in_blocks(pipeline: Any, estimator: Any, method: str, inputs: pd.DataFrame) -> np.ndarray:
    """Calls a method that may use BLAS.

    BLAS adds up in another order where the number of rows, or a thread's share of them, is odd: it
    gets whole blocks, the last one filled up, and one thread. The product of two matrices it
    computes by another rule where they are small: it gets one block at a time.
    """
    rows = len(inputs)
    filled = rows + -rows % _BLOCK_ROWS
    with _one_blas_thread():
        values = _fill(inputs, filled)
        call = getattr(estimator, method)
        if _has_transformers(pipeline):
            call = getattr(pipeline, method)
        elif _is_one_vector(estimator):
            return getattr(pipeline, method)(values)[:rows]
        elif len(pipeline) > 1:  # the steps before look at one value at a time
            values = pipeline[:-1].transform(values)
        starts = range(0, filled, _BLOCK_ROWS)
        blocks = [call(values[start : start + _BLOCK_ROWS]) for start in starts]
    return np.concatenate(blocks)[:rows]


def _has_no_products(estimator: Any) -> bool:
    """Whether it is made of trees, or knows no row: no order of adding up is BLAS's."""
    module = type(estimator).__module__
    if module in _MADE_OF_OTHERS:
        return _has_no_products(estimator.estimators_[0])
    if module == "sklearn.calibration":
        return all(_has_no_products(each.estimator) for each in estimator.calibrated_classifiers_)
    return module.startswith(_WITHOUT_PRODUCTS)


def _is_one_vector(estimator: Any) -> bool:
    """Whether it is linear with one coefficient a column: a matrix times a vector, of any size."""
    return np.size(getattr(estimator, "coef_", ())) == getattr(estimator, "n_features_in_", None)


def _fill(inputs: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Repeats the last row. The values lie as they did: that is an order of adding up, too."""
    if rows == len(inputs):
        return inputs
    places = np.minimum(np.arange(rows), len(inputs) - 1)
    if all(dtype == np.float64 for dtype in inputs.dtypes):
        block = np.take(inputs.to_numpy().T, places, axis=1).T
        return pd.DataFrame(block, columns=inputs.columns, copy=False)
    return inputs.iloc[places]


_blas_lock = threading.Lock()
_blas_users: list[Any] = []  # the threads that there were, then one entry for each user of one


def _find_libraries(user_api: str) -> list[LibController]:
    return [one for one in _look_through(len(sys.modules)) if one.user_api == user_api]


@lru_cache(maxsize=1)
def _look_through(_modules: int) -> list[LibController]:
    """Finds the process's libraries that have threads, which takes longer than a prediction.

    It does so again when there are more modules: they may have brought a library.
    """
    return ThreadpoolController().lib_controllers


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """Limits OpenMP: for few rows, threads that wait for each other take longer than one.

    Each thread of a server has a limit of its own.
    """
    before = [(library, library.get_num_threads()) for library in _find_libraries("openmp")]
    for library, _ in before:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, threads in before:
            library.set_num_threads(threads)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Limits BLAS, which all threads of a server share, until the last one is done."""
    with _blas_lock:
        if not _blas_users:
            libraries = _find_libraries("blas")
            _blas_users.append([(library, library.get_num_threads()) for library in libraries])
            for library in libraries:
                library.set_num_threads(1)
        _blas_users.append(None)
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users.pop()
            if len(_blas_users) == 1:
                for library, threads in _blas_users.pop():
                    library.set_num_threads(threads)


def decide(
    probabilities: np.ndarray, classes: np.ndarray, decision: dict[str, Any] | None
) -> np.ndarray:
    """Turns (n, classes) probabilities into (n,) labels.

    Args:
        probabilities: a column a class.
        classes: (classes,) labels.
        decision: of a binary classification, the `positive_class` and the `threshold` from which
            on a row is of it; without one, the most probable class is the answer.
    """
    if decision is None:
        return classes[np.argmax(probabilities, axis=1)]
    positive = int(np.flatnonzero(classes == decision["positive_class"])[0])
    chosen = probabilities[:, positive] >= decision["threshold"]
    return classes[np.where(chosen, positive, 1 - positive)]


def _bad_request(message: str) -> MlflowException:
    return MlflowException(message, error_code=BAD_REQUEST)


def check_digests(files: Iterable[Path], known: Mapping[str, str]) -> None:
    """Checks files by their sha256, before they are read.

    It finds what was damaged. Who can change a file of the model can change its MLmodel, where
    the digests stand, too: the steps of the pipeline check more.

    Args:
        files: to check.
        known: the digests, by the files' names; a name that is not there is not checked.

    Raises:
        ValueError: a file has another digest.
    """
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if known.get(file.name, digest) != digest:
            raise ValueError(f"{file.name} is not as it was when the model was logged")


def load_pipeline(path: Path, own_code: str = "") -> Any:
    """Loads a Pipeline: of skops, with the trusted types only, or (if allowed) of cloudpickle.

    Args:
        path: its file.
        own_code: the name of the model's own code, as `load_own_code` imported it; its types are
            trusted as the code is that is beside them.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: the file holds another type.
        PermissionError: it is a pickle, and MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false.
    """
    if path.suffix == ".skops":
        return skops.io.load(path, trusted=[*TRUSTED_TYPES, *own_types(path, own_code)])
    if not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get():
        raise PermissionError(
            f"{path.name} is a pickle, and MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false"
        )
    import cloudpickle

    with path.open("rb") as file:
        return cloudpickle.load(file)


def own_types(path: Path, own_code: str) -> list[str]:
    """Names the types in a file of skops that are of a model's own code."""
    if not own_code:
        return []
    types = skops.io.get_untrusted_types(file=path)
    return [name for name in types if name.startswith(f"{own_code}.")]


def with_columns(frame: pd.DataFrame, fitted: dict[str, Any]) -> pd.DataFrame:
    """Returns the input, whose columns may be named with accents as signs of their own.

    Raises:
        MlflowException: BAD_REQUEST, naming the columns that the model reads and that are missing.
    """
    if all(name in frame.columns for name in fitted["columns"]):
        return frame
    frame = frame.rename(columns=lambda name: unicodedata.normalize("NFC", str(name)))
    missing = [name for name in fitted["columns"] if name not in frame.columns]
    if missing:
        has = ", ".join(map(str, frame.columns)) or "no column"
        raise _bad_request(f"missing columns: {', '.join(missing)}; the input has: {has}")
    return frame


def find_problems(
    frame: pd.DataFrame, inputs: pd.DataFrame, fitted: dict[str, Any]
) -> dict[int, str]:
    """Finds the rows that cannot be predicted, and says why.

    A value that is not of the column's kind is a reason, and so is an infinite number, or a missing
    value where the model was trained to expect none.

    Args:
        frame: n rows with the raw columns.
        inputs: what `apply_features` made of them.
        fitted: the fitted features.

    Returns:
        The first reason of each such row, by its number from 0.
    """
    problems: dict[int, str] = {}
    if not {*_TEXTS} & {*fitted["columns"].values()} and np.isfinite(inputs.to_numpy()).all():
        return problems  # as nearly always: one look at all numbers
    gaps = fitted.get("gaps", fitted["columns"] if fitted["imputes"] else ())
    for name, kind in fitted["columns"].items():
        read = inputs[f"{name} (days)" if kind == "date" else name]
        allowed = fitted["orders"][name] if kind == "ordinal" else ()
        for row, reason in _find_unread(frame[name], read, kind, name in gaps, allowed):
            problems.setdefault(row, f"column {name!r}{reason}")
    computed = (*fitted["formulas"], *fitted["quantile_scores"], *fitted.get("functions", ()))
    for name in [] if fitted["imputes"] else computed:
        for row in np.flatnonzero(~np.isfinite(inputs[name].to_numpy())).tolist():
            problems.setdefault(row, f"feature {name!r} has no finite value: a division by zero?")
    return problems


def _find_unread(
    column: pd.Series, read: pd.Series, kind: str, may_miss: bool, allowed: Sequence[str]
) -> Iterator[tuple[int, str]]:
    if kind == "text":  # in which a gap is the text of no words
        wrong = is_missing(column).to_numpy()
    else:
        wrong = read.isna().to_numpy() if kind == "category" else ~np.isfinite(read.to_numpy())
    if not wrong.any():
        return
    missing = is_missing(column).to_numpy()
    for row in np.flatnonzero(wrong & ~missing).tolist():
        value = column.iloc[row]
        lost = ": a float has lost its last digits" if _has_lost_digits(value, kind) else ""
        what = f"none of {', '.join(allowed)}" if allowed else f"no {kind}{lost}"
        yield row, f": {str(value)[:60]!r} is {what}"
    if not may_miss:
        for row in np.flatnonzero(missing).tolist():
            yield row, " is missing"


# Own code: a Python file, or the folder of a package, that a person wrote beside the recipe.


_OWN = "cuvee_own_"


class OwnCodeError(ValueError):
    """Own code cannot be imported, or failed, or gave what it should not; one line says where."""


def code_files(path: Path) -> list[Path]:
    """Returns the files of own code: the file itself, or those of the package's folder."""
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def load_own_code(path: Path) -> ModuleType:
    """Imports own code by its path, under a name that holds its digest.

    So two models keep their own code in one process, and skops finds the classes by that name.

    Raises:
        OwnCodeError: it cannot be imported.
    """
    content = hashlib.sha256()
    places = {file: file.relative_to(path.parent) for file in code_files(path)}
    for file, place in places.items():
        content.update(place.as_posix().encode() + b"\0")
        content.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    name = f"{_OWN}{content.hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    main, folders = (path / "__init__.py", [str(path)]) if path.is_dir() else (path, None)
    spec = spec_from_file_location(name, main, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise OwnCodeError(f"{path.name} is no Python")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        for place in places.values():
            parts = place.with_suffix("").parts[1:]
            if parts and parts[-1] != "__init__":
                import_module(".".join([name, *parts]))
    except Exception as error:
        for imported in [each for each in sys.modules if f"{each}.".startswith(f"{name}.")]:
            del sys.modules[imported]
        raise OwnCodeError(describe_failure(error, path.parent)) from error
    return module


def call_own(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of own code.

    Raises:
        OwnCodeError: it raises.
    """
    try:
        return function(*arguments)
    except Exception as error:
        name = getattr(function, "__name__", str(function))
        raise OwnCodeError(describe_failure(error, _folder_of(function), name)) from error


def describe_failure(error: Exception, folder: Path, name: str = "") -> str:
    """Says in one line which line of own code below a folder failed, and how."""
    lines = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(folder)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno))
    said = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    what = f"{name}{' failed: ' if name else ''}{type(error).__name__}: {said}"
    if not lines:
        return what
    file, line = lines[-1]
    return f"{Path(file).relative_to(folder).as_posix()}, line {line}: {what}"


def _folder_of(function: Callable[..., Any]) -> Path:
    """The folder beside which own code stands, for names of files as a person wrote them."""
    name = str(getattr(inspect.unwrap(function), "__module__", "")).partition(".")[0]
    file = Path(str(getattr(sys.modules.get(name), "__file__", None) or "nowhere"))
    return file.parent.parent if file.name == "__init__.py" else file.parent


def place_of(function: Callable[..., Any]) -> str:
    """Says where a function of own code stands: `taxi.py, line 12: `; nothing of another."""
    plain = inspect.unwrap(function)
    code, folder = getattr(plain, "__code__", None), _folder_of(function)
    is_own = str(getattr(plain, "__module__", "")).startswith(_OWN)
    if not is_own or code is None or not Path(code.co_filename).is_relative_to(folder):
        return ""
    file = Path(code.co_filename).relative_to(folder)
    return f"{file.as_posix()}, line {code.co_firstlineno}: "


def find_function(path: str, own_code: str) -> Callable[..., Any]:
    """Returns a function by its dotted name.

    Args:
        path: such as taxi.trip_minutes.
        own_code: the name under which the own code is imported that it is of; empty if it is of an
            installed package.
    """
    first, *names = path.split(".")
    found: Any = (
        sys.modules[own_code] if own_code else import_module(".".join([first, *names[:-1]]))
    )
    for name in names if own_code else names[-1:]:
        found = getattr(found, name)
    return found


def _own_features(
    read: dict[str, pd.Series], functions: dict[str, dict[str, str]]
) -> dict[str, np.ndarray]:
    table = pd.DataFrame(read).reset_index(drop=True) if functions else pd.DataFrame()
    return {name: own_feature(table=table, **function) for name, function in functions.items()}


def own_feature(path: str, own_code: str, table: pd.DataFrame) -> np.ndarray:
    """Computes a feature by a function.

    Args:
        path: the function's dotted name.
        own_code: as for `find_function`.
        table: n rows with the raw columns, read as their kinds, which are numbered from 0.

    Returns:
        (n,) numbers; missing where they are not finite.

    Raises:
        OwnCodeError: the function raises, or gives something else than a number for each row.
    """
    function = find_function(path, own_code)
    given = call_own(function, table.copy())
    problem = other_rows(given, table.index)
    if not problem:
        numbers, problem = as_numbers(given)
    if problem:
        raise OwnCodeError(f"{place_of(function)}{path} gave {problem}; it gives a number a row")
    return _finite(numbers)


def as_numbers(given: Any) -> tuple[np.ndarray, str]:
    """Reads (n,) values that own code gave as numbers.

    Returns:
        (n,) float64, missing where there is none; and in words the first that no float holds, such
        as text or a complex number, or nothing.
    """
    values = pd.Series(given)
    kind = values.dtype
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        return values.to_numpy(dtype="float64", na_value=np.nan), ""
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        try:
            if value is not None and value is not pd.NA and value is not pd.NaT:
                numbers[row] = _as_float(value)
        except (TypeError, OverflowError):
            return numbers, f"{in_words(value)} of type {type(value).__name__}"
    return numbers, ""


def _as_float(value: Any) -> float:
    if not isinstance(value, Real | Decimal | np.bool_):
        raise TypeError
    return float(value)


def in_words(given: Any) -> str:
    """Says in a few words what own code gave."""
    if isinstance(given, int) and abs(given) > sys.float_info.max:
        return f"a number of {given.bit_length()} bits"
    shape = shape_of(given)
    return f"an array of shape {shape}" if shape else " ".join(f"{given!r:.60}".split())


def shape_of(given: Any) -> tuple[int, ...]:
    """Returns the shape of what own code gave; empty if it is no array, list or table."""
    try:
        return np.shape(given)
    except ValueError:  # rows of different lengths
        return ()


def other_rows(given: Any, rows: pd.Index) -> str:
    """Says in words what is wrong with what should be a value for each row; empty if nothing is."""
    if isinstance(given, pd.Series) and not given.index.equals(rows):
        if len(given) != len(rows):
            return f"{len(given)} rows of {len(rows)}"
        is_all = set(given.index) == set(rows)
        return f"the rows {'in another order' if is_all else 'with other numbers in their index'}"
    is_one_each = shape_of(given) == (len(rows),)
    return "" if is_one_each else f"{in_words(given)} for {len(rows)} rows"


# What a raw cell means: the kind of its column alone decides, whatever stands beside it.

GAPS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null"),
)
"""Text that says that there is no value: what pandas.read_csv takes for it, and NaT."""

TRUE = ("true", "t", "yes", "y", "1", "oui", "vrai", "ja", "wahr", "si", "sí", "sim")
FALSE = ("false", "f", "no", "n", "0", "non", "faux", "nein", "falsch", "nee", "não", "nao")
"""Text of a boolean, in small letters."""

_TEXTS = ("category", "ordinal", "text")
LARGEST_EXACT = 2**53
"""From here on a float does not hold every whole number."""

_PLAIN_NUMBER = r"^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|infinity))$"
_NUMBER_FORMAT = re.compile(r"(\D*?)1([.,' ]?)234([.,])56(\D*)")
_MARKS = {" ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}
_SIGN = "[-+\u2212]"
_BLANKS = "[\\s\u00a0\u2009\u202f]*"
_DAY_IN_DIGITS = "%Y%m%d"
_MINUS = ("-", "\u2212", "()")
_MONTH_NAME = r"(?<=\d)(?:er)?([ .-]+)([^\W\d_]{3,9})\.?(?=[ ,-])"
_MONTHS = {  # French ones, with and without their accents; Python knows the English ones
    name: month
    for month, names in {
        "January": "janvier janv jan",
        "February": "février fevrier févr fevr fév fev",
        "March": "mars",
        "April": "avril avr",
        "May": "mai",
        "June": "juin",
        "July": "juillet juil",
        "August": "août aout",
        "September": "septembre sept",
        "October": "octobre oct",
        "November": "novembre nov",
        "December": "décembre decembre déc dec",
    }.items()
    for name in names.split()
}
_TIMES_OF_DAY = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


def is_missing(column: pd.Series) -> pd.Series:
    """Says which of (n,) raw values are missing: none there, or text that is one of GAPS."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    missing = column.isna()
    if isinstance(column.dtype, pd.StringDtype):
        return missing | column.str.strip().isin(GAPS)
    if column.dtype == object:
        words = [isinstance(value, str) and value.strip() in GAPS for value in column]
        return missing | np.array(words, dtype=bool)
    return missing


def read_column(
    column: pd.Series, kind: str, form: str = "", spellings: Mapping[str, str] | None = None
) -> pd.Series:
    """Reads (n,) raw values as a kind.

    Args:
        column: text, as a CSV file and a request have it, or typed values, or both.
        kind: number, boolean, date, or a kind of text: category, ordinal, text.
        form: how text writes them: the number 1234.56, such as `1.234,56` or `$1,234.56`; or a date
            as `strptime` does, such as %d/%m/%Y, with months in English or French. Plain numbers
            and ISO dates, if not said.
        spellings: how training wrote a category that is given as a number: 02139 for 2139.

    Returns:
        float64 (a boolean is 0 or 1), text without blanks around it, or dates without a time zone;
        missing where a value is missing or cannot be read.
    """
    if kind == "number" and column.dtype == np.float64:
        return column
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if kind == "date" and form == _DAY_IN_DIGITS:  # JSON and Parquet have a number
        column = column.map(
            lambda value: f"{value:.0f}" if isinstance(value, Number) else value,
            na_action="ignore",
        )
    if isinstance(column.dtype, pd.StringDtype):
        return _read_text(column, kind, form)
    if column.dtype != object:
        return _read_values(column, kind, spellings or {})
    is_text = np.array([isinstance(value, str) for value in column], dtype=bool)
    is_value = np.array([pd.api.types.is_scalar(value) for value in column], dtype=bool)
    if kind == "date":
        is_value &= [not isinstance(value, Number) for value in column]
    read = _read_values(column.where(is_value & ~is_text), kind, spellings or {})
    if is_text.any():
        read = read.copy()
        read[is_text] = _read_text(column[is_text].astype("str"), kind, form)
    return read


def _read_values(column: pd.Series, kind: str, spellings: Mapping[str, str]) -> pd.Series:
    """Reads values that are no text."""
    if kind in _TEXTS:
        return column.map(lambda value: _text(value, spellings), na_action="ignore").astype("str")
    is_number = pd.api.types.is_numeric_dtype(column)
    is_time = column.dtype.kind in "Mm"
    if is_number if kind == "date" else is_time:
        return pd.Series(pd.NaT if kind == "date" else np.nan, index=column.index)
    if kind == "date":
        return _plain_dates(pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601"))
    numbers = _to_numbers(column)
    return numbers if kind == "number" else numbers.where(numbers.isin([0, 1]))


def _to_numbers(column: pd.Series) -> pd.Series:
    """Values as float64: infinite where no float is so large, missing where it is no number."""
    try:
        numbers = pd.to_numeric(column, errors="coerce")
    except OverflowError:
        return column.map(_nearest_float)
    if pd.api.types.is_complex_dtype(numbers.dtype):
        return column.map(_nearest_float)
    return numbers.astype("float64")


def _nearest_float(value: Any) -> float:
    try:
        return _as_float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
    except TypeError:
        return np.nan


def _has_lost_digits(value: Any, kind: str) -> bool:
    is_float = isinstance(value, float | np.floating)
    return kind in _TEXTS and is_float and abs(float(value)) >= LARGEST_EXACT


def _text(value: Any, spellings: Mapping[str, str]) -> str | None:
    """A value as training wrote it, without the `.0` that a gap beside it brings in pandas."""
    if _has_lost_digits(value, "category"):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return spellings.get(str(value), str(value))


def _read_text(column: pd.Series, kind: str, form: str) -> pd.Series:
    text = compute.utf8_trim_whitespace(pyarrow.array(column))
    if isinstance(text, pyarrow.ChunkedArray):
        text = text.combine_chunks()
    text = text.cast(pyarrow.large_string())
    text = compute.if_else(compute.is_in(text, pyarrow.array(GAPS, text.type)), None, text)
    if kind == "number":
        numbers = _read_formatted(text, form) if form else _read_numbers(text)
        return pd.Series(numbers, index=column.index, name=column.name)
    if kind == "boolean":
        return pd.Series(_read_booleans(text), index=column.index, name=column.name)
    if kind in _TEXTS:  # a CSV file has its own ends of lines in its cells too
        text = compute.replace_substring(text, "\r\n", "\n")
    read = text.to_pandas().astype("str").set_axis(column.index).rename(column.name)
    return read if kind in _TEXTS else _read_dates(read, form)


def _read_numbers(text: pyarrow.Array) -> np.ndarray:
    """The nearest float to what is written, whatever else is in the column."""
    try:
        return _as_floats(text)
    except pyarrow.ArrowInvalid:
        is_number = compute.match_substring_regex(text, _PLAIN_NUMBER)
        numbers = _as_floats(compute.if_else(is_number, text, None))
    lower = compute.utf8_lower(text)
    for word, value in (("true", 1.0), ("false", 0.0)):
        numbers[compute.fill_null(compute.equal(lower, word), False).to_numpy(False)] = value
    return numbers


def _as_floats(text: pyarrow.Array) -> np.ndarray:
    return np.array(text.cast(pyarrow.float64()).to_numpy(zero_copy_only=False))


def _read_formatted(text: pyarrow.Array, form: str) -> np.ndarray:
    before, thousands, decimal, after = number_format(form)
    mark = _MARKS.get(thousands, re.escape(thousands))
    whole = (rf"[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|" if thousands else "") + r"\d*"
    pattern = (
        rf"^(?P<sign>{_SIGN}|\(|)BLANKS(?:{re.escape(before.strip())})?BLANKS(?P<inner>{_SIGN}|)"
        rf"BLANKS(?P<whole>{whole})(?:{re.escape(decimal)}(?P<fraction>\d*))?"
        rf"(?P<power>(?:[eE][+-]?\d+)?)BLANKS(?:{re.escape(after.strip())})?BLANKS(?P<close>\)?)$"
    ).replace("BLANKS", _BLANKS)
    found = compute.extract_regex(text, pattern)
    parts = {
        name: compute.fill_null(compute.struct_field(found, name), "")
        for name in ("sign", "inner", "whole", "fraction", "power", "close")
    }
    digits = compute.replace_substring_regex(parts["whole"], r"\D", "")
    spelled = _join(digits, ".", parts["fraction"], parts["power"])
    signs = _join(parts["sign"], parts["inner"], parts["close"])
    is_number = compute.and_(
        compute.match_substring_regex(spelled, _PLAIN_NUMBER),
        compute.is_in(signs, pyarrow.array(("", "+", *_MINUS), text.type)),
    )
    numbers = _as_floats(compute.if_else(is_number, spelled, None))
    is_below = compute.is_in(signs, pyarrow.array(_MINUS, text.type))
    return np.where(is_below.to_numpy(zero_copy_only=False), -numbers, numbers)


def _join(*parts: pyarrow.Array | str) -> pyarrow.Array:
    texts = [
        pyarrow.scalar(part, pyarrow.large_string()) if isinstance(part, str) else part
        for part in (*parts, "")
    ]
    return compute.binary_join_element_wise(*texts)


def number_format(form: str) -> tuple[str, str, str, str]:
    """Takes apart how 1234.56 is written: what is before, both marks, what is after.

    Raises:
        ValueError: it is not that number.
    """
    found = _NUMBER_FORMAT.fullmatch(form)
    if found is None or found[2] == found[3]:
        raise ValueError(f"{form!r} is not the number 1234.56 as the table writes it")
    return found[1], found[2], found[3], found[4]


def _read_booleans(text: pyarrow.Array) -> np.ndarray:
    numbers = _read_numbers(text)
    numbers[~np.isin(numbers, [0, 1])] = np.nan
    lower = compute.utf8_lower(text)
    for words, value in ((TRUE, 1.0), (FALSE, 0.0)):
        is_word = compute.is_in(lower, pyarrow.array(words, lower.type))
        numbers[is_word.to_numpy(zero_copy_only=False)] = value
    return numbers


def _read_dates(text: pd.Series, form: str) -> pd.Series:
    """The dates of a format, with or without a time of day; and those that ISO 8601 writes."""
    read = pd.Series(pd.NaT, index=text.index, name=text.name, dtype="datetime64[us]")
    for pattern in [*(form + time for time in _TIMES_OF_DAY if form), "ISO8601"]:
        rest = (read.isna() & text.notna()).to_numpy()
        if rest.any():
            dates = pd.to_datetime(text[rest], errors="coerce", utc=True, format=pattern)
            read[rest] = _plain_dates(dates)
    if "%b" in form or "%B" in form:
        (unread,) = np.nonzero((read.isna() & text.notna()).to_numpy())
        english = _name_months(text.iloc[unread], None if "%B" in form else 3)
        changed = (english != text.iloc[unread]).to_numpy()
        if changed.any():
            read.iloc[unread[changed].tolist()] = _read_dates(english[changed], form)
    return read


def _name_months(text: pd.Series, length: int | None) -> pd.Series:
    """The same texts, with the months of French dates in English."""
    composed = text.str.normalize("NFC")
    return composed.str.replace(_MONTH_NAME, lambda found: _month(found, length), regex=True)


def _month(found: re.Match[str], length: int | None) -> str:
    """The month in English, with as many letters, behind its day; any other word as it is."""
    name = _MONTHS.get(found[2].lower())
    return f"{found[1]}{name[:length]}" if name else found[0]


def _plain_dates(dates: pd.Series) -> pd.Series:
    return dates.dt.tz_localize(None).astype("datetime64[us]")


def apply_features(frame: pd.DataFrame, fitted: dict[str, Any]) -> pd.DataFrame:
    """Computes what the Pipeline takes from raw columns.

    Args:
        frame: n rows with at least the raw columns.
        fitted: as `modelling.models.features.fit_features` returns it.

    Returns:
        n rows in a fixed order of columns: the raw ones (float64; text for a category and a text;
        for an ordinal its place in the order), with three numbers (days since 1970-01-01, month,
        day of the week from 0) in place of each date, and a fourth, its hour, where the training
        rows are of several; then the declared features, float64, missing where they have no finite
        value.
    """
    kinds = fitted["columns"]
    formats, spellings = fitted.get("formats", {}), fitted.get("spellings", {})
    read = {
        name: read_column(frame[name], kind, formats.get(name, ""), spellings.get(name))
        for name, kind in kinds.items()
    }
    numbers = {
        name: read[name].to_numpy() for name, kind in kinds.items() if kind in ("number", "boolean")
    }
    cells = numbers
    if fitted["formulas"]:
        cells = {name: values.to_numpy() for name, values in read.items()}
    computed: dict[str, Any] = {
        name: _finite(evaluate(tree, cells, len(frame)))
        for name, tree in fitted["formulas"].items()
    }
    for name, score in fitted["quantile_scores"].items():
        parts = [_quantile_score(numbers[part["column"]], part) for part in score]
        computed[name] = np.sum(parts, axis=0)
    computed |= _own_features(read, fitted.get("functions", {}))
    columns: dict[str, Any] = {}
    for name, values in read.items():
        if kinds[name] == "date":
            columns |= _date_parts(name, values, name in fitted.get("hours", ()))
        elif kinds[name] == "ordinal":
            order = fitted["orders"][name]
            columns[name] = values.map({value: float(at) for at, value in enumerate(order)})
            columns[name] = columns[name].astype("float64")
        elif kinds[name] == "text":
            columns[name] = values.fillna("")
        else:
            columns[name] = numbers.get(name, values)
    return _as_frame(columns | computed, frame.index)


def _as_frame(columns: dict[str, Any], index: pd.Index) -> pd.DataFrame:
    """A frame whose numbers, if there is nothing else, are one array: the Pipeline copies none."""
    if any(values.dtype != np.float64 for values in columns.values()):
        return pd.DataFrame(columns, index=index, copy=False)
    block = np.array([np.asarray(values) for values in columns.values()]).T
    return pd.DataFrame(block, index=index, columns=_index_of(tuple(columns)), copy=False)


@lru_cache(maxsize=8)
def _index_of(names: tuple[str, ...]) -> pd.Index:
    """The names of columns, made once: an Index also keeps what pandas finds out of it."""
    return pd.Index(names)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _date_parts(name: str, dates: pd.Series, with_hour: bool) -> dict[str, pd.Series]:
    parts = {
        f"{name} (days)": (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1),
        f"{name} (month)": dates.dt.month.astype("float64"),
        f"{name} (weekday)": dates.dt.day_of_week.astype("float64"),
    }
    return parts | {f"{name} (hour)": dates.dt.hour.astype("float64")} if with_hour else parts


def evaluate(tree: Any, columns: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """Evaluates a parsed formula or condition on (rows,) values of each column."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(_evaluate(tree, columns), rows)


def _evaluate(tree: Any, columns: Mapping[str, np.ndarray]) -> Any:
    if isinstance(tree, list):
        name, *operands = tree
        return _OPERATORS[name](*(_evaluate(operand, columns) for operand in operands))
    if isinstance(tree, dict):
        return columns[tree["column"]] if "column" in tree else tree["text"]
    return tree


def _quantile_score(values: np.ndarray, part: dict[str, Any]) -> np.ndarray:
    """1 for the lowest quantile to len(edges) + 1 for the highest; turned round where falling."""
    edges = part["edges"]
    score = np.searchsorted(edges, values, side="left") + 1.0
    if part["direction"] == "falling":
        score = len(edges) + 2.0 - score
    return np.where(np.isnan(values), np.nan, score)


mlflow.models.set_model(SklearnWrapper())
