"""From a recipe's model to a fitted scikit-learn Pipeline."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from common.errors import InputError, unknown_name
from common.values import as_value
from modelling.kinds import KINDS
from modelling.models.find_estimator import (
    check_parameter,
    check_task,
    find_estimator,
    find_transformer,
    package_of,
)
from modelling.models.nested import make_estimator, owner_of, plain_parameters
from modelling.models.threads import threads_for
from modelling.own_code import Files
from modelling.recipe import Features, Model, Sampling, Transformer

TEXT = "text "  # before the name of a text, the name of its part of the ColumnTransformer
TARGET_TRANSFORMS = {"log1p": (np.log1p, np.expm1), "sqrt": (np.sqrt, np.square)}
"""By the recipe's word, what is done with a target, and what undoes it."""
_MOST_ONE_HOT = 20
_FEWEST_WORDS = 4
_MOST_WORDS = 5000
_MOST_PARTS = 30
_FEWEST_OF_A_CATEGORY = 5


@dataclass(frozen=True)
class Inputs:
    """The columns that a Pipeline takes, by what is done with them.

    numbers; flags (0 or 1); few: categories with few values, one-hot encoded; many: those with
    more, encoded by the mean of the target; texts: by name, of how many numbers for its words;
    may_miss: whether a value may be missing; transformed: those that the recipe names a transformer
    for, by its name; is_picked: whether there are others, which the estimator does not get.
    """

    numbers: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    few: list[str] = field(default_factory=list)
    many: list[str] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    may_miss: bool = False
    transformed: Mapping[str, Transformer] = field(default_factory=dict)
    is_picked: bool = False


def describe_inputs(
    frame: pd.DataFrame, fitted: Mapping[str, Any], features: Features | None = None
) -> Inputs:
    """Says what is done with each column of the training rows.

    Args:
        frame: (n, columns) as `apply_features` gives them.
        fitted: as `fit_features` returns it.
        features: as the recipe declares them.

    Raises:
        InputError: the recipe names a column that is not among them.
    """
    features = features or Features()
    dropped = {part for name in features.drop for part in _parts(name, fitted)}
    taken = {name for each in features.transformers.values() for name in each.columns}
    for name in sorted(taken):
        if fitted["columns"].get(name) == "date":
            raise InputError(
                f"features.transformers: {name!r} is a date; make numbers of it by a function of "
                "features.functions"
            )
    for name in sorted(taken | dropped):
        if name not in frame.columns:
            raise InputError("features: " + unknown_name("column", name, frame.columns))
    inputs = Inputs(
        may_miss=fitted["imputes"], transformed=features.transformers, is_picked=bool(dropped)
    )
    for name in [name for name in frame.columns if name not in taken | dropped]:
        encoded = KINDS[fitted["columns"].get(name, "number")].encoded
        if encoded == "texts":
            inputs.texts[name] = _count_parts(frame[name])
            continue
        if encoded == "categories":
            encoded = "few" if frame[name].nunique() <= _MOST_ONE_HOT else "many"
        getattr(inputs, encoded).append(name)
    return inputs


def _count_parts(texts: pd.Series) -> int:
    """Of how many numbers (n,) texts are made: of few words, of fewer.

    Raises:
        InputError: there are next to no words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = {word for found in map(TfidfVectorizer().build_analyzer(), texts) for word in found}
    if len(words) < _FEWEST_WORDS:
        raise InputError(
            f"column {texts.name!r} is a text of {len(words)} different words, at least "
            f"{_FEWEST_WORDS} are needed; declare it as a category, or drop it"
        )
    return min(_MOST_PARTS, len(words) // 2)


def _parts(name: str, fitted: Mapping[str, Any]) -> list[str]:
    """The inputs that a raw column becomes."""
    if fitted["columns"].get(name) == "date":
        return [f"{name} ({part})" for part in ("days", "month", "weekday")]
    return [name]


def build_pipeline(
    model: Model,
    hyperparameters: Mapping[str, Any],
    seed: int,
    task: str = "regression",
    inputs: Inputs | None = None,
    code: Files | None = None,
    target_transform: str = "none",
) -> Pipeline:
    """Builds an unfitted Pipeline: impute, scale, encode (each if need be), then the estimator.

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
    estimator = make_estimator(kind, {**model.parameters, **hyperparameters}, seed, code)
    check_task(estimator, task)
    if target_transform != "none":
        estimator = _of_transformed_target(estimator, target_transform)
    if task == "classification" and not _gives_probabilities(estimator):
        raise InputError(
            f"{type(estimator).__name__} gives no probabilities with these parameters; choose "
            "another estimator of a classification"
        )
    steps = _preprocessing(inputs or Inputs(), model.scale, seed, task, code)
    if not (steps or package_of(estimator).takes_names):
        steps = [("values", StandardScaler(with_mean=False, with_std=False))]
    return Pipeline([*steps, ("estimator", estimator)])


