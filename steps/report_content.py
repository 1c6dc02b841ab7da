"""What a run left, as the content of its report: tags, metrics, tables and pictures."""

import math
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_BRANCH,
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_PROJECT_ENTRY_POINT,
)

from engine.tags import ERROR, PLATFORM, PYTHON, RERUN_REASON
from modelling.metrics import BASELINE_PREFIX, metrics_of
from modelling.recipe import Recipe
from modelling.report import (
    Bar,
    Bars,
    DataPage,
    Fact,
    Failure,
    GateRow,
    ModelCard,
    Origin,
    Plot,
    Report,
    Section,
    Table,
    show_number,
)
from modelling.report_graph import StepState
from steps.recording import GIT_DIRTY, LOCK_SHA256, REQUEST_FILE
from steps.run_files import RunFiles
from steps.step import DATA_SHA256, MODEL_VERSION, VERDICT, VERDICT_REASON

PIPELINES = ("main", "sweep")
DETAILS = "report"
"""The folder of what is computed for the report only."""

_ORDER = ("prepare", "sweep", "train", "evaluate", "evaluate_champion", "register")
_USUAL = ("prepare", "train", "evaluate", "register")
_LOG_LINES = 40
_MOST_BARS = 20
_MOST_COLUMNS = 8
_WORST_ROWS = 10
_TONES = {"promoted": "good", "challenger": "note", "unchanged": "note", "rejected": "bad"}
# By the name of the file: title, and what one sees.
_PLOTS = {
    "predictions_vs_targets": ("Predicted against actual", "the closer to the line, the better"),
    "residuals": ("Residuals", "what is left over should have no shape"),
    "error_by_target": ("Error by target", "where on the scale the model is good"),
    "confusion": ("Confusion matrix", "which class was taken for which"),
    "roc": ("ROC curve", "found against false alarms"),
    "precision_recall": ("Precision and recall", "how much is found, and how much of it is right"),
    "calibration": ("Calibration", "whether probabilities are what they say"),
    "lift": ("Lift", "how dense the class is among the highest scores"),
    "score_distribution": ("Scores by class", "how well the two are apart"),
    "permutation_importance": ("Permutation importance", "what the model leans on"),
}


def collect_report(run: Run) -> Report:
    """Collects all that is known of a run: a pipeline's with its steps, or a step's own."""
    return _Collector(run).report()


