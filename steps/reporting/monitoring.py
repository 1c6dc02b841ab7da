"""What monitor found: is the model still as good as its test promised?"""

import math

import numpy as np

from common.words import counted
from modelling.inspecting.monitoring import KeptPromise
from modelling.inspecting.reliability import COVERAGE, PROMISED_COVERAGE, is_broken
from modelling.judging.metrics import HIGH, LOW, metrics_of
from modelling.reporting.answer import Quality, say_promise, show_range
from modelling.reporting.report import Fact
from steps.pipeline.answer import count_positives
from steps.reporting.runs import PipelineRuns
from steps.runs.names import ALERT, MODEL_VERSION

_NO = "none"


def is_monitored(runs: PipelineRuns) -> bool:
    """Whether a run of monitor came to an answer: an alert is one, and no failure."""
    return runs.entry_point == "monitor" and ALERT in runs.tags


def read_verdict_of_monitor(runs: PipelineRuns) -> tuple[str, str, str, str]:
    """Returns a word, its tone, a sentence, and what it rests on."""
    alert, kept = runs.tags[ALERT], _read_promise(runs)
    name = f"version\N{NO-BREAK SPACE}{runs.tags.get(MODEL_VERSION)} of {runs.recipe_name}"
    if alert == _NO:
        sentence = f"{name} is as good as promised, and the rows are like those of the training"
        return "all well", "good", sentence[:1].upper() + sentence[1:], ""
    is_metric = alert.partition(" ")[0] in runs.run.data.metrics
    reason = alert if is_metric else alert[:1].upper() + alert[1:]
    if kept and kept.is_broken:
        return "alert", "bad", f"No longer as good as promised: {name}", reason
    if _is_less_sure(runs):
        return "alert", "bad", f"Less often right about a row than it says: {name}", reason
    so_far = "" if kept is None else f", but its {kept.metric} is within the limit so far"
    return "alert", "note", f"The rows of {name} are no longer like the training's{so_far}", reason


def read_answer_of_monitor(runs: PipelineRuns) -> str:
    """Returns how good the model is now, in a sentence; empty if nobody knows."""
    kept = _read_promise(runs)
    if kept is None or runs.recipe is None:
        return ""
    data = runs.recipe.data
    positive = data.positive_class
    quality = Quality(
        model=runs.model_name,
        metric=kept.metric,
        figure=kept.now,
        low=kept.low,
        high=kept.high,
        baseline=math.nan,
        greater_is_better=kept.greater_is_better,
        is_regression=runs.recipe.task == "regression",
        target=data.target,
        positive="" if positive is None else str(positive),
        rows=runs.run.data.metrics["measured_rows"],
        positives=count_positives(runs.run, runs.recipe),
        unit=runs.recipe.about.unit,
        label=runs.recipe.about.labels.get(str(positive), ""),
    )
    return say_promise(quality, kept.promised)


def read_facts_of_monitor(runs: PipelineRuns) -> list[Fact]:
    """Returns the figures of now, of the promise, and of the rows."""
    kept, metrics = _read_promise(runs), runs.run.data.metrics
    if kept is None:
        return []
    now, low, high = show_range(kept.now, kept.low, kept.high)
    promised, limit = (
        show_range(figure, kept.low, kept.high)[0] for figure in (kept.promised, kept.limit)
    )
    sense = "more" if kept.greater_is_better else "less"
    ends = f"interval {low} to {high}; " if low else ""
    drifted = metrics.get("drifted_columns", 0)
    return [
        Fact(f"{kept.metric} now", now, f"{ends}{sense} is better"),
        Fact("promised by its test", promised, f"the limit is {limit}"),
        Fact(
            "rows measured",
            f"{metrics['measured_rows']:,.0f}",
            f"of {metrics['rows']:,.0f}; {counted(drifted, 'column')} drifted",
        ),
    ]


def read_advice_of_monitor(runs: PipelineRuns) -> tuple[str, ...]:
    """Returns what to do about an alert."""
    if runs.tags[ALERT] == _NO:
        return ()
    kept = _read_promise(runs)
    look = "look at the columns that drifted: has their source, a unit or a code changed?"
    train = "train it again with these rows (-P data=<old rows and these>)"
    drifted = runs.run.data.metrics.get("drifted_columns", 0)
    is_worse = (kept is not None and kept.is_broken) or _is_less_sure(runs)
    return (*([look] if drifted else []), *([train] if is_worse else []))


def _is_less_sure(runs: PipelineRuns) -> bool:
    """Whether intervals, if there are any, hold what is true less often than they should."""
    metrics = runs.run.data.metrics
    names = (PROMISED_COVERAGE, COVERAGE, COVERAGE + HIGH)
    return set(names) <= metrics.keys() and is_broken(*(metrics[name] for name in names))


def _read_promise(runs: PipelineRuns) -> KeptPromise | None:
    """The metric that decides, as monitor held it against the promise."""
    metrics = runs.run.data.metrics
    name = runs.recipe.metrics.primary if runs.recipe else ""
    if runs.recipe is None or not {name, f"promised_{name}", f"{name}_limit"} <= metrics.keys():
        return None
    return KeptPromise(
        metric=name,
        now=metrics[name],
        low=metrics.get(name + LOW, math.nan),
        high=metrics.get(name + HIGH, math.nan),
        promised=metrics[f"promised_{name}"],
        limit=metrics[f"{name}_limit"],
        greater_is_better=metrics_of(runs.recipe)[name].greater_is_better,
        resampled=np.empty(0),
    )
