"""What came of a run: the verdict in a sentence, its figures, its steps, and what failed."""

from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT

from common.tags import ERROR, RERUN_REASON
from common.words import MINUS, counted
from modelling.judging.metrics import BASELINE_PREFIX
from modelling.reporting.answer import Quality, say_quality, show_range
from modelling.reporting.graph import StepState
from modelling.reporting.report import Fact, Failure, show_metric
from steps.pipeline.answer import read_quality
from steps.pipeline.order import BY_NAME, UNTIL, place
from steps.reporting.monitoring import (
    is_monitored,
    read_answer_of_monitor,
    read_facts_of_monitor,
    read_verdict_of_monitor,
)
from steps.reporting.reproduction import (
    is_reproduced,
    read_facts_of_reproduce,
    read_verdict_of_reproduce,
)
from steps.reporting.run_files import RunFiles
from steps.reporting.runs import PipelineRuns
from steps.runs.names import BEST, MODEL_VERSION, VERDICT, VERDICT_REASON

_LOG_LINES = 40
_TONES = {"promoted": "good", "challenger": "note", "unchanged": "note", "rejected": "bad"}


def read_verdict(runs: PipelineRuns) -> tuple[str, str, str, str]:
    """Returns the verdict: a word, its tone, a sentence, and what it rests on."""
    if is_monitored(runs):
        return read_verdict_of_monitor(runs)
    if is_reproduced(runs):
        return read_verdict_of_reproduce(runs)
    status, name = runs.run.info.status, runs.model_name
    if status in ("FAILED", "KILLED"):
        failed = runs.failed_step()
        what = {"FAILED": "failed", "KILLED": "was killed"}[status]
        where = f" in {failed}" if runs.is_pipeline and failed != runs.entry_point else ""
        subject = "The pipeline" if runs.is_pipeline else runs.entry_point
        line = runs.tags.get(ERROR, "")
        return what.removeprefix("was "), "bad", f"{subject} {what}{where}", line
    word = runs.tags.get(VERDICT)
    if word:
        return word, _TONES.get(word, "note"), _judged(runs, word, name), _reason(runs)
    if runs.is_pipeline:
        last = list(runs.steps)[-1] if runs.steps else "the start"
        return "done", "good", f"The pipeline ended after {last}, as asked", ""
    if warning := _warning(runs):
        return "done, with a warning", "note", _done(runs, name), warning
    return "done", "good", _done(runs, name), _why_it_ran(runs)


def _warning(runs: PipelineRuns) -> str:
    """What somebody who had rows scored should look at."""
    metrics = runs.run.data.metrics
    warnings = [
        f"{metrics[name]:,.0f} {one if metrics[name] == 1 else many}"
        for name, one, many in (
            (
                "rejected",
                "row could not be scored: the reason is in the file of the rejects",
                "rows could not be scored: the reasons are in the file of the rejects",
            ),
            (
                "drifted_columns",
                "column is no longer as it was in training",
                "columns are no longer as they were in training",
            ),
        )
        if runs.entry_point == "score" and metrics.get(name)
    ]
    return "; ".join(warnings)


def _why_it_ran(runs: PipelineRuns) -> str:
    reason = runs.tags.get(RERUN_REASON)
    return f"Why it ran: {reason}" if reason else ""


def _reason(runs: PipelineRuns) -> str:
    reason = str(runs.tags.get(VERDICT_REASON, ""))
    is_name = reason.partition(" ")[0] in runs.run.data.metrics
    return reason if is_name else reason[:1].upper() + reason[1:]


def _judged(runs: PipelineRuns, word: str, name: str) -> str:
    recipe = runs.tags.get("pipeline.recipe", "")
    name = name or "The model"
    version = f"version\N{NO-BREAK SPACE}{runs.tags.get(MODEL_VERSION)}"
    if word == "promoted":
        return f"{name} is promoted: {version} is the champion of {recipe}"
    if word == "challenger":
        return f"{name} is a challenger: {version} passed the gate, the champion stays"
    if word == "unchanged":
        return f"{name} is unchanged: it is {version} of {recipe} already"
    return f"{name} is rejected: nothing was registered"


