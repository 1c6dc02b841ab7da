"""Secrets in the environment, in URIs and in the working tree: no run writes one anywhere.

The pipeline runs against a real server, which its tracking URI names with a password.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient

from tests.end_to_end.forked import run_forked
from tests.end_to_end.git_daemon import copy_project, git
from tests.end_to_end.store import RECIPE

PROJECT = Path(__file__).parents[3]
_SECONDS_TO_START = 180

SECRETS = {
    "the tracking URI": "T0P-tracking-1f3a",
    "the URI of the table": "T0P-table-2b77",
    "a key in the environment": "T0P-storage-3c90",
    "a password in the environment": "T0P-database-4d12",
    "the remote of the repository": "T0P-remote-5e55",
    "an untracked .env": "T0P-dotenv-6f01",
    "a changed file": "T0P-changed-7a08",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All that is written lies below: server, user, temporary (whose paths must be short)."""
    folder = tmp_path_factory.mktemp("s")
    for name in ("server", "user", "t"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project with secrets in its repository and working tree."""
    folder = tmp_path_factory.mktemp("project") / "cuvee"
    copy_project(folder)
    git(folder, "remote", "remove", "origin")
    remote = f"https://oauth2:{SECRETS['the remote of the repository']}@example.org/cuvee.git"
    git(folder, "remote", "add", "origin", remote)
    (folder / ".env").write_text(f"TOKEN={SECRETS['an untracked .env']}\n")
    with (folder / "data/README.md").open("a") as file:
        file.write(f"The database: postgresql://me:{SECRETS['a changed file']}@host/wines\n")
    with (folder / "docs/train/cache.md").open("a") as file:
        file.write("A harmless change.\n")
    return folder


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()[1]


@pytest.fixture(scope="module")
def tracking(root, environment):
    """A tracking server that proxies artifacts; gives its address."""
    port = _free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--serve-artifacts"]
    store = ["--backend-store-uri", f"sqlite:///{root / 'server/mlflow.db'}"]
    store += ["--artifacts-destination", str(root / "server/artifacts")]
    with (
        (root / "server/log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options, *store],
            cwd=root / "server",
            env={**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            try:
                requests.get(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.3)
        yield f"127.0.0.1:{port}"
        process.terminate()


@pytest.fixture(scope="module")
def table():
    """Serves the folder of the tables; gives the address of the wines."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_words):
            pass

    handler = partial(Silent, directory=str(PROJECT / "data"))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}/red-wine-quality.csv"
        server.shutdown()
        thread.join()


class Watch:
    """Reads the command lines of all processes that start while the block runs."""

    def __init__(self):
        self.seen = set()
        self._known = set(self._processes())
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._done.set()
        self._thread.join()

    def _processes(self):
        return [name for name in os.listdir("/proc") if name.isdecimal()]

    def _read(self):
        while not self._done.wait(0.05):
            for process in set(self._processes()) - self._known:
                with suppress(OSError):
                    self.seen.add(Path("/proc", process, "cmdline").read_bytes())


@pytest.fixture(scope="module")
def written(root, project, tracking, table, environment, type_command):
    """Types a pipeline, forks a sweep and a step that fails; gives all words and command lines."""
    variables = {
        "MLFLOW_TRACKING_URI": f"http://ana:{SECRETS['the tracking URI']}@{tracking}",
        "WINES": f"http://ana:{SECRETS['the URI of the table']}@{table}",
        "BROKEN": f"http://ana:{SECRETS['the URI of the table']}@{table}.not.there",
        "AWS_SECRET_ACCESS_KEY": SECRETS["a key in the environment"],
        "DATABASE_PASSWORD": SECRETS["a password in the environment"],
        # `mlflow run` itself prints a link to the run, with the password, before it ends.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "TMPDIR": str(root / "t"),
        "XDG_CACHE_HOME": str(root / "user/cache"),
    }
    run = [sys.executable, "-m", "mlflow", "run", str(project), "--env-manager", "local"]
    with Watch() as watch:
        good = type_command([*run, "-P", "data=$WINES"], root / "user", variables)
        variables |= environment
        sweep = ["-m", "steps.sweep", "--recipe", RECIPE, "--data", "$WINES"]
        swept = run_forked(["python", *sweep, "--alpha", "0.01,0.1"], project, variables)
        prepare = ["-m", "steps.prepare", "--recipe", RECIPE, "--data", "$BROKEN"]
        bad = run_forked(["python", *prepare], project, variables)
    return (good, swept, bad), watch.seen


@pytest.fixture
def client(tracking):
    return MlflowClient(f"http://{tracking}")


def test_the_pipeline_runs_on_a_server_with_a_table_behind_a_password(written, client):
    (good, swept, bad), _ = written
    assert good.returncode == 0, good.stdout
    assert "verdict  promoted" in good.stdout
    assert swept.returncode == 0, swept.stdout
    assert client.get_model_version_by_alias("wine_quality", "champion").version == "1"
    assert bad.returncode != 0
    assert "prepare: table $BROKEN cannot be downloaded: the server answered 404" in bad.stdout


def test_what_was_left_out_of_the_diff_is_said(written, client):
    said = "main: left out of the recorded diff: data/README.md (may hold a secret, by its content)"
    assert f"{said}, .env (may hold secrets, by its name)" in written[0][0].stdout
    (run,) = client.search_runs(["0"], "tags.`mlflow.project.entryPoint` = 'main'")
    assert run.data.tags["mlflow.source.git.repoURL"] == "https://example.org/cuvee.git"
    diff = Path(client.download_artifacts(run.info.run_id, "git_diff.txt")).read_text()
    assert "A harmless change." in diff


@pytest.mark.parametrize("planted", SECRETS)
def test_no_secret_is_written(written, root, planted):
    typed, command_lines = written
    secret = SECRETS[planted]
    for done in typed:
        assert secret not in done.stdout
    assert not [line for line in command_lines if secret.encode() in line]
    files = [file for file in root.rglob("*") if file.is_file()]
    assert len(files) > 50
    assert not [file for file in files if secret.encode() in file.read_bytes()]


def test_the_search_would_find_one(written, root):
    """What is known to be written is found by the same search."""
    assert any(b"$WINES" in line for line in written[1])
    files = [file for file in root.rglob("*") if file.is_file()]
    assert any(b"example.org/cuvee.git" in file.read_bytes() for file in files)
