"""What transformers and estimators of own code give, when they are fitted and afterwards."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from common.errors import InputError
from common.words import counted
from modelling.own_code import failures_named, files_read, in_words, names_own_code, where
from modelling.recipe import Recipe

_ROWS_ALONE = 5
_OFF_ONE = 1e-3  # of probabilities, which may be of half precision


def check_transformers(pipeline: Pipeline, frame: pd.DataFrame, targets: pd.Series) -> None:
    """Says which of the recipe's transformers it is that a Pipeline cannot be fitted with.

    Args:
        pipeline: what scikit-learn refuses to fit.
        frame: (n, columns) on these rows.
        targets: (n,) theirs.

    Raises:
        InputError: a transformer gives something else than a row of numbers for each row.
    """
    for name, transformer, columns in _transformers(pipeline, "transformers"):
        unfitted = clone(transformer)
        try:
            fitted = unfitted.fit(frame[columns], targets)
            given = clone(transformer).fit_transform(frame[columns], targets) if fitted else None
        except Exception:  # noqa: S112 - told as it was raised, by who asks
            continue
        if fitted is not unfitted:
            place = where(type(transformer).fit)
            raise InputError(f"{place}fit of {name} gave {in_words(fitted)}; it gives self")
        _check_numbers(name, transformer, given, len(frame), _may_miss(pipeline))


def check_is_known_as_fitted(pipeline: Pipeline) -> None:
    """Checks that scikit-learn takes what was fitted for fitted, which goes by names.

    Raises:
        InputError: it does not.
    """
    try:
        check_is_fitted(pipeline)
    except NotFittedError as error:
        kind = type(pipeline[-1])
        raise InputError(
            f"{where(kind.fit)}fit of {kind.__name__} keeps nothing whose name ends with _, by "
            "which scikit-learn knows that it is fitted: write self.mean_ in place of self.mean"
        ) from error


def check_predictions(recipe: Recipe, model: str, pipeline: Pipeline, inputs: pd.DataFrame) -> None:
    """Checks what an estimator and the transformers of own code give.

    Args:
        recipe: whose code it is; of others nothing is checked.
        model: its name in the recipe.
        pipeline: fitted.
        inputs: (n, features) some rows.

    Raises:
        InputError: it gives another number of rows or no numbers, other ones for a row alone than
            among others, or reads a file.
    """
    chosen = recipe.models[model].model_dump(mode="json")
    transformers = {name: each.transformer for name, each in recipe.features.transformers.items()}
    if not names_own_code([chosen, transformers], recipe.code) or inputs.empty:
        return
    with failures_named(recipe.code):
        for name, transformer, columns in _transformers(pipeline, "transformers_"):
            _check_transformer(pipeline, name, transformer, inputs[columns])
        classes = len(pipeline.classes_) if is_classifier(pipeline) else None
        method = "predict" if classes is None else "predict_proba"
        place = where(getattr(type(pipeline[-1]), method))
        who = f"{place}models.{model} with {next(iter(recipe.code))}"

        def predict(rows: pd.DataFrame) -> np.ndarray:
            return _predicted(who, getattr(pipeline, method)(rows), len(rows), classes)

        _check_each_row(f"{who} predicts", predict, inputs)


def _transformers(pipeline: Pipeline, which: str) -> Iterator[tuple[str, BaseEstimator, list[str]]]:
    """The recipe's transformers: how messages name each, itself, and its columns."""
    # Here, since skops, which it needs, takes a while to import.
    from modelling.models.sklearn_wrapper import OWN_TRANSFORMER

    parts = pipeline.named_steps.get("columns")
    for label, transformer, columns in getattr(parts, which, ()):
        if label.startswith(OWN_TRANSFORMER):
            name = f"features.transformers.{label.removeprefix(OWN_TRANSFORMER)}"
            yield name, transformer, columns


def _may_miss(pipeline: Pipeline) -> bool:
    return bool(get_tags(pipeline["estimator"]).input_tags.allow_nan)


