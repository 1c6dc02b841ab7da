"""The descriptions that the UI shows beside a run: its report in a few lines of Markdown."""

from modelling.reporting.graph import StepState
from modelling.reporting.markdown import escape, table
from modelling.reporting.report import Report, show_metric, show_seconds

_MOST_METRICS = 12


def describe_report(report: Report) -> str:
    """Returns the verdict, its figures, and the steps with links or the metrics, in Markdown."""
    parts = [f"**{escape(words)}.**" for words in (report.answer, report.sentence) if words]
    parts += [f"Careful: {escape(words)}" for words in report.cautions]
    if report.failure:
        parts.append(f"`{report.failure.step}` ended with: {escape(report.failure.line)}")
    elif report.reason:
        parts.append(escape(report.reason))
    parts += [f"To try: {escape(words)}" for words in report.advice]
    if report.facts:
        parts.append(
            " · ".join(f"{escape(fact.label)} **{escape(fact.value)}**" for fact in report.facts)
        )
    if report.steps:
        parts.append(_steps(report))
    elif report.gate:
        parts.append(_metrics(report))
    parts.append("More: `report.html` among the artifacts.")
    return "\n\n".join(parts)


def _steps(report: Report) -> str:
    return table(("step", "state", "time", "why"), [_step(step) for step in report.steps])


def _step(step: StepState) -> tuple[str, ...]:
    name = step.name.replace("_", "&#95;")
    if step.run_id:
        name = f"[{name}](#/experiments/{step.experiment_id}/runs/{step.run_id})"
    return name, step.state, show_seconds(step.seconds), escape(step.reason)


def _metrics(report: Report) -> str:
    rows = [
        (
            escape(row.metric),
            show_metric(row.candidate, row.metric),
            show_metric(row.baseline, row.metric),
        )
        for row in report.gate[:_MOST_METRICS]
    ]
    return table(("metric (test rows)", "model", "naive baseline"), rows)
