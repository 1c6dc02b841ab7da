"""The journal of a registered model: each move of its champion alias, by whom, when and why.

An entry is a tag of its own, on the registered model and on both versions, so that nothing that is
registered or moved later can overwrite it. The description of a version repeats its entries.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_USER

from modelling.reporting.markdown import escape
from steps.registry.versions import CHALLENGER, CHAMPION, find_champion, named
from tracking.mlflow_manager import store_lock

_TAG = "pipeline.journal."
_MOVING = "pipeline.moving_champion"  # on the model, with the entry, until the move is complete
_HEADING = "\n\n**Journal**\n\n"
_LONGEST_REASON = 2000
_NONE = "none"

PROMOTED = "promoted"
ROLLED_BACK = "rolled back"
"""What a move is: the gate's, or a person's."""


@dataclass(frozen=True)
class Move:
    """One move of the champion alias.

    when: UTC, ISO 8601; what: PROMOTED or ROLLED_BACK; before and after: versions, or `none`;
    run_id: of the register or the rollback that moved it.
    """

    when: str
    who: str
    what: str
    why: str
    before: str
    after: str
    run_id: str = _NONE

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        entry = json.loads(text)
        entry["before"], entry["after"] = entry.pop("from"), entry.pop("to")
        return cls(**entry)

    def to_json(self) -> str:
        """Returns the entry with the keys when, who, what, why, from, to, run_id."""
        return json.dumps(
            {
                "when": self.when,
                "who": self.who,
                "what": self.what,
                "why": self.why,
                "from": self.before,
                "to": self.after,
                "run_id": self.run_id,
            },
            ensure_ascii=False,
        )

    @property
    def tag(self) -> str:
        """The name of the tag that holds the entry."""
        return _TAG + self.when

    @property
    def versions(self) -> list[str]:
        """Both versions, or the one that there is."""
        return [number for number in (self.before, self.after) if number != _NONE]

    def __str__(self) -> str:
        when = datetime.fromisoformat(self.when).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{when}  {self.before} -> {self.after}  {self.what} by {self.who}: {self.why}"


def registry_lock(name: str) -> FileLock:
    """Returns a lock among the processes of this host; among hosts, see `steps.registry.turns`."""
    return store_lock(f"{mlflow.get_tracking_uri()} {name}")


def read_journal(tags: Mapping[str, str]) -> list[Move]:
    """Returns the moves in the tags of a registered model or of a version, the oldest first."""
    entries = sorted(name for name in tags if name.startswith(_TAG))
    return [Move.from_json(tags[name]) for name in entries]


def move_champion(name: str, version: str, what: str, why: str) -> Move:
    """Moves the champion alias, with an entry on both versions; the caller holds the lock.

    Args:
        name: the registered model.
        version: what becomes the champion.
        what: PROMOTED or ROLLED_BACK.
        why: in words.

    Raises:
        ValueError: afterwards the registry does not say that this version is the champion.
    """
    client = MlflowClient()
    before = find_champion(name)
    run = mlflow.active_run()
    move = Move(
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        who=run.data.tags.get(MLFLOW_USER, "unknown") if run else "unknown",
        what=what,
        why=why[:_LONGEST_REASON],
        before=str(before.version) if before else _NONE,
        after=str(version),
        run_id=run.info.run_id if run else _NONE,
    )
    client.set_registered_model_tag(name, _MOVING, move.to_json())
    client.set_registered_model_tag(name, move.tag, move.to_json())
    for number in move.versions:
        client.set_model_version_tag(name, number, move.tag, move.to_json())
    try:
        client.set_registered_model_alias(name, CHAMPION, version)
        now = find_champion(name)
        if now is None or str(now.version) != str(version):
            says = f"version {now.version}" if now else "no version"
            raise ValueError(
                f"the registry was told that version {version} of {name} is the champion, and "
                f"says that it is {says}"
            )
    except (MlflowException, ValueError):
        _take_back(name, move)
        raise
    _complete(name, move)
    return move


def move_under_way(name: str) -> Move | None:
    """Returns the move that is not complete; its run is at work on it, or was cut off."""
    found = MlflowClient().search_registered_models(named(name))
    moving = found[0].tags.get(_MOVING) if found else None
    return Move.from_json(moving) if moving else None


def finish_move(name: str) -> list[str]:
    """Completes a move that was cut off, or takes it back; the caller holds the lock.

    Returns:
        What was done, in words.
    """
    move = move_under_way(name)
    if move is None:
        return []
    now = find_champion(name)
    if now and str(now.version) == move.after:
        _complete(name, move)
        return [f"the champion of {name} is version {move.after}: told in its journal"]
    _take_back(name, move)
    return [f"the champion of {name} never became version {move.after}: no entry in its journal"]


def _complete(name: str, move: Move) -> None:
    client = MlflowClient()
    for version in _versions(name, move):
        if str(version.version) == move.after and CHALLENGER in version.aliases:
            client.delete_registered_model_alias(name, CHALLENGER)
        _describe(version)
    client.delete_registered_model_tag(name, _MOVING)


def _take_back(name: str, move: Move) -> None:
    client = MlflowClient()
    client.delete_registered_model_tag(name, move.tag)
    for version in _versions(name, move):
        client.delete_model_version_tag(name, str(version.version), move.tag)
    client.delete_registered_model_tag(name, _MOVING)


def _versions(name: str, move: Move) -> list[ModelVersion]:
    """Both versions of a move, of which one may have been deleted since."""
    client = MlflowClient()
    existing = {str(found.version) for found in client.search_model_versions(named(name))}
    return [client.get_model_version(name, each) for each in move.versions if each in existing]


def _describe(version: ModelVersion) -> None:
    """Repeats the journal at the end of a version's description."""
    text = (version.description or "").partition(_HEADING)[0]
    lines = "\n".join(f"- {_as_text(move)}" for move in read_journal(version.tags))
    MlflowClient().update_model_version(version.name, version.version, text + _HEADING + lines)


def was_taken_back(name: str, version: str) -> bool:
    """Whether a version is no longer the champion because a person wanted so.

    That is, by a rollback or by moving the alias by hand, not by the gate.

    Args:
        name: the registered model.
        version: one that is not the champion now.
    """
    moves = read_journal(MlflowClient().get_registered_model(name).tags)
    of_version = [move for move in moves if version in move.versions]
    if not of_version:
        return False  # never was the champion
    return of_version[-1].after == version or of_version[-1].what == ROLLED_BACK


def version_before(moves: Sequence[Move], champion: str | None, existing: set[str]) -> str | None:
    """Returns the version that was the champion before the one that is.

    A version that was rolled back from is not what came before: after 1, 2, 3 and a rollback to 2,
    it is 1. After 1, 2 and 1 promoted again it is 2.

    Args:
        moves: the journal, the oldest first.
        champion: the version that is the champion now; None if none is.
        existing: the versions that can be moved to.
    """
    champions: list[str] = []
    reached = [(move.after, move.what) for move in moves]
    for number, what in [*reached, *([(champion, ROLLED_BACK)] if champion else [])]:
        if what == ROLLED_BACK and number in champions:
            while champions[-1] != number:
                champions.pop()
        elif champions[-1:] != [number]:
            champions.append(number)
    earlier = [number for number in champions if number in existing and number != champion]
    return earlier[-1] if earlier else None


def _as_text(move: Move) -> Move:
    """A move whose words, which people typed, are no Markdown and no HTML."""
    return replace(move, who=escape(move.who), why=escape(move.why))
