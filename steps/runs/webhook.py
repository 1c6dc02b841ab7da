"""Tells somebody elsewhere. The URL may be a secret: it is neither logged nor shown."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import click
import requests
from mlflow import MlflowClient
from mlflow.entities import Run

from common.secrets import hide_secrets
from modelling.recipe import Recipe
from steps.runs.names import MODEL_VERSION, VERDICT, VERDICT_REASON

WEBHOOK = "pipeline.webhook"
"""What came of telling somebody."""

_SECONDS_TO_ANSWER = 10
_HOSTS = {
    "hooks.slack.com": "slack",
    "webhook.office.com": "teams",
    "logic.azure.com": "teams",
    "api.powerplatform.com": "teams",
}


def tell(recipe: Recipe, text: str, run_id: str, **facts: Any) -> None:
    """Tells whoever the recipe names; what came of it is said, and is a tag of the run.

    Args:
        recipe: its section `monitor` names the webhook; nobody is told if it names none.
        text: for a person.
        run_id: of the run that it is about, which may have ended.
        facts: plain JSON values for a program, beside `recipe`, `run_id` and `text`.
    """
    if recipe.monitor.webhook == "none":
        return
    about = {"recipe": recipe.name, "run_id": run_id}
    content = {**about, **facts, "text": f"{recipe.name}: {text}"}
    outcome = post(recipe.monitor.webhook, content, recipe.monitor.webhook_form)
    MlflowClient().set_tag(run_id, WEBHOOK, outcome)
    click.echo(f"the webhook: {outcome}")


def tell_verdict(recipe: Recipe, verdict: Mapping[str, str], run: Run) -> None:
    """Tells what came of a pipeline, if the recipe asks for it; nobody needs `unchanged`.

    Args:
        recipe: as `tell` takes it.
        verdict: the tags of the verdict; empty if it came to none.
        run: the pipeline's.
    """
    word = verdict.get(VERDICT, "unchanged")
    if recipe.monitor.tell != "verdicts" or word == "unchanged":
        return
    version, reason = verdict.get(MODEL_VERSION), verdict[VERDICT_REASON]
    subject = f"version {version} is {word}" if version else f"a model is {word}"
    text = f"{subject}: {reason}"
    tell(recipe, text, run.info.run_id, verdict=word, reason=reason, version=version)


def post(webhook: str, content: Mapping[str, Any], form: str = "auto") -> str:
    """Posts JSON, and says in words what came of it; it never raises.

    Args:
        webhook: a URL, or $NAME, the environment variable that holds it.
        content: plain JSON values; `text` is for a person. No secret of theirs is sent.
        form: as whose webhook takes it; auto: as the URL's host says, plain if it is unknown.
    """
    url = os.environ.get(webhook[1:], "") if webhook.startswith("$") else webhook
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        return f"failed: {webhook} holds no URL" if webhook.startswith("$") else "failed: no URL"
    safe = json.loads(hide_secrets(json.dumps(dict(content), ensure_ascii=False)))
    try:
        answer = requests.post(
            url,
            json=_FORMS[_form_of(host) if form == "auto" else form](safe),
            timeout=_SECONDS_TO_ANSWER,
            allow_redirects=False,
        )
    except (requests.RequestException, ValueError) as error:
        # What the error says holds the whole URL.
        return f"failed: {host} gave no answer ({type(error).__name__})"
    if answer.status_code < 300:
        return f"sent to {host}"
    return f"failed: {host} answered {answer.status_code}"


def _form_of(host: str) -> str:
    forms = (form for end, form in _HOSTS.items() if f".{host}".endswith(f".{end}"))
    return next(forms, "plain")


def _for_slack(content: dict[str, Any]) -> dict[str, Any]:
    """As an incoming webhook of Slack takes it, in which three letters mean something."""
    text = content.get("text", "")
    for letter, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, name)
    return {"text": text}


def _for_teams(content: dict[str, Any]) -> dict[str, Any]:
    """An adaptive card, as a webhook of Teams' workflows takes it."""
    text = {"type": "TextBlock", "text": content.get("text", ""), "wrap": True}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [text],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


_FORMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "plain": lambda content: content,
    "slack": _for_slack,
    "teams": _for_teams,
}
