"""From a recipe's model to a fitted scikit-learn Pipeline."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import has_fit_parameter

from common.errors import InputError
from modelling.estimators.boosting import (
    check_stopping,
    in_one_line,
    is_of_lightgbm,
    refused_value,
)
from modelling.estimators.find_estimator import check_task, find_estimator, package_of
from modelling.estimators.nested import (
    NUMBERED,
    inner_models,
    make_estimator,
    named_estimator,
    owner_of,
    plain_parameters,
)
from modelling.estimators.own_parts import check_is_known_as_fitted, check_transformers
from modelling.estimators.preprocessing import Inputs, preprocessing
from modelling.estimators.threads import threads_for
from modelling.own_code import Files
from modelling.recipe import Model, Sampling

TARGET_TRANSFORMS = {"log1p": (np.log1p, np.expm1), "sqrt": (np.sqrt, np.square)}
"""By the recipe's word, what is done with a target, and what undoes it."""


def build_pipeline(
    model: Model,
    hyperparameters: Mapping[str, Any],
    seed: int,
    task: str = "regression",
    inputs: Inputs | None = None,
    code: Files | None = None,
    target_transform: str = "none",
) -> Pipeline:
    """Builds an unfitted Pipeline: the preprocessing that it needs, then the estimator.

    Args:
        model: the recipe's estimator and parameters.
        hyperparameters: override the recipe's; text is read as the value that it spells.
        seed: the estimator's random_state, where it has one that nobody set.
        task: the recipe's.
        inputs: the columns; without them, the Pipeline is good for finding mistakes only.
        code: the recipe's own, which the estimator may be of.
        target_transform: of a regression, as which the estimator sees the target.

    Raises:
        InputError: the estimator or a hyperparameter does not exist.
    """
    code = code or {}
    kind = find_estimator(model.estimator, task, code)

    def build_inner(said: Mapping[str, Any]) -> Pipeline:
        inner = Model.model_validate(said)
        return build_pipeline(inner, {}, seed, task, inputs, code, target_transform)

    given = {**model.parameters, **hyperparameters}
    estimator = make_estimator(kind, given, seed, code, build_inner)
    check_task(estimator, task)
    check_stopping(estimator, given, model.early_stopping)
    if inner_models(estimator):
        return _checked(Pipeline([("estimator", estimator)]), task)
    steps = preprocessing(inputs or Inputs(), estimator, model, seed, task, code)
    if not (steps or package_of(estimator).takes_names):
        steps = [("values", StandardScaler(with_mean=False, with_std=False))]
    if target_transform != "none":
        estimator = _of_transformed_target(estimator, target_transform)
    if task == "classification" and not package_of(estimator).takes_labels:
        estimator = _of_numbered_classes(estimator)
    return _checked(Pipeline([*steps, ("estimator", estimator)]), task)


def _checked(pipeline: Pipeline, task: str) -> Pipeline:
    estimator = pipeline["estimator"]
    if task == "classification" and not _gives_probabilities(estimator):
        raise InputError(
            f"{type(estimator).__name__} gives no probabilities with these parameters; choose "
            "another estimator of a classification"
        )
    return pipeline


def _gives_probabilities(estimator: BaseEstimator) -> bool:
    # Of a stacking, the one that is meant by None does, and is not there before the fit.
    is_stacking = estimator.get_params(deep=False).get("final_estimator", False) is None
    return is_stacking or hasattr(estimator, "predict_proba")


def _of_transformed_target(estimator: BaseEstimator, transform: str) -> BaseEstimator:
    # Imported here, since most recipes need none.
    from sklearn.compose import TransformedTargetRegressor

    function, inverse = TARGET_TRANSFORMS[transform]
    return TransformedTargetRegressor(estimator, func=function, inverse_func=inverse)


def _of_numbered_classes(estimator: BaseEstimator) -> BaseEstimator:
    """Within a vote of one, which says the same and numbers the classes from 0."""
    from sklearn.ensemble import VotingClassifier

    return VotingClassifier([(NUMBERED, estimator)], voting="soft")


def fitted_estimator(estimator: BaseEstimator) -> BaseEstimator:
    """Returns what was fitted of an estimator that numbers the classes for another: that."""
    is_numbered = NUMBERED in dict(getattr(estimator, "estimators", None) or ())
    return estimator.estimators_[0] if is_numbered else estimator


