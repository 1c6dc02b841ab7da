"""What a team's server is put through, and what was lost: the table of docs/operate/production.md.

    python benchmarks/faults.py [--seed 1] [--times 4] [--at-once 20] [--registrations 60]

Starts PostgreSQL, an S3 store and MLflow (tests/team_server.py), then runs real pipelines against
them while each part is killed at seeded random moments and brought back, and, as root on Linux,
while the network between client and server is cut (in a network namespace of its own). After
every fault the whole store is looked through. The exit code is 1 if anything was lost.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import click
import mlflow
import psutil
import yaml
from mlflow import MlflowClient

from engine.cache.step_cache import StepCache
from steps.overview.store_status import look
from steps.registry.journal import read_journal
from steps.registry.versions import UNFINISHED
from tests.team_server import PARTS, TeamServer, missing, pipeline

NAME = "wine_faults"
STEPS = ("prepare", "train", "evaluate", "register")
PROCESSES = 8
SECONDS_CUT = 30
LONGEST_SECONDS = 1200
LINE = f"10.213.{os.getpid() % 250}"  # the first numbers of both addresses of the line that is cut

Fault = Callable[[subprocess.Popen, random.Random], bool]  # says whether it came in time


@dataclass
class Row:
    """One line of the table: a fault, and what happened each time that it was injected."""

    fault: str
    inject: Fault | None = None
    outcomes: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def note(self, outcome: str, problems: list[str]) -> None:
        """Counts what came of one fault, and what was lost by it."""
        self.outcomes[outcome] += 1
        self.problems += problems
        print(f"{self.fault}: {outcome}; {'; '.join(problems) or 'nothing lost'}", flush=True)


class Client:
    """Types pipelines, in a folder and perhaps in a network namespace of their own."""

    def __init__(self, server: TeamServer, folder: Path, prefix: list[str]) -> None:
        self.server = server
        self.folder = folder
        self.prefix = prefix
        self.started: list[subprocess.Popen] = []
        self.recipe = folder / "recipe.yaml"
        settings = yaml.safe_load((PROJECT / "recipes" / "wine_quality.yaml").read_text())
        # So that the champion is the best of all, whatever their order.
        settings |= {"name": NAME, "promotion": {"rule": "better"}}
        self.recipe.write_text(yaml.safe_dump(settings))

    def start(self, alpha: float, *options: str) -> subprocess.Popen:
        """Starts a pipeline, whose words go to a file."""
        command = pipeline("--recipe", str(self.recipe), "--alpha", str(alpha), *options)
        output = (self.folder / f"{time.monotonic_ns()}.txt").open("w+")
        process = subprocess.Popen(
            [*self.prefix, *command],
            cwd=self.folder,
            env={**os.environ, **self.server.variables("ana")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        process.words = output
        self.started.append(process)
        return process

    def stop(self) -> None:
        """Ends what still runs, when the benchmark itself is ended."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def finish(self, process: subprocess.Popen) -> tuple[int, str]:
        """The exit code, and what it said."""
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        with process.words as file:
            file.seek(0)
            said = file.read()
        return code, said

    def run(self, alpha: float, *options: str) -> tuple[int, str]:
        """Runs a pipeline to its end; returns the exit code, and what it said."""
        return self.finish(self.start(alpha, *options))


