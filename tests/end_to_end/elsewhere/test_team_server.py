"""A team's server with its real parts: what was in SQLite moves there; it lets nobody else in.

One server is started for all tests. Pipelines through it are forked; one is typed, through TLS.
"""

import os
import random
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import pandas as pd
import psutil
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from benchmarks.faults import look_through
from tests.docs.pages import commands
from tests.end_to_end.forked import run_forked
from tests.end_to_end.store import execute
from tests.team_server import PARTS, TeamServer, answers, free_ports, missing, pipeline

PROJECT = Path(__file__).parents[3]
SECONDS_TO_ANSWER = 60
LONGEST_SECONDS = 900

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=str(missing()))]


def wait_until(condition):
    """Waits for something that comes within any reasonable time."""
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def store(make_store):
    """An SQLite store with two promotions and a challenger."""
    return make_store(like="wines")


@pytest.fixture(scope="module")
def deploy(environment):
    """Runs a script of deploy/ with the settings of a server."""

    def deploy(server, script, *words):
        command = ["python", str(PROJECT / "deploy" / script), *map(str, words)]
        return run_forked(command, PROJECT, {**environment, **server.settings()})

    return deploy


@pytest.fixture(scope="module")
def server(store, deploy):
    """A server to which the store was moved, with a user for each role."""
    # PostgreSQL runs as another user, who may not enter pytest's folders.
    with TemporaryDirectory(prefix="team-") as folder, TeamServer(Path(folder)) as server:
        moved = deploy(server, "move_to_server.py", store.uri)
        assert moved.returncode == 0, moved.stdout
        server.add_user("ana", "trainer")
        server.add_user("board", "reader")
        yield server


@pytest.fixture(scope="module")
def client(server):
    """Reads the server as its administrator, in this process."""
    os.environ.update(server.variables())
    yield MlflowClient()
    for name in server.variables():
        del os.environ[name]
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def run(server, environment, tmp_path_factory):
    """Runs main.py as a user of the server, who holds no credentials of its stores."""
    folder = tmp_path_factory.mktemp("client")

    def run(*options, user="ana", is_typed=False, **variables):
        settings = {**environment, **server.variables(user), **variables}
        if is_typed:
            return execute(pipeline(*options), folder, settings)
        return run_forked(["python", *pipeline(*options)[1:]], folder, settings)

    return run


def everything(client):
    """What a store says of its runs, models and registered versions, but not where things are."""
    runs = client.search_runs([found.experiment_id for found in client.search_experiments()])
    models = client.search_logged_models(
        experiment_ids=[found.experiment_id for found in client.search_experiments()]
    )
    registered = client.search_registered_models()
    return {
        "runs": {
            each.info.run_id: (
                each.info.experiment_id,
                each.info.status,
                each.info.start_time,
                each.info.end_time,
                each.data.to_dictionary(),
                {given.dataset.digest for given in each.inputs.dataset_inputs},
            )
            for each in runs
        },
        "models": {each.model_id: (each.status, each.tags, each.params) for each in models},
        "registered": {each.name: (each.tags, _texts(each.aliases)) for each in registered},
        "versions": {
            str(each.version): (each.name, each.run_id, each.description, each.tags)
            for each in client.search_model_versions()
        },
    }


def _texts(aliases):
    """The versions as the server writes them; SQLite has numbers."""
    return {alias: str(version) for alias, version in aliases.items()}


def history(client, run_id):
    """All that a run ever said of its error."""
    return [
        (each.key, each.value, each.step, each.timestamp)
        for each in client.get_metric_history(run_id, "rmse")
    ]


def test_a_move_keeps_all_that_there_was(store, client):
    assert everything(client) == everything(store.client)
    run_id = next(run.info.run_id for run in store.runs() if "rmse" in run.data.metrics)
    assert history(client, run_id) == history(store.client, run_id) != []


def test_a_move_happens_once_and_not_half(store, server, client, deploy):
    before = everything(client)
    again = deploy(server, "move_to_server.py", store.uri)
    assert again.returncode == 1
    assert "nothing was moved: the server is not empty" in again.stdout
    assert everything(client) == before