def _done(runs: PipelineRuns, name: str) -> str:
    metrics = runs.run.data.metrics
    if runs.entry_point == "prepare" and "train_rows" in metrics:
        rows = f"{metrics['train_rows']:,.0f} training and {metrics['test_rows']:,.0f} test rows"
        return f"The table is split into {rows}"
    if runs.entry_point == "train" and "features" in metrics:
        features = counted(metrics["features"], "feature")
        return f"{name} is trained on {metrics['train_rows']:,.0f} rows with {features}"
    if runs.entry_point == "evaluate" and (primary := runs.primary()):
        return f"{name} reaches {primary} {show_metric(metrics[primary], primary)} on the test rows"
    if runs.entry_point == "score" and "scored" in metrics:
        return f"{metrics['scored']:,.0f} of {metrics['rows']:,.0f} rows are scored by {name}"
    return f"{runs.entry_point} is done"


def read_answer(runs: PipelineRuns) -> str:
    """Returns how good the model is, in a sentence; empty if nothing is known or all failed."""
    if is_monitored(runs):
        return read_answer_of_monitor(runs)
    quality = _quality(runs)
    is_over = runs.run.info.status not in ("FAILED", "KILLED")
    return say_quality(quality) if quality and is_over else ""


def _quality(runs: PipelineRuns) -> Quality | None:
    evaluated = runs.steps.get("evaluate")
    return read_quality(evaluated, runs.recipe) if evaluated and runs.recipe else None


def read_facts(runs: PipelineRuns) -> list[Fact]:
    """Returns the two or three figures behind the verdict."""
    facts = []
    if is_monitored(runs):
        return read_facts_of_monitor(runs)
    if is_reproduced(runs):
        return read_facts_of_reproduce(runs)
    if "evaluate" in runs.steps and (primary := runs.primary()):
        facts += _facts_of_metric(runs, primary)
    elif "train" in runs.steps and "features" in runs.steps["train"].data.metrics:
        metrics = runs.steps["train"].data.metrics
        facts += [
            Fact("training rows", f"{metrics['train_rows']:,.0f}"),
            Fact("features", f"{metrics['features']:,.0f}"),
        ]
    elif "prepare" in runs.steps:
        metrics = runs.steps["prepare"].data.metrics
        facts += [
            Fact(label, f"{metrics[name]:,.0f}")
            for name, label in (
                ("train_rows", "training rows"),
                ("test_rows", "test rows"),
                ("duplicate_rows", "duplicate rows"),
            )
            if name in metrics
        ]
    elif "score" in runs.steps and "rows" in runs.run.data.metrics:
        facts += _facts_of_score(runs)
    return facts


def _facts_of_metric(runs: PipelineRuns, primary: str) -> list[Fact]:
    metrics = runs.steps["evaluate"].data.metrics
    candidate, baseline = metrics[primary], metrics.get(BASELINE_PREFIX + primary)
    sign, quality = runs.sign(primary), _quality(runs)
    note = {1: "more is better", -1: "less is better"}.get(sign, "")
    figure = show_metric(candidate, primary)
    if quality:
        figure, low, high = show_range(quality.figure, quality.low, quality.high)
        unit = quality.unit_of_figure
        note = f"95% interval {low} to {high}{unit}; {note}" if low else note
        figure += unit
    facts = [Fact(f"{primary} on the test rows", figure, note)]
    if (on_folds := runs.run.data.metrics.get(BEST + primary)) is not None:
        shown = show_metric(on_folds, primary)
        facts.append(Fact(f"{primary} on folds", shown, "of the training rows: the sweep's choice"))
    if quality and baseline is not None:
        facts.append(Fact(f"against {quality.naive}", *_against_naive(quality)))
    against = runs.steps["register"].data.metrics if "register" in runs.steps else {}
    if "difference_to_champion" in against:
        gap = against["difference_to_champion"]
        ends = against["difference_low"], against["difference_high"]
        difference, low, high = show_range(gap, *ends)
        unit = quality.unit_of_figure if quality else ""
        way = "better" if sign * gap > 0 else "worse" if gap else "the same"
        shown = f"{difference.lstrip(MINUS)}{unit} {way}" if gap else way
        note = f"candidate less champion: {difference} ({low} to {high}){unit}" if low else ""
        facts.append(Fact("than the champion", shown, note))
    elif "prepare" in runs.steps and "test_rows" in runs.steps["prepare"].data.metrics:
        rows = runs.steps["prepare"].data.metrics
        facts.append(
            Fact(
                "test rows",
                f"{rows['test_rows']:,.0f}",
                f"{rows['train_rows']:,.0f} to train on",
            )
        )
    return facts