def targets_within(estimator: BaseEstimator, fitted: Any, others: Any) -> tuple[Any, Any]:
    """Returns both of (n,) and (m,) targets as the estimator that is named sees them."""
    if named_estimator(estimator) is estimator:
        return fitted, others
    if hasattr(estimator, "func"):
        return estimator.func(fitted), estimator.func(others)
    classes = np.unique(fitted)
    return np.searchsorted(classes, fitted), np.searchsorted(classes, others)


def check_hyperparameter(
    model: Model, name: str, value: Any, task: str, code: Files | None = None
) -> None:
    """Checks one value of a hyperparameter, as far as that can be done without data.

    Raises:
        InputError: the estimator does not know the hyperparameter, or does not take the value.
    """
    estimator = build_pipeline(model, {name: value}, 0, task, None, code)["estimator"]
    estimator = owner_of(named_estimator(estimator), name)
    if not hasattr(estimator, "_parameter_constraints"):
        if said := refused_value(estimator):
            raise InputError(said)
        return
    try:
        # What every estimator of scikit-learn does first in its fit.
        estimator._validate_params()
    except ValueError as error:
        raise InputError(" ".join(str(error).split())) from error


def fit_pipeline(
    pipeline: Pipeline,
    features: pd.DataFrame,
    targets: pd.Series,
    sampling: Sampling | None = None,
    seed: int = 0,
    weights: pd.Series | None = None,
) -> Pipeline:
    """Fits a Pipeline on (n, features) inputs and (n,) targets, and returns it.

    A fit uses the cores that are free, a prediction one thread, whatever it was fitted with.

    Args:
        pipeline: as `build_pipeline` gives it.
        features: the training rows, as `apply_features` gives them.
        targets: numbers, or labels.
        sampling: what to do about classes of different sizes.
        seed: of the sampling.
        weights: by the index of the targets, how much each row counts, if not the same.

    Raises:
        InputError: scikit-learn or imbalanced-learn refuses a hyperparameter or the data; the
            message is its own.
    """
    resampling = sampling_pipeline(pipeline, sampling, seed, targets, weights)
    try:
        with refusals_told(features):
            resampling.fit(features, targets)
    except Exception:
        check_transformers(pipeline, features, targets)
        raise
    check_is_known_as_fitted(resampling)
    return without_sampling(resampling)


@contextmanager
def refusals_told(features: pd.DataFrame) -> Iterator[None]:
    """Lets an estimator be fitted on these rows, with the threads that are free.

    Raises:
        InputError: it refuses something; the message is its own, in one line.
    """
    try:
        with threads_for(features):
            yield
    except Exception as error:
        if not (is_of_lightgbm(error) or isinstance(error, ValueError | OverflowError)):
            raise
        raise InputError(in_one_line(error)) from error


class _WeightedPipeline(Pipeline):
    """A Pipeline in whose fit rows count more or less than others.

    row_weights: by the index of the targets; all the same if not given. is_balanced: whether the
    classes weigh the same, however many rows they have.
    """

    def __init__(
        self, steps: Any, row_weights: pd.Series | None = None, is_balanced: bool = False
    ) -> None:
        super().__init__(steps)
        self.row_weights = row_weights
        self.is_balanced = is_balanced

    def fit(self, X: pd.DataFrame, y: pd.Series) -> "_WeightedPipeline":
        given = self.row_weights
        # By the index of X: an estimator that holds this one hands on y as an array.
        weights = np.ones(len(y)) if given is None else given.loc[X.index].to_numpy()
        if self.is_balanced:
            classes, of_row = np.unique(y, return_inverse=True)
            of_class = compute_class_weight("balanced", classes=classes, y=y, sample_weight=weights)
            weights = weights * of_class[of_row]
        super().fit(X, y, estimator__sample_weight=weights)
        return self


def _takes_weights(estimator: BaseEstimator) -> bool:
    """Whether the fit of an estimator, or of those that it hands them on to, takes weights."""
    if has_fit_parameter(estimator, "sample_weight"):
        return True
    parameters = estimator.get_params(deep=False)
    held = [each for _, each in parameters.get("estimators") or ()] or [parameters.get("regressor")]
    return all(each is not None and _takes_weights(each) for each in held)