def _gives_probabilities(estimator: BaseEstimator) -> bool:
    # Of a stacking, the one that is meant by None does, and is not there before the fit.
    is_stacking = estimator.get_params(deep=False).get("final_estimator", False) is None
    return is_stacking or hasattr(estimator, "predict_proba")


def _of_transformed_target(estimator: BaseEstimator, transform: str) -> BaseEstimator:
    # Imported here, since most recipes need none.
    from sklearn.compose import TransformedTargetRegressor

    function, inverse = TARGET_TRANSFORMS[transform]
    return TransformedTargetRegressor(estimator, func=function, inverse_func=inverse)


def check_hyperparameter(
    model: Model, name: str, value: Any, task: str, code: Files | None = None
) -> None:
    """Checks one value of a hyperparameter, as far as that can be done without data.

    Raises:
        InputError: the estimator does not know the hyperparameter, or does not take the value.
    """
    estimator = build_pipeline(model, {name: value}, 0, task, None, code)["estimator"]
    estimator = owner_of(estimator, name)
    if not hasattr(estimator, "_parameter_constraints"):
        return  # of another package
    try:
        # What every estimator of scikit-learn does first in its fit.
        estimator._validate_params()
    except ValueError as error:
        raise InputError(" ".join(str(error).split())) from error


def _preprocessing(
    inputs: Inputs, scale: bool, seed: int, task: str, code: Files
) -> list[tuple[str, BaseEstimator]]:
    """Plain steps where all columns are numbers, and a ColumnTransformer where not."""
    numbers = [
        *([("impute", _imputer("median"))] if inputs.may_miss else []),
        *([("scale", StandardScaler())] if scale else []),
    ]
    encoded = (inputs.flags, inputs.few, inputs.many, inputs.texts, inputs.transformed)
    if not (any(encoded) or inputs.is_picked):
        return numbers
    # A regression's target may be whole numbers, which the encoder would take for classes: a column
    # for each of them.
    kind, folds = ("auto", StratifiedKFold) if task == "classification" else ("continuous", KFold)
    means = TargetEncoder(target_type=kind, cv=folds(5, shuffle=True, random_state=seed))
    transformers = [
        *_own_transformers(inputs, seed, code),
        ("numbers", Pipeline(numbers) if numbers else "passthrough", inputs.numbers),
        ("flags", _imputer("most_frequent") if inputs.may_miss else "passthrough", inputs.flags),
        (
            "few",
            OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                min_frequency=_FEWEST_OF_A_CATEGORY,
                sparse_output=False,
            ),
            inputs.few,
        ),
        ("many", Pipeline([("mean", means), ("scale", StandardScaler())]), inputs.many),
        *((f"{TEXT}{name}", _words(parts, seed), name) for name, parts in inputs.texts.items()),
    ]
    parts = [part for part in transformers if part[2]]
    # Not sparse: not every estimator takes that.
    return [
        ("columns", ColumnTransformer(parts, sparse_threshold=0 if inputs.transformed else 0.3))
    ]


def _own_transformers(
    inputs: Inputs, seed: int, code: Files
) -> list[tuple[str, BaseEstimator, list[str]]]:
    # Here, since skops, which it needs, takes a while to import.
    from modelling.models.sklearn_wrapper import OWN_TRANSFORMER

    return [
        (f"{OWN_TRANSFORMER}{name}", build_transformer(name, said, seed, code), [*said.columns])
        for name, said in inputs.transformed.items()
    ]


def build_transformer(name: str, said: Transformer, seed: int, code: Files) -> BaseEstimator:
    """Builds an unfitted transformer of the recipe.

    Args:
        name: the recipe's, for messages.
        said: the class and its parameters.
        seed: the transformer's random_state, where it has one that nobody set.
        code: the recipe's own, which it may be of.

    Raises:
        InputError: it does not exist, is no transformer, or has no such parameter.
    """
    try:
        transformer = find_transformer(said.transformer, code)()
        known = transformer.get_params(deep=False)
        values = {each: as_value(value) for each, value in said.parameters.items()}
        for each in values:
            check_parameter(transformer, each, known)
        if "random_state" in known:
            values.setdefault("random_state", seed)
        return transformer.set_params(**values)
    except (InputError, TypeError) as error:
        raise InputError(f"features.transformers.{name}: {error}") from error


def _words(parts: int, seed: int) -> Pipeline:
    """Latent semantic analysis of one text (Deerwester et al. 1990): dense, and fit for trees."""
    # Imported here, since it takes a while and most recipes need none.
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    return Pipeline(
        [
            ("words", TfidfVectorizer(max_features=_MOST_WORDS, sublinear_tf=True)),
            ("parts", TruncatedSVD(parts, random_state=seed)),
            ("scale", StandardScaler()),
        ]
    )


