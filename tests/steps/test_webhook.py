"""A webhook is told, in bounded time, and what comes of it is said without the URL."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from steps.runs.webhook import post

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
