"""The container's setting fits the files beside it."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
DEPLOY = PROJECT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]


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
    for name, service in SERVICES.items():
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
