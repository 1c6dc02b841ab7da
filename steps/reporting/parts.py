"""The parts of a report, each from what the runs left: metrics, tables and pictures."""

import math
import shlex
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_BRANCH,
    MLFLOW_GIT_COMMIT,
    MLFLOW_SOURCE_NAME,
)

from common.tags import PLATFORM, PYTHON
from common.values import spell
from modelling.judging.answers import PREDICTION, PROBABILITY_PREFIX
from modelling.judging.checks import Finding, first_of_each
from modelling.judging.metrics import BASELINE_PREFIX, HIGH, LOW, OUTCOMES, TRAINING_PREFIX
from modelling.kinds import KINDS, ROW_KEY
from modelling.reporting.report import (
    Bar,
    Bars,
    DataPage,
    Fact,
    GateRow,
    ModelCard,
    Origin,
    Plot,
    Table,
)
from steps.reporting.run_files import RunFiles
from steps.reporting.runs import DETAILS, PipelineRuns
from steps.runs.names import (
    DATA_SHA256,
    IMPORTANCE,
    TEST_ROW_NUMBERS,
    TEST_WEIGHT,
)
from steps.runs.provenance_write import GIT_DIRTY, LOCK_SHA256, WORKSPACE_COMMIT

_MOST_BARS = 20
_MOST_COLUMNS = 8
_WORST_ROWS = 10
# By the name of the file: title, and what one sees.
_PLOTS = {
    "predictions_vs_targets": ("Predicted against actual", "the closer to the line, the better"),
    "residuals": (
        "Errors",
        "above the line it says too much, below it too little",
    ),
    "error_by_target": ("Error by target", "where on the scale the model is good"),
    "confusion": ("Confusion matrix", "which class was taken for which"),
    "roc": ("ROC curve", "found against false alarms"),
    "precision_recall": ("Precision and recall", "how much is found, and how much of it is right"),
    "calibration": ("Calibration", "whether probabilities are what they say"),
    "lift": ("Lift", "how dense the class is among the highest scores"),
    "score_distribution": ("Scores by class", "how well the two are apart"),
    "permutation_importance": ("Permutation importance", "what the model leans on"),
}
_REQUIRED = {"champion": "{} than the champion"}


def read_gate(runs: PipelineRuns) -> list[GateRow]:
    """Each check of the gate with all that is known of its metric; without a gate, the metrics."""
    files = runs.files("register")
    table = files.table("gate") if files else None
    if table is None:
        return _metrics(runs)
    figures = runs.metrics("evaluate")
    champion = runs.metrics("evaluate_champion")
    others = set(table.loc[table["check"] != "finite", "metric"])
    rows = []
    table = table.sort_values("check", key=lambda check: check == "finite", kind="stable")
    for row in table.to_dict("records"):
        name, check = row["metric"], row["check"]
        if check == "finite" and name in others and row["passed"]:
            continue
        theirs = _known(row["reference"]) if check == "champion" else champion.get(name)
        candidate = math.nan if _known(row["candidate"]) is None else row["candidate"]
        is_for_reading = check == "finite" and row["passed"]
        rows.append(
            GateRow(
                name,
                _as_count(figures, name, candidate),
                _as_count(figures, name, figures.get(BASELINE_PREFIX + name)),
                _as_count(figures, name, theirs),
                "" if is_for_reading else _REQUIRED.get(check, "{}").format(row["required"]),
                None if is_for_reading else bool(row["passed"]),
                _known(row["low"]),
                _known(row["high"]),
                *_how_sure(figures, name),
            )
        )
    return rows


def _as_count(figures: Mapping[str, float], name: str, value: float | None) -> float | int | None:
    """Rounds what counts rows, such as the end of its interval; no sum of what they weigh."""
    is_count = name in OUTCOMES and TEST_WEIGHT not in figures
    return round(value) if is_count and value is not None and value == value else value