def _against_naive(quality: Quality) -> tuple[str, str]:
    """How much better or worse, and than which figure."""
    naive = show_range(quality.baseline, quality.low, quality.high)[0]
    gap = quality.figure - quality.baseline
    gain = gap if quality.greater_is_better else -gap
    size = show_range(abs(gain), quality.low, quality.high)[0]
    better = f"{size}{quality.unit_of_figure} {'better' if gain >= 0 else 'worse'}"
    return quality.gain or better, f"which has {naive}{quality.unit_of_figure}"


def _facts_of_score(runs: PipelineRuns) -> list[Fact]:
    metrics = runs.run.data.metrics
    speed = f"{metrics.get('rows_per_second', 0):,.0f} a second"
    return [
        Fact("rows scored", f"{metrics['scored']:,.0f}", speed),
        Fact("rows that could not be", f"{metrics['rejected']:,.0f}"),
        Fact("columns that have drifted", f"{metrics.get('drifted_columns', 0):,.0f}"),
    ]


def read_failure(runs: PipelineRuns) -> Failure | None:
    """Returns what went wrong, in which step; None if nothing did."""
    is_answer = is_monitored(runs) or is_reproduced(runs)
    if runs.run.info.status not in ("FAILED", "KILLED") or is_answer:
        return None
    name = runs.failed_step()
    run = runs.steps.get(name, runs.run)
    entry_point = run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT, name)
    log = RunFiles.of(run).text(f"logs/{entry_point}.log").rstrip().splitlines()
    line = run.data.tags.get(ERROR) or runs.tags.get(ERROR) or "no word of what went wrong"
    return Failure(name, line, "\n".join(log[-_LOG_LINES:]))


def read_steps(runs: PipelineRuns) -> list[StepState]:
    """Returns the steps that there are, and those that were not reached."""
    if not runs.steps and runs.run.info.status == "FINISHED":
        return []
    expected = UNTIL[: UNTIL.index(runs.request.get("until", UNTIL[-1])) + 1]
    names = sorted({*runs.steps, *expected}, key=place)
    return [_step(runs, name) for name in names]


def _step(runs: PipelineRuns, name: str) -> StepState:
    run = runs.steps.get(name)
    if run is None:
        return StepState(name, "not reached", after=BY_NAME[name].after)
    fact = {
        key: runs.tags.get(f"pipeline.step.{name}.{key}") for key in ("status", "seconds", "reason")
    }
    state = fact["status"] or "ran"
    if run.info.status in ("FAILED", "KILLED"):
        state = run.info.status.lower()
    elif run.info.status == "RUNNING":
        state = "running"
    seconds = float(fact["seconds"]) if fact["seconds"] else _seconds(run)
    reason = fact["reason"] or run.data.tags.get(RERUN_REASON, "")
    return StepState(
        name,
        state,
        seconds,
        reason,
        run.info.run_id,
        BY_NAME[name].figures(run, runs.primary()) if name in BY_NAME else "",
        run.info.experiment_id,
        BY_NAME[name].after if name in BY_NAME else (),
    )


def _seconds(run: Run) -> float | None:
    return (run.info.end_time - run.info.start_time) / 1000 if run.info.end_time else None
