"""A throw-away team's server here: PostgreSQL, an S3 store, and MLflow by deploy/serve.sh.

The two stores come from scripts that are no part of the project (see TOOLS); where these are not,
`missing()` says so.
"""

import os
import runpy
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import requests
from click.testing import CliRunner

PROJECT = Path(__file__).parent.parent
TOOLS = Path(os.environ.get("CUVEE_TEST_TOOLS") or PROJECT.parent / "shared" / "tools")
_SERVERS = TOOLS / "servers"
_SECONDS_TO_START = 180
# Ends all parts when the process that started them is gone, however it ended.
_GUARD = """cat >/dev/null
cd "$0" 2>/dev/null || exit 0
kill -KILL -- "-$(cat mlflow.pid)" "$(cat s3/pid)" "$(head -n 1 postgres/data/postmaster.pid)" """
PARTS = ("tracking server", "PostgreSQL", "S3 server")


def missing() -> str | None:
    """Says what is not there to start a server with; None if all is."""
    if not all((_SERVERS / name).is_file() for name in ("postgres", "s3")):
        return f"there are no servers to start in {_SERVERS}"
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return "PostgreSQL is not installed"
    return None


class TeamServer:
    """All three parts, each of which can be killed and started again, and its users.

    Only MLflow holds the credentials of the stores; `variables(user)` is what a client needs.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", workers: int = 2) -> None:
        folder.chmod(0o755)  # PostgreSQL runs as another user
        self.folder = folder
        self.host = host
        self.uri = f"http://{host}:{free_ports(host, 1)}"
        self.passwords = {"admin": secrets.token_hex(12)}
        self.log = folder / "mlflow.log"
        self._workers = workers
        self._secret_key = secrets.token_hex(24)
        self._postgres_port = free_ports("127.0.0.1", 1)
        self._s3_port = free_ports("127.0.0.1", 4)
        self._settings: dict[str, str] = {}
        self._mlflow: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self):
        self._guard = subprocess.Popen(
            ["bash", "-c", _GUARD, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            for part in reversed(PARTS):
                self.start(part)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error):
        self.stop()

    @property
    def database(self) -> str:
        """The URI of the database."""
        return f"postgresql+psycopg2://mlflow@127.0.0.1:{self._postgres_port}/mlflow"

    def settings(self) -> dict[str, str]:
        """What deploy/serve.sh and the scripts beside it are told."""
        own = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **own,
            **self._settings,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), own["PATH"]]),
            "BACKEND_STORE_URI": self.database,
            "ARTIFACTS_DESTINATION": "s3://mlflow",
            "ALLOWED_HOSTS": self.uri.removeprefix("http://"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self._secret_key,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.passwords["admin"],
            "HOST": self.host,
            "PORT": self.uri.rpartition(":")[2],
            "WORKERS": str(self._workers),
        }

    def variables(self, user: str = "admin") -> dict[str, str]:
        """The environment variables of a client."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": self.passwords[user],
        }

    def add_user(self, name: str, role: str) -> None:
        """Makes a user by scripts/add_user.py, in this process, which has its imports done."""
        self.passwords[name] = secrets.token_hex(12)
        command = runpy.run_path(str(PROJECT / "scripts" / "add_user.py"))["add_user"]
        asked = self.passwords[name] + "\n"
        done = CliRunner().invoke(command, [name, role], input=asked, env=self.variables())
        if done.exit_code:
            raise RuntimeError(f"{name} is no {role}: {done.output}{done.exception}")

    def start(self, part: str) -> None:
        """Starts one of PARTS and waits until it answers."""
        if part == "PostgreSQL":
            self._script("postgres", self._postgres_port, "start")
        elif part == "S3 server":
            said = self._script("s3", self._s3_port, "start")
            words = said.replace("export", "").split()
            self._settings |= dict(word.split("=", 1) for word in words)
        else:
            self._start_mlflow()

    def kill(self, part: str) -> None:
        """Ends one of PARTS as `kill -9` does, with all its processes."""
        if part == "PostgreSQL":
            file = self.folder / "postgres" / "data" / "postmaster.pid"
            postmaster = psutil.Process(int(file.read_text().split()[0]))
            family = [postmaster, *postmaster.children()]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, timeout=30)
        elif part == "S3 server":
            self._script("s3", self._s3_port, "stop")
        elif self._mlflow:
            with suppress(ProcessLookupError):
                os.killpg(self._mlflow.pid, signal.SIGKILL)
            self._mlflow.wait()

    def lose_everything(self) -> None:
        """Empties the database and the store, as a new machine has them."""
        for part in PARTS[1:]:
            self.kill(part)
        shutil.rmtree(self.folder / "postgres")
        shutil.rmtree(self.folder / "s3" / "data")
        for part in PARTS[1:]:
            self.start(part)

    def stop(self) -> None:
        """Ends whatever of it runs."""
        for part in PARTS:
            with suppress(subprocess.CalledProcessError, OSError, psutil.NoSuchProcess):
                self.kill(part)
        if self._guard:
            self._guard.kill()  # by now the numbers of the processes may be others'
            self._guard.communicate()

    def _script(self, name: str, port: int, what: str) -> str:
        # Through a file: a server that a script leaves behind would hold a pipe open.
        output = self.folder / f"{name}.out"
        with output.open("w") as file:
            subprocess.run(
                [str(_SERVERS / name), str(self.folder / name), str(port), what],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
                check=True,
                timeout=_SECONDS_TO_START,
            )
        return output.read_text()

    def _start_mlflow(self) -> None:
        with self.log.open("ab") as log:
            self._mlflow = subprocess.Popen(
                [str(PROJECT / "scripts" / "launch_mlflow.sh"), "--production"],
                cwd=self.folder,
                env=self.settings(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.folder / "mlflow.pid").write_text(str(self._mlflow.pid))
        deadline = time.monotonic() + _SECONDS_TO_START
        while not answers(self.uri):
            if self._mlflow.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MLflow does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.2)


def answers(uri: str) -> bool:
    """Says whether a server is up, by its /health."""
    try:
        return requests.get(f"{uri}/health", timeout=5).ok
    except requests.RequestException:
        return False


def free_ports(host: str, count: int) -> int:
    """Returns the first of so many ports in a row that nobody listens at."""
    while True:
        with socket.socket() as probe:
            probe.bind((host, 0))
            first = probe.getsockname()[1]
        # The S3 server takes each port plus 10000 as well.
        wanted = [port + more for port in range(first, first + count) for more in (0, 10000)]
        if first < 50000 and all(_is_free(host, port) for port in wanted[: 2 * count - 1]):
            return first


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def pipeline(*options: str) -> Sequence[str]:
    """The command line of main.py."""
    return [sys.executable, str(PROJECT / "main.py"), *options]
