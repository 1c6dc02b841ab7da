"""A folder to stand in and its store: commands, and what they leave."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.pyfunc import PyFuncModel
from mlflow.utils.file_utils import local_file_uri_to_path

from tests.end_to_end.forked import Forked, run_forked
from tracking.mlflow_manager import sqlite_uri

PROJECT = Path(__file__).parents[2]
RECIPE = "recipes/wine_quality.yaml"
_WITHOUT_RECIPE = ("draft_recipe", "reproduce")
_LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, words, new runs (the oldest first), and the registry then."""

    code: int
    terminal: str
    client: MlflowClient
    runs: list[Run]
    versions: dict[int, ModelVersion]
    aliases: dict[str, int]

    @property
    def parent(self) -> Run:
        """The run of `main`."""
        return self.of("main")

    def of(self, entry_point: str) -> Run:
        """The only new run of an entry point."""
        (run,) = (
            run for run in self.runs if run.data.tags["mlflow.project.entryPoint"] == entry_point
        )
        return run

    def step(self, name: str) -> Run:
        """The run that the parent names as this step, new or not."""
        return self.client.get_run(self.parent.data.tags[f"pipeline.step.{name}.run_id"])

    def assert_refused(self, step: str, words: Sequence[str], parent: bool = True) -> None:
        """One line for a person says what is wrong; step and parent FAILED; the log has more."""
        assert self.code != 0
        assert "Traceback" not in self.terminal
        said = [line for line in self.terminal.splitlines() if line.startswith(f"{step}: ")]
        assert len(said) == 1, self.terminal
        message = said[0].removeprefix(f"{step}: ")
        assert self.terminal.count(message) == 1, self.terminal
        assert [word for word in words if word not in message] == [], message
        failed = [run for run in self.runs if run.info.status != "FINISHED"]
        names = [run.data.tags["mlflow.project.entryPoint"] for run in failed]
        assert names == list(dict.fromkeys(["main", step] if parent else [step]))
        for run, name in zip(failed, names, strict=True):
            assert run.info.status == "FAILED"
            assert run.data.tags["pipeline.error"].endswith(message)
            assert "Traceback" in artifact(run, f"logs/{name}.log").read_text(encoding="utf-8")


