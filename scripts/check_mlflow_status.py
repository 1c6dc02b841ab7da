"""Looks at the store: is all well, what ran last, which versions are in use.

    python scripts/check_mlflow_status.py                    # exit code 1 if something is wrong
    python scripts/check_mlflow_status.py --json             # the same for a program
    python scripts/check_mlflow_status.py --reap             # ends stale runs, mends the registry
    python scripts/check_mlflow_status.py --reap --gone HOST # of a host that is no more, too
    python scripts/check_mlflow_status.py --reap --gone RUN  # of a notebook, whose kernel is gone
    python scripts/check_mlflow_status.py --moved            # the folder was moved or copied here
    python scripts/check_mlflow_status.py --compare RUN RUN  # where two runs differ
    python scripts/check_mlflow_status.py --best rmse        # the best runs of a recipe
    python scripts/check_mlflow_status.py --best accuracy --experiment NAME --number 50 # of any

The store is the one of MLFLOW_TRACKING_URI, or else mlflow.db in the working directory. A look
changes nothing there; what it saw is kept in reports/mlflow_status_report.json where you stand. For
RUN, the first characters of its id are enough, and --compare takes models:/NAME@champion too.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.chatter import silence_mlflow

silence_mlflow()

import json
from typing import Any

import click
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from common.errors import InputError
from engine.failures import one_line
from engine.processes.no_account import survive_without_account
from engine.terminal import folded, say, say_error
from steps.overview.differences import compare_runs
from steps.overview.store_status import (
    Status,
    best_runs,
    look,
    open_store,
    take_over_moved_store,
)

REPORT = Path("reports", "mlflow_status_report.json")

_COLOURS = {"promoted": "green", "challenger": "yellow", "rejected": "red", "FAILED": "red"}


@click.command()
@click.option("--reap", "ends_them", is_flag=True, help="End stale runs, undo half registrations.")
@click.option(
    "--gone",
    multiple=True,
    metavar="HOST|RUN",
    help="A host, or a notebook's run, that is no more.",
)
@click.option("--moved", "was_moved", is_flag=True, help="Name this folder in what was moved here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--compare", nargs=2, metavar="RUN RUN", help="Show where two runs differ.")
@click.option("--best", metavar="METRIC", help="Find the best runs of a recipe by a metric.")
@click.option("--recipe", metavar="NAME", help="The recipe of --best, if there are several.")
@click.option("--experiment", metavar="NAME", help="Any experiment for --best, as of a notebook.")
@click.option("--number", default=5, type=click.IntRange(1, 1000), help="How many --best finds.")
def check_mlflow_status(
    ends_them: bool,
    gone: tuple[str, ...],
    was_moved: bool,
    as_json: bool,
    compare: tuple[str, str] | None,
    best: str | None,
    recipe: str | None,
    experiment: str | None,
    number: int,
) -> None:
    """Says whether all is well with the store, what ran last and which versions are in use."""
    try:
        survive_without_account()
        if was_moved:
            say(folded(take_over_moved_store()))
        elif compare:
            open_store()
            _print(compare_runs(*compare), as_json, _print_comparison)
        elif best:
            open_store()
            _print(best_runs(best, recipe, experiment, number), as_json, _print_best)
        else:
            status = look(ends_them, gone)
            REPORT.parent.mkdir(exist_ok=True)
            REPORT.write_text(json.dumps(status, indent=2, ensure_ascii=False) + "\n", "utf-8")
            _print(status, as_json, _print_status)
            sys.exit(1 if status["problems"] else 0)
    except (InputError, MlflowException, OSError, SQLAlchemyError) as error:
        say_error(f"check_mlflow_status: {one_line(error)}")
        sys.exit(1)


def _print(found: Any, as_json: bool, for_people: Any) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for_people(found)


def _head(text: str) -> None:
    say("\n" + click.style(text, bold=True))


def _print_status(status: Status) -> None:
    say(f"MLflow   {status['mlflow_version']}")
    say(f"store    {status['store']}{'' if status['reachable'] else ' (not reachable)'}")
    if status["reachable"]:
        _print_runs(status)
        _print_models(status["models"])
        _print_tracked(status)
    for mended in status["mended"]:
        say(folded(f"mended   {mended}", 9))
    say("")
    for problem in status["problems"]:
        say(click.style(folded(f"WRONG    {problem}", 9), fg="red"))
    if not status["problems"]:
        say(click.style("all is well", fg="green"))


def _print_runs(status: Status) -> None:
    counts = status["runs_by_status"]
    more = "" if status["counts_are_complete"] else " (of the newest)"
    told = ", ".join(f"{number:,} {name}" for name, number in counts.items()) or "none"
    say(folded(f"runs     {told}{more}", 9))
    _head(f"{'experiment':<40} {'id':>8} {'runs':>9}")
    for experiment in status["experiments"]:
        number = sum(experiment["runs"].values())
        say(f"{_cut(experiment['name'], 40):<40} {_cut(experiment['id'], 8):>8} {number:>9,}")
    if status["last_runs"]:
        _head(f"{'last runs':<17} {'run':<8} {'recipe, model':<32} verdict")
    for run in status["last_runs"]:
        what = _cut(", ".join(filter(None, (run["recipe"], run["model"]))) or run["name"], 32)
        word = run["verdict"] or run["status"]
        say(f"{run['started'][:16]:<17} {run['run_id'][:8]} {what:<32} {_coloured(word)}")


def _print_models(models: list[dict[str, Any]]) -> None:
    for model in models:
        champion = model["champion"]
        now = f"version {champion} is champion" if champion else "no champion"
        others = f", version {model['challenger']} challenger" if model["challenger"] else ""
        _head(f"model {model['name']}: {now}{others}")
        for move in model["journal"]:
            who = f"{move['what']} by {move['who']}: {move['why']}"
            when = move["when"][:16].replace("T", " ")
            say(folded(f"{when}  {move['from']:>4} -> {move['to']:<4} {who}", 31))


def _print_tracked(status: Status) -> None:
    _head("tracked by the last runs")
    for kind in ("metrics", "parameters"):
        names = ", ".join(status[kind]) or "none"
        say(folded(f"{kind:<11} {names}", 12))


def _coloured(word: str) -> str:
    return click.style(word, fg=_COLOURS.get(word))


def _print_comparison(found: dict[str, Any]) -> None:
    """Prints what `compare_runs` found, for a person."""
    first, second = found["runs"]
    say(click.style(f"{'':<28} {first['run_id'][:8]:<25} {second['run_id'][:8]}", bold=True))
    say(f"{'name':<28} {_cut(first['name'], 25):<25} {_cut(second['name'], 25)}")
    for kind in ("parameters", "metrics", "tags"):
        if found[kind]:
            _head(kind)
        for name, (one, other) in found[kind].items():
            say(f"{_cut(name, 28):<28} {_cut(one, 25):<25} {_cut(other, 25)}".rstrip())
    if not any(found[kind] for kind in ("parameters", "metrics", "tags")):
        say("no parameter, metric or tag differs")


def _print_best(found: dict[str, Any]) -> None:
    way = "the greatest" if found["greater_is_better"] else "the least"
    say(f"{found['recipe'] or found['experiment']}: {way} {found['metric']} of its finished runs")
    _head(f"{'run':<32} {'value':>10}  {'model':<20} verdict")
    for run in found["runs"]:
        value = f"{run['value']:.6g}"
        model = _cut(run["model"] or run["name"], 20)
        say(f"{run['run_id']:<32} {value:>10}  {model:<20} {_coloured(run['verdict'] or '')}")
    if found["tables"] > 1:
        say(folded("These runs are of different tables: their figures are of different rows."))


def _cut(value: Any, width: int) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


if __name__ == "__main__":
    check_mlflow_status()