def look_through(name: str, checked: set[str]) -> list[str]:
    """Everything of an experiment and its model that is not as it should be, after the reaper.

    checked holds the runs and versions whose files were looked at before, and gets the new ones.
    """
    said = look(True)["problems"]
    client = MlflowClient()
    experiment = client.get_experiment_by_name(name)
    runs, token = [], None
    while True:
        page = client.search_runs([experiment.experiment_id], page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    found = said + [
        f"run {run.info.run_id} RUNNING" for run in runs if run.info.status == "RUNNING"
    ]
    cache = StepCache(experiment.experiment_id, name, "use")
    for run in runs:
        if "pipeline.outputs" in run.data.tags and run.info.run_id not in checked:
            checked.add(run.info.run_id)
            damage = cache._damage(client.get_run(run.info.run_id))
            found += [f"run {run.info.run_id}: {damage}"] if damage else []
    return found + look_through_registry(client, name, runs, checked)


def look_through_registry(
    client: MlflowClient, name: str, runs: list, checked: set[str]
) -> list[str]:
    """Versions without files or half registered, aliases, the champion, the journal."""
    versions = {str(each.version): each for each in client.search_model_versions(f"name='{name}'")}
    if not versions:
        return []
    found = []
    for number, version in versions.items():
        if not version.description or UNFINISHED in version.tags:
            found.append(f"version {number} is half registered")
        if f"version {number}" not in checked:
            try:
                mlflow.pyfunc.load_model(f"models:/{name}/{number}")
                checked.add(f"version {number}")
            except Exception as error:
                found.append(f"version {number} cannot be loaded: {error}")
    model = client.get_registered_model(name)
    aliases = {alias: str(number) for alias, number in model.aliases.items()}
    found += [f"{alias} is missing" for alias in aliases if aliases[alias] not in versions]
    digests = Counter(each.tags["pipeline.model_digest"] for each in versions.values())
    found += [f"model {digest} is there twice" for digest, n in digests.items() if n > 1]
    moves = read_journal(model.tags)
    path = ["none", *(move.after for move in moves)]
    if [move.before for move in moves] != path[:-1] or path[-1] != aliases.get("champion"):
        found.append(f"the journal says {path}, the champion is {aliases.get('champion')}")
    found += [
        f"run {run.info.run_id} registered version {number}, which is not there"
        for run in runs
        if (number := run.data.tags.get("pipeline.model_version")) and number not in versions
    ]
    return found


def is_best(name: str) -> list[str]:
    """What is wrong if the champion is not the best of all versions."""
    versions = MlflowClient().search_model_versions(f"name='{name}'")
    figures = [float(each.tags["rmse"]) for each in versions]
    champion = MlflowClient().get_model_version_by_alias(name, "champion")
    is_it = float(champion.tags["rmse"]) == min(figures)
    return [] if is_it else [f"the champion has {champion.tags['rmse']}, another {min(figures)}"]


def disturb(
    client: Client, rows: list[Row], checked: set[str], alpha: float, usual: float, seed: str
) -> None:
    """A pipeline with faults in it, one after the other; it goes on, or stops and resumes."""
    rng = random.Random(seed)
    process = client.start(alpha, "--cache", "refresh")
    injected = []
    for row in rng.sample(rows, len(rows)):
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(1, usual / len(rows)))
        if process.poll() is None and row.inject(process, rng):
            injected.append(row)
    code, said = client.finish(process)
    outcome = "went on" if code == 0 else resume(client, alpha, said)
    problems = look_through(NAME, checked)
    for row in injected:
        row.note(outcome, problems)


def resume(client: Client, alpha: float, said: str) -> str:
    """Types a pipeline again that has stopped; returns what to count."""
    lines = said.strip().splitlines() or [""]
    told = any("Traceback" in line for line in lines)
    print(said if told else f"    stopped: {lines[-1]}", flush=True)
    code, said = client.run(alpha)
    if code:
        print(said, flush=True)
        return "did not resume"
    return "stopped with a traceback" if told else "stopped, resumed"


def inject(client: Client, rows: list[Row], checked: set[str], seed: int, times: int) -> None:
    """Each part of the server, the client, and the network between them, in turn."""
    started = time.monotonic()
    code, said = client.run(0.05)
    usual = time.monotonic() - started
    if code:
        sys.exit(said)
    rows += [Row(f"{part} killed", killed(client, part)) for part in PARTS]
    if client.prefix:
        rows.append(Row(f"network cut for {SECONDS_CUT} s", cut_network))
    of_server = list(rows)
    of_client = Row("client killed", kill_client)
    rows.append(of_client)
    for trial in range(times):
        alpha = 0.04 - 0.002 * trial
        disturb(client, of_server, checked, alpha, usual, f"{seed} server {trial}")
        disturb(client, [of_client], checked, alpha - 0.001, usual, f"{seed} client {trial}")


def killed(client: Client, part: str) -> Fault:
    """Kills a part of the server and brings it back some seconds later."""

    def kill(_process: subprocess.Popen, rng: random.Random) -> bool:
        client.server.kill(part)
        time.sleep(rng.uniform(0, 8))
        client.server.start(part)
        return True

    return kill


