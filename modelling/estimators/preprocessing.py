"""What stands before an estimator: each kind of estimator gets its columns as it takes them best.

native: gaps and categories as they are, for boosted trees that take both. one_hot: no gap, and a
column for each value of a category, for all others; forests are better with these than with codes
(benchmarks/README.md). spread: as one_hot, with skewed numbers by a power transform, and the parts
of a date as categories, for estimators that draw lines or measure distances.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import skew
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import get_tags

from common.errors import InputError, unknown_name
from common.values import as_value
from modelling.estimators.find_estimator import check_parameter, find_transformer
from modelling.estimators.nested import inner_models
from modelling.kinds import KINDS
from modelling.own_code import Files
from modelling.recipe import Features, Model, Transformer

TEXT = "text "  # before the name of a text, the name of its part of the ColumnTransformer

_MOST_ONE_HOT = 20
_MOST_CODES = 200
_FEWEST_OF_A_CATEGORY = 5
_FEWEST_WORDS = 4
_MOST_WORDS = 5000
_MOST_PARTS = 30
_SKEWED = 1.5
_LARGEST = 1e30  # whose third power is a number too
_VALUES_OF_A_SKEW = 10
_ROWS_OF_A_SKEW = 10_000
_MOST_POWERS = 100  # of 16,000 rows, a power takes six times as long as ranks
_QUANTILES = 100
_FEWEST_RANKED = 600  # the first fold of a split by time has a sixth: one row a quantile
_CALENDAR = ("month", "weekday", "hour")
_NATIVE = ("lightgbm.", "sklearn.ensemble._hist_gradient_boosting.", "xgboost.")
_LIGHTGBM_NAMES = {"categorical_feature", "cat_feature", "categorical_column", "cat_column"}

Steps = list[tuple[str, BaseEstimator]]
_Parts = list[tuple[str, Any, Any]]


@dataclass(frozen=True)
class Inputs:
    """The columns that a Pipeline takes, by what they are.

    numbers; calendar: those of them that are the month, the weekday or the hour of a date; skewed:
    those of them that are not negative, with a long tail; is_ranked: whether these are so many that
    each goes by its rank, which is quick; flags (0 or 1); categories: by name, how many values they
    have; texts: by name, of how many numbers for their words; may_miss: whether a value may be
    missing; missed: the numbers and flags of which one is, in the training rows;
    transformed: the columns that the recipe names a transformer for, by its name; is_picked:
    whether there are others, which the estimator does not get.
    """

    numbers: list[str] = field(default_factory=list)
    calendar: list[str] = field(default_factory=list)
    skewed: list[str] = field(default_factory=list)
    is_ranked: bool = False
    flags: list[str] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    may_miss: bool = False
    missed: list[str] = field(default_factory=list)
    transformed: Mapping[str, Transformer] = field(default_factory=dict)
    is_picked: bool = False

    def few(self, most: int) -> list[str]:
        """Returns the categories that have at most so many values."""
        return [name for name, count in self.categories.items() if count <= most]

    def many(self, most: int) -> list[str]:
        """Returns the categories that have more."""
        return [name for name, count in self.categories.items() if count > most]


def describe_inputs(
    frame: pd.DataFrame, fitted: Mapping[str, Any], features: Features | None = None
) -> Inputs:
    """Says what each column of the training rows is.

    Args:
        frame: (n, columns) as `apply_features` gives them.
        fitted: as `fit_features` returns it.
        features: as the recipe declares them.

    Raises:
        InputError: the recipe names a column that is not among them.
    """
    features = features or Features()
    dropped = {part for name in features.drop for part in _parts_of(name, fitted)}
    taken = {name for each in features.transformers.values() for name in each.columns}
    _check_names(frame, fitted, taken, dropped)
    by_kind: dict[str, list[str]] = {"numbers": [], "flags": [], "categories": [], "texts": []}
    for name in [name for name in frame.columns if name not in taken | dropped]:
        by_kind[KINDS[fitted["columns"].get(name, "number")].encoded].append(name)
    numbers, flags = by_kind["numbers"], by_kind["flags"]
    dates = [name for name, kind in fitted["columns"].items() if kind == "date"]
    parts = {f"{name} ({part})" for name in dates for part in _CALENDAR}
    calendar = [name for name in numbers if name in parts]
    skewed = [name for name in numbers if name not in calendar and is_skewed(frame[name])]
    return Inputs(
        numbers=numbers,
        calendar=calendar,
        skewed=skewed,
        is_ranked=len(skewed) > _MOST_POWERS and len(frame) >= _FEWEST_RANKED,
        flags=flags,
        categories={name: frame[name].nunique() for name in by_kind["categories"]},
        texts={name: _count_parts(frame[name]) for name in by_kind["texts"]},
        may_miss=fitted["imputes"],
        missed=[name for name in (*numbers, *flags) if frame[name].isna().any()],
        transformed=features.transformers,
        is_picked=bool(dropped),
    )


def _check_names(
    frame: pd.DataFrame, fitted: Mapping[str, Any], taken: set[str], dropped: set[str]
) -> None:
    for name in sorted(taken):
        if fitted["columns"].get(name) == "date":
            raise InputError(
                f"features.transformers: {name!r} is a date; make numbers of it by a function of "
                "features.functions"
            )
    for name in sorted(taken | dropped):
        if name not in frame.columns:
            raise InputError("features: " + unknown_name("column", name, frame.columns))


def _parts_of(name: str, fitted: Mapping[str, Any]) -> list[str]:
    """The inputs that a raw column becomes."""
    if fitted["columns"].get(name) != "date":
        return [name]
    hour = ["hour"] if name in fitted.get("hours", ()) else []
    return [f"{name} ({part})" for part in ("days", "month", "weekday", *hour)]


def is_skewed(column: pd.Series) -> bool:
    """Says whether (n,) numbers are not negative, and some far above the others."""
    values = column.dropna().to_numpy(dtype="float64")
    some = values[:: len(values) // _ROWS_OF_A_SKEW + 1].clip(max=_LARGEST)
    has_many = len(np.unique(some)) >= _VALUES_OF_A_SKEW
    return bool(has_many and values.min() >= 0 and skew(some) > _SKEWED)


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


def preprocessing(
    inputs: Inputs, estimator: BaseEstimator, model: Model, seed: int, task: str, code: Files
) -> Steps:
    """Returns the steps before an estimator, which is told which of its inputs are categories.

    Args:
        inputs: the columns.
        estimator: unfitted; its parameters are set where they are about categories.
        model: the recipe's, which may name the preprocessing.
        seed: of what is random.
        task: the recipe's.
        code: the recipe's own, which transformers may be of.

    Returns:
        No more steps than are needed, and one ColumnTransformer where columns are of several kinds.
    """
    way = choose_preprocessing(model, estimator)
    own, texts = _own_transformers(inputs, seed, code), _texts(inputs, seed)
    if way == "native":
        most = min(_MOST_CODES, getattr(estimator, "max_bins", _MOST_CODES))
        few = inputs.few(most)
        _declare_categories(estimator, len(few))
        parts = [
            ("few", _codes(), few),  # first, so that their places are known
            *own,
            *_numbers_with_gaps(inputs, model.scale),
            ("many", Pipeline([("mean", _means(task, seed))]), inputs.many(most)),
            *texts,
        ]
        return _as_steps(parts, inputs)
    few = [*inputs.few(_MOST_ONE_HOT), *(inputs.calendar if way == "spread" else ())]
    means = Pipeline([("mean", _means(task, seed)), ("scale", StandardScaler())])
    parts = [
        *own,
        *_filled_numbers(inputs, model.scale, way == "spread", seed),
        ("few", _columns_of_values(), few),
        ("many", means, inputs.many(_MOST_ONE_HOT)),
        *texts,
    ]
    return _as_steps(parts, inputs)


def choose_preprocessing(model: Model, estimator: BaseEstimator) -> str:
    """Returns the name of the preprocessing: the recipe's, or what the estimator takes best.

    Raises:
        InputError: it is native, and the estimator takes no gaps.
    """
    if model.preprocess == "native" and not get_tags(estimator).input_tags.allow_nan:
        raise InputError(
            f"{type(estimator).__name__} takes no gaps: preprocess: native is for estimators that "
            "do: HistGradientBoosting, LightGBM and XGBoost"
        )
    if model.preprocess != "auto":
        return model.preprocess
    return "native" if type(estimator).__module__.startswith(_NATIVE) else "one_hot"


def _declare_categories(estimator: BaseEstimator, count: int) -> None:
    """Tells an estimator that its first inputs are the codes of categories, if it can be told."""
    known = estimator.get_params(deep=False)
    if count and known.get("categorical_features") == "from_dtype":
        estimator.set_params(categorical_features=[*range(count)])
    is_lightgbm = type(estimator).__module__.startswith("lightgbm.")
    if count and is_lightgbm and not _LIGHTGBM_NAMES & {*known}:
        # Another name of the same, since scikit-learn's way to it would be an argument of fit.
        estimator.set_params(cat_feature=[*range(count)])


def _as_steps(parts: _Parts, inputs: Inputs) -> Steps:
    """Plain steps where all columns are numbers, and a ColumnTransformer where not."""
    numbers = next(part for name, part, _ in parts if name == "numbers")
    parts = [part for part in parts if part[2]]
    if {name for name, _, _ in parts} <= {"numbers"} and not inputs.is_picked:
        return [] if numbers == "passthrough" else list(numbers.steps)
    # Not sparse: not every estimator takes that.
    threshold = 0 if inputs.transformed else 0.3
    return [("columns", ColumnTransformer(parts, sparse_threshold=threshold))]


def _numbers_with_gaps(inputs: Inputs, scale: bool) -> _Parts:
    names = [*inputs.numbers, *inputs.flags]
    scaled = [("scale", StandardScaler())] if scale else []
    if not inputs.may_miss:
        return [("numbers", _steps_of(scaled), names)]
    # What to do with a gap, no tree has seen where there was none in the training rows.
    known = [name for name in names if name in inputs.missed]
    whole = [name for name in names if name not in inputs.missed]
    filled = _steps_of([("impute", SimpleImputer(strategy="median")), *scaled])
    if not known:
        return [("numbers", filled, whole)]
    return [("numbers", _steps_of(scaled), known), ("filled", filled, whole)]


def _filled_numbers(inputs: Inputs, scale: bool, spread: bool, seed: int) -> _Parts:
    filled = [("impute", _imputer("median"))] if inputs.may_miss else []
    scaled = [("scale", StandardScaler())] if scale else []
    skewed = inputs.skewed if spread else []
    plain = [
        name
        for name in inputs.numbers
        if not (spread and (name in inputs.skewed or name in inputs.calendar))
    ]
    power: BaseEstimator = PowerTransformer()
    if inputs.is_ranked:
        power = QuantileTransformer(
            n_quantiles=_QUANTILES, output_distribution="normal", random_state=seed
        )
    flags = _imputer("most_frequent") if inputs.may_miss else "passthrough"
    return [
        ("numbers", _steps_of([*filled, *scaled]), plain),
        ("skewed", _steps_of([("power", power), *filled]), skewed),
        ("flags", flags, inputs.flags),
    ]


def _steps_of(steps: Steps) -> Pipeline | str:
    return Pipeline(steps) if steps else "passthrough"


def _codes() -> OrdinalEncoder:
    """Numbers for categories; a new value is missing."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)


