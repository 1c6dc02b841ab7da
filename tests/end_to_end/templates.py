"""Stores that many tests start from: each is made once in a run of the tests, then copied."""

import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import chdir, closing
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from tests.end_to_end.store import Outcome, Store


@dataclass(frozen=True)
class Template:
    """A store, and by name what the commands left that made it; nobody may write to it."""

    store: Store
    outcomes: dict[str, Outcome]


@dataclass(frozen=True)
class _Recipe:
    """How a template is made: what it is a copy of, and the commands typed then, by name."""

    base: str | None
    commands: dict[str, Callable[[Store], Outcome]]


_NO_PICKLE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def _main(*parameters: str, **variables: str) -> Callable[[Store], Outcome]:
    return lambda store: store.main(*parameters, **variables)


def _register(evaluated: str) -> Callable[[Store], Outcome]:
    def register(store: Store) -> Outcome:
        number = [*_RECIPES["evaluated"].commands].index(evaluated)
        runs = [
            run for run in store.runs() if run.data.tags["mlflow.project.entryPoint"] == "evaluate"
        ]
        return store.step("register", f"evaluate_run_id={runs[number].info.run_id}")

    return register


_RECIPES = {
    # A database as MLflow makes it, which takes it seconds.
    "empty": _Recipe(None, {}),
    # The wines' elastic net, promoted as version 1.
    "champion": _Recipe("empty", {"first": _main()}),
    # After it a model that is hardly better than the mean, a better one with hyperparameters of its
    # own, and a good one that is not as good: versions 2 (champion) and 3 (challenger). These last
    # two where no pickle may be read.
    "wines": _Recipe(
        "champion",
        {
            "rejected": _main("alpha=0.5", "l1_ratio=0.5"),
            "forest": _main(
                "model=random_forest", "n_estimators=30", "max_depth=null", **_NO_PICKLE
            ),
            "weaker": _main("model=ridge", **_NO_PICKLE),
        },
    ),
    # Models of which each is better than the one before; none is registered.
    "evaluated": _Recipe(
        "empty",
        {
            "weak": _main("alpha=0.3", "until=evaluate"),
            "better": _main("alpha=0.2", "until=evaluate"),
            "good": _main("alpha=0.05", "until=evaluate"),
            "best": _main("until=evaluate"),
        },
    ),
    # Of them three promotions.
    "three_champions": _Recipe(
        "evaluated",
        {f"promoted {said}": _register(said) for said in ("weak", "better", "best")},
    ),
    # The churn recipe's fastest model, promoted.
    "churn": _Recipe(
        "empty", {"first": _main("recipe=recipes/customer_churn.yaml", "model=logistic_regression")}
    ),
    # A grid whose solver lbfgs fails: it needs another hyperparameter.
    "sweep": _Recipe(
        "empty",
        {
            "grid": lambda store: store.step(
                "sweep", "model=ridge", "alpha=0.1,1,1000", "solver=auto,lbfgs", "jobs=2"
            )
        },
    ),
}


def make_template(name: str, folder: Path) -> Template:
    """Gives the store of that name; the first who asks makes it, and the others wait.

    Args:
        name: one of those above.
        folder: where the templates are kept.
    """
    recipe = _RECIPES[name]
    base = make_template(recipe.base, folder) if recipe.base else Template(Store(folder), {})
    place = folder / name
    store = Store(place)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        record = folder / f"{name}.pickle"
        if not record.exists():
            shutil.rmtree(place, ignore_errors=True)  # of one who did not come to the end
            place.mkdir()
            if recipe.base:
                copy_store(base.store.folder, place)
            else:
                with chdir(place):  # where its artifacts will be
                    store.client.search_experiments()
            outcomes = {said: command(store) for said, command in recipe.commands.items()}
            for said, outcome in outcomes.items():
                assert outcome.code == 0, f"{name}, {said}: {outcome.terminal}"
            plain = {said: replace(outcome, client=None) for said, outcome in outcomes.items()}
            record.write_bytes(pickle.dumps(plain))
    known = pickle.loads(record.read_bytes())  # noqa: S301
    outcomes = {said: replace(outcome, client=store.client) for said, outcome in known.items()}
    return Template(store, base.outcomes | outcomes)


def copy_store(source: Path, target: Path) -> None:
    """Copies a store into an empty folder, where it works as it did.

    Its database names the new folder; a model's files, whose digests are known, stay as they are.
    """
    shutil.copytree(source, target, dirs_exist_ok=True)
    with closing(sqlite3.connect(target / "mlflow.db")) as connection, connection:
        for table, column in _COLUMNS_WITH_PATHS:
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608
                [f"{source}/", f"{target}/"],
            )


_COLUMNS_WITH_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
