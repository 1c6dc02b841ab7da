"""scripts/launch_mlflow.sh: the UI at a free port, and nothing of it left behind."""

import os
import re
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest
import requests

from tests.end_to_end.terminal import Terminal, wait_until

pytestmark = pytest.mark.slow

SCRIPT = str(Path(__file__).parents[2] / "scripts" / "launch_mlflow.sh")


@pytest.fixture
def taken():
    """A port at which somebody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.fixture
def launch(tmp_path, environment):
    """Opens the UI on a terminal and waits until it says where."""
    terminals = []

    def launch(port, *options, **variables):
        places = {"TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        (tmp_path / "tmp").mkdir(exist_ok=True)
        here = tmp_path / "here"
        here.mkdir(exist_ok=True)
        command = ["bash", SCRIPT, str(port), *options]
        terminals.append(Terminal(command, here, {**environment, **places, **variables}))
        ended = terminals[-1].process.poll
        wait_until(lambda: "Ctrl-C ends it" in terminals[-1].shown or ended() is not None, "the UI")
        assert ended() is None, terminals[-1].shown
        return terminals[-1]

    yield launch
    for terminal in terminals:
        for process in [terminal.process.pid, *map(int, _below(terminal))]:
            psutil.pid_exists(process) and os.kill(process, signal.SIGKILL)
        terminal.process.wait()
        terminal.close()


def _below(terminal):
    try:
        return [child.pid for child in psutil.Process(terminal.process.pid).children(True)]
    except psutil.Error:
        return []


def _address(terminal):
    (address,) = re.findall(r"^MLflow UI +(http://127\.0\.0\.1:\d+)$", terminal.shown, re.MULTILINE)
    return address


def _get(url):
    with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
        return answer.read().decode()


def _assert_gone(tmp_path, below):
    assert below
    names = {pid: _words(pid) for pid in below}
    try:
        wait_until(lambda: not [pid for pid in below if _lives(pid)], "the end of all processes")
    except AssertionError:
        assert [(pid, names[pid], _words(pid)) for pid in below if _lives(pid)] == []
    wait_until(lambda: not list((tmp_path / "tmp").glob("launch_mlflow.*")), "no folder left")


def _words(pid):
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_opens_the_store_at_the_next_free_port_and_ends_by_ctrl_c(launch, taken, tmp_path):
    terminal = launch(taken)
    assert f"There is no {tmp_path / 'here' / 'mlflow.db'} yet: an empty one" in terminal.shown
    assert f"Port {taken} is in use" in terminal.shown
    assert "WARNING" not in terminal.shown
    address = _address(terminal)
    assert int(address.rpartition(":")[2]) > taken
    assert "<title>MLflow</title>" in _get(address)
    below = _below(terminal)
    terminal.press_control_c()
    assert terminal.wait() == 130
    assert not [pid for pid in below if _lives(pid)]
    _assert_gone(tmp_path, below)


def test_the_background_jobs_of_mlflow_end_with_a_closed_window(launch, taken, tmp_path):
    terminal = launch(taken, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true")
    runner = "mlflow.server.jobs._job_runner"
    wait_until(lambda: any(_runs(pid, "huey") for pid in _below(terminal)), "MLflow's job workers")
    below = _below(terminal)
    assert any(_runs(pid, runner) for pid in below)
    terminal.close()
    _assert_gone(tmp_path, [terminal.process.pid, *below])


def _runs(pid, word):
    try:
        return any(word in part for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_script_is_ended(launch, taken, tmp_path, number):
    terminal = launch(taken)
    below = _below(terminal)
    terminal.process.send_signal(number)
    assert terminal.wait() == (143 if number == signal.SIGTERM else -number)
    _assert_gone(tmp_path, below)


def test_two_at_once_take_two_ports(launch, taken):
    first = launch(taken)
    second = launch(taken)
    assert _address(first) != _address(second)
    assert _get(_address(first) + "/health") == _get(_address(second) + "/health") == "OK"


@pytest.fixture
def type_script(tmp_path, environment):
    """Types the script with what makes it end at once; returns its code and words."""

    def type_script(*words, **variables):
        done = subprocess.run(
            ["bash", SCRIPT, *words],
            cwd=tmp_path,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout + done.stderr

    return type_script


def test_where_others_reach_it_it_warns_unless_it_asks_for_a_password(type_script):
    with closing(socket.create_server(("127.0.0.1", 65535))):
        code, said = type_script("65535", "--host", "0.0.0.0")  # noqa: S104 - never listened at
        assert code == 1
        assert "WARNING: whoever reaches 0.0.0.0 can" in said
        assert "no port from 65535 on is free" in said
        _, said = type_script("65535", "--host", "0.0.0.0", "--auth")  # noqa: S104
        assert "WARNING" not in said


def test_with_auth_only_the_password_opens_it_and_its_hash_is_nobody_elses(launch, taken, tmp_path):
    password = "a-long-password-for-a-test"  # noqa: S105
    terminal = launch(taken, "--auth", MLFLOW_AUTH_ADMIN_PASSWORD=password)
    url = f"{_address(terminal)}/api/2.0/mlflow/experiments/search?max_results=5"
    for auth, code in ((None, 401), (("admin", "wrong"), 401), (("admin", password), 200)):
        assert requests.get(url, auth=auth, timeout=60).status_code == code
    assert (tmp_path / "here" / "basic_auth.db").stat().st_mode & 0o077 == 0


def test_a_server_without_its_password_says_what_is_missing(type_script, taken):
    code, said = type_script(str(taken), "--auth")
    assert code == 1
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["http"], "http is no port: a number from 1 to 65535"),
        (["65536"], "65536 is no port"),
        (["--bost"], "there is no option --bost"),
        (["--host"], "--host needs a name or an address"),
    ],
)
def test_a_wrong_word_is_told_in_one_line(type_script, words, message):
    code, said = type_script(*words)
    assert code == 2
    assert message in said
    assert len(said.splitlines()) == 1


def test_help_and_a_server_that_is_there_or_not(type_script, tmp_path):
    code, said = type_script("--help")
    assert code == 0
    assert "--host" in said
    code, said = type_script(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert (code, said.splitlines()) == (
        1,
        ["launch_mlflow: the tracking server http://127.0.0.1:9 does not answer"],
    )
    assert list(tmp_path.iterdir()) == []