def _metrics(runs: PipelineRuns) -> list[GateRow]:
    if "evaluate" not in runs.steps:
        return []
    figures, champion = runs.metrics("evaluate"), runs.metrics("evaluate_champion")
    return [
        GateRow(
            name,
            _as_count(figures, name, value),
            _as_count(figures, name, figures[BASELINE_PREFIX + name]),
            _as_count(figures, name, champion.get(name)),
            "",
            None,
            None,
            None,
            *_how_sure(figures, name),
        )
        for name, value in figures.items()
        if BASELINE_PREFIX + name in figures
    ]


def _how_sure(
    figures: Mapping[str, float], name: str
) -> tuple[tuple[float, float] | None, float | int | None]:
    """The interval of a metric, if there is one, and its figure of the training rows."""
    low, high = figures.get(name + LOW), figures.get(name + HIGH)
    interval = None
    if low is not None and high is not None:
        interval = _as_count(figures, name, low) or 0, _as_count(figures, name, high) or 0
    return interval, _as_count(figures, name, figures.get(TRAINING_PREFIX + name))


def read_confidence(runs: PipelineRuns) -> float | None:
    """The confidence of the interval of the difference to the champion, if there is one."""
    against = runs.steps["register"].data.metrics if "register" in runs.steps else {}
    known = runs.recipe and "difference_low" in against
    return runs.recipe.promotion.confidence if runs.recipe and known else None


def read_findings(runs: PipelineRuns) -> list[Finding]:
    """What the checks of the search, the model and the table found, but for what is muted."""
    own = RunFiles.of(runs.run).table("checks") if runs.entry_point == "sweep" else None
    evaluated, prepared = runs.files("evaluate"), runs.files("prepare")
    tables = [own, evaluated.table("checks") if evaluated else None]
    rows = [row for table in tables if table is not None for row in table.to_dict("records")]
    profile = prepared.json(f"{DETAILS}/data.json") if prepared else None
    rows += [row for row in (profile or {}).get("checks", ()) if "code" in row]
    mute = runs.recipe.checks.mute if runs.recipe else ()
    findings = (
        Finding(row["code"], row["title"], row["severity"], row["sentence"] or "") for row in rows
    )
    return first_of_each(findings, mute)


def read_plots(runs: PipelineRuns) -> list[Plot]:
    """The pictures of the evaluation, always in the same order."""
    files = runs.files("evaluate")
    names = [name for name in files.names() if name.endswith(".png")] if files else []
    known = [f"{name}.png" for name in _PLOTS]
    wanted = [name for name in known if name in names]
    wanted += [name for name in names if name not in known]
    if runs.is_pipeline:  # there it is a chart of the model
        wanted = [name for name in wanted if name != "permutation_importance.png"]
    return [plot for name in wanted if files and (plot := _plot(runs, name, files.read(name)))]


def _plot(runs: PipelineRuns, path: str, content: bytes | None) -> Plot | None:
    if content is None:
        return None
    stem = path.rsplit("/", 1)[-1].removesuffix(".png")
    title, what = _PLOTS.get(stem, (stem.replace("_", " ").capitalize(), ""))
    title = f"{title}: {what}" if what else title
    of = f" of {runs.target}" if runs.recipe else ""
    return Plot(title, f"Plot{of}. {title}", content)


def read_worst(runs: PipelineRuns) -> Table | None:
    """The rows that the model was furthest off, with the columns that matter most."""
    files = runs.files("evaluate")
    table = files.table("worst_predictions", _text_columns(runs)) if files else None
    if table is None or table.empty:
        return None
    importance = _importance(runs)
    own = [name for name in (ROW_KEY,) if name in table]
    place = list(table.columns).index("error") + 1 if "error" in table else len(table.columns)
    front = [name for name in table.columns[:place] if name not in own]
    front.sort(key=lambda name: name.startswith(PROBABILITY_PREFIX))  # to be cut, if any
    rest = [name for name in table.columns[place:]]
    if importance is not None:
        order = {name: number for number, name in enumerate(importance["column"])}
        rest.sort(key=lambda name: order.get(name, len(order)))
    shown = [*own, *front[:_MOST_COLUMNS], *rest[:_MOST_COLUMNS]]
    left_out = len(table.columns) - len(shown)
    are = "is" if left_out == 1 else "are"
    note = f"With the columns that matter most; {left_out} {are} left out." if left_out else ""
    rows = name_by_number(runs, table[shown].head(_WORST_ROWS))
    return Table.of(rows, note=note)