def test_what_was_moved_is_reused(run):
    again = run("--model", "random_forest", "--n_estimators", "30", "--max_depth", "null")
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("reused from") == 3  # register looks at the registry again
    assert "unchanged" in again.stdout


def requests_of(server):
    """Each request that the server has answered: method, path."""
    log = re.findall(r'"([A-Z]+) (/\S*) HTTP/1\.1" (\d+)', server.log.read_text())
    return [(method, path) for method, path, status in log if status.startswith("2")]


@pytest.fixture(scope="module")
def new_pipeline(server, run):
    """A pipeline after the move: what it said, and its requests."""
    start = len(requests_of(server))
    done = run("--alpha", "0.004", "--cache", "refresh")
    assert done.returncode == 0, done.stdout
    return done.stdout, requests_of(server)[start:]


def test_versions_are_counted_on_from_those_that_were_moved(new_pipeline):
    said, _ = new_pipeline
    assert "models:/wine_quality/4" in said


@pytest.fixture(scope="module")
def routes(new_pipeline):
    """One request of each kind that a pipeline makes: method, path and query."""
    _, made = new_pipeline
    kinds = {}
    for method, path in made:
        plain = path.partition("?")[0]
        kind = re.sub(r"/artifacts/.*|/presigned/.*|m-[0-9a-f]{32}", "/…", plain)
        kinds[method, kind] = path
    found = [(method, path) for (method, _), path in kinds.items() if path != "/version"]
    assert len(found) > 20
    return found


def ask(server, method, path, user=None, password=None, **headers):
    return requests.request(
        method,
        server.uri + path,
        auth=(user, password or server.passwords[user]) if user else None,
        headers=headers,
        json={} if method != "GET" else None,
        timeout=SECONDS_TO_ANSWER,
    )


def test_no_route_answers_without_the_right_password(server, routes):
    for method, path in routes:
        assert ask(server, method, path).status_code == 401, path
        assert ask(server, method, path, "ana", "wrong").status_code == 401, path
        assert ask(server, method, path, "nobody", "wrong").status_code == 401, path


def test_no_route_answers_to_another_host(server, routes):
    for method, path in routes:
        answer = ask(server, method, path, "admin", Host="evil.example")
        assert answer.status_code == 403, path
        assert "Invalid Host header" in answer.text


def test_no_route_is_open_to_another_origin(server, routes):
    for method, path in routes:
        answer = ask(server, method, path, "admin", Origin="https://evil.example")
        assert "access-control-allow-origin" not in answer.headers, path
        if method != "GET":
            assert answer.status_code == 403, path
            assert answer.text == "Cross-origin request blocked"
        preflight = ask(
            server,
            "OPTIONS",
            path,
            Origin="https://evil.example",
            **{"Access-Control-Request-Method": method},
        )
        assert "access-control-allow-origin" not in preflight.headers, path