def _columns_of_values() -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=_FEWEST_OF_A_CATEGORY,
        sparse_output=False,
    )


def _means(task: str, seed: int) -> TargetEncoder:
    # A regression's target may be whole numbers, which the encoder would take for classes: a column
    # for each of them.
    kind, folds = ("auto", StratifiedKFold) if task == "classification" else ("continuous", KFold)
    return TargetEncoder(target_type=kind, cv=folds(5, shuffle=True, random_state=seed))


def _imputer(strategy: str) -> SimpleImputer:
    """Fills gaps, and tells the estimator where they were."""
    return SimpleImputer(strategy=strategy, add_indicator=True, keep_empty_features=True)


def _texts(inputs: Inputs, seed: int) -> _Parts:
    return [(f"{TEXT}{name}", _words(parts, seed), name) for name, parts in inputs.texts.items()]


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


def _own_transformers(inputs: Inputs, seed: int, code: Files) -> _Parts:
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


def known_categories(pipeline: Pipeline) -> dict[str, list[str]]:
    """Returns the values of each category that a fitted Pipeline knows, by its column.

    Of one that holds models with columns of their own, what all of them know.
    """
    if inner_models(pipeline[-1]):
        of_each = [known_categories(each) for each in pipeline[-1].estimators_]
        names = dict.fromkeys(name for known in of_each for name in known)
        return {
            name: [*dict.fromkeys(value for known in of_each for value in known.get(name, ()))]
            for name in names
        }
    columns = pipeline.named_steps.get("columns")
    known = {} if columns is None else columns.named_transformers_
    encoders = [known["few"]] if "few" in known else []
    encoders += [known["many"]["mean"]] if "many" in known else []
    return {
        name: [value for value in values if isinstance(value, str)]
        for encoder in encoders
        for name, values in zip(encoder.feature_names_in_, encoder.categories_, strict=True)
        if values.dtype == object  # no part of a date
    }
