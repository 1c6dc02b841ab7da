"""Reports of runs that never were: of a line through a table, or of a pipeline that failed.

They hold what a pipeline would say, in as many words as a table can bring.
"""

from datetime import datetime
from io import BytesIO

import numpy as np
import pandas as pd

from modelling.estimators.estimators import build_pipeline, fit_pipeline
from modelling.estimators.preprocessing import Inputs
from modelling.judging.plots import plot_predictions, worst_predictions
from modelling.kinds import ROW_KEY
from modelling.recipe import Model
from modelling.reporting.graph import StepState
from modelling.reporting.model_card import describe_pipeline
from modelling.reporting.report import (
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
)
from modelling.tables.profile import compare_sides, table_report
from steps.pipeline.order import BY_NAME

_STEPS = ("prepare", "train", "evaluate", "evaluate_champion", "register")
_MOST = 20
_RIDGE = "sklearn.linear_model.Ridge"


def report_of(table: pd.DataFrame, name: str) -> Report:
    """What is said of a line through a table, whose last column is the target."""
    target = str(table.columns[-1])
    table = table.assign(**{ROW_KEY: range(len(table))})
    cut = int(0.8 * len(table))
    rows = {"train": table[:cut], "test": table[cut:].reset_index(drop=True)}
    features, test = table.columns.difference([target, ROW_KEY], sort=False), rows["test"]
    texts = list(table[features].select_dtypes(exclude="number"))
    inputs = Inputs(
        numbers=[name for name in features if name not in texts], categories=dict.fromkeys(texts, 3)
    )
    line = build_pipeline(Model(estimator=_RIDGE, scale=True), {}, 0, inputs=inputs)
    fit_pipeline(line, rows["train"][features], rows["train"][target])
    predictions = line.predict(test[features])
    error = test[target].to_numpy() - predictions
    rmse = float(np.sqrt(np.mean(error**2)))
    worst = worst_predictions(test, pd.DataFrame({"prediction": predictions}), error, target)
    return Report(
        recipe=name,
        subject=f"{name} line",
        task=f"regression of {target}",
        run_id="0123456789abcdef0123456789abcdef",
        run_name=f"main {name} line",
        started=datetime(2026, 11, 24, 6, 0),
        seconds=4000.0,
        word="promoted",
        tone="good",
        sentence=f"line is promoted: version\N{NO-BREAK SPACE}1 is the champion of {name}",
        reason=f"rmse {rmse} is better than the baseline's; columns such as {features[0]}",
        advice=(f"leave out {features[-1]}",),
        facts=(Fact("rmse on the test rows", f"{rmse:.4f}", "naive baseline 1.0000"),),
        steps=tuple(
            StepState(
                step,
                "ran",
                1.0,
                f"{target}: first run",
                "0123456789abcdef",
                "320 rows",
                after=BY_NAME[step].after,
            )
            for step in _STEPS
        ),
        gate=(GateRow("rmse", rmse, 1e9, None, f"at most {rmse}", True, -1e-9, 1.5),),
        confidence=0.95,
        plots=(_plot(test[target].to_numpy(), predictions, target),),
        worst=Table(tuple(worst), tuple(worst.head(10).itertuples(index=False, name=None))),
        data=DataPage(
            compare_sides(rows, {side: len(frame) for side, frame in rows.items()}, target, {}),
            None,
            {side: table_report(rows[side][[*features[-3:], target]], side, ()) for side in rows},
        ),
        model=_card(line, list(features)),
        sections=(Section("drift", "Drift", table=Table(tuple(worst), (tuple(worst),))),),
        origin=Origin(
            (("By the same settings", f"mlflow run . -P data='{'/'.join(features[:3])}'"),),
            (Fact("sha256 of the table", "0123456789abcdef" * 4, target),),
        ),
    )


def _plot(targets: np.ndarray, predictions: np.ndarray, target: str) -> Plot:
    picture = BytesIO()
    plot_predictions(targets, predictions, target).savefig(picture)
    return Plot("Predicted against actual", f"Plot of {target}", picture.getvalue())


def _card(line: object, columns: list[str]) -> ModelCard:
    weights = describe_pipeline(line)["weights"]
    values = sorted(weights["values"], key=lambda bar: -abs(bar[1]))
    bars = tuple(Bar(*value) for value in values[:_MOST])
    return ModelCard(
        name="line",
        estimator=_RIDGE,
        chosen=(Fact("alpha", "1.0"),),
        others=(Fact("solver", "auto"),),
        formulas=((columns[-1], f"`{columns[0]}` / `{columns[-1]}`"),),
        columns=tuple(columns),
        weights=Bars(weights["title"], weights["unit"], bars, max(0, len(values) - _MOST)),
    )


def failed_report(step: str) -> Report:
    """What is said of a pipeline that failed in a step, with words that do not break."""
    reached = _STEPS[: _STEPS.index(step)]
    line = f"table {'/folder' * 30}/wines.csv, row 7: column 'pH': <b>sour</b> is no number"
    states = {**dict.fromkeys(_STEPS, "not reached"), **dict.fromkeys(reached, "reused")}
    return Report(
        recipe="wine_quality",
        subject="wine_quality elastic_net",
        task="regression of quality",
        run_id="0123456789abcdef0123456789abcdef",
        run_name="main wine_quality elastic_net",
        started=datetime(2026, 11, 24, 6, 0),
        seconds=2.0,
        word="failed",
        tone="bad",
        sentence=f"The pipeline failed in {step}",
        reason=line,
        failure=Failure(step, line, f"Traceback (most recent call last):\n  {'raise ' * 40}\n" * 9),
        steps=tuple(
            StepState(name, state, after=BY_NAME[name].after)
            for name, state in {**states, step: "failed"}.items()
        ),
    )
