"""What a run left, as the content of its report."""

from datetime import datetime

from modelling.judging.checks import SEVERE
from modelling.reporting.report import Report
from steps.pipeline.advice import advise
from steps.reporting.monitoring import is_monitored, read_advice_of_monitor
from steps.reporting.parts import (
    read_confidence,
    read_data,
    read_findings,
    read_gate,
    read_model,
    read_origin,
    read_plots,
    read_worst,
)
from steps.reporting.runs import PipelineRuns
from steps.reporting.sections import read_sections
from steps.reporting.single_rows import read_row_sections
from steps.reporting.verdict import read_answer, read_facts, read_failure, read_steps, read_verdict
from steps.runs.names import VERDICT


def collect_report(runs: PipelineRuns) -> Report:
    """Collects all that is known of a run: a pipeline's with its steps, or a step's own."""
    word, tone, sentence, reason = read_verdict(runs)
    info = runs.run.info
    recipe = runs.tags.get("pipeline.recipe", "")
    findings = read_findings(runs)
    return Report(
        recipe=recipe,
        subject=" ".join(filter(None, (recipe, runs.model_name))),
        task=runs.task(),
        run_id=info.run_id,
        run_name=info.run_name,
        started=datetime.fromtimestamp(info.start_time / 1000),
        seconds=(info.end_time - info.start_time) / 1000 if info.end_time else None,
        word=word,
        tone=tone,
        sentence=sentence,
        reason=reason,
        answer=read_answer(runs),
        cautions=tuple(one.sentence for one in findings if one.sentence and one.severity == SEVERE),
        advice=_read_advice(runs),
        part_of="" if runs.is_pipeline or runs.parent is None else runs.parent.info.run_id,
        facts=tuple(read_facts(runs)),
        failure=read_failure(runs),
        steps=tuple(read_steps(runs)) if runs.is_pipeline else (),
        gate=tuple(read_gate(runs)),
        findings=tuple(findings),
        confidence=read_confidence(runs),
        plots=tuple(read_plots(runs)),
        worst=read_worst(runs),
        data=read_data(runs),
        model=read_model(runs),
        sections=(*read_sections(runs), *read_row_sections(runs)),
        origin=read_origin(runs),
        title=runs.recipe.about.title if runs.recipe else "",
        about=runs.recipe.about.in_words() if runs.recipe else {},
    )


def _read_advice(runs: PipelineRuns) -> tuple[str, ...]:
    if is_monitored(runs):
        return read_advice_of_monitor(runs)
    if not runs.is_pipeline or runs.recipe is None:
        return ()
    path = str(runs.request.get("recipe", "the recipe"))
    verdict, figures = runs.tags.get(VERDICT), runs.metrics("evaluate")
    was_sweep = runs.entry_point == "sweep"
    return tuple(advise(runs.recipe, path, runs.model_name, verdict, figures, was_sweep))