def _text_columns(runs: PipelineRuns) -> list[str]:
    """The columns of the worst predictions that hold text, as far as the recipe says so."""
    if runs.recipe is None:
        return [ROW_KEY]
    data = runs.recipe.data
    categories = [name for name, check in data.columns.items() if KINDS[check.type].is_text]
    is_class = runs.recipe.task == "classification"
    return [ROW_KEY, *categories, *([data.target, PREDICTION] if is_class else [])]


def name_by_number(runs: PipelineRuns, rows: pd.DataFrame) -> pd.DataFrame:
    """Names rows by their place in the table, from 1, in place of their key, if that is known."""
    files = runs.files("prepare")
    content = files.read(TEST_ROW_NUMBERS) if files and ROW_KEY in rows else None
    if content is None:
        return rows
    keys = np.array([int(key, 16) for key in rows[ROW_KEY]], dtype=np.uint64)
    numbers = pd.read_parquet(BytesIO(content)).set_index(ROW_KEY)["row"].reindex(keys)
    named = rows.rename(columns={ROW_KEY: "row of the table"})
    return named.assign(**{"row of the table": numbers.to_numpy()})


def _importance(runs: PipelineRuns) -> pd.DataFrame | None:
    files = runs.files("evaluate")
    return files.table("importance", ["column"]) if files else None


def read_data(runs: PipelineRuns) -> DataPage | None:
    """Both sides of the table, as far as they were described."""
    files = runs.files("prepare")
    if files is None:
        return None
    profile = files.json(f"{DETAILS}/data.json")
    columns = files.table("profile")
    if profile is None and columns is None:
        return None
    pages = {
        side: page
        for side in ("train", "test")
        if profile and (page := files.text(f"{DETAILS}/{side}.html"))
    }
    return DataPage(profile, None if profile or columns is None else Table.of(columns), pages)


def read_model(runs: PipelineRuns) -> ModelCard | None:
    """The trained model: hyperparameters, features, and what they weigh."""
    files = runs.files("train")
    if files is None:
        return None
    config = files.config()
    if "trained" not in config:
        return None
    card = files.json(f"{DETAILS}/model.json") or {}
    parameters = config["trained"]["parameters"]
    name = config["trained"]["model"]
    chosen = {*card.get("chosen", parameters), *config["models"][name]["parameters"]}
    features = config.get("features") or {}
    formulas = dict(features.get("formulas") or {})
    for feature, score in (features.get("quantile_scores") or {}).items():
        parts = ", ".join(f"{column} {way}" for column, way in score["columns"].items())
        formulas[feature] = f"quantile scores from 1 to {score['bins']}, summed: {parts}"
    formulas |= features.get("functions") or {}
    facts = [Fact(key, str(value)) for key, value in parameters.items() if key in chosen]
    if rounds := runs.metrics("train").get("rounds"):
        facts.append(Fact("rounds, by early stopping", f"{rounds:.0f}"))
    return ModelCard(
        name=name,
        estimator=config["models"][name]["estimator"],
        chosen=tuple(facts),
        others=tuple(
            Fact(key, str(value))
            for key, value in parameters.items()
            if key not in chosen and value != "deprecated"
        ),
        formulas=tuple(formulas.items()),
        columns=tuple(card.get("columns") or config["data"].get("columns") or ()),
        note=_ways_of_reading(config["data"].get("columns") or {}),
        weights=_bars(card.get("weights")),
        importance=_importance_bars(runs),
    )


