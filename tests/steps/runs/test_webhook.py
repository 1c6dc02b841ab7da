"""A webhook is told, in bounded time, and what comes of it is said without the URL."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from modelling.recipe import load_recipe
from steps.runs import webhook
from steps.runs.webhook import post, tell_verdict

PROJECT = Path(__file__).parents[3]
PATH = "T0PSECRETPATH"


class _Server(HTTPServer):
    received = None
    status = 200


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.received = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words):
        pass


@pytest.fixture
def server():
    with _Server(("127.0.0.1", 0), _Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def url(server):
    return f"http://127.0.0.1:{server.server_port}/{PATH}"


def test_content_arrives(server):
    assert post(url(server), {"alerts": ["é"]}) == "sent to 127.0.0.1"
    assert server.received == {"alerts": ["é"]}


def test_a_variable_holds_the_url(server, monkeypatch):
    monkeypatch.setenv("HOOK", url(server))
    assert post("$HOOK", {"a": 1}) == "sent to 127.0.0.1"
    assert server.received == {"a": 1}


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_refusal_is_said(server, status):
    server.status = status
    assert post(url(server), {}) == f"failed: 127.0.0.1 answered {status}"


def test_silence_is_said_without_the_url(server):
    server.server_close()
    outcome = post(url(server), {})
    assert outcome == "failed: 127.0.0.1 gave no answer (ConnectionError)"


@pytest.mark.parametrize("value", ["", "no url", "http://[", "http://"])
def test_no_url_is_said_by_the_variables_name(monkeypatch, value):
    monkeypatch.setenv("HOOK", value)
    assert post("$HOOK", {}) == "failed: $HOOK holds no URL"


def test_a_url_that_is_none_for_requests_is_said_without_it(monkeypatch):
    monkeypatch.setenv("HOOK", f"gopher://host/{PATH}")
    assert post("$HOOK", {}) == "failed: host gave no answer (InvalidSchema)"


def test_slack_gets_a_text_in_which_no_letter_means_anything(server):
    post(url(server), {"text": "a < b & c", "alerts": []}, "slack")
    assert server.received == {"text": "a &lt; b &amp; c"}


def test_teams_gets_a_card(server):
    post(url(server), {"text": "rmse 0.7"}, "teams")
    (attachment,) = server.received["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["body"][0]["text"] == "rmse 0.7"


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("hooks.slack.com", "slack"),
        ("acme.webhook.office.com", "teams"),
        ("prod-12.westeurope.logic.azure.com", "teams"),
        ("evilhooks.slack.com.example", "plain"),
        ("127.0.0.1", "plain"),
    ],
)
def test_the_host_says_whose_webhook_it_is(host, form):
    assert webhook._form_of(host) == form


def test_no_secret_is_sent(server, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
    post(url(server), {"text": "postgresql://ana:pw@host/db hunter2hunter2"})
    assert server.received == {"text": "postgresql://host/db ***"}


@pytest.mark.parametrize(
    ("asked", "word", "is_told"),
    [
        ("verdicts", "rejected", True),
        ("verdicts", "unchanged", False),
        ("alerts", "rejected", False),
    ],
)
def test_a_verdict_is_told_where_the_recipe_asks_for_it(server, client, asked, word, is_told):
    """Of a run that has ended: its verdict is shown before anybody else is told."""
    recipe = load_recipe(PROJECT / "recipes/wine_quality.yaml")
    told = {"webhook": url(server), "tell": asked}
    recipe = recipe.model_copy(update={"monitor": recipe.monitor.model_copy(update=told)})
    run = client.create_run("0")
    client.set_terminated(run.info.run_id)
    verdict = {"pipeline.verdict": word, "pipeline.verdict_reason": "r2 0.1 is too small"}
    tell_verdict(recipe, verdict, run)
    said = "wine_quality: a model is rejected: r2 0.1 is too small"
    assert (server.received or {}).get("text") == (said if is_told else None)
    tags = client.get_run(run.info.run_id).data.tags
    assert tags.get("pipeline.webhook") == ("sent to 127.0.0.1" if is_told else None)
