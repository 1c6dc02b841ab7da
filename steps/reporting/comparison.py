"""Two pipelines side by side in Markdown, as a comment on a pull request shows them."""

from collections.abc import Iterator

from mlflow.entities import Run

from common.words import show_figure
from modelling.judging.gate import Comparison
from modelling.judging.metrics import Metric, metrics_of
from modelling.reporting.markdown import escape, table
from modelling.reporting.report import show_metric, show_seconds
from steps.registry.comparison import compare_evaluations
from steps.reporting.runs import PipelineRuns
from steps.reporting.verdict import read_answer, read_steps, read_verdict
from steps.runs.names import REPORT

_MOST_DIFFERENCES = 20
_PLOTS = ("predictions_vs_targets", "residuals", "confusion", "roc", "lift", "calibration")


def compare_pipelines(first: Run, second: Run, plots: str | None = None) -> str:
    """Says in Markdown what the second pipeline gives, and what is not as in the first.

    Args:
        first: a finished run of main or sweep, as of the main branch.
        second: the one that is asked about.
        plots: where the pictures of the second one's evaluation can be seen, as the address of a
            folder; none are shown if not said.

    Returns:
        The verdict; each metric of both with the difference, the primary one's with its interval
        where both had the same test rows; what ran and why; the parameters that differ.
    """
    before, now = PipelineRuns(first), PipelineRuns(second)
    word, _, sentence, reason = read_verdict(now)
    mark = {"promoted": "✅", "rejected": "❌"}.get(word, "⚪")
    parts = [f"### {mark} {escape(now.recipe_name)}: {escape(sentence)}"]
    parts += [escape(words) for words in (read_answer(now), reason) if words]
    parts += [part for part in (_metrics(before, now), _parameters(before, now)) if part]
    parts.append(_steps(now))
    if plots:
        parts.append(_pictures(now, plots.rstrip("/")))
    parts.append(
        f"Held against run `{first.info.run_id}`; this is run `{second.info.run_id}`, whose report "
        f"is `{second.info.artifact_uri}/{REPORT}`."
    )
    return "\n\n".join(parts) + "\n"


def _metrics(before: PipelineRuns, now: PipelineRuns) -> str:
    if now.recipe is None or "evaluate" not in now.steps or "evaluate" not in before.steps:
        return ""
    theirs, ours = before.metrics("evaluate"), now.metrics("evaluate")
    known = metrics_of(now.recipe)
    primary = now.recipe.metrics.primary
    names = [primary, *(name for name in known if name != primary)]
    interval = compare_evaluations(now.recipe, now.steps["evaluate"], before.steps["evaluate"])
    rows = [
        _row(name, theirs[name], ours[name], known[name], interval if name == primary else None)
        for name in names
        if name in theirs and name in ours
    ]
    head = ("metric of the test rows", "before", "now", "difference", "")
    same = "" if interval else "\n\nThe test rows are others: a difference may be of the rows."
    return table(head, rows) + same


def _row(
    name: str, before: float, now: float, metric: Metric, interval: Comparison | None
) -> tuple[str, ...]:
    gap = now - before
    better = gap > 0 if metric.greater_is_better else gap < 0
    difference = show_figure(gap, "+", name) if gap else "0"
    word = "better" if better else "worse" if gap else "the same"
    if interval:
        ends = (show_figure(end, "+", name) for end in (interval.low, interval.high))
        difference += f" ({' to '.join(ends)})"
        is_sure = interval.low > 0 or interval.high < 0
        word += "" if is_sure or not gap else ", may be chance"
        name, word = f"**{escape(name)}**", f"**{word}**"
    else:
        name = escape(name)
    figures = (show_metric(figure, name) for figure in (before, now))
    return name, *figures, escape(difference), word


def _parameters(before: PipelineRuns, now: PipelineRuns) -> str:
    theirs, ours = before.run.data.params, now.run.data.params
    different = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    rows = [
        [escape(each) for each in (name, theirs.get(name, "not set"), ours.get(name, "not set"))]
        for name in different[:_MOST_DIFFERENCES]
    ]
    if not rows:
        return ""
    more = len(different) - len(rows)
    said = table(("parameter", "before", "now"), rows)
    return said + (f"\n\nand {more} more" if more else "")


def _steps(now: PipelineRuns) -> str:
    rows = [
        (escape(step.name), step.state, show_seconds(step.seconds), escape(step.reason))
        for step in read_steps(now)
    ]
    return table(("step", "state", "time", "why"), rows)


def _pictures(now: PipelineRuns, place: str) -> str:
    files = now.files("evaluate")
    names = files.names() if files else []
    found: Iterator[str] = (name for name in _PLOTS if f"{name}.png" in names)
    return "\n".join(f"![{name.replace('_', ' ')}]({place}/{name}.png)" for name in found)
