"""Where a table may come from: not from above, and never with a password in the open."""

import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from common.errors import InputError
from modelling.files.table_file import read_table
from modelling.recipe import Data
from steps.sources.table_source import check_path, fetch_data, fetch_for_steps, fetch_table


def refused(source, folder):
    with pytest.raises(InputError) as caught:
        fetch_table(source, folder)
    return caught.value


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Serves a table, and says what it was asked for."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "wines.csv").write_text("a,b\n1,2\n")
    (folder / "wines.jsonl").write_text('{"a": 1, "b": 2}\n')
    (folder / "2025").mkdir()
    (folder / "2025" / "wines.csv").write_text("a,b\n3,4\n")
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            super().do_GET()

        def log_message(self, *_words):
            pass

    with HTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"127.0.0.1:{made.server_port}", asked
        made.shutdown()
        thread.join()


CLIMBING = [
    "../wines.csv",
    "data/../../wines.csv",
    "/data/../etc/passwd",
    "file:///data/../etc/passwd",
    "file:///data/%2e%2e/etc/passwd",
    "file:///data/%252e%252e/etc/passwd",
    "https://host/a/..%2f..%2fetc/passwd",
    "https://host/a/..\\..\\etc\\passwd",
    "mlflow-artifacts:///../../etc/passwd",
    "runs:/abc/../../etc/passwd",
    "models:/wine/1/../../etc/passwd",
    "s3://bucket/../other/wines.csv",
    "https://host/get?file=../../etc/passwd",
]


@pytest.mark.parametrize("source", CLIMBING)
def test_a_way_up_is_refused(source, tmp_path):
    assert "'..'" in str(refused(source, tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["data/wines.csv", "data/../wines.csv", "/data/wines..csv", "x"])
def test_other_paths_are_taken_as_they_are(source, tmp_path):
    assert fetch_table(source, tmp_path) == Path(source)


@pytest.mark.parametrize("output", ["../scores.csv", "a/../../scores.csv", "/data/../etc/x.csv"])
def test_an_output_is_not_written_above(output):
    with pytest.raises(InputError, match=r"output .*: '\.\.' leads out"):
        check_path(output, "output")


@pytest.mark.parametrize(
    "uri", ["https://me:T0PSECRET@host/wines.csv", "https://host/wines.csv?sig=T0PSECRET"]
)
def test_a_password_in_the_open_is_refused_without_repeating_it(uri, tmp_path):
    message = str(refused(uri, tmp_path))
    assert message.startswith("table https://host/wines.csv: the URI holds a password or key")
    assert "T0PSECRET" not in message


def test_a_variable_holds_the_password(server, tmp_path, monkeypatch):
    host, asked = server
    monkeypatch.setenv("WINES_PASSWORD", "T0PSECRET")
    path = fetch_table(f"http://me:$WINES_PASSWORD@{host}/wines.csv", tmp_path)
    assert path.read_text() == "a,b\n1,2\n"
    assert asked[-1] == ("/wines.csv", "Basic bWU6VDBQU0VDUkVU")


def test_what_only_this_project_reads_is_made_one_that_all_read(server, tmp_path):
    path = fetch_table(f"http://{server[0]}/wines.jsonl?of=2024", tmp_path)
    assert read_table(path).to_dict("list") == {"a": ["1"], "b": ["2"]}


def test_two_files_of_the_same_name_are_two(server, tmp_path):
    host = server[0]
    path = fetch_table(f"http://{host}/wines.csv, http://{host}/2025/wines.csv", tmp_path)
    assert read_table(path).to_dict("list") == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_variable_holds_the_whole_uri(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WINES", f"http://{server[0]}/wines.csv?sig=T0PSECRET")
    assert fetch_table("$WINES", tmp_path).read_text() == "a,b\n1,2\n"
    assert fetch_table("${WINES}", tmp_path).is_file()


def test_what_fails_is_said_by_the_variables_name(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WINES", f"http://me:T0PSECRET@{server[0]}/none.csv?sig=T0PSECRET")
    error = refused("$WINES", tmp_path)
    assert str(error).startswith("table $WINES cannot be downloaded: ")
    assert "404" in str(error)
    assert "T0PSECRET" not in str(error)
    assert error.__suppress_context__


def test_a_variable_that_leads_up_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WINES", "file:///data/../etc/passwd")
    assert "'..'" in str(refused("$WINES", tmp_path))


def test_a_variable_that_is_not_there_is_said(tmp_path):
    message = str(refused("https://$NOT_THERE_AT_ALL@host/x.csv", tmp_path))
    assert message.endswith("the environment has no variable NOT_THERE_AT_ALL")


def test_a_dollar_in_a_path_is_a_dollar(tmp_path):
    assert fetch_table("data/$HOME.csv", tmp_path) == Path("data/$HOME.csv")


def test_what_was_fetched_for_the_steps_is_fetched_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("CUVEE_TABLE", "[null, null]")  # is undone at the end, whatever is set
    host, asked = server
    data = Data(path="wines.csv", target="b", columns={})
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    before = len(asked)
    path = fetch_for_steps(data, f"http://{host}/wines.csv", first)
    assert fetch_data(data, f"http://{host}/wines.csv", second) == path
    assert len(asked) == before + 1
    assert fetch_data(data, f"http://{host}/wines.csv?again", second).parent == second
