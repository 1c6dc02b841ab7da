"""The recipe: one YAML file that says what to train, read into frozen models.

A key that does not exist here is refused, with the nearest one that does. What a key says stands
below it: scripts/write_recipe_reference.py makes docs/train/recipe_reference.md of this.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from common.errors import InputError, unknown_name
from common.secrets import holds_secret
from common.values import as_value
from modelling.formulas import columns_of, is_condition, parse_condition
from modelling.kinds import KINDS, ColumnType, check_number_format
from modelling.own_code import read_files


class Section(BaseModel):
    """A part of the recipe: immutable, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(unknown_name("key", key, cls.model_fields))
        return values


def _read_limit(value: Any) -> float | date | None:
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    elif value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"neither a number nor a date like 2026-11-21: {value!r}")


def _write_limit(limit: float | date | None) -> float | str | None:
    return limit.isoformat() if isinstance(limit, date) else limit


Limit = Annotated[
    float | date | None,
    PlainValidator(_read_limit, json_schema_input_type=float | date | None),
    # Pydantic's own warns of a date, since it might be a number.
    PlainSerializer(_write_limit, when_used="json"),
]


class ColumnCheck(Section):
    """What a column must hold. A table that does not is refused."""

    type: ColumnType = "number"
    """What is in the cells. A category is one of some texts, an ordinal one that has its place in
    an `order`; a text is words."""
    order: tuple[str, ...] = ()
    """The values of an ordinal, the lowest first, such as `[S, M, L]`; no other may stand there."""
    format: str = ""
    """How text writes it, where it is not the usual way: the number 1234.56 as it would stand there
    (`1.234,56`, `1 234,56`, `$1,234.56`, `1234.56%`, which reads 26% as 26); or a date as Python's
    strptime does (`%d/%m/%Y`; a time of day may follow)."""
    min: Limit = None
    """The lowest allowed value: a number, or a date like 2026-11-21."""
    max: Limit = None
    """The highest allowed value."""
    missing: float = Field(default=0.0, ge=0, le=1)
    """The share of empty cells that is allowed."""

    @field_validator("order", mode="before")
    @classmethod
    def _order_is_text(cls, order: Any) -> Any:
        """Cells are compared as text; YAML reads 1 and yes as something else."""
        if isinstance(order, list | tuple):
            if any(isinstance(value, bool) for value in order):
                raise ValueError("write yes, no, true and false in quotes")
            return tuple(str(value) for value in order)
        return order

    @model_validator(mode="after")
    def _ordinals_have_an_order(self) -> Self:
        if (self.type == "ordinal") != bool(self.order):
            raise ValueError("order goes with type: ordinal, and only with it")
        if self.order and (len(self.order) < 2 or len(set(self.order)) < len(self.order)):
            raise ValueError("an order has at least two values, each once")
        return self

    @model_validator(mode="after")
    def _format_and_range_are_of_the_type(self) -> Self:
        kind = KINDS[self.type]
        if self.format and kind.check_format is None:
            raise ValueError(f"a {self.type} has no format")
        if self.format and kind.check_format:
            kind.check_format(self.format)
        for limit in (self.min, self.max):
            if limit is not None and kind.limit is None:
                raise ValueError(f"a {self.type} has no min and no max")
            if limit is not None and kind.limit and not isinstance(limit, kind.limit):
                raise ValueError(f"{limit} is no limit of a {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:  # type: ignore[operator]
            raise ValueError(f"min {limit_text(self.min)} is above max {limit_text(self.max)}")
        return self


def limit_text(limit: float | date) -> str:
    """Returns a limit of a range as a person writes it."""
    return limit.isoformat() if isinstance(limit, date) else f"{limit:g}"


def _as_one_text(path: Any) -> Any:
    """A list of paths as one text, as `-P data=` takes it."""
    if not isinstance(path, list | tuple) or not all(isinstance(part, str) for part in path):
        return path
    if any(", " in part for part in path):
        raise ValueError("a path in a list cannot hold a comma and a blank")
    return ", ".join(path)


def _one_target(target: Any) -> Any:
    if isinstance(target, list | tuple):
        raise ValueError("a recipe predicts one target; write a recipe for each of them")
    return target


def known_encoding(name: str) -> str:
    """Returns the name of an encoding, if Python has such a one; empty if it is not said.

    Raises:
        ValueError: it has none.
    """
    try:
        "".encode(name or "utf-8")
    except LookupError as error:
        raise ValueError(
            f"unknown encoding {name!r}; some are utf-8, cp1252 (of Windows), latin-1, shift_jis"
        ) from error
    return name


def _without_secret(uri: str) -> str:
    if any(map(holds_secret, uri.split(", "))):
        raise ValueError(
            "a password or key does not belong in the recipe: write $NAME, the environment "
            "variable that holds it"
        )
    return uri


# Of one's own code, such as taxi.trip_minutes, or of an installed package.
DottedName = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$")]

_RESULTS = ("row_key", "prediction", "error")


class Data(Section):
    """The table: where it is, which column to predict, which to drop, what the others hold."""

    path: Annotated[
        str,
        BeforeValidator(_as_one_text, json_schema_input_type=str | list[str]),
        AfterValidator(_without_secret),
    ]
    """CSV or JSON lines (`.jsonl`), also with `.gz` or `.zst` behind, Parquet, or a workbook
    (`.xlsx`, `.xls`, `.ods`): a path from the root of the recipe's repository, an absolute one, or
    a URI. Or several with the same columns: a list of them, a pattern such as `sales/2024-*.csv`,
    or a folder. With a `loader`, whatever that reads."""
    sheet: str = ""
    """Of a workbook, the name of the sheet that is the table. If not said, the only one that holds
    anything."""
    encoding: Annotated[str, AfterValidator(known_encoding)] = ""
    """Of CSV files, such as cp1250 or shift_jis. If not said, it is found out: UTF-8, UTF-16, or
    Windows-1252 where it can be nothing else."""
    sql: str = ""
    """In place of path: the query whose rows are the table. It begins with SELECT or WITH."""
    connection: str = Field(default="", pattern=r"^(\$[A-Za-z_][A-Za-z0-9_]*)?$")
    """The database of `sql`: $NAME, the environment variable that holds its address as SQLAlchemy
    takes it (`sqlite:///shop.db`, `postgresql://…`)."""
    source_column: str | None = None
    """The name of a column to make, with the name of the file that a row is from."""
    target: Annotated[str, BeforeValidator(_one_target, json_schema_input_type=str)]
    """The column to predict."""
    weight: str | None = None
    """A column that says how much a row counts: numbers, none below 0. It reaches the fit, the
    folds, every metric and interval, and the gate; the model never sees it."""
    target_format: str = ""
    """How its numbers are written, as `format` of a column."""
    missing_target: Literal["refuse", "drop"] = "refuse"
    """What is done about rows whose target is missing: the table is refused, or they are left out
    and counted."""
    where: str = ""
    """Which rows count: a condition such as `fare > 0 and distance < 400`, of what formulas allow
    and `< <= > >= == !=`, and, or, not; text and dates stand in quotes. Rows of which it does not
    hold, or is not known, are left out and counted."""
    duplicates: Literal["keep", "drop"] = "keep"
    """What is done about rows that are equal in all columns in use: drop leaves one of each."""
    sample: int | None = Field(default=None, gt=0)
    """At most so many rows, chosen by their content: the same ones in whatever order they stand."""
    rare_classes: Literal["refuse", "drop"] = "refuse"
    """What is done about the rows of a class that has one row only: the table is refused, or they
    are left out and counted."""
    outside_limits: Literal["refuse", "drop", "keep"] = "refuse"
    """The same for rows outside the limits of `columns`: below min, above max, a fraction in an
    integer, a gap. keep tells them and trains on them, but for a gap where none is allowed, which
    the model refuses too. Of more gaps than `missing` allows, drop and keep only tell."""
    positive_class: bool | int | float | str | None = None
    """Makes a classification a binary one: the class that the model is to find, and that precision,
    recall, costs and the threshold are about."""
    drop: tuple[str, ...] = ()
    """Columns that the model never sees. `score` copies them to its output, but for free text.
    Without `columns`, each of them must be there."""
    columns: dict[str, ColumnCheck] = Field(default_factory=dict)
    """The columns to train on, by name; others are left out. Without any, all are trained
    on but the target, the weight, the column of the split and the dropped ones, each with the type
    that it shows."""
    filter: DottedName | None = None
    """What a condition of `where` cannot say: a function of one's own that is given the table as it
    is in the file, each column read as its kind, and gives true for each row that counts."""
    loader: DottedName | None = None
    """A function of one's own that is given the path and gives the table, a DataFrame."""
    checks: tuple[DottedName, ...] = ()
    """Functions of one's own that are given the checked table, and give nothing, or a sentence that
    says why it is refused."""

    @property
    def source(self) -> str:
        """Where the table is, in one text, as `-P data=` takes it."""
        if self.sql:
            return f"{self.connection} {self.sql.strip()}"
        return self.path

    @model_validator(mode="before")
    @classmethod
    def _a_query_has_no_path(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("sql"):
            return values
        if values.get("path"):
            raise ValueError("path and sql are two tables; give one of them")
        return {**values, "path": ""}

    @model_validator(mode="after")
    def _a_query_has_a_connection(self) -> Self:
        if bool(self.sql) != bool(self.connection):
            raise ValueError("sql goes with connection, and only with it")
        if self.sql and not re.match(r"\s*(select|with)\b", self.sql, re.IGNORECASE):
            raise ValueError("sql must begin with SELECT or WITH; the database is only read")
        return self

    @field_validator("where")
    @classmethod
    def _where_is_a_condition(cls, where: str) -> str:
        if where:
            parse_condition(where)
        return where

    @field_validator("target_format")
    @classmethod
    def _target_format_is_of_a_number(cls, form: str) -> str:
        if form:
            check_number_format(form)
        return form

    @model_validator(mode="after")
    def _weight_is_no_feature(self) -> Self:
        if self.weight is not None and (self.weight in self.columns or self.weight == self.target):
            what = "the target" if self.weight == self.target else "a feature"
            raise ValueError(f"the weight {self.weight!r} cannot be {what}")
        return self

    @model_validator(mode="after")
    def _target_is_no_feature(self) -> Self:
        if self.target in self.drop or self.target in self.columns:
            raise ValueError(f"the target {self.target!r} cannot be dropped or be a feature")
        if self.target in _RESULTS:
            raise ValueError(
                f"the target cannot be named {self.target!r}, as a column of the results is"
            )
        both = sorted(set(self.drop) & set(self.columns))
        if both:
            raise ValueError(f"{both[0]!r} stands under both drop and columns")
        return self


class Split(Section):
    """How rows go to train and test."""

    method: Literal["hash", "random", "stratified", "time", "group", "column", "own"] = "hash"
    """hash: by a seeded hash of a row's feature values, so that it stays where it is when the table
    grows and equal rows stay together; random; stratified: as many of each class on both sides;
    time: the latest rows are the test rows; group: all rows of one `column` value are on one side,
    by a seeded hash of it. Folds, a tuned threshold and the comparison with the champion keep to
    the method. column: the `column` says train or test in each row; own: a `function` does."""
    test_size: float = Field(default=0.2, gt=0, lt=1)
    """The share of the rows that are test rows."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of everything that is random, the estimators included."""
    time_column: str | None = None
    """The column of `method: time`: numbers, or dates such as 2026-11-21."""
    gap: float = Field(default=0.0, ge=0)
    """Of `method: time`: how far before the first test row the training rows end, in days, or as
    the numbers of `time_column` count. The rows between are left out and counted; folds keep to
    it."""
    column: str | None = None
    """The column of `method: group`, such as a customer's number, or of `method: column`. It need
    not be one to train on."""
    stratify: bool = False
    """Of `method: group`, in a classification: as many groups of each class on both sides. A
    group is of the class that most of its rows have."""
    function: DottedName | None = None
    """Of `method: own`: a function of one's own that is given the rows that count, with all columns
    of the file, each read as its kind, and gives train or test for each."""

    @property
    def given_by(self) -> str | None:
        """The column that says where a row goes."""
        return self.time_column or self.column

    @model_validator(mode="after")
    def _group_has_a_column(self) -> Self:
        if (self.method in ("group", "column")) != (self.column is not None):
            raise ValueError("column goes with method: group or column, and only with them")
        if self.stratify and self.method != "group":
            raise ValueError("stratify goes with method: group only; of rows, use stratified")
        return self

    @model_validator(mode="after")
    def _own_has_a_function(self) -> Self:
        if (self.method == "own") != (self.function is not None):
            raise ValueError("function goes with method: own, and only with it")
        return self

    @model_validator(mode="after")
    def _time_has_a_column(self) -> Self:
        if (self.method == "time") != (self.time_column is not None):
            raise ValueError("time_column goes with method: time, and only with it")
        if self.gap and self.method != "time":
            raise ValueError("gap goes with method: time only")
        return self


class QuantileScore(Section):
    """The sum of the quantile scores of some columns, each from 1 to `bins`."""

    columns: dict[str, Literal["rising", "falling"]] = Field(min_length=1)
    """By column, rising: the highest values score `bins`; falling: the lowest do."""
    bins: int = Field(default=5, ge=2, le=100)
    """Into how many parts of equal size the training rows are cut."""


class Transformer(Section):
    """A transformer of some columns, fitted on the training rows, in the place of what is usual."""

    transformer: DottedName
    """A class with fit and transform, such as sklearn.preprocessing.OneHotEncoder or one's own."""
    columns: tuple[str, ...] = Field(min_length=1)
    """The columns and features that it takes; no dates, of which a function makes numbers."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Of the transformer."""


class Features(Section):
    """Columns that the model computes from others, fitted on the training rows only."""

    formulas: dict[str, str] = Field(default_factory=dict)
    """By the feature's name, arithmetic on columns: + - * / ** and numbers; `log log1p exp sqrt abs
    floor min max`; of dates `hour(a) weekday(a) month(a) year(a) days(a) days(a - b)`; of text
    `length(a)`; and `if(condition, then, else)`, such as `if(city == "Lyon" and fare > 0, 1, 0)`
    or `if(contains(lower(note), "urgent"), 1, 0)`. A column's name with a space in it stands in
    backticks."""
    quantile_scores: dict[str, QuantileScore] = Field(default_factory=dict)
    """By the feature's name."""
    functions: dict[str, DottedName] = Field(default_factory=dict)
    """By the feature's name, a function of one's own that is given a table of the columns and gives
    a number for each row, looking at that row only."""
    transformers: dict[str, Transformer] = Field(default_factory=dict)
    """By any name, what is done with some columns and features."""
    drop: tuple[str, ...] = ()
    """Columns that only formulas, scores and functions read: the estimator does not get them."""

    @field_validator("formulas")
    @classmethod
    def _formulas_are_arithmetic(cls, formulas: dict[str, str]) -> dict[str, str]:
        for formula in formulas.values():
            columns_of(formula)
        return formulas

    @model_validator(mode="after")
    def _names_are_used_once(self) -> Self:
        kinds: dict[str, dict[str, Any]] = {
            "a formula": self.formulas,
            "a quantile score": self.quantile_scores,
            "a function": self.functions,
        }
        for (kind, first), (other, second) in combinations(kinds.items(), 2):
            for name in sorted(first.keys() & second.keys()):
                raise ValueError(f"{name!r} is both {kind} and {other}")
        taken = [name for each in self.transformers.values() for name in each.columns]
        for name in taken:
            if taken.count(name) > 1 or name in self.drop:
                raise ValueError(f"{name!r} stands twice under transformers and drop")
        return self

    def inputs(self) -> dict[str, set[str]]:
        """Returns the columns that each declared feature reads; a function may read any."""
        formulas = {name: columns_of(formula) for name, formula in self.formulas.items()}
        scores = {name: set(score.columns) for name, score in self.quantile_scores.items()}
        functions: dict[str, set[str]] = {name: set() for name in self.functions}
        return formulas | scores | functions


class Sampling(Section):
    """What is done about classes of different sizes, on the training rows only."""

    method: Literal["none", "class_weight", "over", "under"] = "none"
    """class_weight: rows of a rare class count more (balanced); over: its rows are repeated at
    random; under: rows of the common classes are left out at random."""
    sampling_strategy: str | float | dict[str | int, int] = "auto"
    """imbalanced-learn's, for over and under: auto, minority, …, a ratio, or a number of rows by
    class."""

    @model_validator(mode="after")
    def _strategy_is_used(self) -> Self:
        if self.sampling_strategy != "auto" and self.method not in ("over", "under"):
            raise ValueError("sampling_strategy goes with method: over or under")
        return self


def _read_threshold(value: Any) -> float | str:
    if value == "tuned":
        return "tuned"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"neither a probability from 0 to 1 nor 'tuned': {value!r}")


class Decision(Section):
    """From which probability on a row is of the positive class, and what it means. In the model."""

    threshold: Annotated[
        float | Literal["tuned"],
        PlainValidator(_read_threshold, json_schema_input_type=float | Literal["tuned"]),
    ] = 0.5
    """A probability, or tuned: the one that is best for `metric` on folds of the training rows."""
    metric: str | None = None
    """The metric of `threshold: tuned`."""
    calibrate: Literal["none", "sigmoid", "isotonic"] = "none"
    """Whether probabilities are corrected, on folds of the training rows, so that of 100 rows that
    are given 30% some 30 are of the class: by a sigmoid, for any number of rows, or by steps, for
    1,000 rows and more. The threshold is tuned after that. Also without a positive class."""

    @model_validator(mode="after")
    def _metric_is_used(self) -> Self:
        if (self.threshold == "tuned") != (self.metric is not None):
            raise ValueError("metric goes with threshold: tuned, and only with it")
        return self


class Target(Section):
    """As what the estimator of a regression sees the target; predictions are in its own units."""

    transform: Literal["none", "log1p", "sqrt"] = "none"
    """For a target whose largest values are far above the others: log1p of values above -1, sqrt of
    such as are not negative."""


class Model(Section):
    """An estimator of scikit-learn, another installed package or one's own, and its parameters."""

    estimator: str
    """Such as sklearn.linear_model.Ridge or lightgbm.LGBMRegressor; or a class of `code`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Of the estimator; `-P name=value` sets one for a run. An estimator that holds others has
    them there as `{estimator: …, parameters: …}`, or several by name; `-P name__alpha=value` sets
    a parameter of one. With `preprocess` (and `scale`) beside these, an inner one gets the columns
    as it takes them best, and not as the outer one does; so do those beside it."""
    early_stopping: Annotated[int, Field(ge=1, strict=True)] | None = None
    """Of LightGBM, XGBoost and HistGradientBoosting: after how many rounds in a row that make it no
    better on held-out rows it needs no more. They are a fifth of the training rows, held out as
    `split` says: whole groups, the latest rows, as much of each class. `n_estimators` (`max_iter`)
    is then the most rounds that there may be; the model is fitted on all training rows with as many
    as were best, the metric `rounds`."""
    scale: bool = False
    """Whether its inputs are brought to mean 0 and variance 1."""
    preprocess: Literal["auto", "native", "one_hot", "spread"] = "auto"
    """What is done with the columns before the estimator. native: gaps and categories as they are,
    for HistGradientBoosting, LightGBM, XGBoost (which takes a category as a number) and others that
    take gaps; one_hot: gaps filled, and a column for each value of a category; spread: the same,
    with skewed numbers brought near to a normal distribution, and the months, weekdays and hours of
    dates as categories: for lines, distances and networks, with `scale`. auto: native for the three
    that are named, one_hot for all others."""
    serialization: Literal["skops", "cloudpickle"] = "skops"
    """skops loads no code; cloudpickle is for estimators that skops cannot hold, and runs whatever
    the file says when it is loaded."""


class BusinessScore(Section):
    """What an outcome of a binary classification is worth, in money for each row that it meets."""

    true_positive: float
    """Said to be positive, and is."""
    false_positive: float
    """Said to be positive, and is not."""
    true_negative: float
    """Said not to be, and is not."""
    false_negative: float
    """Said not to be, and is."""


def _path_alone(value: Any) -> Any:
    return {"function": value} if isinstance(value, str) else value


class OwnMetric(Section):
    """A metric of one's own: the name of the function alone, or with what there is to say of it."""

    function: DottedName
    """Of (n,) predictions and targets, that gives a number; in a binary classification both are 1
    for the positive class and else 0. Or what mlflow.models.make_metric makes of one."""
    greater_is_better: bool | None = None
    """Has to be said, unless make_metric was told."""
    takes_probabilities: bool = False
    """Whether it takes the probabilities of a classification in place of the predictions."""


class Metrics(Section):
    """The metric that decides, and those that are computed besides."""

    primary: str = ""
    """What the gate, the champion and a sweep go by: any metric that is computed, or one of
    scikit-learn's by the name of its scorer, without `neg_`: `mape`, `mean_poisson_deviance`,
    `pinball_0.9` (of that quantile), `max_error`, `balanced_accuracy`, … If not said: rmse for a
    regression, roc_auc for a classification."""
    custom: tuple[str, ...] = ()
    """What is computed besides, by name: scikit-learn's as above, or functions of
    modelling/judging/metrics.py such as `within_half_point`."""
    functions: dict[
        str,
        Annotated[OwnMetric, BeforeValidator(_path_alone, json_schema_input_type=str | OwnMetric)],
    ] = Field(default_factory=dict)
    """By name, functions of one's own that are computed besides."""
    business_score: BusinessScore | None = None
    """Makes the metric of this name: the mean worth of a row."""


class SliceThreshold(Section):
    """How much worse a metric may be on a part of the test rows."""

    max_relative_gap: float = Field(ge=0)
    """Than on all rows, as a share of that figure: of an rmse of 2, 0.3 allows 2.6. It holds for
    each of the recipe's `slices` that has 30 rows or more."""


class Threshold(Section):
    """What a metric must reach, in the sense of `mlflow.models.MetricThreshold`.

    Of its keys at least one is given; all that are given must hold.
    """

    threshold: float | None = None
    """The worst allowed value."""
    min_absolute_change: float | None = Field(default=None, ge=0)
    """By how much the metric must be better than the naive baseline's."""
    min_relative_change: float | None = Field(default=None, ge=0)
    """The same, as a share of the naive baseline's."""
    slices: SliceThreshold | None = None
    """What the recipe's `slices` must reach; of the metric by which they are measured, the primary
    one."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"empty; give one of {', '.join(type(self).model_fields)}")
        return self


class Promotion(Section):
    """When a model that passed the gate takes the champion's place."""

    rule: Literal["significant", "better"] = "significant"
    """significant: the interval of a paired bootstrap over the test rows lies on the good side of
    zero; better: the primary metric is better at all."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the interval."""
    resamples: int = Field(default=2000, ge=100, le=1_000_000)
    """Of the bootstrap."""
    stage: Literal["none", "Staging", "Production", "Archived"] = "none"
    """For registries that still use stages."""


class Drift(Section):
    """When `score` warns that the rows are no longer like those of the training."""

    limit: float = Field(default=0.2, gt=0)
    """The population stability index that a column may have."""


class Monitor(Section):
    """When `monitor` gives the alarm, and who is told."""

    max_drop: float = Field(default=0.1, ge=0)
    """By which share of the figure that its evaluation promised the primary metric may be worse."""
    drift_limit: float = Field(default=0.25, gt=0)
    """The population stability index that a column may have."""
    webhook: str = Field(default="none", pattern=r"^(none|\$[A-Za-z_][A-Za-z0-9_]*|https?://\S+)$")
    """A URL that is sent each alert, or $NAME, the environment variable that holds it if it is a
    secret."""
    webhook_form: Literal["auto", "plain", "slack", "teams"] = "auto"
    """Whose webhook it is; auto: as its host says, else plain JSON."""
    tell: Literal["alerts", "verdicts"] = "alerts"
    """alerts: it is sent each alert, and what `refresh` decided; verdicts: also each verdict of
    `main` and `sweep` but `unchanged`."""

    @field_validator("webhook")
    @classmethod
    def _webhook_is_no_secret(cls, webhook: str) -> str:
        return _without_secret(webhook)


class Sweep(Section):
    """What `-e sweep` searches where the command line says nothing else."""

    models: tuple[str, ...] = ()
    """Names of this recipe's models. If not said: the default model; all of them where there is no
    range at all, or a time to search in."""
    space: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By model and by hyperparameter, a list of values or a range: `log(1e-4, 1)`, `interval(0,
    1)`, `range(2, 12)`."""
    ensemble: bool | Literal["auto"] = "auto"
    """Whether the best models together, as `together`, may be what a sweep trains: auto: with a
    time to search in. It is, if each model more makes the error on the folds smaller by one
    percent."""


def _off_is_none(value: Any) -> Any:
    is_disabled = isinstance(value, dict) and value.get("disable") is True
    return None if is_disabled or value in (False, "off", "none") else value


def _read_code(value: Any, info: ValidationInfo) -> Any:
    """The files of the code that is named; a recipe that was read before has them."""
    if isinstance(value, str):
        folder = (info.context or {}).get("folder", Path())
        return read_files(folder, value) if value else {}
    return value


# A model's name becomes part of the names of files and of what MLflow logs.
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", max_length=100)]


PlotName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$", max_length=60)]


CheckCode = Literal[
    "few_rows",
    "leak",
    "shared_rows",
    "overfitting",
    "bad_slice",
    "plain_model",
    "search_edge",
    "drift",
    "slow",
    "useless_columns",
    "constant_columns",
    "left_out_rows",
    "duplicate_rows",
]
"""What is looked at of each model, its search and its table: see modelling/judging/checks.py."""


class Checks(Section):
    """What is looked at, once a model is there, and told in the report; nothing is refused."""

    mute: tuple[str, ...] = ()
    """Codes of checks of which nobody wants to hear: few_rows, leak, shared_rows, overfitting,
    bad_slice, plain_model, search_edge, drift, slow, useless_columns, constant_columns,
    left_out_rows, duplicate_rows, or one of `functions`."""
    functions: dict[PlotName, DottedName] = Field(default_factory=dict)
    """By code, functions of one's own that are given the test rows with the predictions, and give
    nothing, or a sentence that says what is odd."""

    @model_validator(mode="after")
    def _muted_codes_are_known(self) -> Self:
        known = get_args(CheckCode)
        for code in self.functions:
            if code in known:
                raise ValueError(f"functions: {code!r} is the code of a check that there is")
        for code in self.mute:
            if code not in (*known, *self.functions):
                raise ValueError(f"mute: {unknown_name('code', code, [*known, *self.functions])}")
        return self


def _labels_by_text(labels: Any) -> Any:
    """Labels by the values of the target as text, which YAML reads as numbers or booleans too."""
    if not isinstance(labels, dict):
        return labels
    texts = {str(value): str(label) for value, label in labels.items()}
    if len({*texts.values()}) < len(texts):
        raise ValueError("two classes have the same label")
    return texts


class About(Section):
    """What the model is for, in words: for its report and the registry, and for nothing else."""

    title: str = Field(default="", max_length=100)
    """At the head of the report, in place of the recipe's name."""
    description: str = ""
    """What is predicted, and why."""
    unit: str = Field(default="", max_length=20)
    """Of the target, or of the worths of a `business_score`: €, points, days."""
    labels: Annotated[dict[str, str], BeforeValidator(_labels_by_text)] = Field(
        default_factory=dict
    )
    """What the classes of the target are called in the report, such as `{0: stays, 1: leaves}`;
    predictions and scores keep the values of the table."""
    owner: str = ""
    """Whom to ask."""
    intended_use: str = ""
    """What it is to be used for, and by whom."""
    limits: str = ""
    """Where it is not to be trusted."""

    def name_class(self, target: str, value: Any) -> str:
        """Returns what a class is called: its label, or `target = value` if it has none."""
        return self.labels.get(str(value), f"{target} = {value}")

    def in_words(self) -> dict[str, str]:
        """Returns what is said, by its label."""
        said = {
            "what it does": self.description,
            "intended use": self.intended_use,
            "limits": self.limits,
            "owner": self.owner,
        }
        return {label: text for label, text in said.items() if text}


TOGETHER = "together"
"""The model that a sweep makes of several; a recipe need not have one of that name."""

_VOTING: dict[str, dict[str, Any]] = {
    "regression": {"estimator": "sklearn.ensemble.VotingRegressor"},
    "classification": {
        "estimator": "sklearn.ensemble.VotingClassifier",
        "parameters": {"voting": "soft"},
    },
}


class Recipe(Section):
    """One problem: its table, split, features, models, metrics, gate and promotion."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)
    """Of the registered model, and of the experiment of `python main.py`."""
    task: Literal["regression", "classification"]
    """Whether numbers are predicted, or classes."""
    data: Data
    """The table."""
    about: About = About()
    """What the model is for, for those who read its report."""
    code: Annotated[dict[str, str], BeforeValidator(_read_code, json_schema_input_type=str)] = (
        Field(default_factory=dict)
    )
    """A Python file of one's own, or the folder of a package, beside the recipe, such as `taxi.py`:
    its functions and classes are named below as `taxi.trip_minutes`."""
    split: Split = Split()
    """Which rows are for training, which for the test."""
    features: Features = Features()
    """Columns that the model computes from others."""
    target: Target = Target()
    """As what a regression is fitted."""
    sampling: Sampling = Sampling()
    """What is done about rare classes."""
    decision: Decision = Decision()
    """The threshold of a binary classification."""
    default_model: str = ""
    """The model of `-P model=auto`; the first one if not said."""
    models: dict[ModelName, Model] = Field(min_length=1)
    """By name, what can be trained: `-P model=<name>`."""
    metrics: Metrics = Metrics()
    """What is measured, and by what it is decided."""
    gate: dict[str, Threshold] = Field(default_factory=dict)
    """By metric, what a model must reach to be registered. If not said, the primary metric must be
    better than the naive baseline's by 5%."""
    promotion: Promotion = Promotion()
    """When it becomes the champion."""
    drift: Drift = Drift()
    """When `score` warns."""
    monitor: Monitor = Monitor()
    """When `monitor` gives the alarm."""
    sweep: Sweep = Sweep()
    """What a sweep searches."""
    slices: tuple[str, ...] = ()
    """Parts of the test rows to be measured on their own: a column (by value, or by quarter of a
    number), a condition such as `age > 60` as formulas have them, `missing(income)`."""
    checks: Checks = Checks()
    """What is odd about the model and its table: which of it is not to be told."""
    intervals: float | None = Field(default=None, ge=0.5, lt=1)
    """How sure the model is to be of one row, such as 0.9: it then gives the two values, or the
    classes, among which what is true lies for 90% of new rows (of each class). They are made on
    folds of the training rows; the test rows say whether it holds."""
    plots: dict[PlotName, DottedName] = Field(default_factory=dict)
    """By title, such as error_by_hour, functions of one's own that are given the test rows with the
    predictions, and give a matplotlib Figure."""
    autologging: Annotated[
        dict[str, Any] | None,
        BeforeValidator(_off_is_none, json_schema_input_type=dict[str, Any] | Literal["off"]),
    ] = None
    """off, or the arguments of mlflow.sklearn.autolog: {log_post_training_metrics: true}."""

    @model_validator(mode="after")
    def _gate_of_slices_has_some(self) -> Self:
        for name, threshold in self.gate.items():
            if threshold.slices and not self.slices:
                raise ValueError(f"gate.{name}.slices: name the parts of the rows under slices")
            if threshold.slices and name != self.metrics.primary:
                raise ValueError(
                    f"gate.{name}.slices: slices are measured by the primary metric, "
                    f"{self.metrics.primary}"
                )
        return self

    @field_validator("slices")
    @classmethod
    def _slices_are_conditions(cls, slices: tuple[str, ...]) -> tuple[str, ...]:
        for text in slices:
            if is_condition(text):
                parse_condition(text)
        return slices

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, values: Any) -> Any:
        """The primary metric, and a gate that asks to be better than the naive baseline."""
        if not isinstance(values, dict):
            return values
        metrics = values.get("metrics") or {}
        if not isinstance(metrics, dict):
            return values
        usual = "roc_auc" if values.get("task") == "classification" else "rmse"
        primary = metrics.get("primary") or usual
        gate = values.get("gate") or {primary: {"min_relative_change": 0.05}}
        return {**values, "metrics": {**metrics, "primary": primary}, "gate": gate}

    @property
    def is_binary(self) -> bool:
        """Whether it is a classification with a positive class."""
        return self.data.positive_class is not None

    @model_validator(mode="after")
    def _classes_are_for_classifications(self) -> Self:
        if self.task == "regression":
            for part, used in (
                ("data.positive_class", self.is_binary),
                ("split.stratify", self.split.stratify),
                ("about.labels", bool(self.about.labels)),
                ("sampling", self.sampling != Sampling()),
                ("decision", self.decision != Decision()),
                ("metrics.business_score", self.metrics.business_score is not None),
            ):
                if used:
                    raise ValueError(f"{part} is for task: classification only")
        elif self.target != Target():
            raise ValueError("target is for task: regression only")
        elif not self.is_binary:
            for part, used in (
                ("decision.threshold", self.decision.threshold != Decision().threshold),
                ("metrics.business_score", self.metrics.business_score is not None),
            ):
                if used:
                    raise ValueError(f"{part} needs data.positive_class")
        return self

    @model_validator(mode="after")
    def _weighted_rows_are_not_drawn(self) -> Self:
        if self.data.weight is not None and self.sampling.method in ("over", "under"):
            raise ValueError(
                f"sampling.method: {self.sampling.method} draws rows, and data.weight weighs them; "
                "take class_weight"
            )
        return self

    @field_validator("models")
    @classmethod
    def _auto_is_no_model(cls, models: dict[str, Model]) -> dict[str, Model]:
        if "auto" in models:
            raise ValueError("no model may be named 'auto': it stands for the default model")
        return models

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.default_model and self.default_model not in self.models:
            raise ValueError(unknown_name("default_model", self.default_model, self.models))
        return self

    @model_validator(mode="after")
    def _swept_models_are_known(self) -> Self:
        for part, names in (("models", self.sweep.models), ("space", self.sweep.space)):
            for name in names:
                if name not in self.models:
                    raise ValueError(f"sweep.{part}: " + unknown_name("model", name, self.models))
        return self

    @model_validator(mode="after")
    def _target_does_not_split(self) -> Self:
        if self.split.given_by == self.data.target:
            raise ValueError(f"split: the target {self.data.target!r} cannot say where a row goes")
        return self

    @model_validator(mode="after")
    def _features_read_columns(self) -> Self:
        for feature, inputs in self.features.inputs().items():
            if feature in self.data.columns or feature == self.data.target:
                raise ValueError(f"feature {feature!r} has the name of a column")
            for column in sorted(inputs):
                if column == self.data.target:
                    raise ValueError(f"feature {feature!r} reads the target")
                if self.data.columns and column not in self.data.columns:
                    raise ValueError(
                        f"feature {feature!r}: " + unknown_name("column", column, self.data.columns)
                    )
        for column in self.features.drop if self.data.columns else ():
            if column not in self.data.columns:
                raise ValueError(
                    f"features.drop: {unknown_name('column', column, self.data.columns)}"
                )
        return self

    def with_together(self, name: str) -> "Recipe":
        """Returns the recipe with the model of that name, if it is what a sweep makes of several.

        It has no members: they are its hyperparameter `estimators`.
        """
        if name != TOGETHER or name in self.models:
            return self
        model = Model.model_validate(_VOTING[self.task])
        return self.model_copy(update={"models": {**self.models, name: model}})

    @property
    def may_be_together(self) -> bool:
        """Whether `together` is the mean of others here, and not another model of that name."""
        return (
            self.with_together(TOGETHER).models[TOGETHER].estimator
            == (_VOTING[self.task]["estimator"])
        )

    def choose_model(self, name: str) -> tuple[str, Model]:
        """Returns a model's name and settings; `auto` is the default model, or else the first.

        Raises:
            InputError: no model has this name.
        """
        if name == "auto":
            name = self.default_model or next(iter(self.models))
        if name not in self.models:
            raise InputError(unknown_name("model", name, self.models))
        return name, self.models[name]


