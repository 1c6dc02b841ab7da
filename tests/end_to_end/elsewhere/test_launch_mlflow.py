"""scripts/launch_mlflow.sh: the UI at a free port, and nothing of it left behind."""

import os
import re
import signal
import socket
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest
import requests

from tests.end_to_end.terminal import Terminal, wait_until

SCRIPT = str(Path(__file__).parents[3] / "scripts" / "launch_mlflow.sh")


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
        for process in [*_family(terminal), terminal.process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        terminal.process.wait()
        terminal.close()


def _family(terminal):
    """The script's process and all below it, known by more than numbers: these are given anew."""
    try:
        script = psutil.Process(terminal.process.pid)
        return [script, *script.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _address(terminal):
    (address,) = re.findall(r"^MLflow UI +(http://127\.0\.0\.1:\d+)$", terminal.shown, re.MULTILINE)
    return address


def _get(url):
    with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
        return answer.read().decode()


def _assert_gone(family, tmp_path, folders=0):
    assert len(family) > 2
    wait_until(lambda: not [each for each in family if _lives(each)], "the end of all processes")
    left = tmp_path / "tmp"
    wait_until(lambda: len(list(left.glob("launch_mlflow.*"))) == folders, "no folder left")


def _lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _runs(process, word):
    try:
        return any(word in part for part in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.slow
def test_two_take_two_ports_one_with_a_password_and_both_leave_nothing(launch, taken, tmp_path):
    password = "a-long-password-for-a-test"  # noqa: S105
    first = launch(taken)
    assert f"There is no {tmp_path / 'here' / 'mlflow.db'} yet: an empty one" in first.shown
    assert f"Port {taken} is in use" in first.shown
    assert "WARNING" not in first.shown
    assert int(_address(first).rpartition(":")[2]) > taken
    assert "<title>MLflow</title>" in _get(_address(first))

    second = launch(taken, "--auth", MLFLOW_AUTH_ADMIN_PASSWORD=password)
    assert _address(first) != _address(second)
    assert _get(_address(first) + "/health") == _get(_address(second) + "/health") == "OK"
    url = f"{_address(second)}/api/2.0/mlflow/experiments/search?max_results=5"
    for auth, code in ((None, 401), (("admin", "wrong"), 401), (("admin", password), 200)):
        assert requests.get(url, auth=auth, timeout=60).status_code == code
    assert (tmp_path / "here" / "basic_auth.db").stat().st_mode & 0o077 == 0

    family = _family(first)
    first.press_control_c()
    assert first.wait() == 130
    _assert_gone(family, tmp_path, folders=1)
    family = _family(second)
    second.process.send_signal(signal.SIGKILL)
    assert second.wait() == -signal.SIGKILL
    _assert_gone(family, tmp_path)


@pytest.mark.slow
def test_the_background_jobs_of_mlflow_end_with_a_closed_window(launch, taken, tmp_path):
    terminal = launch(taken, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true")
    wait_until(lambda: any(_runs(each, "huey") for each in _family(terminal)), "the job workers")
    family = _family(terminal)
    assert any(_runs(each, "mlflow.server.jobs._job_runner") for each in family)
    terminal.close()
    _assert_gone(family, tmp_path)


@pytest.fixture
def stand_in(tmp_path):
    """Puts a `python` on the PATH that serves nothing, but ends as no real server can be made to.

    Gives the variables with which the script finds it.
    """

    def stand_in(server):
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "python"
        program.write_text(
            "#!/usr/bin/env bash\n"
            'case "$*" in\n'
            f"    '-m mlflow server '*) {server} ;;\n"
            "    *sys.exit*) exit 0 ;; # the lock's version of MLflow is here\n"
            "    *) echo 'known sqlite:///mlflow.db' ;;\n"
            "esac\n"
        )
        program.chmod(0o755)
        return {"PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]])}

    return stand_in


@pytest.mark.slow
def test_a_server_that_does_not_want_to_end_is_ended(launch, taken, tmp_path, stand_in):
    deaf = stand_in("trap '' TERM; echo Uvicorn running on; sleep 600 & wait; sleep 600")
    terminal = launch(taken, **deaf)
    family = _family(terminal)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 143
    _assert_gone(family, tmp_path)


def test_a_port_that_is_taken_meanwhile_is_given_up_for_the_next(launch, taken, tmp_path, stand_in):
    """Somebody listens there before the server has done its imports."""
    late = "mkdir tried && exec echo address already in use; echo Uvicorn running on; sleep 600"
    terminal = launch(taken, **stand_in(late))
    assert "No such file" not in terminal.shown
    family = _family(terminal)
    terminal.process.kill()
    _assert_gone(family, tmp_path)


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


def test_where_others_reach_it_it_warns_unless_it_asks_for_a_password(type_script, stand_in):
    variables = stand_in("exit 1")
    with closing(socket.create_server(("127.0.0.1", 65535))):
        code, said = type_script("65535", "--host", "0.0.0.0", **variables)  # noqa: S104 - never listened at
        assert code == 1
        assert "WARNING: whoever reaches 0.0.0.0 can" in said
        assert "no port from 65535 on is free" in said
        _, said = type_script("65535", "--host", "0.0.0.0", "--auth", **variables)  # noqa: S104
        assert "no port from 65535 on is free" in said
        assert "WARNING" not in said


def test_a_class_is_answered_by_its_names_and_its_files_go_through_the_server(
    type_script, stand_in, taken
):
    _, said = type_script(str(taken), "--share", "prof.example", **stand_in('echo "$*"; exit 3'))
    assert "WARNING: whoever reaches 0.0.0.0" in said
    port = int(re.search(r"--port (\d+)", said)[1])
    assert f"--allowed-hosts prof.example:{port}," in said
    assert f"--cors-allowed-origins http://prof.example:{port}," in said
    assert "/mlartifacts --default-artifact-root mlflow-artifacts:/" in said


def test_a_server_that_ends_is_told_by_its_last_words(type_script, stand_in, taken):
    code, said = type_script(str(taken), **stand_in("seq 9; echo no password; exit 3"))
    assert code == 1
    ended = ["6", "7", "8", "9", "no password", "launch_mlflow: the server ended"]
    assert said.splitlines() == ended


@pytest.mark.exhaustive
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


def test_help_says_what_can_be_typed(type_script):
    code, said = type_script("--help")
    assert code == 0
    assert "--host" in said


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_told_in_one_line(type_script, tmp_path):
    code, said = type_script(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert (code, said.splitlines()) == (
        1,
        ["launch_mlflow: the tracking server http://127.0.0.1:9 does not answer"],
    )
    assert list(tmp_path.iterdir()) == []
