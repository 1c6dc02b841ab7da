"""Two pipelines side by side in Markdown, as a comment on a pull request shows them."""

from pathlib import Path

from mlflow.entities import Run

from common.words import show_figure, with_minus
from modelling.judging.gate import Comparison
from modelling.judging.metrics import BASELINE_PREFIX, Metric, metrics_of
from modelling.reporting.markdown import escape, table
from modelling.reporting.report import show_metric, show_seconds
from steps.registry.comparison import compare_evaluations
from steps.reporting.run_files import RunFiles
from steps.reporting.runs import PipelineRuns
from steps.reporting.verdict import read_answer, read_steps, read_verdict
from steps.runs.names import REPORT

_MOST_DIFFERENCES = 20
_SAYS_NOTHING = {"result"}  # where to write what came of it: of each job its own


def compare_pipelines(
    run: Run, other: Run | None, plots: str | None = None, report: str | None = None
) -> str:
    """Says in Markdown what a pipeline gives, and what is not as in another.

    Args:
        run: of main or sweep; one that failed says why.
        other: the finished one that it is held against, as of the main branch; None if there is
            none, and then the metrics stand beside those of the naive baseline.
        plots: where the pictures of the evaluation can be seen, as the address of a folder; none
            are shown if not said.
        report: where the report can be seen; its place in the store if not said.

    Returns:
        The verdict; each metric of both with the difference, the primary one's with its interval
        where both had the same test rows; what ran and why; the parameters that differ.
    """
    now, before = PipelineRuns(run), PipelineRuns(other) if other else None
    word, tone, sentence, reason = read_verdict(now)
    mark = "❌" if tone == "bad" else {"promoted": "✅"}.get(word, "⚪")
    parts = [f"### {mark} {escape(now.recipe_name)}: {escape(sentence)}"]
    parts += [_sentence(words) for words in (read_answer(now), reason) if words]
    parts += [_metrics(before, now), _parameters(before, now), _steps(now)]
    parts.append(_pictures(now, plots.rstrip("/")) if plots else "")
    place = f"[report]({report})" if report else f"report: `{run.info.artifact_uri}/{REPORT}`"
    against = f", held against run `{other.info.run_id}`" if other else ""
    parts.append(f"Run `{run.info.run_id}`{against}; {place}.")
    return "\n\n".join(filter(None, parts)) + "\n"


def copy_plots(run: Run, folder: Path) -> None:
    """Copies the pictures of a pipeline's evaluation into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    files = PipelineRuns(run).files("evaluate")
    if files:
        for name in _plots(files):
            (folder / name).write_bytes(files.read(name) or b"")


def _sentence(words: str) -> str:
    return escape(with_minus(words))


def _metrics(before: PipelineRuns | None, now: PipelineRuns) -> str:
    if now.recipe is None or "evaluate" not in now.steps:
        return ""
    ours, known = now.metrics("evaluate"), metrics_of(now.recipe)
    primary = now.recipe.metrics.primary
    names = [primary, *(name for name in known if name != primary)]
    if before is None or "evaluate" not in before.steps:
        rows = [
            (escape(name), *(show_metric(ours.get(each), name) for each in _with_baseline(name)))
            for name in names
        ]
        return table(("metric of the test rows", "naive baseline", "now"), rows)
    theirs = before.metrics("evaluate")
    interval = compare_evaluations(now.recipe, now.steps["evaluate"], before.steps["evaluate"])
    lines = [
        _row(name, theirs[name], ours[name], known[name], interval if name == primary else None)
        for name in names
        if name in theirs and name in ours
    ]
    head = ("metric of the test rows", "before", "now", "difference", "")
    same = "" if interval else "\n\nThe test rows are others: a difference may be of the rows."
    return table(head, lines) + same


def _with_baseline(metric: str) -> tuple[str, str]:
    return BASELINE_PREFIX + metric, metric


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
    return name, *figures, _sentence(difference), word


def _parameters(before: PipelineRuns | None, now: PipelineRuns) -> str:
    if before is None:
        return ""
    theirs, ours = before.run.data.params, now.run.data.params
    names = sorted({*theirs, *ours} - _SAYS_NOTHING)
    different = [name for name in names if theirs.get(name) != ours.get(name)]
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
    names = _plots(files) if files else []
    drawn = [f"![{name[:-4].replace('_', ' ')}]({place}/{name})" for name in names]
    lines = ["<details><summary>Plots</summary>", "", *drawn, "", "</details>"]
    return "\n".join(lines) if drawn else ""


def _plots(files: RunFiles) -> list[str]:
    return [name for name in files.names() if name.endswith(".png")]