class Store:
    """A folder to stand in, with the SQLite store that is there or that MLflow makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = sqlite_uri(folder / "mlflow.db")

    @cached_property
    def client(self) -> MlflowClient:
        """Reads the store; made only when a command has made the database."""
        return MlflowClient(self.uri, self.uri)

    def mlflow_run(
        self,
        *parameters: str,
        entry_point: str = "main",
        is_typed: bool = True,
        **variables: str,
    ) -> Outcome:
        """Does what `mlflow run` of the project does where one stands.

        Args:
            parameters: such as `alpha=0.5`.
            entry_point: its name in MLproject.
            is_typed: whether it is a process of its own, whose command is one too.
            variables: of the environment.
        """
        chosen = [word for parameter in parameters for word in ("-P", parameter)]
        run = ["run", str(PROJECT), "--env-manager", "local", "-e", entry_point, *chosen]
        if is_typed:
            return self.type([sys.executable, "-m", "mlflow", *run], variables=variables)
        environment = {**clean_environment(), **variables}
        script = shutil.which("mlflow", path=environment["PATH"]) or "mlflow"
        return self._outcome_of(
            lambda: run_forked(["python", script, *run], self.folder, environment)
        )

    def main(
        self, *parameters: str, project: Path = PROJECT, is_typed: bool = False, **variables: str
    ) -> Outcome:
        """Does what `python main.py` with the same parameters does where one stands.

        Args:
            parameters: such as `alpha=0.5`.
            project: the folder of `main.py`, maybe a copy with other code.
            is_typed: whether it is a process of its own that does its own imports.
            variables: of the environment.
        """
        if is_typed:
            command = [sys.executable, str(project / "main.py"), *_options(parameters)]
            return self.type(command, variables=variables)
        return self._outcome_of(
            lambda: self.start_main(*parameters, project=project, **variables).finish()
        )

    def start_main(self, *parameters: str, project: Path = PROJECT, **variables: str) -> Forked:
        """Starts what `main` does, forked, and does not wait for it."""
        command = ["python", str(project / "main.py"), *_options(parameters)]
        return Forked(command, self.folder, {**clean_environment(), **variables})

    def step(
        self, name: str, *parameters: str, project: Path = PROJECT, **variables: str
    ) -> Outcome:
        """Does what a step's command does as MLproject has it, and `sweep` and `reproduce` too."""
        return self._outcome_of(
            lambda: self.start_step(name, *parameters, project=project, **variables).finish()
        )

    def start_step(
        self, name: str, *parameters: str, project: Path = PROJECT, **variables: str
    ) -> Forked:
        """Starts what `step` does, and does not wait for it."""
        recipe = [] if name in _WITHOUT_RECIPE else ["--recipe", RECIPE]
        command = ["python", "-m", f"steps.{name}", *recipe, *_options(parameters)]
        place = {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_EXPERIMENT_ID": "0", **variables}
        return Forked(command, project, {**clean_environment(), **place})

    def steps(
        self, recipe: str, model: str = "auto", data: str = "auto", **hyperparameters: object
    ) -> dict[str, Run]:
        """Does the steps of a first pipeline one by one, without the run and reports of `main`.

        Returns:
            The run of each, by its name; each has succeeded.
        """
        runs = {}

        def run(name: str, *parameters: str) -> str:
            outcome = self.step(name, f"recipe={recipe}", *parameters)
            assert outcome.code == 0, outcome.terminal
            runs[name] = self.client.get_run(outcome.of(name).info.run_id)
            return runs[name].info.run_id

        prepared = f"prepare_run_id={run('prepare', f'data={data}')}"
        chosen = [f"{name}={value}" for name, value in hyperparameters.items()]
        run("train", f"model={model}", prepared, *chosen)
        uri = f"models:/{runs['train'].outputs.model_outputs[0].model_id}"
        evaluated = run("evaluate", prepared, f"model_uri={uri}")
        run("register", f"evaluate_run_id={evaluated}")
        return runs

    def check_status(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Types `python scripts/check_mlflow_status.py`."""
        return self.script("check_mlflow_status.py", *options, **variables)

    def script(
        self, name: str, *options: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Types `python scripts/NAME`, without the seconds that imports take."""
        script = str(PROJECT / "scripts" / name)
        place = {"MLFLOW_TRACKING_URI": self.uri, **variables}
        return run_forked(
            ["python", script, *options], self.folder, {**clean_environment(), **place}
        )

    def champion(self, name: str) -> PyFuncModel:
        """Loads the model in use; the store is this process's only meanwhile."""
        mlflow.set_tracking_uri(self.uri)
        try:
            return mlflow.pyfunc.load_model(f"models:/{name}@champion")
        finally:
            mlflow.set_tracking_uri(None)

    def type(
        self,
        command: Sequence[str],
        cwd: Path | None = None,
        variables: dict[str, str] | None = None,
    ) -> Outcome:
        """Runs any command that writes to the store."""
        return self._outcome_of(lambda: execute(command, cwd or self.folder, variables))

    def _outcome_of(self, command: Callable[[], subprocess.CompletedProcess[str]]) -> Outcome:
        known = {run.info.run_id for run in self.runs()}
        done = command()
        versions = self.client.search_model_versions() if self._exists() else []
        models = self.client.search_registered_models() if self._exists() else []
        return Outcome(
            done.returncode,
            done.stdout,
            self.client,
            [run for run in self.runs() if run.info.run_id not in known],
            {int(version.version): version for version in versions},
            {name: int(number) for model in models for name, number in model.aliases.items()},
        )

    def _exists(self) -> bool:
        return (self.folder / "mlflow.db").exists()

    def runs(self) -> list[Run]:
        """All runs of the store, the oldest first."""
        if not self._exists():
            return []
        experiments = [found.experiment_id for found in self.client.search_experiments()]
        return list(self.client.search_runs(experiments, order_by=["attributes.start_time"]))


def _options(parameters: Sequence[str]) -> list[str]:
    pairs = [parameter.split("=", 1) for parameter in parameters]
    return [word for name, value in pairs for word in (f"--{name}", value)]


def clean_environment() -> dict[str, str]:
    """This environment without settings of MLflow or Python, our interpreter first."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MLFLOW_") and name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    }
    clean["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    return clean


def execute(
    command: Sequence[str], cwd: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command as a newcomer would: no settings of MLflow or Python, one output."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**clean_environment(), **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=_LONGEST_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def artifact(run: Run, path: str) -> Path:
    """The one artifact of a run that fits the path, a pattern; the stores here are local."""
    (found,) = Path(local_file_uri_to_path(run.info.artifact_uri)).glob(path)
    return found
