"""The pipeline as a drawing: where each step stands, and what leads from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StepState:
    """A step of the pipeline: state is ran, reused, failed, killed, running or not reached.

    after: the steps whose results it takes.
    """

    name: str
    state: str
    seconds: float | None = None
    reason: str = ""
    run_id: str = ""
    figures: str = ""
    experiment_id: str = ""
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Box:
    """A step's place in the drawn graph."""

    step: StepState
    x: float
    y: float


@dataclass(frozen=True)
class Graph:
    """The drawn pipeline: boxes of equal size, and the curves between them."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, bool], ...]
    box_width: float
    box_height: float


def lay_out_graph(steps: Sequence[StepState], upright: bool) -> Graph:
    """Places the steps: one beside the other, or for a narrow page one below the other.

    The evaluation of the champion stands beside that of the candidate.
    """
    width, height = (150.0, 66.0) if upright else (164.0, 66.0)
    gap = 30.0 if upright else 48.0
    names = [step.name for step in steps]
    columns = [name for name in names if name != "evaluate_champion"]
    branch = "evaluate_champion" in names
    boxes: dict[str, Box] = {}
    for step in steps:
        name = "evaluate" if step.name == "evaluate_champion" else step.name
        place = columns.index(name) if name in columns else 0
        lane = 1 if step.name == "evaluate_champion" else 0
        along, across = place, lane
        boxes[step.name] = (
            Box(step, across * (width + gap) + 2, along * (height + gap) + 2)
            if upright
            else Box(step, along * (width + gap) + 2, across * (height + gap / 2) + 2)
        )
    edges = tuple(
        (_curve(boxes[start], boxes[end], width, height, upright), _is_live(boxes[end].step))
        for end in names
        for start in boxes[end].step.after
        if start in boxes
    )
    lanes = 2 if branch else 1
    if upright:
        size = (lanes * (width + gap) - gap + 4, len(columns) * (height + gap) - gap + 4)
    else:
        size = (len(columns) * (width + gap) - gap + 4, lanes * (height + gap / 2) - gap / 2 + 4)
    return Graph(*size, tuple(boxes.values()), edges, width, height)


def _is_live(step: StepState) -> bool:
    return step.state != "not reached"


def _curve(start: Box, end: Box, width: float, height: float, upright: bool) -> str:
    if upright:
        x1, y1 = start.x + width / 2, start.y + height
        x2, y2 = end.x + width / 2, end.y - 3
        middle = (y1 + y2) / 2 if y2 - y1 < height else y2 - 16
        return f"M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}"
    x1, y1 = start.x + width, start.y + height / 2
    x2, y2 = end.x - 3, end.y + height / 2
    if x2 - x1 > width and y2 != y1:  # passes below the steps between
        corner = x1 + 24
        return (
            f"M{x1:g} {y1:g}C{corner:g} {y1:g} {corner - 8:g} {y2:g} {corner + 24:g} {y2:g}"
            f"L{x2:g} {y2:g}"
        )
    middle = (x1 + x2) / 2
    return f"M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"
