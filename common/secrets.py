"""What looks like a secret: it gets into no diff, log or message."""

import os
import re
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit

_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+@")
# SQLAlchemy reads a slash in a password as it stands.
_DATABASE_CREDENTIALS = re.compile(
    r"((?:postgres(?:ql)?|cockroachdb|redshift|mysql|mariadb|mssql|oracle|snowflake)(?:\+\w+)?://)"
    r"[^:/@\s'\"]*:([^@\s'\"]*)@"
)
_WORD = r"(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|credential)"
_VARIABLE = re.compile(_WORD, re.IGNORECASE)
_SHORTEST = 8
_FILE_NAMES = re.compile(
    r"\.env(\..+)?|.*\.(env|pem|key|p12|pfx|jks|keystore|kdbx|ppk|gpg|tfvars)"
    r"|id_(rsa|dsa|ecdsa|ed25519).*|[._]netrc|\.(pgpass|git-credentials|pypirc|npmrc|htpasswd)"
    r"|(.*[._-])?(credentials?|secrets?)",
    re.IGNORECASE,
)
_DATA_NAMES = re.compile(r"(.*[._-])?(credentials?|secrets?)[._-].*", re.IGNORECASE)
_EXAMPLES = (".example", ".sample", ".template", ".dist")
_CODE = (".py", ".sh", ".md", ".js", ".ts")
_KNOWN_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bsk-[\w-]{20,}"
    r"|\bAIza[\w-]{35}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|://[^/@\s:'\"{}$<>]+:[^/@\s'\"{}$<>]+@"
)
_QUOTED = re.compile(
    rf"""[\w-]*{_WORD}[\w-]*["']?\s*[:=]\s*["'][^"'\s{{}}$<>]{{{_SHORTEST},}}["']""", re.IGNORECASE
)
_UNQUOTED = re.compile(
    rf"""^[+\- ]*[\w.-]*{_WORD}[\w.-]*\s*[:=]\s*[^\s"'(){{}}\[\]$<>#]{{{_SHORTEST},}}\s*$""",
    re.IGNORECASE | re.MULTILINE,
)
_URI_KEYS = re.compile(r"(?i)(.*(signature|token|password|secret|credential|api_?key)|sig)")
_URI_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def without_credentials(text: str) -> str:
    """Returns a text in which no URL has a user and a password before its host."""
    return _URL_CREDENTIALS.sub("", _DATABASE_CREDENTIALS.sub(r"\1", text))


def hide_secrets(text: str) -> str:
    """Returns a text without the credentials in URLs, and without the values of secret variables.

    A variable of the environment is secret if its name says so, as MLFLOW_TRACKING_PASSWORD and
    AWS_SECRET_ACCESS_KEY do.
    """
    for value in sorted(_secret_values(), key=len, reverse=True):
        text = text.replace(value, "***")
    return without_credentials(text)


def _secret_values() -> set[str]:
    return {
        value
        for name, value in os.environ.items()
        if _VARIABLE.search(name) and len(value) >= _SHORTEST
    }


def why_secret(name: str, content: bytes) -> str | None:
    """Says why a file may hold a secret; None if it does not look so.

    Args:
        name: its path.
        content: what is in it.
    """
    file = PurePosixPath(name)
    is_code = file.suffix in _CODE
    by_name = _FILE_NAMES.fullmatch(file.name) or (not is_code and _DATA_NAMES.fullmatch(file.name))
    if by_name and not file.name.endswith(_EXAMPLES):
        return "may hold secrets, by its name"
    text = content.decode("utf-8", errors="replace")
    found = _KNOWN_FORMS.search(text) or _QUOTED.search(text)
    if not found and not is_code:
        found = _UNQUOTED.search(text)
    if found or any(value in text for value in _secret_values()):
        return "may hold a secret, by its content"
    return None


def holds_secret(uri: str) -> bool:
    """Says whether a URI has a password before its host, or a signature or key in its query.

    A variable of the environment in its place, as `$PASSWORD`, is no secret.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "://" in uri and "@" in uri
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if database := _DATABASE_CREDENTIALS.match(uri):
        password = database[2]
    if not colon and parts.scheme in ("http", "https"):
        password = user  # a token, as the servers of Git take them
    values = [value for name, value in parse_qsl(parts.query) if _URI_KEYS.fullmatch(name)]
    return any(value and not _URI_VARIABLE.fullmatch(value) for value in (password, *values))
