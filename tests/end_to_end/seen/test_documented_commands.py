"""Each command of README.md and docs/ is given, page by page, in a fresh clone of what is here.

The first of each program is typed, in an empty store; the next ones are forked, which spares the
seconds of imports, in a store where some models are made already. A command that stands on several
pages is given once. The pages in French have the commands of the English ones: test_pages.py.
"""

import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.docs.pages import PAGES, PROJECT, code_blocks, commands
from tests.end_to_end.forked import run_forked
from tests.end_to_end.templates import copy_store

pytestmark = pytest.mark.slow

# What is not typed as it stands: test_environments.py shows that each of these makes the locked
# environment, and the active one is as locked.
_ENVIRONMENTS = {
    r"^pip install uv && ": "",
    r"\buvx --python \S+ --with-requirements \S+ ": "",
    r"--env-manager (uv|virtualenv)\b": "--env-manager local",
}
# What would take long, or would not be seen to fail.
_OTHERWISE = {
    r"\btrials=\d+": "trials=2",
    r"-P cache=refresh$": r"\g<0> -P until=train",
    r"-P (recipe=recipes/(examples/taxi_fares|customers).yaml|alpha=0.1|l1_ratio=0.5)$": (
        r"\g<0> -P until=train"
    ),
    r"-P model=random_forest$": r"\g<0> -P until=train",
    r"^mlflow run \. --env-manager \w+ -P data=\S+$": r"\g<0> -P until=train",
    r"-e draft_recipe .*$": r"\g<0> -P seconds=3",
    r"recipe=recipes/customer_churn.yaml$": r"\g<0> -P model=logistic_regression",
    r"-e refresh -P recipe=recipes/customer_churn.yaml .*$": r"\g<0> -P model=logistic_regression",
    r"-e sweep$": "-e sweep -P alpha=0.01,0.1",
    r"-e sweep -P '\S+'$": r"\g<0> -P trials=2",
    r"-e rollback -P version=1": "-e rollback -P version=2",  # 1 is the champion by then
    r"^curl ": "curl --silent --fail-with-body ",
}
# What is not typed here, by some words of it, and what types it.
_ELSEWHERE = {
    "python -m pytest": ".ci/run",
    "scripts/refresh_locks.sh": "tests/test_locks.py",  # holds what it wrote: it asks a registry
    "mlflow run https://example.org/": "tests/end_to_end/elsewhere/test_git_url.py",
    "-e reproduce": "tests/end_to_end/in_use/test_reproduce.py",
    "check_mlflow_status.py --moved": "tests/end_to_end/registry/test_moved_store.py",
    "$WINES_": "tests/steps/sources/test_table_source.py",
    "uv pip compile requirements.in": "tests/end_to_end/pipelines/test_own_code.py",
    "uv pip install -r requirements.lock": "tests/end_to_end/pipelines/test_own_code.py",
}
# What needs PostgreSQL, a store of S3, nginx and users, a Dask cluster, or an orchestrator.
_PAGES_ELSEWHERE = {
    "docs/operate/production.md": "tests/end_to_end/elsewhere/test_team_server.py",
    "docs/train/scaling.md": "tests/end_to_end/in_use/test_sweep.py",
    "docs/use/orchestrators.md": "tests/pipelines/test_nights.py",
}
# What is one program from top to bottom.
_PYTHON_ELSEWHERE = {
    "docs/learn/course.md": "tests/docs/test_snippets.py",
    "docs/learn/python_cheat_sheet.md": "tests/docs/test_snippets.py",
}
_ENGLISH = [page for page in PAGES if not page.startswith("docs/fr/")]
_TYPED = [page for page in _ENGLISH if page not in _PAGES_ELSEWHERE]
_SERVERS = ("mlflow models serve", "scripts/launch_mlflow.sh")
_SECONDS_TO_START = 300


