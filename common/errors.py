"""The error that a person can mend, and the words for it."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """A recipe, a table or a parameter is wrong; the message is one line for its author."""


def unknown_name(kind: str, name: object, allowed: Iterable[str]) -> str:
    """Says that a name is unknown, which one is nearest, and which ones are allowed.

    Args:
        kind: what the name stands for, such as "model".
        name: the unknown name.
        allowed: the known names.

    Returns:
        One line without a full stop.
    """
    known = [str(choice) for choice in allowed]
    folded = {choice.casefold(): choice for choice in known}
    close = get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    nearest = f", did you mean {folded[close[0]]!r}?" if close else ";"
    return f"unknown {kind} {str(name)!r}{nearest} allowed: {', '.join(known) or 'none'}"
