"""What a sweep shows: the bar while it runs, then the leaderboard and the figures."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, TextIO, cast

import click
import optuna
import pandas as pd
from tqdm import tqdm

from common.words import show_figure
from engine.step_log import open_terminal
from modelling.search.search import TrialResult, as_optuna, best_of
from modelling.search.space import Point
from steps.sweeping.loop import Plan
from tracking.artifacts_logger import log_plot, log_report, log_table
from tracking.output_manager import temporary_path

_SECONDS_BETWEEN_LINES = 10.0
_WIDTH = 80
_SHOWN = 10
_FIGURES = ("optimization_history", "param_importances", "parallel_coordinate", "slice")


class Progress:
    """A bar on the terminal with the best trial below it; a line every ten seconds without one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._terminal: TextIO | None = open_terminal()
        self._told = time.monotonic()
        self._bars: list[Any] = []
        if self._terminal:
            form = "{desc} {n_fmt}/{total_fmt} {bar} {elapsed}<{remaining}{postfix}"
            common = {"file": self._terminal, "ncols": _WIDTH, "leave": True}
            self._bars = [
                tqdm(
                    total=None if plan.seconds else plan.trials,
                    desc="trials",
                    bar_format=form,
                    **common,
                ),
                tqdm(total=0, bar_format="{desc}", position=1, **common),
            ]

    def show(self, tried: Sequence[TrialResult], running: Mapping[int, Point]) -> None:
        """Shows what is done, what failed, what runs, and the best trial."""
        if self._bars:
            bar, below = self._bars
            bar.n = len(tried)
            bar.set_postfix_str(_counts(tried, len(running)), refresh=False)
            below.set_description_str(self._best(tried)[:_WIDTH], refresh=False)
            bar.update(0)
            below.update(0)
        elif time.monotonic() - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            most = "" if self._plan.seconds else f"/{self._plan.trials}"
            done = f"{len(tried)}{most} trials{_counts(tried, len(running))}"
            click.echo(f"{done}; {self._best(tried)}")

    def close(self, tried: Sequence[TrialResult]) -> None:
        """Shows the last state, and leaves the terminal."""
        if self._bars:
            self.show(tried, {})
            for bar in self._bars:
                bar.refresh()
            for bar in self._bars:  # from above: each leaves its line, and goes to the next
                bar.close()
        if self._terminal:
            self._terminal.close()

    def _best(self, tried: Sequence[TrialResult]) -> str:
        if not any(one.score is not None for one in tried):
            return "no score yet"
        best = best_of(tried, self._plan.greater_is_better)
        metric = self._plan.recipe.metrics.primary
        return f"best {metric} {show_figure(cast(float, best.score), metric=metric)}: {best.point}"


def _counts(tried: Sequence[TrialResult], running: int) -> str:
    states = [one.state for one in tried]
    counts = {
        "failed": states.count("failed"),
        "pruned": states.count("pruned"),
        "running": running,
    }
    return "".join(f", {count} {word}" for word, count in counts.items() if count)


def leaderboard(plan: Plan, tried: Sequence[TrialResult]) -> pd.DataFrame:
    """Returns the trials, the best first: one row each, with a column for each hyperparameter."""
    sign = -1 if plan.greater_is_better else 1
    missing = (float("inf"), "")
    ranked = sorted(
        tried,
        key=lambda one: (
            missing if one.score is None else (sign * one.score, ""),
            one.state,
            one.number,
        ),
    )
    metric = plan.recipe.metrics.primary
    rows = [
        {
            "rank": rank if one.score is not None else None,
            "trial": one.number,
            metric: one.score,
            f"{metric}_std": one.deviation,
            "model": one.point.model,
            **one.point.hyperparameters,
            "state": one.state,
            "reason": one.reason,
            "run_id": one.run_id,
        }
        for rank, one in enumerate(ranked, start=1)
    ]
    last = ["state", "reason", "run_id"]
    table = pd.DataFrame(rows)
    return table[[name for name in table if name not in last] + last]


def print_leaderboard(plan: Plan, tried: Sequence[TrialResult]) -> None:
    """Prints the best trials in 80 columns."""
    metric = plan.recipe.metrics.primary
    table = leaderboard(plan, tried)
    click.echo(f"\n{'rank':>4} {'trial':>5}  {metric:<20.20} hyperparameters")
    points = {one.number: one.point for one in tried}
    for row in table.head(_SHOWN).to_dict("records"):
        if pd.isna(row[metric]):
            break
        deviation = row[f"{metric}_std"]
        spread = "" if pd.isna(deviation) else f" ± {show_figure(deviation, metric=metric)}"
        score = f"{show_figure(row[metric], metric=metric)}{spread}"
        line = f"{row['rank']:>4.0f} {row['trial']:>5}  {score:<20} {points[row['trial']]}"
        click.echo(line[:_WIDTH])
    states = [one.state for one in tried]
    others = len(tried) - min(_SHOWN, states.count("complete"))
    if others:
        click.echo(f"and {others} more in leaderboard.json{_counts(tried, 0)}")
    reasons = [one.reason for one in tried if one.state == "failed"]
    if reasons:
        click.echo(shorten(f"failed: {reasons[0]}", _WIDTH, placeholder=" …"))


def log_leaderboard(plan: Plan, tried: Sequence[TrialResult]) -> None:
    """Logs the whole table as leaderboard.json."""
    table = leaderboard(plan, tried)
    log_table(table.astype(object).where(table.notna(), None), "leaderboard")


def log_figures(plan: Plan, tried: Sequence[TrialResult]) -> None:
    """Logs Optuna's figures: sweep.html, to be explored without a network, and one PNG each."""
    study = optuna.create_study(
        direction="maximize" if plan.greater_is_better else "minimize",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.add_trials([as_optuna(plan.space, one) for one in tried])
        names = _FIGURES if len({one.score for one in tried} - {None}) > 1 else _FIGURES[:1]
        metric = plan.recipe.metrics.primary
        _log_html(study, names, f"{plan.recipe.name}: {metric} of {len(tried)} trials", metric)
        for name in names:
            _log_picture(study, name, metric)


def _log_html(study: optuna.Study, names: Sequence[str], title: str, metric: str) -> None:
    parts = []
    for number, name in enumerate(names):
        figure = _plot(optuna.visualization, name)(study, target_name=metric)
        figure.update_layout(template="plotly_white")
        parts.append(figure.to_html(full_html=False, include_plotlyjs=number == 0))
    path = temporary_path("sweep.html")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    path.write_text(f"{head}<h1>{title}</h1>{''.join(parts)}</html>", encoding="utf-8")
    log_report(path)


def _log_picture(study: optuna.Study, name: str, metric: str) -> None:
    from matplotlib import pyplot

    pyplot.close("all")
    with _our_style():
        _plot(optuna.visualization.matplotlib, name)(study, target_name=metric)
        figure = pyplot.gcf()
        path: Path = temporary_path(f"{name}.png")
        figure.savefig(path, dpi=150, bbox_inches="tight")
    log_plot(path)
    pyplot.close("all")


@contextmanager
def _our_style() -> Iterator[None]:
    """Optuna draws in the style "ggplot", and finds ours under that name meanwhile."""
    from matplotlib import RcParams, rc_context, style

    from modelling.judging.plots import STYLE

    theirs = style.library["ggplot"]
    style.library["ggplot"] = RcParams(STYLE | {"text.parse_math": True})  # of powers on an axis
    try:
        with rc_context():
            yield
    finally:
        style.library["ggplot"] = theirs


def _plot(module: Any, name: str) -> Callable[..., Any]:
    return getattr(module, f"plot_{name}")