def bodies(client):
    """A request by each route that changes anything, which only its sender's role can stop."""
    model = client.get_registered_model("wine_quality")
    version = client.get_model_version("wine_quality", model.aliases["champion"])
    run = client.get_run(version.run_id)
    run_id, experiment = run.info.run_id, run.info.experiment_id
    named = {"name": "wine_quality"}
    versioned = {**named, "version": str(version.version)}
    tag = {"key": "k", "value": "v"}
    return {
        "POST experiments/create": {"name": "theirs"},
        "POST runs/create": {"experiment_id": experiment, "start_time": 1},
        "POST runs/update": {"run_id": run_id, "status": "FAILED"},
        "POST runs/set-tag": {"run_id": run_id, **tag},
        "POST runs/delete-tag": {"run_id": run_id, "key": "pipeline.recipe"},
        "POST runs/log-batch": {"run_id": run_id, "tags": [tag]},
        "POST runs/log-parameter": {"run_id": run_id, **tag},
        "POST runs/log-metric": {"run_id": run_id, "key": "k", "value": 1, "timestamp": 1},
        "POST runs/log-inputs": {"run_id": run_id, "datasets": []},
        "POST runs/outputs": {"run_id": run_id, "models": []},
        "POST logged-models": {"experiment_id": experiment, "name": "theirs"},
        "PATCH logged-models/…": {"status": "LOGGED_MODEL_UPLOAD_FAILED"},
        "PATCH logged-models/…/tags": {"tags": [tag]},
        "POST registered-models/create": {"name": "theirs"},
        "POST registered-models/set-tag": {**named, **tag},
        "DELETE registered-models/delete-tag": {**named, "key": "k"},
        "POST registered-models/alias": {**versioned, "alias": "champion"},
        "DELETE registered-models/alias": {**named, "alias": "champion"},
        "POST model-versions/create": {**named, "source": f"models:/{version.model_id}"},
        "PATCH model-versions/update": {**versioned, "description": "theirs"},
        "POST model-versions/set-tag": {**versioned, **tag},
        "DELETE model-versions/delete-tag": {**versioned, "key": "k"},
        "PUT artifacts": {},
    }


def test_a_reader_changes_nothing_by_any_route(server, client, routes):
    before = everything(client)
    known = bodies(client)
    searches = {"POST runs/search", "POST logged-models/search", "GET"}
    model_id = next(iter(before["models"]))
    asked = set()
    for method, path in routes:
        kind = path.partition("?")[0].rpartition("/mlflow/")[2]
        kind = re.sub("m-[0-9a-f]{32}", "…", kind)
        if "mlflow-artifacts" in path:
            kind = "artifacts"
        route = method if method == "GET" else f"{method} {kind}"
        if route in searches:
            continue
        body = known[route]  # a new route of the pipeline needs a body here
        answer = requests.request(
            method,
            server.uri + re.sub("m-[0-9a-f]{32}", model_id, path)
            if kind != "artifacts"
            else server.uri + path,
            auth=("board", server.passwords["board"]),
            json=body,
            timeout=SECONDS_TO_ANSWER,
        )
        assert answer.status_code == 403, f"{route}: {answer.status_code} {answer.text[:200]}"
        asked.add(route)
    assert len(asked) > 12
    assert everything(client) == before


def test_a_reader_sees_what_there_is(server, client):
    seen = requests.get(
        f"{server.uri}/api/2.0/mlflow/registered-models/get",
        params={"name": "wine_quality"},
        auth=("board", server.passwords["board"]),
        timeout=SECONDS_TO_ANSWER,
    )
    assert seen.status_code == 200


def test_who_may_not_is_told_in_one_line(run):
    refused = run("--cache", "off", user="board")
    assert refused.returncode == 1
    assert refused.stdout.count("\n") == 1, refused.stdout
    assert "Permission denied" in refused.stdout
    wrong = run(MLFLOW_TRACKING_PASSWORD="wrong")  # noqa: S106
    assert wrong.returncode == 1
    assert wrong.stdout.count("\n") == 1, wrong.stdout
    assert "does not know the user 'ana' with this password" in wrong.stdout


def test_no_secret_is_in_a_process_list(server):
    settings = server.settings()
    hidden = [
        server.passwords["admin"],
        settings["MLFLOW_FLASK_SERVER_SECRET_KEY"],
        settings["AWS_SECRET_ACCESS_KEY"],
        server.database,
    ]
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        assert not [secret for secret in hidden if secret in words]