class _Collector:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.client = MlflowClient()
        self.tags = run.data.tags
        self.entry_point = self.tags.get(MLFLOW_PROJECT_ENTRY_POINT, "run")
        self.is_pipeline = self.entry_point in PIPELINES
        self.files = RunFiles.of(run)
        self.runs = self._step_runs() if self.is_pipeline else {self.entry_point: run}
        whole = run if self.is_pipeline else self._get(self.tags.get(MLFLOW_PARENT_RUN_ID))
        self.parent = whole
        self.recipe = _read_recipe(RunFiles.of(whole).config()) if whole else None
        self.request = dict((RunFiles.of(whole).json(REQUEST_FILE) if whole else None) or {})

    def report(self) -> Report:
        word, tone, sentence, reason = self._verdict()
        info = self.run.info
        return Report(
            recipe=self.tags.get("pipeline.recipe", ""),
            subject=" ".join(filter(None, (self.tags.get("pipeline.recipe"), self.model_name))),
            task=self._task(),
            run_id=info.run_id,
            run_name=info.run_name,
            started=datetime.fromtimestamp(info.start_time / 1000),
            seconds=(info.end_time - info.start_time) / 1000 if info.end_time else None,
            word=word,
            tone=tone,
            sentence=sentence,
            reason=reason,
            facts=tuple(self._facts()),
            failure=self._failure(),
            steps=tuple(self._steps()) if self.is_pipeline else (),
            gate=tuple(self._gate()),
            confidence=self._confidence(),
            plots=tuple(self._plots()),
            worst=self._worst(),
            data=self._data(),
            model=self._model(),
            sections=tuple(self._sections()),
            origin=self._origin(),
        )

    # What runs there are.

    def _get(self, run_id: str | None) -> Run | None:
        try:
            return self.client.get_run(run_id) if run_id else None
        except MlflowException:
            return None

    def _step_runs(self) -> dict[str, Run]:
        named = {
            tag.removeprefix("pipeline.step.").removesuffix(".run_id"): run_id
            for tag, run_id in self.tags.items()
            if tag.startswith("pipeline.step.") and tag.endswith(".run_id")
        }
        runs = {name: run for name, run_id in named.items() if (run := self._get(run_id))}
        if self.run.info.status in ("FAILED", "KILLED"):
            for child in self._unfinished_children():
                runs.setdefault(child.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT, "step"), child)
        return {name: runs[name] for name in sorted(runs, key=_place)}

    def _unfinished_children(self) -> list[Run]:
        """The steps that a pipeline which was killed has not noted."""
        return list(
            self.client.search_runs(
                [self.run.info.experiment_id],
                f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run.info.run_id}' "
                "and attributes.status != 'FINISHED'",
                max_results=10,
            )
        )

    def _artifacts(self, step: str) -> RunFiles | None:
        return RunFiles.of(self.runs[step]) if step in self.runs else None

    @property
    def model_name(self) -> str:
        for step in ("evaluate", "train"):
            if step in self.runs and "pipeline.model" in self.runs[step].data.tags:
                return str(self.runs[step].data.tags["pipeline.model"])
        return str(self.tags.get("pipeline.model", ""))

    @property
    def _target(self) -> str:
        return self.recipe.data.target if self.recipe else "the target"

    def _task(self) -> str:
        if self.recipe is None:
            return self.entry_point
        return f"{self.recipe.task} of {self.recipe.data.target}"

    # The verdict.

    def _verdict(self) -> tuple[str, str, str, str]:
        status, name = self.run.info.status, self.model_name
        if status in ("FAILED", "KILLED"):
            failed = self._failed_step()
            what = {"FAILED": "failed", "KILLED": "was killed"}[status]
            where = f" in {failed}" if self.is_pipeline and failed != self.entry_point else ""
            subject = "The pipeline" if self.is_pipeline else self.entry_point
            line = self.tags.get(ERROR, "")
            return what.removeprefix("was "), "bad", f"{subject} {what}{where}", line
        word = self.tags.get(VERDICT)
        if word:
            return word, _TONES.get(word, "note"), self._judged(word, name), self._reason()
        if self.is_pipeline:
            last = list(self.runs)[-1] if self.runs else "the start"
            return "done", "good", f"The pipeline ended after {last}, as asked", ""
        return "done", "good", self._done(name), self._why_it_ran()

    def _why_it_ran(self) -> str:
        reason = self.tags.get(RERUN_REASON)
        return f"Why it ran: {reason}" if reason else ""

    def _reason(self) -> str:
        reason = str(self.tags.get(VERDICT_REASON, ""))
        return reason[:1].upper() + reason[1:]

    def _judged(self, word: str, name: str) -> str:
        recipe = self.tags.get("pipeline.recipe", "")
        name = name or "The model"
        version = f"version\N{NO-BREAK SPACE}{self.tags.get(MODEL_VERSION)}"
        if word == "promoted":
            return f"{name} is promoted: {version} is the champion of {recipe}"
        if word == "challenger":
            return f"{name} is a challenger: {version} passed the gate, the champion stays"
        if word == "unchanged":
            return f"{name} is unchanged: it is {version} of {recipe} already"
        return f"{name} is rejected: nothing was registered"

    def _done(self, name: str) -> str:
        metrics = self.run.data.metrics
        if self.entry_point == "prepare" and "train_rows" in metrics:
            rows = (
                f"{metrics['train_rows']:,.0f} training and {metrics['test_rows']:,.0f} test rows"
            )
            return f"The table is split into {rows}"
        if self.entry_point == "train" and "features" in metrics:
            features = f"{metrics['features']:,.0f} features"
            return f"{name} is trained on {metrics['train_rows']:,.0f} rows with {features}"
        if self.entry_point == "evaluate" and (primary := self._primary()):
            return f"{name} reaches {primary} {show_number(metrics[primary])} on the test rows"
        if self.entry_point == "score" and "scored" in metrics:
            return f"{metrics['scored']:,.0f} of {metrics['rows']:,.0f} rows are scored by {name}"
        return f"{self.entry_point} is done"

    def _facts(self) -> list[Fact]:
        facts = []
        if "evaluate" in self.runs and (primary := self._primary()):
            facts += self._facts_of_metric(primary)
        elif "train" in self.runs and "features" in self.runs["train"].data.metrics:
            metrics = self.runs["train"].data.metrics
            facts += [
                Fact("training rows", f"{metrics['train_rows']:,.0f}"),
                Fact("features", f"{metrics['features']:,.0f}"),
            ]
        elif "prepare" in self.runs:
            metrics = self.runs["prepare"].data.metrics
            facts += [
                Fact(label, f"{metrics[name]:,.0f}")
                for name, label in (
                    ("train_rows", "training rows"),
                    ("test_rows", "test rows"),
                    ("duplicate_rows", "duplicate rows"),
                )
                if name in metrics
            ]
        elif "score" in self.runs and "rows" in self.run.data.metrics:
            facts += self._facts_of_score()
        return facts

    def _facts_of_metric(self, primary: str) -> list[Fact]:
        metrics = self.runs["evaluate"].data.metrics
        candidate, baseline = metrics[primary], metrics.get(BASELINE_PREFIX + primary)
        note = f"naive baseline {show_number(baseline)}" if baseline is not None else ""
        facts = [Fact(f"{primary} on the test rows", show_number(candidate), note)]
        if baseline and self.recipe and primary in metrics_of(self.recipe):
            sign = 1 if metrics_of(self.recipe)[primary].greater_is_better else -1
            gain = sign * (candidate - baseline)
            share = f"{abs(gain / baseline):.1%}" if baseline else show_number(abs(gain))
            facts.append(Fact("against the naive baseline", f"{share} {_better(gain)}"))
        against = self.runs["register"].data.metrics if "register" in self.runs else {}
        if "difference_to_champion" in against:
            low, high = (show_number(against[f"difference_{end}"]) for end in ("low", "high"))
            difference = show_number(against["difference_to_champion"])
            facts.append(
                Fact("difference to the champion", difference, f"interval {low} to {high}")
            )
        elif "prepare" in self.runs and "test_rows" in self.runs["prepare"].data.metrics:
            rows = self.runs["prepare"].data.metrics
            facts.append(
                Fact(
                    "test rows",
                    f"{rows['test_rows']:,.0f}",
                    f"{rows['train_rows']:,.0f} to train on",
                )
            )
        return facts

    def _facts_of_score(self) -> list[Fact]:
        metrics = self.run.data.metrics
        speed = f"{metrics.get('rows_per_second', 0):,.0f} a second"
        return [
            Fact("rows scored", f"{metrics['scored']:,.0f}", speed),
            Fact("rows that could not be", f"{metrics['rejected']:,.0f}"),
            Fact("columns that have drifted", f"{metrics.get('drifted_columns', 0):,.0f}"),
        ]

    # What failed.

    def _failed_step(self) -> str:
        for name, run in self.runs.items():
            if run.info.status != "FINISHED":
                return name
        return self.entry_point

    def _failure(self) -> Failure | None:
        if self.run.info.status not in ("FAILED", "KILLED"):
            return None
        name = self._failed_step()
        run = self.runs.get(name, self.run)
        entry_point = run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT, name)
        log = RunFiles.of(run).text(f"logs/{entry_point}.log").rstrip().splitlines()
        line = run.data.tags.get(ERROR) or self.tags.get(ERROR) or "no word of what went wrong"
        return Failure(name, line, "\n".join(log[-_LOG_LINES:]))

    # The steps.

    def _steps(self) -> list[StepState]:
        if not self.runs and self.run.info.status == "FINISHED":
            return []
        expected = _USUAL[: _USUAL.index(self.request.get("until", "register")) + 1]
        names = sorted({*self.runs, *expected}, key=_place)
        return [self._step(name) for name in names]

    def _step(self, name: str) -> StepState:
        run = self.runs.get(name)
        if run is None:
            return StepState(name, "not reached")
        fact = {
            key: self.tags.get(f"pipeline.step.{name}.{key}")
            for key in ("status", "seconds", "reason")
        }
        state = fact["status"] or "ran"
        if run.info.status in ("FAILED", "KILLED"):
            state = run.info.status.lower()
        elif run.info.status == "RUNNING":
            state = "running"
        seconds = float(fact["seconds"]) if fact["seconds"] else _seconds(run)
        reason = fact["reason"] or run.data.tags.get(RERUN_REASON, "")
        return StepState(name, state, seconds, reason, run.info.run_id, self._figures(name, run))

    def _figures(self, name: str, run: Run) -> str:
        metrics = run.data.metrics
        if name == "prepare" and "train_rows" in metrics:
            return f"{metrics['train_rows']:,.0f} training, {metrics['test_rows']:,.0f} test rows"
        if name == "train" and "features" in metrics:
            return f"{run.data.tags.get('pipeline.model')}, {metrics['features']:.0f} features"
        if name.startswith("evaluate") and (primary := self._primary()) and primary in metrics:
            return f"{primary} {show_number(metrics[primary])}"
        return str(run.data.tags.get(VERDICT, ""))

    # Metrics and gate.

    def _primary(self) -> str | None:
        """The metric that decides; of an evaluation on its own, the first that is known."""
        metrics = self.runs["evaluate"].data.metrics if "evaluate" in self.runs else {}
        if self.recipe and self.recipe.metrics.primary in metrics:
            return self.recipe.metrics.primary
        usual = ("business_score", "roc_auc", "rmse", *metrics)
        return next((name for name in usual if name in metrics and self._is_ours(name)), None)

    def _is_ours(self, metric: str) -> bool:
        return BASELINE_PREFIX + metric in self.runs["evaluate"].data.metrics

    def _gate(self) -> list[GateRow]:
        files = self._artifacts("register")
        table = files.table("gate") if files else None
        if table is None:
            return self._metrics()
        figures = self._evaluated("evaluate")
        champion = self._evaluated("evaluate_champion")
        others = set(table.loc[table["check"] != "finite", "metric"])
        rows = []
        table = table.sort_values("check", key=lambda check: check == "finite", kind="stable")
        for row in table.to_dict("records"):
            name, check = row["metric"], row["check"]
            if check == "finite" and name in others and row["passed"]:
                continue
            theirs = _known(row["reference"]) if check == "champion" else champion.get(name)
            rows.append(
                GateRow(
                    name,
                    math.nan if _known(row["candidate"]) is None else row["candidate"],
                    figures.get(BASELINE_PREFIX + name),
                    theirs,
                    _REQUIRED.get(check, "{}").format(row["required"]),
                    bool(row["passed"]),
                    _known(row["low"]),
                    _known(row["high"]),
                )
            )
        return rows

    def _evaluated(self, step: str) -> Mapping[str, float]:
        return self.runs[step].data.metrics if step in self.runs else {}

    def _metrics(self) -> list[GateRow]:
        if "evaluate" not in self.runs:
            return []
        figures, champion = self._evaluated("evaluate"), self._evaluated("evaluate_champion")
        return [
            GateRow(name, value, figures[BASELINE_PREFIX + name], champion.get(name), "", None)
            for name, value in figures.items()
            if BASELINE_PREFIX + name in figures
        ]

    def _confidence(self) -> float | None:
        against = self.runs["register"].data.metrics if "register" in self.runs else {}
        known = self.recipe and "difference_low" in against
        return self.recipe.promotion.confidence if self.recipe and known else None

    # Pictures and tables.

    def _plots(self) -> list[Plot]:
        files = self._artifacts("evaluate")
        names = [name for name in files.names() if name.endswith(".png")] if files else []
        known = [f"{name}.png" for name in _PLOTS]
        wanted = [name for name in known if name in names]
        wanted += [name for name in names if name not in known]
        if self.is_pipeline:  # there it is a chart of the model
            wanted = [name for name in wanted if name != "permutation_importance.png"]
        return [plot for name in wanted if files and (plot := self._plot(name, files.read(name)))]

    def _plot(self, path: str, content: bytes | None) -> Plot | None:
        if content is None:
            return None
        stem = path.rsplit("/", 1)[-1].removesuffix(".png")
        title, what = _PLOTS.get(stem, (stem.replace("_", " ").capitalize(), ""))
        title = f"{title}: {what}" if what else title
        of = f" of {self._target}" if self.recipe else ""
        return Plot(title, f"Plot{of}. {title}", content)

    def _worst(self) -> Table | None:
        files = self._artifacts("evaluate")
        table = files.table("worst_predictions") if files else None
        if table is None or table.empty:
            return None
        importance = self._importance()
        own = [name for name in ("row_key",) if name in table]
        place = list(table.columns).index("error") + 1 if "error" in table else len(table.columns)
        front = [name for name in table.columns[:place] if name not in own][:_MOST_COLUMNS]
        rest = [name for name in table.columns[place:]]
        if importance is not None:
            order = {name: number for number, name in enumerate(importance["column"])}
            rest.sort(key=lambda name: order.get(name, len(order)))
        shown = [*own, *front, *rest[:_MOST_COLUMNS]]
        left_out = len(rest) - len(rest[:_MOST_COLUMNS])
        note = f"With the columns that matter most; {left_out} are left out." if left_out else ""
        rows = table[shown].head(_WORST_ROWS)
        values = tuple(
            tuple(_plain(value) for value in row) for row in rows.itertuples(index=False)
        )
        return Table(tuple(map(str, shown)), values, note=note)

    def _importance(self) -> pd.DataFrame | None:
        files = self._artifacts("evaluate")
        return files.table("importance") if files else None

    # The data.

    def _data(self) -> DataPage | None:
        files = self._artifacts("prepare")
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
        return DataPage(profile, None if profile else _as_table(columns), pages)

    # The model.

    def _model(self) -> ModelCard | None:
        files = self._artifacts("train")
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
        return ModelCard(
            name=name,
            estimator=config["models"][name]["estimator"],
            chosen=tuple(
                Fact(key, str(value)) for key, value in parameters.items() if key in chosen
            ),
            others=tuple(
                Fact(key, str(value)) for key, value in parameters.items() if key not in chosen
            ),
            formulas=tuple(formulas.items()),
            columns=tuple(card.get("columns") or config["data"].get("columns") or ()),
            weights=_bars(card.get("weights")),
            importance=self._importance_bars(),
        )

    def _importance_bars(self) -> Bars | None:
        table, primary = self._importance(), self._primary()
        if table is None or primary is None:
            return None
        bars = tuple(
            Bar(str(row["column"]), row["importance"], row["deviation"])
            for row in table.head(_MOST_BARS).to_dict("records")
        )
        unit = f"how much worse {primary} gets when the column is shuffled"
        return Bars("Permutation importance", unit, bars, max(0, len(table) - _MOST_BARS))

    # What only some runs have.

    def _sections(self) -> list[Section]:
        return [section for section in (self._drift(),) if section]

    def _drift(self) -> Section | None:
        files = self._artifacts("score")
        table = files.table("drift") if files else None
        if files is None or table is None:
            return None
        drifted = int(table["drifted"].sum())
        text = (
            f"{drifted} of {len(table)} columns are no longer as they were in training."
            if drifted
            else "The rows are like those of the training."
        )
        plots = [
            Plot("Population stability index by column", f"Bar chart. {text}", content)
            for name in files.names("plots")
            if (content := files.read(name))
        ]
        return Section("drift", "Drift", text, table=_as_table(table), plots=tuple(plots))

    # How to make it again.

    def _origin(self) -> Origin | None:
        parent = self.parent
        if parent is None:
            return None
        tags = parent.data.tags
        commit, dirty = tags.get(MLFLOW_GIT_COMMIT), tags.get(GIT_DIRTY) == "true"
        facts = [
            ("Git commit", commit, "with changes that are kept as git_diff.txt" if dirty else ""),
            ("Git branch", tags.get(MLFLOW_GIT_BRANCH), ""),
            ("table", self.request.get("data"), ""),
            ("sha256 of the table", tags.get(DATA_SHA256), ""),
            ("sha256 of requirements.lock", tags.get(LOCK_SHA256), ""),
            ("Python", tags.get(PYTHON), ""),
            ("platform", tags.get(PLATFORM), ""),
            ("run of the pipeline", parent.info.run_id, ""),
        ]
        commands = [("By the same settings", self._command())] if self.request else []
        if commit and self.run.info.status == "FINISHED":
            again = f"mlflow run . --env-manager uv -e reproduce -P run_id={parent.info.run_id}"
            commands.append(("From the recorded commit, data and lock, and compared", again))
        known = tuple(Fact(label, str(value), note) for label, value, note in facts if value)
        return Origin(tuple(commands), known)

    def _command(self) -> str:
        given = {"recipe": self.request.get("recipe"), "model": self.request.get("model")}
        given |= {"data": self.request.get("data")} | dict(
            self.request.get("hyperparameters") or {}
        )
        if self.request.get("until", "register") != "register":
            given["until"] = self.request["until"]
        words = [f"-P {shlex.quote(f'{name}={value}')}" for name, value in given.items()]
        return " ".join(["mlflow run . --env-manager uv", *words])


