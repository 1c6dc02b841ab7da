"""A URI that holds a secret, which must not be recorded."""

import re
from urllib.parse import parse_qsl, urlsplit

_KEYS = re.compile(r"(?i)(.*(signature|token|password|secret|credential|api_?key)|sig)")
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def holds_secret(uri: str) -> bool:
    """Says whether a URI has a password before its host, or a signature or key in its query.

    A variable of the environment in its place, as `$PASSWORD`, is no secret.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "://" in uri and "@" in uri
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if not colon and parts.scheme in ("http", "https"):
        password = user  # a token, as the servers of Git take them
    values = [value for name, value in parse_qsl(parts.query) if _KEYS.fullmatch(name)]
    return any(value and not _VARIABLE.fullmatch(value) for value in (password, *values))