def _ways_of_reading(columns: Mapping[str, Any]) -> str:
    """Into what the model turns the columns that are no numbers."""
    kinds = {check.get("type", "number") for check in columns.values()}
    return ", ".join(kind.becomes for name, kind in KINDS.items() if name in kinds and kind.becomes)


def _importance_bars(runs: PipelineRuns) -> Bars | None:
    table, primary = _importance(runs), runs.primary()
    if table is None or primary is None:
        return None
    bars = tuple(
        Bar(str(row["column"]), row["importance"], row["deviation"])
        for row in table.head(_MOST_BARS).to_dict("records")
    )
    unit = f"how much worse {primary} gets when the column is shuffled"
    if how := runs.steps["evaluate"].data.tags.get(IMPORTANCE):
        unit += f" ({how})"
    return Bars("Permutation importance", unit, bars, max(0, len(table) - _MOST_BARS))


def read_origin(runs: PipelineRuns) -> Origin | None:
    """The commands that make it again, and what decides what comes out."""
    parent = runs.parent
    if parent is None:
        return None
    tags = parent.data.tags
    commit, dirty = tags.get(MLFLOW_GIT_COMMIT), tags.get(GIT_DIRTY) == "true"
    facts = [
        ("Git commit", commit, "with changes that are kept as git_diff.txt" if dirty else ""),
        ("Git branch", tags.get(MLFLOW_GIT_BRANCH), ""),
        ("Git commit of the recipe", tags.get(WORKSPACE_COMMIT), ""),
        ("table", runs.request.get("data"), ""),
        ("sha256 of the table", tags.get(DATA_SHA256), ""),
        ("sha256 of requirements.lock", tags.get(LOCK_SHA256), ""),
        ("Python", tags.get(PYTHON), ""),
        ("platform", tags.get(PLATFORM), ""),
        ("run of the pipeline", parent.info.run_id, ""),
    ]
    commands = [("By the same settings", _command(runs))] if runs.request else []
    if commit and runs.run.info.status == "FINISHED":
        again = f"{_mlflow_run(parent)} -e reproduce -P run_id={parent.info.run_id}"
        commands.append(("From the recorded commit, data and lock, and compared", again))
    known = tuple(Fact(label, str(value), note) for label, value, note in facts if value)
    return Origin(tuple(commands), known)


def _mlflow_run(parent: Run) -> str:
    """The command that starts the project, from the Git URL that it came by."""
    tags = parent.data.tags
    source, commit = tags.get(MLFLOW_SOURCE_NAME, ""), tags.get(MLFLOW_GIT_COMMIT)
    if "://" not in source or commit is None:
        return "mlflow run . --env-manager uv"
    return shlex.join(["mlflow", "run", source, "-v", commit, "--env-manager", "uv"])


def _command(runs: PipelineRuns) -> str:
    given = {"recipe": runs.request.get("recipe"), "model": runs.request.get("model")}
    hyperparameters = runs.request.get("hyperparameters") or {}
    given |= {"data": runs.request.get("data")}
    given |= {name: spell(value) for name, value in hyperparameters.items()}
    if runs.request.get("until", "register") != "register":
        given["until"] = runs.request["until"]
    words = [f"-P {shlex.quote(f'{name}={value}')}" for name, value in given.items()]
    return " ".join([_mlflow_run(runs.parent or runs.run), *words])


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _bars(chart: Mapping[str, Any] | None) -> Bars | None:
    if not chart:
        return None
    values = chart["values"]  # by name, as an older version left them, or in pairs
    pairs = values.items() if isinstance(values, Mapping) else values
    bars = sorted(pairs, key=lambda bar: -abs(bar[1]))
    shown = tuple(Bar(name, value) for name, value in bars[:_MOST_BARS])
    return Bars(chart["title"], chart["unit"], shown, max(0, len(bars) - _MOST_BARS))