def kill_client(process: subprocess.Popen, rng: random.Random) -> bool:
    """Kills `main`, or one of the processes below it, some moments after a step has begun."""
    step, said = rng.choice(STEPS), Path(process.words.name)
    while process.poll() is None and f"\n{step} " not in f"\n{said.read_text()}":
        time.sleep(0.1)
    time.sleep(rng.uniform(0, 4))
    try:
        main = psutil.Process(process.pid)
        rng.choice([main, main, *main.children(recursive=True)]).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def cut_network(_process: subprocess.Popen, _rng: random.Random) -> bool:
    """Lets no packet go between client and server for a while."""
    run_ip("link", "set", _link("out"), "down")
    time.sleep(SECONDS_CUT)
    run_ip("link", "set", _link("out"), "up")
    return True


def together(client: Client, row: Row, checked: set[str], alphas: list[float]) -> None:
    """Pipelines from many processes at the same time."""
    started = time.monotonic()
    with ThreadPoolExecutor(PROCESSES) as pool:
        try:
            ended = list(pool.map(client.run, alphas))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            client.stop()
            raise
    took = time.monotonic() - started
    for code, said in ended:
        row.outcomes["went on" if code == 0 else "failed"] += 1
        if code:
            print(said, flush=True)
    row.problems += look_through(NAME, checked) + is_best(NAME)
    print(f"{row.fault}: {dict(row.outcomes)} in {took:.0f} s; {row.problems}", flush=True)


@contextmanager
def network() -> Iterator[tuple[list[str], str]]:
    """A namespace with a line to this one; gives the words before a command, and the address."""
    if os.geteuid() or subprocess.run(["ip", "netns", "add", _link("ns")], check=False).returncode:
        yield [], "127.0.0.1"
        return
    inside = ["ip", "netns", "exec", _link("ns")]
    try:
        run_ip(
            "link",
            "add",
            _link("out"),
            "type",
            "veth",
            "peer",
            "name",
            "line",
            "netns",
            _link("ns"),
        )
        run_ip("addr", "add", f"{LINE}.1/30", "dev", _link("out"))
        run_ip("link", "set", _link("out"), "up")
        for words in (
            ["addr", "add", f"{LINE}.2/30", "dev", "line"],
            ["link", "set", "line", "up"],
            ["link", "set", "lo", "up"],
        ):
            subprocess.run([*inside, "ip", *words], check=True)
        yield inside, f"{LINE}.1"
    finally:
        run_ip("netns", "delete", _link("ns"))


def _link(name: str) -> str:
    return f"{name}{os.getpid()}"


def run_ip(*words: str) -> None:
    """Changes the network."""
    subprocess.run(["ip", *words], check=True)


def print_table(rows: list[Row]) -> None:
    """The table of docs/operate/production.md, and under it each thing that was lost."""
    print("\n| fault | injected | the pipeline went on | stopped in one line, resumed | lost |")
    print("|---|---|---|---|---|")
    for row in rows:
        went, stopped = row.outcomes["went on"], row.outcomes["stopped, resumed"]
        lost = len(row.problems) + row.outcomes.total() - went - stopped
        print(f"| {row.fault} | {row.outcomes.total()} | {went} | {stopped} | {lost} |")
    for row in rows:
        for problem in row.problems:
            print(f"- {row.fault}: {problem}")


@click.command()
@click.option("--seed", default=1)
@click.option("--times", default=4, help="that each fault is injected")
@click.option("--at-once", default=20)
@click.option("--registrations", default=60)
def main(seed: int, times: int, at_once: int, registrations: int) -> None:
    """Injects every fault and prints the table."""
    if reason := missing():
        raise click.ClickException(reason)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and what was started is ended
    rows: list[Row] = []
    checked: set[str] = set()
    with (
        TemporaryDirectory(prefix="faults-") as folder,
        network() as (prefix, host),
        TeamServer(Path(folder), host) as server,
    ):
        server.add_user("ana", "trainer")
        os.environ.update(server.variables("ana"))
        client = Client(server, Path(folder), prefix)
        try:
            if times:
                inject(client, rows, checked, seed, times)
            for count, what, first in (
                (at_once, "pipelines at once", 0.1),
                (registrations, "registrations", 0.2),
            ):
                if count:
                    rows.append(Row(f"{count} {what} from {PROCESSES} processes"))
                    alphas = [first - 0.001 * number for number in range(count)]
                    together(client, rows[-1], checked, alphas)
        finally:
            client.stop()
            print_table(rows)
    failed = any(
        row.problems or set(row.outcomes) - {"went on", "stopped, resumed"} for row in rows
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
