"""Tells somebody elsewhere. The URL may be a secret: it is neither logged nor shown."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

_SECONDS_TO_ANSWER = 10


def post(webhook: str, content: Mapping[str, Any]) -> str:
    """Posts JSON, and says in words what came of it; it never raises.

    Args:
        webhook: a URL, or $NAME, the environment variable that holds it.
        content: plain JSON values.
    """
    url = os.environ.get(webhook[1:], "") if webhook.startswith("$") else webhook
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        return f"failed: {webhook} holds no URL" if webhook.startswith("$") else "failed: no URL"
    try:
        answer = requests.post(
            url, json=dict(content), timeout=_SECONDS_TO_ANSWER, allow_redirects=False
        )
    except (requests.RequestException, ValueError) as error:
        # What the error says holds the whole URL.
        return f"failed: {host} gave no answer ({type(error).__name__})"
    if answer.status_code < 300:
        return f"sent to {host}"
    return f"failed: {host} answered {answer.status_code}"