def _imputer(strategy: str) -> SimpleImputer:
    """Fills gaps, and tells the estimator where they were."""
    return SimpleImputer(strategy=strategy, add_indicator=True, keep_empty_features=True)


def fit_pipeline(
    pipeline: Pipeline,
    features: pd.DataFrame,
    targets: pd.Series,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Pipeline:
    """Fits a Pipeline on (n, features) inputs and (n,) targets, and returns it.

    A fit uses the cores that are free, a prediction one thread, whatever it was fitted with.

    Args:
        pipeline: as `build_pipeline` gives it.
        features: the training rows, as `apply_features` gives them.
        targets: numbers, or labels.
        sampling: what to do about classes of different sizes.
        seed: of the sampling.

    Raises:
        InputError: scikit-learn or imbalanced-learn refuses a hyperparameter or the data; the
            message is its own.
    """
    resampling = sampling_pipeline(pipeline, sampling, seed, targets)
    try:
        with threads_for(features):
            resampling.fit(features, targets)
    except (ValueError, OverflowError) as error:
        raise InputError(" ".join(str(error).split())) from error
    return without_sampling(resampling)


class _WeightedPipeline(Pipeline):
    """A Pipeline in whose fit the classes weigh the same, however many rows they have."""

    def fit(self, X: pd.DataFrame, y: pd.Series) -> "_WeightedPipeline":
        super().fit(X, y, estimator__sample_weight=compute_sample_weight("balanced", y))
        return self


def sampling_pipeline(
    pipeline: Pipeline, sampling: Sampling | None, seed: int, targets: pd.Series
) -> Pipeline:
    """Returns the Pipeline as it is to be fitted on targets, with what the recipe says of sampling.

    Raises:
        InputError: the estimator takes no weights, and they are asked for.
    """
    weights = pipeline["estimator"].get_params(deep=False).get("class_weight")
    if isinstance(weights, dict):
        pipeline["estimator"].set_params(class_weight=_by_label(weights, targets))
    if sampling is None or sampling.method == "none":
        return pipeline
    if sampling.method == "class_weight":
        estimator = pipeline["estimator"]
        if not has_fit_parameter(estimator, "sample_weight"):
            raise InputError(
                f"{type(estimator).__name__} takes no weights; set sampling.method to over or under"
            )
        return _WeightedPipeline(pipeline.steps)
    # Imported here, since it takes a while and most recipes need none.
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import Pipeline as SamplingPipeline
    from imblearn.under_sampling import RandomUnderSampler

    sampler = {"over": RandomOverSampler, "under": RandomUnderSampler}[sampling.method]
    strategy = sampling.sampling_strategy
    if isinstance(strategy, dict):
        strategy = _by_label(strategy, targets)
    step = sampler(sampling_strategy=strategy, random_state=seed)
    *before, last = pipeline.steps
    return SamplingPipeline([*before, ("sample", step), last])


def _by_label(values: Mapping[Any, Any], targets: pd.Series) -> dict[Any, Any]:
    """The same, by the labels themselves: JSON has `"0"` and `"true"` for 0 and True."""
    labels = targets.drop_duplicates().tolist()
    spelled = {text: label for label in labels for text in (str(label), json.dumps(label))}
    return {spelled.get(str(key), key): value for key, value in values.items()}


def without_sampling(pipeline: Pipeline) -> Pipeline:
    """Returns a fitted Pipeline as it is to be used: without a sampler, with one thread."""
    fitted = Pipeline([step for step in pipeline.steps if step[0] != "sample"])
    estimator = fitted["estimator"]
    if "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=package_of(estimator).settings.get("n_jobs"))
    return fitted


def known_categories(pipeline: Pipeline) -> dict[str, list[str]]:
    """Returns the values of each category that a fitted Pipeline knows, by its column."""
    columns = pipeline.named_steps.get("columns")
    known = {} if columns is None else columns.named_transformers_
    encoders = [known["few"]] if "few" in known else []
    encoders += [known["many"]["mean"]] if "many" in known else []
    return {
        name: [value for value in values if isinstance(value, str)]
        for encoder in encoders
        for name, values in zip(encoder.feature_names_in_, encoder.categories_, strict=True)
    }


def estimator_parameters(pipeline: Pipeline) -> dict[str, Any]:
    """Returns all parameters of the Pipeline's estimator and of those in it, by their names."""
    estimator = pipeline["estimator"]
    # With a function it is the recipe's `target.transform`, around the estimator that is named.
    if getattr(estimator, "func", None) is not None and hasattr(estimator, "regressor"):
        estimator = estimator.regressor
    return plain_parameters(estimator)