class Reader:
    """Somebody who does what stands on the pages, where the first command of the README led."""

    def __init__(self, folder, execute, environment, known) -> None:
        self.folder, self._known = folder, known
        self._execute, self._environment = execute, environment
        self._given: set[str] = set()
        self._typed: set[str] = set()
        self._servers: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self._files = folder / "files"
        self._files.mkdir()
        wines = pd.read_csv(PROJECT / "data/red-wine-quality.csv")
        customers = pd.read_csv(PROJECT / "data/customer_data.csv")
        wines.to_csv(self._files / "wines.csv", index=False)
        wines.to_parquet(self._files / "wines.parquet")
        customers.head(3000).to_csv(self._files / "customers.csv", index=False)
        customers.tail(5000).to_csv(self._files / "last_week.csv", index=False)

    def read(self, page: str) -> list[str]:
        """Gives the page's commands that were not given yet; returns what went wrong."""
        try:
            wrong = [self._type(command) for command in commands(page)]
            if page not in _PYTHON_ELSEWHERE:
                wrong += [self._type_python(code) for code in code_blocks(page, "python")]
        finally:
            self._end_servers()
        return [line for line in wrong if line]

    def _type(self, command: str) -> str:
        if any(words in command for words in _ELSEWHERE):
            return ""
        command = self._fill_in(command)
        return self._once(command, self._start if command.startswith(_SERVERS) else self._run)

    def _type_python(self, code: str) -> str:
        return self._once(code, self._run_python)

    def _once(self, text: str, run: Callable[[str], subprocess.CompletedProcess[str]]) -> str:
        """Runs what was not run yet; returns what it said if it failed."""
        if text in self._given:
            return ""
        self._given.add(text)
        done = run(text)
        return f"{text}\n{done.stdout}" if done.returncode else ""

    def _fill_in(self, command: str) -> str:
        """The command with values for its placeholders."""
        for pattern, text in {**_ENVIRONMENTS, **_OTHERWISE}.items():
            command = re.sub(pattern, text, command)
        values = {
            "<this repository>": str(PROJECT),
            "/path/to/": f"{self._files}/",
            "5001": self._port,
            "scripts/launch_mlflow.sh": f"scripts/launch_mlflow.sh {self._port}",
        }
        for name, value in values.items():
            command = command.replace(name, value)
        if "<run id>" in command:
            entry_point = "prepare" if "prepare_run_id" in command else "main"
            command = command.replace("<run id>", self._newest_run(entry_point))
        return command

    def _newest_run(self, entry_point: str) -> str:
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        (run,) = MlflowClient(store, store).search_runs(
            ["0"],
            f"tags.mlflow.project.entryPoint = '{entry_point}' and status = 'FINISHED' "
            "and tags.pipeline.recipe = 'wine_quality'",
            max_results=1,
        )
        return run.info.run_id

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        words = [] if set(command) & set("&|<>$;") else shlex.split(command)
        if words[:1] == ["mlflow"]:
            words[:1] = ["python", shutil.which("mlflow", path=self._environment["PATH"])]
        if words[:1] == ["python"] and self._was_typed(Path(words[1]).name):
            return run_forked(words, self.folder, self._environment)
        place = self._files / "place"
        done = self._execute(["bash", "-ec", f"{command}\npwd >{place}"], self.folder)
        if done.returncode == 0:
            self.folder = Path(place.read_text().strip())
            self._replace_store()
        return done

    def _replace_store(self) -> None:
        """Has the known store in place of what the first pipeline left."""
        if self._known and (self.folder / "mlflow.db").exists():
            for file in self.folder.glob("mlflow.db*"):
                file.unlink()
            copy_store(self._known, self.folder)
            self._known = None

    def _run_python(self, code: str) -> subprocess.CompletedProcess[str]:
        if not self._was_typed("python"):
            return self._execute([sys.executable, "-c", code], self.folder)
        file = self._files / "code.py"
        file.write_text(code)
        return run_forked(["python", str(file)], self.folder, self._environment)

    def _was_typed(self, program: str) -> bool:
        """Whether this program was typed before; from now on it was."""
        was = program in self._typed
        self._typed.add(program)
        return was

    def _start(self, command: str) -> subprocess.CompletedProcess[str]:
        """Starts a server of the page and waits until it listens."""
        log = self._files / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._servers.append(server)
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", int(self._port)), timeout=5).close()
                return subprocess.CompletedProcess(command, 0, "")
            except OSError:
                time.sleep(0.2)
        return subprocess.CompletedProcess(command, 1, log.read_text())

    def _end_servers(self) -> None:
        for server in self._servers:
            subprocess.run(["kill", "-TERM", "--", f"-{server.pid}"], check=False)
            server.wait()
        self._servers = []


@pytest.fixture(scope="module")
def reader(tmp_path_factory, type_command, environment, template):
    """A reader, who has the README's commands behind them."""
    known = template("wines").store.folder
    reader = Reader(tmp_path_factory.mktemp("reader"), type_command, environment, known)
    reader.wrong = {"README.md": reader.read("README.md")}
    return reader


@pytest.mark.parametrize("page", _TYPED)
def test_every_command_of_the_page_works(reader, page):
    if page not in reader.wrong:
        reader.wrong[page] = reader.read(page)
    assert "\n".join(reader.wrong[page]) == ""


def test_what_is_typed_elsewhere_is_on_a_page_and_has_its_test():
    words = [command for page in _ENGLISH for command in commands(page)]
    assert [part for part in _ELSEWHERE if not any(part in each for each in words)] == []
    assert [page for page in _PAGES_ELSEWHERE if page not in _ENGLISH] == []
    elsewhere = (_ELSEWHERE, _PAGES_ELSEWHERE, _PYTHON_ELSEWHERE)
    places = [place for each in elsewhere for place in each.values()]
    assert [place for place in places if not (PROJECT / place).exists()] == []