def sampling_pipeline(
    pipeline: Pipeline,
    sampling: Sampling | None,
    seed: int,
    targets: pd.Series,
    weights: pd.Series | None = None,
) -> Pipeline:
    """Returns the Pipeline as it is to be fitted on targets, with what the recipe says of sampling.

    Args:
        pipeline: unfitted.
        sampling: the recipe's.
        seed: of what is drawn.
        targets: (n,) of the rows to fit on.
        weights: by their index, how much each row counts, if not the same.

    Raises:
        InputError: the estimator takes no weights, and they are asked for.
    """
    is_of_classes = is_classifier(pipeline["estimator"])
    labels = sorted(targets.drop_duplicates().tolist()) if is_of_classes else []
    fitted_as = {label: label for label in labels}
    return _sampling_pipeline(pipeline, sampling, seed, fitted_as, weights)


def _sampling_pipeline(
    pipeline: Pipeline,
    sampling: Sampling | None,
    seed: int,
    fitted_as: Mapping[Any, Any],
    weights: pd.Series | None,
) -> Pipeline:
    estimator = pipeline["estimator"]
    if models := inner_models(estimator):
        # Each is sampled as it is alone. What holds classifiers numbers their classes.
        codes = {label: code for code, label in enumerate(fitted_as)}
        held = [
            (name, _sampling_pipeline(model, sampling, seed, codes, weights))
            for name, model in models
        ]
        return Pipeline([("estimator", clone(estimator).set_params(estimators=held))])
    of_classes = estimator.get_params(deep=False).get("class_weight")
    if isinstance(of_classes, dict):
        estimator.set_params(class_weight=_by_label(of_classes, fitted_as))
    is_balanced = sampling is not None and sampling.method == "class_weight"
    if is_balanced or weights is not None:
        if not _takes_weights(estimator):
            hint = "set sampling.method to over or under"
            if weights is not None:
                hint = "data.weight needs an estimator that does"
            raise InputError(f"{type(estimator).__name__} takes no weights; {hint}")
        return _WeightedPipeline(pipeline.steps, weights, is_balanced)
    if sampling is None or sampling.method == "none":
        return pipeline
    # Imported here, since it takes a while and most recipes need none.
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import Pipeline as SamplingPipeline
    from imblearn.under_sampling import RandomUnderSampler

    sampler = {"over": RandomOverSampler, "under": RandomUnderSampler}[sampling.method]
    strategy = sampling.sampling_strategy
    if isinstance(strategy, dict):
        strategy = _by_label(strategy, fitted_as)
    step = sampler(sampling_strategy=strategy, random_state=seed)
    *before, last = pipeline.steps
    return SamplingPipeline([*before, ("sample", step), last])


def _by_label(values: Mapping[Any, Any], fitted_as: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same, by what stands for a label: JSON has `"0"` and `"true"` for 0 and True."""
    spelled = {
        text: fitted
        for label, fitted in fitted_as.items()
        for text in (str(label), json.dumps(label))
    }
    return {spelled.get(str(key), key): value for key, value in values.items()}


def without_sampling(pipeline: Pipeline) -> Pipeline:
    """Returns a fitted Pipeline as it is to be used: without a sampler, with one thread."""
    fitted = Pipeline([step for step in pipeline.steps if step[0] != "sample"])
    estimator = fitted["estimator"]
    if models := inner_models(estimator):
        estimator.estimators_ = [without_sampling(each) for each in estimator.estimators_]
        held = dict(zip(dict(models), estimator.estimators_, strict=True))
        estimator.named_estimators_ = Bunch(**held)
        estimator.set_params(estimators=[(name, clone(each)) for name, each in held.items()])
    within = (named_estimator(estimator), fitted_estimator(estimator))
    for each in (estimator, *within, getattr(estimator, "regressor_", estimator)):
        if "n_jobs" in each.get_params():
            each.set_params(n_jobs=package_of(each).settings.get("n_jobs"))
    return fitted


def estimator_parameters(pipeline: Pipeline) -> dict[str, Any]:
    """Returns all parameters of the Pipeline's estimator and of those in it, by their names."""
    return plain_parameters(pipeline["estimator"])