_REQUIRED = {"champion": "{} than the champion"}


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _read_recipe(config: dict[str, Any]) -> Recipe | None:
    try:
        return Recipe.model_validate(config) if config else None
    except ValueError:  # of an older version of the project
        return None


def _seconds(run: Run) -> float | None:
    return (run.info.end_time - run.info.start_time) / 1000 if run.info.end_time else None


def _better(gain: float) -> str:
    return "better" if gain >= 0 else "worse"


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _plain(value: Any) -> Any:
    """A cell of a table: a number as such, whatever else as text, nothing for what is missing."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value.item() if hasattr(value, "item") else str(value)
    return value


def _as_table(table: pd.DataFrame | None, most: int = 50) -> Table | None:
    if table is None:
        return None
    rows = tuple(
        tuple(_plain(value) for value in row) for row in table.head(most).itertuples(index=False)
    )
    return Table(tuple(map(str, table.columns)), rows, max(0, len(table) - most))


def _bars(chart: Mapping[str, Any] | None) -> Bars | None:
    if not chart:
        return None
    bars = sorted(chart["values"].items(), key=lambda bar: -abs(bar[1]))
    shown = tuple(Bar(name, value) for name, value in bars[:_MOST_BARS])
    return Bars(chart["title"], chart["unit"], shown, max(0, len(bars) - _MOST_BARS))
