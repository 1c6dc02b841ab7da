"""What reproduce found: is it the same again?"""

import re

from common.words import counted, show_number
from modelling.judging.comparison import CLOSE, DIFFERENT, IDENTICAL, TOLERANCE
from modelling.reporting.report import Fact, Section, Table
from steps.reporting.runs import PipelineRuns
from steps.runs.names import VERDICT, VERDICT_REASON

_SENTENCES = {
    IDENTICAL: ("good", "Made again, it is the same to the last digit"),
    CLOSE: ("good", "Made again, it is the same but for the last digits"),
    DIFFERENT: ("bad", "Made again, it is not the same"),
}


def is_reproduced(runs: PipelineRuns) -> bool:
    """Whether a run of reproduce came to an answer: a difference is one, and no failure."""
    return runs.entry_point == "reproduce" and runs.tags.get(VERDICT) in _SENTENCES


def read_verdict_of_reproduce(runs: PipelineRuns) -> tuple[str, str, str, str]:
    """Returns a word, its tone, a sentence, and what it rests on."""
    word = runs.tags[VERDICT]
    tone, sentence = _SENTENCES[word]
    reason = str(runs.tags.get(VERDICT_REASON, ""))
    return word, tone, sentence, reason[:1].upper() + reason[1:]


def read_facts_of_reproduce(runs: PipelineRuns) -> list[Fact]:
    """Returns which run was made again, where it first differs, and by how much."""
    largest = runs.run.data.metrics.get("largest_difference", 0.0)
    first = runs.tags.get("pipeline.first_difference")
    return [
        Fact("run made again", runs.tags.get("pipeline.reproduced_run_id", "")[:8]),
        *([Fact("first difference", first)] if first else []),
        Fact(
            "largest difference of a number",
            f"{largest:.2g}" if largest else "none",
            f"as a share of it; {TOLERANCE:.6f} is allowed",
        ),
    ]


def read_comparison(runs: PipelineRuns) -> Section | None:
    """Returns what was compared, then and now."""
    files = runs.files("reproduce")
    table = files.table("comparison") if files else None
    if table is None:
        return None
    order = table["outcome"].eq(IDENTICAL)
    for side in ("then", "now"):
        brief = table[side].map(_brief)
        table[side] = brief.where(order, table[side])
    shown = table[["step", "what", "outcome", "then", "now", "difference"]]
    shown = shown.sort_values("outcome", key=lambda _: order, kind="stable")
    counts = ", ".join(f"{n} {outcome}" for outcome, n in table["outcome"].value_counts().items())
    text = f"{counted(len(table), 'comparison')}: {counts}. A difference is relative."
    return Section("comparison", "Then and now", text, table=Table.of(shown, len(shown)))


def _brief(text: object) -> str:
    """A digest or a number in so many signs as tell it from others."""
    words = str(text)
    if re.fullmatch(r"[0-9a-f]{64}", words):
        return words[:12]
    return show_number(float(words)) if re.fullmatch(r"-?[\d.]+(e-?\d+)?", words) else words