def test_a_missing_setting_is_said_in_one_line(server):
    settings = server.settings() | {"ALLOWED_HOSTS": ""}
    refused = subprocess.run(
        [str(PROJECT / "deploy" / "serve.sh")],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("serve.sh: ALLOWED_HOSTS is not set")
    assert refused.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def tls(server, tmp_path_factory):
    """The nginx of deploy/nginx.conf before the server, with a self-signed certificate."""
    if not shutil.which("nginx") or not shutil.which("openssl"):
        pytest.skip("nginx and openssl are not installed")
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "tls").mkdir()
    certificate = folder / "tls" / "fullchain.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-out", str(certificate), "-keyout", str(folder / "tls" / "key.pem")]
    subprocess.run([*make, *name, *files], check=True, capture_output=True)
    secure, plain = free_ports("127.0.0.1", 1), free_ports("127.0.0.1", 1)
    settings = (PROJECT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for ours, theirs in (
        ("listen 443 ", f"listen 127.0.0.1:{secure} "),
        ("listen 80", f"listen 127.0.0.1:{plain}"),
        ("server_name mlflow.example.com;", "server_name localhost;"),
        ("127.0.0.1:5000", server.uri.removeprefix("http://")),
        # MLflow is told one name here, by which the other tests call it without nginx.
        ("Host $http_host;", f"Host {server.uri.removeprefix('http://')};"),
    ):
        assert ours in settings
        settings = settings.replace(ours, theirs)
    (folder / "nginx.conf").write_text(settings, encoding="utf-8")
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    rest = ["-g", f"daemon off; pid {folder}/pid;"]
    with (folder / "log").open("w") as log:
        nginx = subprocess.Popen([*command, *rest], stderr=log, start_new_session=True)
    try:
        wait_until(lambda: nginx.poll() is not None or answers(f"http://127.0.0.1:{plain}"))
        assert nginx.poll() is None, (folder / "log").read_text()
        yield f"https://localhost:{secure}", f"http://localhost:{plain}", str(certificate)
    finally:
        nginx.terminate()
        nginx.wait(SECONDS_TO_ANSWER)


def test_a_pipeline_goes_through_tls(tls, run):
    uri, _, certificate = tls
    trusting = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_SERVER_CERT_PATH": certificate}
    done = run("--alpha", "0.006", is_typed=True, **trusting)
    assert done.returncode == 0, done.stdout
    assert "models:/wine_quality/5" in done.stdout
    distrusting = run(MLFLOW_TRACKING_URI=uri)
    assert distrusting.returncode == 1
    assert distrusting.stdout.count("\n") == 1, distrusting.stdout
    assert "a certificate that is not trusted here" in distrusting.stdout


def test_nginx_answers_by_its_name_and_by_tls_only(tls):
    uri, plain, certificate = tls
    moved = requests.get(f"{plain}/some?page=1", allow_redirects=False, timeout=SECONDS_TO_ANSWER)
    assert moved.status_code == 308
    assert moved.headers["Location"] == "https://localhost/some?page=1"
    assert requests.get(plain, headers={"Host": "evil.example"}, timeout=9).status_code == 421
    forged = requests.get(uri, headers={"Host": "evil.example"}, verify=certificate, timeout=9)
    assert forged.status_code == 421
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(uri.replace("localhost", "127.0.0.1"), verify=False, timeout=9)  # noqa: S501


def test_nginx_keeps_clients_from_the_store(tls):
    uri, _, certificate = tls
    said = requests.get(
        f"{uri}/api/3.0/mlflow/server-info", verify=certificate, timeout=SECONDS_TO_ANSWER
    ).json()
    assert said["multipart_downloads_enabled"] is False
    assert said["multipart_uploads_enabled"] is False


def test_what_comes_after_the_pipeline_goes_through_the_server_too(
    server, client, environment, tmp_path
):
    before = client.get_model_version_by_alias("wine_quality", "champion").version
    wines = str(PROJECT / "data" / "red-wine-quality.csv")
    scores, drafted = tmp_path / "scores.parquet", tmp_path / "wines.yaml"
    recipe = ["--recipe", "recipes/wine_quality.yaml"]
    for words in (
        ["-m", "steps.score", *recipe, "--input", wines, "--output", str(scores)],
        ["-m", "steps.draft_recipe", "--data", wines, "--target", "quality",
         "--output", str(drafted), "--seconds", "0"],
        ["-m", "steps.rollback", *recipe],
        ["-m", "steps.monitor", *recipe, "--data", wines],
        [str(PROJECT / "scripts" / "check_mlflow_status.py"), "--reap"],
    ):  # fmt: skip
        folder = PROJECT if words[0] == "-m" else tmp_path
        done = run_forked(["python", *words], folder, {**environment, **server.variables("ana")})
        assert done.returncode == 0, done.stdout
    assert "all is well" in done.stdout
    versions = pd.read_parquet(scores)["model_version"]
    assert set(versions.astype(str)) == {str(before)}
    assert drafted.exists()
    assert client.get_model_version_by_alias("wine_quality", "champion").version != before
    assert look_through("wine_quality", set()) == []


def test_the_documented_commands_upgrade_and_remove_by_settings_in_files(
    server, client, environment, tmp_path
):
    documented = list(commands("docs/operate/production.md"))
    (upgrade,) = [each for each in documented if each.startswith("mlflow db upgrade ")]
    (remove,) = [each for each in documented if " mlflow gc " in each and "docker" not in each]
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "text", "text.txt")
    client.delete_run(run_id)
    settings = server.settings()
    uri = tmp_path / "backend_store_uri"
    uri.write_text(settings.pop("BACKEND_STORE_URI"))
    told = {**settings, **server.variables(), "BACKEND_STORE_URI_FILE": str(uri)}
    told.pop("MLFLOW_TRACKING_URI")
    now = remove.replace("30d", "0d").replace("https://mlflow.example.com", server.uri)
    for command in (upgrade, now):
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=tmp_path,
            env={**environment, **told},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{run_id} has been permanently deleted" in done.stdout
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(run_id)
    assert client.search_model_versions()


