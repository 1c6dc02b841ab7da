"""The poster of a pipeline: the real figures of each of its stations."""

from collections.abc import Mapping
from pathlib import Path

from modelling.judging.metrics import BASELINE_PREFIX, metrics_of
from modelling.reporting.poster import Card, Shape, draw_poster
from modelling.reporting.report import Bar, Bars, Fact, Report, show_metric, show_seconds
from steps.pipeline.answer import read_quality
from steps.reporting.runs import PipelineRuns
from steps.runs.names import MODEL_VERSION, VERDICT

_SENSE = {1: "more is better", -1: "less is better", 0: ""}
_ALIASES = {"promoted": "champion", "challenger": "challenger"}


def draw(runs: PipelineRuns, report: Report) -> list[Shape]:
    """Draws data → prepare → train → evaluate → gate → registry of a pipeline's run."""
    states = {step.name: step for step in report.steps}

    def card(name: str, step: str, facts: list[Fact], tone: str = "") -> Card:
        state = states.get(step)
        if state is None or state.state == "not reached":
            return Card(name, "not reached", ())
        time = show_seconds(state.seconds) if name == step else ""
        failed = "bad" if state.state in ("failed", "killed") else ""
        return Card(
            name, " · ".join(filter(None, (state.state, time))), tuple(facts), failed or tone
        )

    judged = [row.passed for row in report.gate if row.passed is not None]
    gate = ("good" if all(judged) else "bad") if judged else ""
    cards = [
        Card("data", "", tuple(_data(runs))),
        card("prepare", "prepare", _prepare(runs)),
        card("train", "train", _train(runs, report)),
        card("evaluate", "evaluate", _evaluate(runs)),
        card("gate", "register", _gate(runs, report), gate),
        card("registry", "register", _registry(runs), report.tone),
    ]
    charts = [_comparison(runs), report.model.importance if report.model else None]
    return draw_poster(report, cards, [chart for chart in charts if chart])


def _count(metrics: Mapping[str, float], name: str, label: str) -> list[Fact]:
    return [Fact(label, f"{metrics[name]:,.0f}")] if name in metrics else []


def _data(runs: PipelineRuns) -> list[Fact]:
    metrics = runs.metrics("prepare")
    name = Path(str(runs.request.get("data", ""))).name
    facts = [Fact("table", name)] if name else []
    return [*facts, *_count(metrics, "rows", "rows"), *_count(metrics, "columns", "columns")]


def _prepare(runs: PipelineRuns) -> list[Fact]:
    metrics = runs.metrics("prepare")
    wanted = (
        ("train_rows", "training rows"),
        ("test_rows", "test rows"),
        ("duplicate_rows", "duplicate rows"),
    )
    return [fact for name, label in wanted for fact in _count(metrics, name, label)]


def _train(runs: PipelineRuns, report: Report) -> list[Fact]:
    chosen = report.model.chosen if report.model else ()
    facts = [Fact("model", runs.model_name)] if runs.model_name else []
    facts += _count(runs.metrics("train"), "features", "features")
    return facts + [Fact(fact.label, fact.value) for fact in chosen[:1]]


def _evaluate(runs: PipelineRuns) -> list[Fact]:
    """The metric that decides, those of the gate, and others."""
    metrics, primary = runs.metrics("evaluate"), runs.primary()
    known = list(metrics_of(runs.recipe)) if runs.recipe else sorted(metrics)
    ours = [name for name in known if name in metrics and BASELINE_PREFIX + name in metrics]
    gated = list(runs.recipe.gate) if runs.recipe else []
    ours.sort(key=lambda name: (name != primary, name not in gated))
    return [Fact(name, _with_unit(runs, metrics[name], name)) for name in ours]


def _with_unit(runs: PipelineRuns, figure: float, metric: str) -> str:
    quality = read_quality(runs.steps["evaluate"], runs.recipe) if runs.recipe else None
    unit = quality.unit_of_figure if quality and quality.metric == metric else ""
    return f"{show_metric(figure, metric)}{unit}"


def _gate(runs: PipelineRuns, report: Report) -> list[Fact]:
    judged = [row for row in report.gate if row.passed is not None]
    facts = [Fact("checks passed", f"{sum(bool(row.passed) for row in judged)} of {len(judged)}")]
    metrics = runs.metrics("register")
    if "difference_to_champion" in metrics:
        primary = runs.primary() or ""
        difference = show_metric(metrics["difference_to_champion"], primary)
        low, high = (show_metric(metrics[f"difference_{end}"], primary) for end in ("low", "high"))
        facts.append(Fact("to the champion", difference))
        facts.append(Fact("its interval", f"{low} to {high}"))
    return facts if judged else []


def _registry(runs: PipelineRuns) -> list[Fact]:
    word, version = runs.tags.get(VERDICT), runs.tags.get(MODEL_VERSION)
    facts = [Fact("verdict", word)] if word else []
    if version:
        facts.append(
            Fact(f"of {runs.tags.get('pipeline.recipe', 'the model')}", f"version {version}")
        )
    return facts + ([Fact("alias", _ALIASES[word])] if word in _ALIASES else [])


def _comparison(runs: PipelineRuns) -> Bars | None:
    """The deciding metric of the candidate, of the champion and of the naive baseline."""
    primary = runs.primary()
    if primary is None:
        return None
    metrics, champion = runs.metrics("evaluate"), runs.metrics("evaluate_champion")
    values = {
        runs.model_name: metrics[primary],
        "champion": champion.get(primary),
        "naive baseline": metrics.get(BASELINE_PREFIX + primary),
    }
    bars = [Bar(name, value) for name, value in values.items() if value is not None]
    return Bars(f"{primary} on the test rows", _SENSE[runs.sign(primary)], tuple(bars))
