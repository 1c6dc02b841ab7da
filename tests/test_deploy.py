"""The container's setting fits the files beside it; the scripts there answer in one line."""

import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Thread

import pytest
import requests
import yaml

from tests.docs.pages import commands
from tests.end_to_end.forked import run_forked
from tests.team_server import answers, free_ports

PROJECT = Path(__file__).parent.parent
DEPLOY = PROJECT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
STARTED = {name: each for name, each in SERVICES.items() if "profiles" not in each}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of deploy/ in which the secrets have been made, and what that printed."""
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copy(DEPLOY / "make_secrets.sh", folder)
    done = subprocess.run([folder / "make_secrets.sh"], capture_output=True, text=True, check=True)
    return folder / "secrets", done.stdout


def test_every_secret_is_made_from_nothing_and_shown_to_nobody(made):
    folder, said = made
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert {file.name for file in folder.iterdir()} == wanted
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "postgres_password").read_text() in (folder / "backend_store_uri").read_text()
    assert not [file for file in folder.iterdir() if file.read_text() in said]
    passwords = [(folder / name).read_text() for name in ("admin_password", "postgres_password")]
    assert len({*passwords, (folder / "s3_secret_key").read_text()}) == 3


def test_secrets_are_not_made_twice(made):
    folder, _ = made
    before = (folder / "admin_password").read_text()
    again = subprocess.run(
        [folder.parent / "make_secrets.sh"], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert (folder / "admin_password").read_text() == before


def test_what_a_service_is_given_is_known():
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for value in service.get("environment", {}).values():
            if str(value).startswith("/run/secrets/"):
                assert Path(value).name in service["secrets"]
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", [])) <= set(SERVICES)


def test_every_service_is_pinned_watched_and_started_again():
    health_of_the_image = "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for name, service in STARTED.items():
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert service["restart"] == "unless-stopped"
        assert "healthcheck" in service or ("build" in service and health_of_the_image), name


def test_nothing_secret_is_written_down():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY|URI", name) and "ARTIFACTS" not in name:
                assert name.endswith("_FILE"), name
                assert value.startswith("/run/secrets/")


def test_the_image_has_the_locked_version_of_mlflow():
    lock = (PROJECT / "requirements-server.lock").read_text(encoding="utf-8")
    locked = re.search(r"^mlflow==(\S+)", lock, re.MULTILINE)
    assert locked
    assert SERVICES["server"]["image"].endswith(":" + locked[1])


def test_only_nginx_can_be_reached():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    outside = [name for name, service in SERVICES.items() if "outside" in service["networks"]]
    assert outside == ["nginx"]


def test_a_command_on_the_stores_is_the_server_s_image_beside_a_running_server():
    server, admin = SERVICES["server"], SERVICES["admin"]
    assert set(SERVICES) - set(STARTED) == {"admin"}
    for same in ("image", "environment", "secrets", "depends_on", "read_only"):
        assert admin[same] == server[same]
    # `run` would ask for the address that the server holds, and start the server.
    assert admin["networks"] == ["inside"]
    assert admin["entrypoint"] == []
    others = ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["ip_range"])
    assert ip_address(server["networks"]["inside"]["ipv4_address"]) not in others


def test_a_command_on_the_stores_reaches_the_server_and_can_read_its_secrets(made):
    folder, _ = made
    assert "server:5000" in SERVICES["server"]["environment"]["ALLOWED_HOSTS"].split(",")
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}


def test_the_documented_commands_name_what_the_containers_have():
    page = "docs/operate/production.md"
    typed = [each for each in commands(page) if each.startswith("docker compose")]
    scripts = {file.name for file in DEPLOY.glob("*.py")}
    for words in (each.split() for each in typed if " run " in each):
        assert "admin" in words
        assert set(filter(re.compile(r"\S+\.py").fullmatch, words)) <= scripts
        # A folder of the host may be closed to everybody but its owner.
        assert ("--volume" in words) == ("--user" in words)


SETTINGS = {
    "BACKEND_STORE_URI": "postgresql+psycopg2://mlflow:hidden@127.0.0.1:1/mlflow",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "hidden",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def deploy(tmp_path):
    """Runs a script of deploy/ with a pg_dump that does what it is told, and stores here."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "store").mkdir()
    settings = {"ARTIFACTS_DESTINATION": str(tmp_path / "store"), **SETTINGS}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def deploy(script, *words, pg_dump="true", **variables):
        program = tmp_path / "bin" / "pg_dump"
        program.write_text(f"#!/bin/sh\n{pg_dump}\n")
        program.chmod(0o755)
        command = ["python", str(DEPLOY / script), *map(str, words)]
        return run_forked(command, tmp_path, {**os.environ, "PATH": path, **settings, **variables})

    return deploy


