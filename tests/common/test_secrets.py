"""What looks like a secret, by a file's name or content, and what is taken out of a text."""

import pytest

from common.secrets import hide_secrets, why_secret, without_credentials

NAMES = [
    ".env",
    "deploy/.env.production",
    "server.pem",
    "certs/tls.key",
    "id_rsa",
    ".netrc",
    ".pgpass",
    "credentials",
    "gcp-credentials.json",
    "secrets.yaml",
    "secrets-prod.yaml",
    "credentials.xml",
    "credentials_old.json",
    "aws_credentials",
    "prod.tfvars",
]
OTHER_NAMES = [
    ".env.example",
    "main.py",
    "monkey.py",
    "keys.py",
    "secret_uris.py",
    "tokens.md",
    "secrets.py",
]
CONTENTS = [
    ("a.yaml", "password: hunter2hunter2"),
    ("a.cfg", "[db]\nDB_PASSWORD=correcthorse\n"),
    ("a.py", 'API_KEY = "0123456789abcdef"'),
    ("a.py", "connect('postgresql://me:hunter2@db/wines')"),
    ("a.json", '{"secret_token": "abcdefghij"}'),
    ("a.txt", "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("a.py", "key = 'AKIAABCDEFGHIJKLMNOP'"),
    ("a.sh", "curl -H 'Authorization: ghp_" + 36 * "a" + "'"),
]
OTHER_CONTENTS = [
    ("a.py", "password = os.environ['PASSWORD']"),
    ("a.py", "token = next_token(text)"),
    ("a.py", 'SECRET = ""'),
    ("a.yaml", "password: ${DB_PASSWORD}"),
    ("a.md", "https://user:$PASSWORD@host/"),
    ("a.yaml", "split: {seed: 12345678}"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_secrets(name):
    assert why_secret(name, b"") == "may hold secrets, by its name"


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names(name):
    assert why_secret(name, b"") is None


@pytest.mark.parametrize(("name", "content"), CONTENTS)
def test_contents_that_hold_secrets(name, content):
    assert why_secret(name, content.encode()) == "may hold a secret, by its content"


@pytest.mark.parametrize(("name", "content"), OTHER_CONTENTS)
def test_other_contents(name, content):
    assert why_secret(name, content.encode()) is None


def test_the_value_of_a_secret_variable_is_a_secret_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    monkeypatch.setenv("GREETING", "good morning")
    assert why_secret("notes.txt", b"say correct horse") is not None
    assert why_secret("notes.txt", b"say good morning") is None
    assert hide_secrets("say correct horse, good morning") == "say ***, good morning"


def test_short_values_are_no_secrets(monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert hide_secrets("it is false") == "it is false"


def test_credentials_leave_a_url():
    text = "at https://me:hunter2@host:5000/x?a=b@c and https://token@host, me@host"
    assert without_credentials(text) == "at https://host:5000/x?a=b@c and https://host, me@host"


def test_a_slash_in_the_password_of_a_database_hides_none_of_it():
    text = "at postgresql+psycopg2://mlflow:ab/cd+ef@db/mlflow, as http://host:80/x@y"
    assert without_credentials(text) == "at postgresql+psycopg2://db/mlflow, as http://host:80/x@y"