def named_estimators(model: Model, hyperparameters: Mapping[str, Any]) -> list[str]:
    """Returns the paths of a model's estimator and of those that it holds."""
    return [model.estimator, *_named({**model.parameters, **hyperparameters})]


def _named(value: Any) -> Iterator[str]:
    value = as_value(value)
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
    elif isinstance(value, dict):
        if isinstance(value.get("estimator"), str):
            yield value["estimator"]
        for each in value.values():
            yield from _named(each)


def only_parts(section: Section, parts: Iterable[str]) -> Any:
    """Returns a copy of a section that has these parts and no others.

    Args:
        section: a recipe, or a section of it.
        parts: names, with dots for a part of a part.

    Returns:
        The copy: reading another of its parts raises AttributeError, and `model_dump` leaves the
        others out.
    """
    wanted: dict[str, list[str]] = {}
    for part in parts:
        name, _, below = part.partition(".")
        wanted.setdefault(name, []).extend([below] if below else [])
    copy = section.model_copy()
    for name in type(section).model_fields:
        if name not in wanted:
            del copy.__dict__[name]
        elif wanted[name]:
            copy.__dict__[name] = only_parts(getattr(section, name), wanted[name])
    return copy


class _YamlLoader(yaml.SafeLoader):
    """As YAML is: no key stands twice in a mapping, of which PyYAML would take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name = (key.tag, key.value)
            if name in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands in line {lines[name]} already",
                    problem_mark=key.start_mark,
                )
            lines[name] = key.start_mark.line + 1
        return node


def load_recipe(path: str | Path, root: Path = Path()) -> Recipe:
    """Reads a recipe.

    Args:
        path: a YAML file, absolute or relative to the root.
        root: the project's root, which is the working directory of every step.

    Raises:
        InputError: the file is missing, is not YAML or is not a recipe; one line says where.
    """
    try:
        # A letter with an accent may be written as one sign or as two; one in all names.
        text = unicodedata.normalize("NFC", Path(root, path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        recipes = sorted(
            known.relative_to(root).as_posix() for known in root.glob("recipes/*.y*ml")
        )
        message = unknown_name("recipe", path, recipes)
        raise InputError(
            f"{message} (looked up from the project's root, and from where you stand)"
        ) from error
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"recipe {path} cannot be read: {error}") from error
    try:
        content = _YamlLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"recipe {path} is not YAML: {_yaml_problem(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"recipe {path} is not a mapping of keys to values")
    try:
        return Recipe.model_validate(content, context={"folder": Path(root, path).parent})
    except ValidationError as error:
        raise InputError(f"recipe {path}: {_first_problem(error)}") from error


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + (getattr(error, "problem", None) or " ".join(str(error).split()))


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] not in ("value_error", "missing"):
        what += f", got {first['input']!r}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {what}{more}" if where else what + more