def said_in_one_line(done):
    """What a command said that failed as it should."""
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("\n") == 1, done.stdout
    assert "hidden" not in done.stdout
    return done.stdout


def test_a_source_that_cannot_be_looked_at_is_no_traceback(deploy):
    # As a home that may not be entered, which root always may.
    source = f"sqlite:////{'long' * 100}/mlflow.db"
    assert "nothing was moved: " in said_in_one_line(deploy("move_to_server.py", source))


def test_a_source_that_is_no_sqlite_is_named_without_its_password(deploy):
    source = "postgresql://ana:hidden@host/mlflow"
    said = said_in_one_line(deploy("move_to_server.py", source))
    assert "postgresql://host/mlflow is not the URI of an SQLite database" in said


@pytest.mark.parametrize(
    ("pg_dump", "why"),
    [("echo 'pg_dump: error: no\nroute' >&2; exit 1", "no route"), ("kill -9 $$", "-9")],
    ids=["fails", "is killed"],
)
def test_a_backup_that_failed_is_made_by_the_same_command(deploy, tmp_path, pg_dump, why):
    folder = tmp_path / "backups" / "today"
    failed = deploy("backup.py", "backup", folder, pg_dump=pg_dump)
    assert why in said_in_one_line(failed)
    assert list(folder.parent.iterdir()) == []
    again = deploy("backup.py", "backup", folder)
    assert again.returncode == 0, again.stdout
    assert [each.name for each in folder.parent.iterdir()] == ["today"]


def test_what_a_killed_backup_left_is_named_and_not_touched(deploy, tmp_path):
    left = tmp_path / "today.unfinished"
    left.mkdir()
    refused = deploy("backup.py", "backup", tmp_path / "today")
    assert f"{left} is there" in said_in_one_line(refused)
    assert left.exists()


def test_a_backup_where_nothing_can_be_written_is_no_traceback(deploy, tmp_path):
    file = tmp_path / "file"
    file.touch()
    said_in_one_line(deploy("backup.py", "backup", file / "today"))
    said_in_one_line(deploy("backup.py", "backup", tmp_path / ("long" * 100)))


class _Vanishing(BaseHTTPRequestHandler):
    """A store of S3 that has the bucket, and is gone when it is asked what is in it."""

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        """Hangs up."""

    def log_message(self, *_words):
        pass


def test_a_store_that_vanishes_is_told_in_one_line(deploy, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Vanishing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        store = {
            "ARTIFACTS_DESTINATION": "s3://mlflow",
            "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_MAX_ATTEMPTS": "1",
        }
        failed = deploy("backup.py", "backup", tmp_path / "today", **store)
        server.shutdown()
    assert "Connection was closed" in said_in_one_line(failed)
    assert not (tmp_path / "today.unfinished").exists()


def test_a_user_is_not_made_without_the_packages_of_a_server():
    script = PROJECT / "scripts" / "add_user.py"
    code = (
        "import runpy, sys; sys.modules['mlflow'] = None; sys.argv = ['', 'ana', 'reader'];"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "--with-requirements requirements-server.lock" in said_in_one_line(done)


def test_a_user_is_not_made_with_mlflow_alone(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("mlflow.server.auth")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flask_wtf", None)
    with pytest.raises(SystemExit, match=r"lacks packages of requirements-server\.lock"):
        runpy.run_path(str(PROJECT / "scripts" / "add_user.py"), run_name="__main__")


@pytest.mark.slow
def test_the_server_of_a_class_answers_by_its_address_and_keeps_all_files(tmp_path):
    """Its command, as the container runs it, but for the place and the port."""
    text = (DEPLOY / "compose.class.yaml").read_text(encoding="utf-8")
    text = re.sub(r"\$\{ALLOWED_HOSTS:-.*?\}", "prof.example", text)
    (service,) = yaml.safe_load(text.replace("/srv/home", str(tmp_path)))["services"].values()
    port = free_ports("127.0.0.1", 1)
    words = [*service["entrypoint"], *service["command"]]
    words[words.index("--port") + 1] = str(port)
    uri = f"http://127.0.0.1:{port}"
    experiment = f"{uri}/api/2.0/mlflow/experiments/get?experiment_id=0"

    def ask(host):
        return requests.get(experiment, headers={"Host": host}, timeout=10)

    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            while not answers(uri):
                assert server.poll() is None
                time.sleep(0.2)
            place = ask("prof.example").json()["experiment"]["artifact_location"]
            assert place.startswith("mlflow-artifacts:/")
            assert ask("other.example").status_code == 403
        finally:
            server.terminate()
