"""Whose turn it is to register, among all hosts that use a tracking server.

A registry has no transactions, but it numbers versions without a double. So a version is a ticket:
who registers makes it first, marked as unfinished, and waits until no version before it is so.
Until its turn ends, nobody else registers. One that hangs is given up after a while: its version is
deleted, so that it can no more become the champion.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

import click
import mlflow
from mlflow.entities.model_registry import ModelVersion

from common.errors import InputError
from steps.registry.journal import finish_move, move_under_way
from steps.registry.unfinished import find_unfinished, is_over, settle
from steps.registry.versions import UNFINISHED

# Nobody here can know whether the process of another host lives; a turn takes seconds.
_LONGEST_TURN = 300.0
_SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def turn(name: str, make_version: Callable[[dict[str, str]], ModelVersion]) -> Iterator[str]:
    """Makes a version, waits for its turn, gives its number, and ends the turn.

    Whatever happened, a version without an alias is deleted at the end.

    Args:
        name: the registered model.
        make_version: makes the version, with the tags that it is given.

    Raises:
        InputError: it took so long that another one has gone on without it.
    """
    run = mlflow.active_run()
    number = str(make_version({UNFINISHED: run.info.run_id if run else "none"}).version)
    try:
        wait_for_others(name, int(number))
        yield number
    except BaseException:
        with suppress(Exception):
            settle(name, number)
        raise
    if not settle(name, number):
        raise InputError(
            f"the registration of version {number} of {name} took longer than "
            f"{_LONGEST_TURN:.0f} s, and was given up by another one; run it again"
        )


def wait_for_others(name: str, before: int | None = None) -> None:
    """Waits until nobody registers a version of the model; clears up after those that ended.

    Args:
        name: the registered model.
        before: only versions before this one count.
    """
    until: dict[str, float] = {}
    given_up: set[str] = set()
    while unfinished := find_unfinished(name, before):
        first = unfinished[0]
        number, run_id = str(first.version), first.tags[UNFINISHED]
        if is_over(run_id) or time.monotonic() > until.get(number, math.inf):
            settle(name, number)
            given_up.add(run_id)
            continue
        if number not in until:
            until[number] = time.monotonic() + _LONGEST_TURN
            click.echo(f"waits while run {run_id} registers version {number} of {name}")
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    _wait_for_move(name, given_up)


def _wait_for_move(name: str, given_up: Collection[str]) -> None:
    """Waits until nobody moves the champion, as a rollback does without a version of its own."""
    end = time.monotonic() + _LONGEST_TURN
    while move := move_under_way(name):
        if move.run_id in given_up or is_over(move.run_id) or time.monotonic() > end:
            break
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    finish_move(name)
