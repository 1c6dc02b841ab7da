"""What the result of each step depends on, for the step cache."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.file_digests import text_sha256
from common.values import as_value
from engine.cache.code_digests import code_digests
from engine.cache.key import (
    RULES,
    Dependencies,
    class_code,
    environment_versions,
    locked_requirements,
    package_versions,
)
from modelling.own_code import code_digests as own_code_digests
from modelling.own_code import names_own_code, own_packages
from modelling.recipe import Recipe, named_estimators, only_parts
from steps.registry.journal import was_taken_back
from steps.registry.versions import find_champion, find_equal_version
from steps.runs.names import MODEL_DIGEST
from steps.runs.recipe_parts import READS

RESULTS_VERSION = 1
"""One more whenever code that is in no step's key gives other results: a digest, a type, a seed."""

# What carries a result, and does not decide it; RESULTS_VERSION is for when it does.
_CARRIERS = ("common", "engine", "tracking", "modelling/reporting", "steps")
# What decides a model only where a recipe tunes its threshold, calibrates, or asks for intervals.
_TUNING = ("modelling/judging/metrics.py", "modelling/judging/thresholds.py")
_CALIBRATING = ("modelling/fitting/calibration.py",)
_INTERVALS = ("modelling/fitting/conformal.py",)


class StepDependencies:
    """Knows, for one recipe and one state of the code, what each step's result depends on."""

    def __init__(self, project: Path, recipe: Recipe, own_lock: Path | None = None) -> None:
        """Takes the lock of the recipe's own repository, if it has one."""
        self._project = project
        self._recipe = recipe
        lock = project / "requirements.lock"
        texts = [file.read_text(encoding="utf-8") for file in (lock, own_lock) if file]
        self._locked = {pin.name for text in texts for pin in locked_requirements(text)}
        self._environment = {RULES: str(RESULTS_VERSION), **environment_versions(lock, own_lock)}

    def of_prepare(self, data: str, data_sha256: str) -> Dependencies:
        """The table's content and where it was said to be; its columns' order is the recipe's."""
        order = _order(self._recipe.data.columns)
        inputs = {"the table": data_sha256, "the order of the columns": order}
        return self._with_own_code(self._dependencies("prepare", {"data": data}, inputs))

    def of_train(self, model: str, hyperparameters: dict[str, Any], prepared: str) -> Dependencies:
        """The model's part of the recipe, the hyperparameters and the prepared rows."""
        chosen = self._recipe.models[model]
        values = {name: as_value(value) for name, value in chosen.parameters.items()}
        own = {"model": model, **values, **hyperparameters}
        inputs = {
            "the prepared table": prepared,
            **self._orders(own),
            "conda.yaml": text_sha256(self._project / "conda.yaml"),
        }
        is_tuned = self._recipe.decision.threshold == "tuned"
        without = [
            *(() if is_tuned else _TUNING),
            *(_CALIBRATING if self._recipe.decision.calibrate == "none" else ()),
            *(_INTERVALS if self._recipe.intervals is None else ()),
        ]
        estimators = named_estimators(chosen, hyperparameters)
        dependencies = self._dependencies("train", own, inputs, estimators, without)
        parts = dependencies.parameters["recipe"]
        # Of the models, only the chosen one counts, and its parameters are there already.
        del parts["default_model"]
        parts["models"] = chosen.model_dump(mode="json", exclude={"parameters"})
        if not is_tuned:
            del parts["metrics"]
        return self._with_own_code(dependencies, estimators)

    def of_trials(self, folds: int, prepared: str, models: Iterable[str]) -> Dependencies:
        """All that a trial's score depends on, but its model, one of these, and hyperparameters."""
        chosen = [self._recipe.models[model] for model in models]
        estimators = [path for model in chosen for path in named_estimators(model, {})]
        dependencies = self._dependencies(
            "sweeping.trial",
            {"folds": folds},
            {
                "the prepared table": prepared,
                **self._orders({}),
            },
            estimators,
        )
        parts = dependencies.parameters["recipe"]
        for part in ("default_model", "models"):
            del parts[part]
        return self._with_own_code(dependencies, estimators)

    def of_evaluate(self, prepared: str, model_digest: str, estimator: str | None) -> Dependencies:
        """The prepared rows and the model, by its content and the path of its estimator."""
        inputs = {"the prepared table": prepared, "the model": model_digest}
        named = [estimator] if estimator else []
        return self._with_own_code(self._dependencies("evaluate", {}, inputs, named))

    def of_register(self, evaluated: str, champion: str, model_digest: str) -> Dependencies:
        """Both evaluations, and what the registry says of the model and its champion now."""
        in_use = find_champion(self._recipe.name)
        equal = find_equal_version(self._recipe.name, model_digest)
        registry = {
            "the champion": f"version {in_use.version}" if in_use else "none",
            "the champion's digest": in_use.tags.get(MODEL_DIGEST) if in_use else "none",
            "this model's version": equal.version if equal else "none",
        }
        if in_use and equal and equal.version != in_use.version:
            is_out = was_taken_back(self._recipe.name, str(equal.version))
            registry["whether it was taken out of use"] = str(is_out)
        inputs = {"the evaluation": evaluated, "the champion's evaluation": champion}
        return self._with_own_code(self._dependencies("register", registry, inputs))

    def _dependencies(
        self,
        step: str,
        parameters: dict[str, Any],
        inputs: dict[str, str],
        estimators: Iterable[str] = (),
        without: Sequence[str] = (),
    ) -> Dependencies:
        parts = READS[step.rpartition(".")[2]]
        recipe = only_parts(self._recipe, parts).model_dump(mode="json")
        recipe.pop("code", None)  # counts where something of it is named
        code = code_digests(self._project, f"steps.{step}", (*_CARRIERS, *without))
        environment = dict(self._environment)
        for path in estimators:
            found = class_code(self._project, path)
            code |= found.code
            environment |= self._not_locked(found.environment)
        return Dependencies(code, {**parameters, "recipe": recipe}, inputs, environment)

    def _with_own_code(
        self, dependencies: Dependencies, estimators: Sequence[str] = ()
    ) -> Dependencies:
        """Adds the recipe's own code, if what the step reads of the recipe names any of it."""
        code = self._recipe.code
        if not names_own_code([dependencies.parameters["recipe"], *estimators], code):
            return dependencies
        return replace(
            dependencies,
            inputs={**dependencies.inputs, **own_code_digests(code)},
            environment={
                **dependencies.environment,
                **self._not_locked(package_versions(own_packages(code))),
            },
        )

    def _orders(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """What a key, which is made without the order of names, must know of it."""
        features = self._recipe.features
        inner = {name: parameters[name] for name in sorted(parameters)}
        inner = {name: value for name, value in inner.items() if isinstance(value, Mapping)}
        return {
            "the order of the features": _order([*features.inputs(), *features.transformers]),
            **({"the order of the inner models": _order([json.dumps(inner)])} if inner else {}),
        }

    def _not_locked(self, versions: Mapping[str, str]) -> dict[str, str]:
        """The versions of packages that the lock, which counts as a whole, does not pin."""
        return {name: version for name, version in versions.items() if name not in self._locked}


def _order(names: Iterable[str]) -> str:
    """The digest of names in their order, which those of a recipe's keys are without."""
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