def _check_transformer(
    pipeline: Pipeline, name: str, transformer: BaseEstimator, rows: pd.DataFrame
) -> None:
    may_miss = _may_miss(pipeline)

    def transform(rows: pd.DataFrame) -> np.ndarray:
        given = transformer.transform(rows)
        return _check_numbers(name, transformer, given, len(rows), may_miss)

    _check_each_row(f"{where(type(transformer).transform)}{name} gives", transform, rows)


def _check_numbers(
    name: str, transformer: BaseEstimator, given: Any, rows: int, may_miss: bool
) -> np.ndarray:
    """Returns what a transformer gave as (rows, columns) numbers."""
    from modelling.models.sklearn_wrapper import as_numbers

    shape, numbers = getattr(given, "shape", ()), np.array([])
    problem = "" if shape else in_words(given)
    if shape and (len(shape) != 2 or shape[0] != rows):
        problem = f"{in_words(given)} for {rows} rows"
    if not problem:
        given = given.toarray() if issparse(given) else np.asarray(given)
        numbers, problem = as_numbers(given.ravel())
        wrong = numbers[~np.isfinite(numbers)]
        problem = problem or (f"{wrong[0]}" if len(wrong) and not may_miss else "")
    if problem:
        place = where(type(transformer).transform)
        raise InputError(f"{place}{name} gave {problem}; it gives a row of numbers for each row")
    return numbers.reshape(shape)


def _predicted(who: str, given: Any, rows: int, classes: int | None) -> np.ndarray:
    """Returns what an estimator gave, as (rows,) numbers or (rows, classes) probabilities."""
    from modelling.models.sklearn_wrapper import as_numbers, shape_of

    shape = shape_of(given)
    if shape != ((rows,) if classes is None else (rows, classes)):
        of = "" if classes is None else f" and {classes} classes"
        raise InputError(f"{who} predicts {in_words(given)} for {rows} rows{of}")
    values = np.asarray(given)
    numbers, problem = as_numbers(values.ravel())
    wrong = numbers[~np.isfinite(numbers)]
    if len(wrong):
        problem = problem or f"{wrong[0]}"
    if values.dtype.kind not in "fiu":
        problem = problem or f"values of type {values.dtype}"
    if problem:
        raise InputError(f"{who} predicts {problem}; it gives a number for each row")
    numbers = numbers.reshape(shape)
    if classes is not None:
        _check_probabilities(who, numbers)
    return numbers


def _check_probabilities(who: str, values: np.ndarray) -> None:
    sums = values.sum(axis=1)
    off = np.flatnonzero((np.abs(sums - 1) > _OFF_ONE) | (values < 0).any(axis=1))
    if len(off):
        row = ", ".join(f"{value:g}" for value in values[off[0]][:5])
        raise InputError(f"{who} predicts {row}; probabilities are not below 0 and add up to 1")


def _check_each_row(
    what: str, give: Callable[[pd.DataFrame], np.ndarray], rows: pd.DataFrame
) -> None:
    """Checks that a row alone is given what it is given among others, and that no file is read."""
    with files_read() as files:
        together = give(rows)
    if files:
        raise InputError(
            f"{what.rpartition(' ')[0]} reads {files[0]} when it predicts, which is not where the "
            "model goes: write what it needs into the code, or keep it when it is fitted"
        )
    for row in np.unique(np.linspace(0, len(rows) - 1, _ROWS_ALONE).astype(int)):
        alone, among = give(rows.iloc[[row]])[0], together[row]
        if np.shape(alone) != np.shape(among):
            columns = counted(np.size(alone), "column")
            raise InputError(
                f"{what} {columns} for a row alone and {np.size(among)} among others: it must look "
                "at each row by itself"
            )
        close = np.isclose(alone, among, rtol=1e-6, atol=1e-9 * _spread(together), equal_nan=True)
        if not close.all():
            first = int(np.flatnonzero(~np.atleast_1d(close))[0])
            raise InputError(
                f"{what} {np.atleast_1d(alone)[first]:g} for a row alone and "
                f"{np.atleast_1d(among)[first]:g} among others: it must look at each row by itself"
            )


def _spread(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.ptp(known)) if known.size else 0.0