def test_a_backup_is_restored(server, client, deploy, run, tmp_path):
    folder = tmp_path / "backup"
    before = everything(client)
    made = deploy(server, "backup.py", "backup", folder)
    assert made.returncode == 0, made.stdout
    assert "is there already" in deploy(server, "backup.py", "backup", folder).stdout
    assert "not empty" in deploy(server, "backup.py", "restore", folder).stdout
    server.kill("tracking server")
    server.lose_everything()
    restored = deploy(server, "backup.py", "restore", folder)
    assert restored.returncode == 0, restored.stdout
    server.start("tracking server")
    assert everything(client) == before
    mlflow.pyfunc.load_model("models:/wine_quality@champion")
    again = run("--alpha", "0.004")
    assert again.stdout.count("reused from") >= 3, again.stdout


def test_a_pipeline_outlives_its_database(server, run):
    start = len(requests_of(server))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, "--alpha", "0.007", "--until", "train")
        wait_until(lambda: len(requests_of(server)) > start + 20)
        server.kill("PostgreSQL")
        server.start("PostgreSQL")
        assert not running.done()
    done = running.result()
    assert done.returncode == 0, done.stdout
    assert look_through("wine_quality", set()) == []


@pytest.mark.exhaustive
def test_a_pipeline_outlives_each_part_of_its_server(server, client, run, environment, tmp_path):
    rng = random.Random(8)  # noqa: S311
    process = subprocess.Popen(
        pipeline("--alpha", "0.003", "--cache", "refresh"),
        cwd=tmp_path,
        env={**environment, **server.variables("ana")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for part in rng.sample(PARTS, len(PARTS)):
        time.sleep(rng.uniform(1, 5))
        server.kill(part)
        server.start(part)
    said, _ = process.communicate(timeout=LONGEST_SECONDS)
    assert "Traceback" not in said
    again = run("--alpha", "0.003")
    assert again.returncode == 0, said + again.stdout
    assert look_through("wine_quality", set()) == []


@pytest.mark.exhaustive
def test_a_client_that_is_killed_leaves_nothing_half_done(server, client, environment, tmp_path):
    rng = random.Random(9)  # noqa: S311
    process = subprocess.Popen(
        pipeline("--alpha", "0.005"),
        cwd=tmp_path,
        env={**environment, **server.variables("ana")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(rng.uniform(3, 15))
    process.kill()
    process.wait()
    assert look_through("wine_quality", set()) == []
