"""How many rounds a boosted estimator is given: as many as help on rows that it is not fitted on.

The rows are a fold of the training rows, made as the table was split. What is fitted before the
estimator (features, encoders) is fitted without them too. The model itself is then fitted on all
training rows, with the number that was found.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from common.errors import InputError
from common.values import as_value
from modelling.estimators.boosting import Rows, count_rounds, rounds_as_parameters, rounds_of
from modelling.estimators.estimators import refusals_told, sampling_pipeline, targets_within
from modelling.estimators.nested import named_estimator
from modelling.models.training import fit_inputs, predictable_inputs, unfitted_pipeline
from modelling.recipe import Model, Recipe
from modelling.tables.folds import hold_out


@dataclass(frozen=True)
class Rounds:
    """After how many rounds a model is best, of how many at most; and so many, as parameters.

    Without any, the model is not to be stopped early.
    """

    best: int = 0
    most: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


def find_rounds(
    recipe: Recipe,
    model: str,
    hyperparameters: Mapping[str, Any],
    raw: pd.DataFrame,
    targets: pd.Series,
    weights: pd.Series | None,
    given: Mapping[str, Any],
) -> Rounds:
    """Finds after how many rounds a model is best on a held-out fold of its training rows.

    Args:
        recipe: whose model it is.
        model: its name.
        hyperparameters: that override the recipe's.
        raw: (n, raw columns) the training rows, numbered from 0.
        targets: (n,) numbers or labels.
        weights: (n,) how much each row counts, if not the same.
        given: what folds must respect, as `split_folds` takes it.

    Raises:
        InputError: there are too few rows for a fold, or the estimator refuses something.
    """
    chosen = recipe.models[model]
    if members := _stopped_members(chosen, hyperparameters):
        alone = recipe.model_copy(
            update={"models": {name: Model.model_validate(said) for name, said in members.items()}}
        )
        found = {
            name: find_rounds(alone, name, {}, raw, targets, weights, given) for name in members
        }
        return Rounds(parameters={"estimators": _with_rounds(chosen, hyperparameters, found)})
    patience = chosen.early_stopping
    if patience is None:
        return Rounds()
    seed, sampling = recipe.split.seed, recipe.sampling
    try:
        fit, held = hold_out(raw, targets, seed, recipe.task == "classification", **given)
    except InputError as error:
        raise InputError(f"early_stopping: {error}") from error
    fitting = fit_inputs(recipe, raw.iloc[fit].reset_index(drop=True))
    unseen = predictable_inputs(raw.iloc[held].reset_index(drop=True), fitting.features)
    held = held[unseen.index]
    counts = pd.Series(1.0, targets.index) if weights is None else weights.astype("float64")
    pipeline = unfitted_pipeline(recipe, model, hyperparameters, fitting)
    known, inputs = targets.iloc[fit].reset_index(drop=True), fitting.inputs
    with refusals_told(inputs):
        if before := pipeline.steps[:-1]:
            # Fitted twice, since what fits a Pipeline with its samples does so as a whole.
            unseen = clone(Pipeline(before)).fit(inputs, known).transform(unseen)
        others = Rows(unseen, targets.iloc[held].to_numpy(), counts.iloc[held].to_numpy())
        of_fit = None if weights is None else counts.iloc[fit].reset_index(drop=True)
        fitted = sampling_pipeline(pipeline, sampling, seed, known, of_fit)
        search = _Rounds(fitted["estimator"], others, patience, sampling.method != "none")
        fitted.set_params(estimator=search).fit(inputs, known)
    named = named_estimator(search.estimator)
    return Rounds(search.count_, rounds_of(named), rounds_as_parameters(named, search.count_))


def is_stopped(model: Model, hyperparameters: Mapping[str, Any]) -> bool:
    """Says whether a model, or one of those that it holds, is to be stopped early."""
    return model.early_stopping is not None or bool(_stopped_members(model, hyperparameters))


def _stopped_members(model: Model, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the models that one holds and that are to be stopped early, by name."""
    held = _members(model, hyperparameters)
    return {
        name: said
        for name, said in held.items()
        if isinstance(said, dict) and said.get("early_stopping") is not None
    }


def _members(model: Model, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    held = as_value({**model.parameters, **hyperparameters}.get("estimators"))
    return held if isinstance(held, dict) else {}


def _with_rounds(
    model: Model, hyperparameters: Mapping[str, Any], found: Mapping[str, Rounds]
) -> dict[str, Any]:
    """What is said of all that a model holds, with the rounds that were found."""
    held = _members(model, hyperparameters)
    return held | {
        name: {
            **held[name],
            "parameters": {**(held[name].get("parameters") or {}), **rounds.parameters},
        }
        for name, rounds in found.items()
    }


class _Rounds(BaseEstimator):
    """The end of a Pipeline that finds after how many rounds its estimator is best on other rows.

    Their classes may weigh there as in the fit, which `sampling` decides.
    """

    def __init__(
        self, estimator: BaseEstimator, others: Rows, patience: int, keeps_shares: bool
    ) -> None:
        self.estimator = estimator
        self.others = others
        self.patience = patience
        self.keeps_shares = keeps_shares

    def fit(self, inputs: Any, targets: Any, sample_weight: Any = None) -> "_Rounds":
        true, others = np.asarray(targets), self.others
        counts = np.ones(len(true)) if sample_weight is None else np.asarray(sample_weight)
        weights = _with_shares(others, true, counts) if self.keeps_shares else others.weights
        seen, seen_of_others = targets_within(self.estimator, true, others.targets)
        self.count_ = count_rounds(
            named_estimator(self.estimator),
            Rows(inputs, seen, counts),
            Rows(others.inputs, seen_of_others, weights),
            self.patience,
        )
        return self


def _with_shares(
    others: Rows, fitted: npt.NDArray[Any], counts: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.floating[Any]]:
    """The weights with which each class has the share that it has among the fitted rows."""
    weights = others.weights.copy()
    for label in np.unique(others.targets):
        rows = others.targets == label
        if total := weights[rows].sum():
            weights[rows] *= counts[fitted == label].sum() / total
    return weights * len(weights) / weights.sum()
