"""The model in use: the same rows through predict, score and a served model; what goes wrong."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests

PROJECT = Path(__file__).parents[3]
CHURN = "recipes/customer_churn.yaml"
WINE = "recipes/wine_quality.yaml"
CUSTOMERS = PROJECT / "data/customer_data.csv"
_SECONDS_TO_START = 120

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(make_store):
    """Has a champion of the churn recipe."""
    return make_store(like="churn")


def _score(store, recipe, source, output, *parameters):
    """Scores into the store's folder; a relative output is one there."""
    place = [f"input={source}", f"output={store.folder / output}"]
    return store.step("score", f"recipe={recipe}", *place, *parameters)


@pytest.fixture(scope="module")
def score(store):
    return partial(_score, store)


@pytest.fixture(scope="module")
def customers():
    """1,000 raw rows, as CSV has them to the last digit."""
    return pd.read_csv(CUSTOMERS, float_precision="round_trip").head(1000)


@pytest.fixture(scope="module")
def wines():
    path = PROJECT / "data/red-wine-quality.csv"
    return pd.read_csv(path, float_precision="round_trip").head(1000)


@pytest.fixture(scope="module")
def expected(store, customers):
    rows = customers.drop(columns=["customer_id", "churned"])
    return store.champion("customer_churn").predict(rows, params={"method": "predict_all"})


def test_scores_go_into_a_database_whole_or_not_at_all(store, score, customers, expected, tmp_path):
    rows = customers.astype(object)
    rows.loc[3, "age"] = "old"
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        rows.to_sql("customers", shop, index=False)
    address = f"sqlite:///{tmp_path}/shop.db"

    def run(output):
        place = ["input=$SHOP select * from customers", f"output={output}"]
        return store.step("score", f"recipe={CHURN}", *place, SHOP=address)

    outcome = run("$SHOP append scores")
    assert outcome.code == 0, outcome.terminal
    tags = outcome.of("score").data.tags
    assert tags["pipeline.output"] == "$SHOP append scores"
    assert address not in str(outcome.of("score").to_dictionary()) + outcome.terminal
    assert "see rejects.csv of the run" in outcome.terminal
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        table = pd.read_sql("select * from scores", shop)
    assert table["prediction"].tolist() == expected["prediction"].drop(3).tolist()
    refused = run("$SHOP append customers")
    assert refused.code != 0
    assert "output $SHOP append customers: unknown column 'prediction'" in refused.terminal


@pytest.fixture(scope="module")
def server(store, environment):
    """`mlflow models serve`, as docs/use/serving.md has it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    words = ["-m", "models:/customer_churn@champion", "--env-manager", "local"]
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", *words, "--port", str(port)],
        cwd=store.folder,
        env={**environment, "MLFLOW_TRACKING_URI": store.uri},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield _wait_for(f"http://127.0.0.1:{port}")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(url):
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        try:
            assert requests.get(f"{url}/ping", timeout=5).status_code == 200
        except requests.ConnectionError:
            time.sleep(0.3)
        else:
            return url
    raise AssertionError("the server did not start")


def _split(rows):
    return {
        "dataframe_split": json.loads(
            rows.to_json(orient="split", index=False, double_precision=15)
        )
    }


def _ask(server, body, **headers):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    kind = {"Content-Type": "application/json", **headers}
    return requests.post(f"{server}/invocations", data=data, headers=kind, timeout=60)


def _same(scores, expected):
    for name in expected:
        assert np.array_equal(scores[name].to_numpy(), expected[name].to_numpy()), name


@pytest.mark.parametrize(
    ("kind", "batch_rows"), [("csv", 97), ("csv", 131072), ("parquet", 1), ("parquet", 640)]
)
def test_customers_get_the_same_numbers_as_from_predict(
    store, score, customers, expected, kind, batch_rows
):
    path = store.folder / f"customers.{kind}"
    rows = customers if batch_rows > 1 else customers.head(40)
    rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    output = f"scores-{batch_rows}.{kind}"
    outcome = score(CHURN, path, output, f"batch_rows={batch_rows}")
    assert outcome.code == 0, outcome.terminal
    where = store.folder / output
    scores = (
        pd.read_csv(where, float_precision="round_trip")
        if kind == "csv"
        else pd.read_parquet(where)
    )
    assert list(scores) == ["customer_id", *expected, "model_version", "scored_at"]
    assert scores["customer_id"].tolist() == rows["customer_id"].tolist()
    assert set(scores["model_version"].astype(str)) == {"1"}
    assert pd.to_datetime(scores["scored_at"]).nunique() == 1
    _same(scores, expected.head(len(rows)))
    assert list(store.folder.glob("*rejects*")) == []
    assert list(store.folder.glob("*unfinished*")) == []


@pytest.mark.parametrize("batch_rows", [61, 131072])
def test_wines_get_the_same_numbers_as_from_predict(make_store, wines, batch_rows):
    store = make_store(like="champion")
    folder = store.folder / f"wines-{batch_rows}"
    folder.mkdir()
    for start in range(0, 1000, 250):
        wines.iloc[start : start + 250].to_parquet(folder / f"{start:04}.parquet")
    output = f"wines-{batch_rows}.parquet"
    outcome = _score(store, WINE, folder, output, f"batch_rows={batch_rows}")
    assert outcome.code == 0, outcome.terminal
    scores = pd.read_parquet(store.folder / output)
    expected = store.champion("wine_quality").predict(wines.drop(columns="quality"))
    assert np.array_equal(scores["prediction"], expected)
    assert scores["row"].tolist() == list(range(1, 1001))


def test_a_served_model_gives_the_same_numbers(server, customers, expected):
    rows = customers.drop(columns=["customer_id", "churned"])
    records = json.loads(rows.to_json(orient="records", double_precision=15))
    lists = {name: [row[name] for row in records] for name in rows}
    every = {"params": {"method": "predict_all"}}
    for body in (_split(rows), {"dataframe_records": records}, {"inputs": lists}):
        answer = _ask(server, body | every)
        assert answer.status_code == 200, answer.text
        _same(pd.DataFrame(answer.json()["predictions"]), expected)
        labels = _ask(server, body).json()["predictions"]
        assert labels == expected["prediction"].tolist()
    probabilities = _ask(server, _split(rows.head(3)) | {"params": {"method": "predict_proba"}})
    first = probabilities.json()["predictions"][0]
    assert first == {
        "0": expected["probability_0"].iloc[0],
        "1": expected["probability_1"].iloc[0],
    }


def test_a_served_model_takes_ten_thousand_rows(server):
    rows = pd.read_csv(CUSTOMERS).drop(columns=["customer_id", "churned"])
    answer = _ask(server, _split(rows))
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.json()["predictions"]) == len(rows) == 10_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.drop(columns="age"), ["missing inputs", "age"]),
        (lambda rows: rows.rename(columns={"age": "Age"}), ["missing inputs", "age", "Age"]),
        (lambda rows: rows.assign(age="old"), ["row 1: column 'age': 'old' is no number"]),
        (lambda rows: rows.assign(age=[[1, 2]] * len(rows)), ["row 1", "'age'", "is no number"]),
        (lambda rows: rows.head(0), ["the input has no rows"]),
    ],
    ids=["missing", "renamed", "text", "list", "empty"],
)
def test_a_served_model_says_what_is_wrong_with_rows(server, customers, change, words):
    rows = customers.drop(columns=["customer_id", "churned"]).head(3)
    answer = _ask(server, _split(change(rows)))
    assert 400 <= answer.status_code < 500
    assert [word for word in words if word not in answer.json()["message"]] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{not json", "valid JSON"),
        ("", "valid JSON"),
        ({}, "exactly one of the input fields"),
        ([1, 2], "exactly one of the input fields"),
        ({"dataframe_records": []}, "missing inputs"),
    ],
)
def test_a_served_model_says_what_is_wrong_with_a_request(server, body, words):
    answer = _ask(server, body)
    assert 400 <= answer.status_code < 500
    assert words in answer.json()["message"]


def test_score_and_a_served_model_give_the_same_reasons(store, score, server, customers):
    rows = customers.head(20)
    rows.to_csv(store.folder / "why.csv", index=False)
    outcome = score(CHURN, store.folder / "why.csv", "why.parquet", "explain=3")
    assert outcome.code == 0, outcome.terminal
    scores = pd.read_parquet(store.folder / "why.parquet")
    told = [f"{what}_{number}" for number in (1, 2, 3) for what in ("reason", "contribution")]
    assert list(scores)[-len(told) - 4 :] == ["base", *told, "others", "model_version", "scored_at"]
    named = scores.filter(regex=r"^contribution_\d$").sum(axis=1)
    total = scores["base"] + named + scores["others"]
    np.testing.assert_allclose(total, scores["probability_1"], atol=1e-9)
    columns = [reason.split(" ")[0] for reason in scores["reason_1"]]
    assert set(columns) <= set(customers)

    body = _split(rows.drop(columns=["customer_id", "churned"]))
    answer = _ask(server, body | {"params": {"method": "explain", "reasons": 3}})
    assert answer.status_code == 200, answer.text
    served = pd.DataFrame(answer.json()["predictions"])
    _same(served, scores[[*served]])
    whole = pd.DataFrame(
        _ask(server, body | {"params": {"method": "explain"}}).json()["predictions"]
    )
    assert np.allclose(whole["value"], scores["probability_1"], atol=0)
    names = {name for name in whole if name.startswith("contribution_")}
    assert names == {f"contribution_{name}" for name in customers} - {
        "contribution_customer_id",
        "contribution_churned",
    }
    refused = _ask(server, body | {"params": {"method": "interval"}})
    assert refused.status_code == 400
    assert "its recipe has no key `intervals`" in refused.json()["message"]
    refused = score(CHURN, store.folder / "why.csv", "not.parquet", "explain=all")
    assert "explain: 'all' is no number of reasons, such as 3" in refused.terminal


def test_a_served_model_names_the_allowed_methods(server, customers):
    rows = customers.drop(columns=["customer_id", "churned"]).head(1)
    answer = _ask(server, _split(rows) | {"params": {"method": "probability"}})
    assert answer.status_code == 400
    assert "allowed: predict, predict_proba, predict_all" in answer.json()["message"]


def test_rows_that_cannot_be_scored_go_to_the_rejects_with_the_reason(
    store, score, customers, expected, read_artifact
):
    path = store.folder / "some bad.csv"
    lines = customers.to_csv(index=False).splitlines()
    lines[500] = lines[500].replace(",", ",much", 1)
    lines[700] += ",1,2"
    path.write_text("\n".join(lines) + "\n")
    outcome = score(CHURN, path, "most.csv", "batch_rows=128")
    assert outcome.code == 0, outcome.terminal
    scores = pd.read_csv(store.folder / "most.csv", float_precision="round_trip")
    kept = customers.drop(index=[499, 699])
    assert scores["customer_id"].tolist() == kept["customer_id"].tolist()
    _same(scores, expected.loc[kept.index])
    rejects = pd.read_csv(store.folder / "most.rejects.csv")
    assert rejects["row"].tolist() == [500, 700]
    assert rejects["reason"].iloc[0].startswith("column 'recency_days': 'much")
    assert rejects["reason"].iloc[1] == "has 12 fields, the header has 10"
    assert rejects["customer_id"].iloc[0] == customers["customer_id"].iloc[499]
    assert rejects["line"].iloc[1] == lines[700]
    assert "2 rows could not be scored (row 500" in outcome.terminal
    assert "score: the rows are like those of the training" in outcome.terminal
    run = outcome.of("score")
    assert run.info.status == "FINISHED"
    figures = run.data.metrics
    assert (figures["rows"], figures["scored"], figures["rejected"]) == (1000, 998, 2)
    assert figures["rows_per_second"] > 0
    assert run.data.tags["pipeline.model_version"] == "1"
    assert run.data.tags["pipeline.drift"] == "none"
    assert len(json.loads(read_artifact(run, "sample.json").read_text())["data"]) == 100
    drift = json.loads(read_artifact(run, "drift.json").read_text())
    columns = {row[drift["columns"].index("column")] for row in drift["data"]}
    assert {"age", "recency_days", "(probability of 1)"} <= columns
    assert read_artifact(run, "plots/*drift*.png").stat().st_size > 5000


def test_rows_of_another_kind_are_warned_of(store, score, customers, read_artifact):
    path = store.folder / "others.parquet"
    others = {"age": customers["age"] + 40, "frequency": customers["frequency"] * 3}
    customers.assign(**others).to_parquet(path)
    outcome = score(CHURN, path, "others.parquet.csv")
    assert outcome.code == 0, outcome.terminal
    assert "WARNING" in outcome.terminal
    tag = outcome.of("score").data.tags["pipeline.drift"]
    assert re.search(r"\bage \d+\.\d\d", tag)
    assert re.search(r"\bfrequency \d+\.\d\d", tag)
    assert outcome.of("score").data.metrics["drifted_columns"] >= 2
    assert f"in the run {outcome.of('score').info.run_id}" in outcome.terminal
    report = read_artifact(outcome.of("score"), "report.html").read_text(encoding="utf-8")
    assert "done, with a warning" in report
    assert "columns are no longer as they were in training" in report


def test_columns_may_come_in_any_order_and_with_others(store, customers, expected):
    path = store.folder / "turned.parquet"
    customers[customers.columns[::-1]].assign(extra=1).to_parquet(path)
    words = [f"recipe={CHURN}", f"input={path}", f"output={store.folder / 'turned.csv.gz'}"]
    outcome = store.mlflow_run(*words, "key=customer_id,extra", entry_point="score")
    assert outcome.code == 0, outcome.terminal
    assert "not used by the model: churned" in outcome.terminal
    scores = pd.read_csv(store.folder / "turned.csv.gz", float_precision="round_trip")
    assert list(scores)[:2] == ["customer_id", "extra"]
    _same(scores, expected)


def test_the_answers_have_the_names_that_are_asked_for_in_a_file_of_today(
    store, score, customers, expected
):
    today = datetime.now().astimezone().date().isoformat()
    customers.to_csv(store.folder / "named_rows.csv", index=False)
    names = "columns=churn_probability,churn_predicted"
    outcome = score(CHURN, store.folder / "named_rows.csv", "named-{date}.csv", names)
    assert outcome.code == 0, outcome.terminal
    scores = pd.read_csv(store.folder / f"named-{today}.csv")
    assert list(scores) == ["customer_id", "churn_probability", "churn_predicted"]
    assert np.allclose(scores["churn_probability"], expected["probability_1"], rtol=1e-12)
    assert (scores["churn_predicted"] == expected["prediction"].to_numpy()).all()


def test_an_output_that_exists_is_kept_unless_asked(store, score, customers):
    path = store.folder / "few.csv"
    customers.head(50).to_csv(path, index=False)
    (store.folder / "kept.csv").write_text("precious")
    words = ["kept.csv is there already", "overwrite=true"]
    score(CHURN, path, "kept.csv").assert_refused("score", words, parent=False)
    assert (store.folder / "kept.csv").read_text() == "precious"
    outcome = score(CHURN, path, "kept.csv", "overwrite=true", "key=none")
    assert outcome.code == 0, outcome.terminal
    assert len(pd.read_csv(store.folder / "kept.csv")) == 50


def _bad(store, customers, name, change):
    path = store.folder / name
    changed = change(customers.head(20))
    changed.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("change", "parameters", "words"),
    [
        (
            lambda rows: rows.drop(columns=["age", "frequency"]),
            [],
            ["missing columns: frequency, age"],
        ),
        (lambda rows: rows.rename(columns={"age": "Age"}), [], ["missing columns: age", "'Age'"]),
        (lambda rows: rows.head(0), [], ["has a header, but no rows"]),
        (lambda rows: rows, ["key=customer"], ["unknown column 'customer'", "'customer_id'"]),
        (lambda rows: rows, ["columns=a,b,c"], ["'a,b,c' are not the names of the probability"]),
        (lambda rows: rows, ["columns=a,a"], ["needs a name of its own"]),
        (
            lambda rows: rows,
            ["recipe=" + WINE, "model_uri=models:/customer_churn@champion"],
            ["recipe"],
        ),
        (lambda rows: rows, ["model_uri=models:/customer_churn@chief"], ["chief"]),
        (lambda rows: rows, ["output=no/such/folder/a.csv"], ["there is no folder"]),
        (lambda rows: rows, ["output=data"], ["must end in .csv or .csv.gz or .parquet"]),
    ],
    ids=[
        "missing",
        "renamed",
        "empty",
        "key",
        "names",
        "twice",
        "recipe",
        "alias",
        "folder",
        "ending",
    ],
)
def test_what_is_wrong_is_said_in_one_line(store, score, customers, change, parameters, words):
    path = _bad(store, customers, "bad.csv", change)
    outcome = score(CHURN, path, "never.csv", *parameters)
    outcome.assert_refused("score", words, parent=False)
    assert list(store.folder.glob("never*")) == []


def test_the_input_is_never_the_output(store, score, customers):
    path = _bad(store, customers, "same.csv", lambda rows: rows)
    before = path.read_bytes()
    outcome = score(CHURN, path, "same.csv", "overwrite=true")
    outcome.assert_refused("score", ["is the input"], parent=False)
    assert path.read_bytes() == before


def test_without_a_row_that_can_be_scored_there_are_reasons_and_no_scores(store, score, customers):
    path = _bad(store, customers, "all bad.csv", lambda rows: rows.assign(age="old"))
    outcome = score(CHURN, path, "none.csv")
    words = ["none of the 20 rows can be scored: row 1: column 'age': 'old'", "none.rejects.csv"]
    outcome.assert_refused("score", words, parent=False)
    assert not (store.folder / "none.csv").exists()
    assert len(pd.read_csv(store.folder / "none.rejects.csv")) == 20


def test_without_a_champion_it_is_said(make_store):
    store = make_store()
    output = f"output={store.folder / 'out.csv'}"
    outcome = store.step("score", "input=data/red-wine-quality.csv", output)
    outcome.assert_refused("score", ["wine_quality has no champion yet"], parent=False)


def test_killed_in_the_middle_it_leaves_no_scores_and_the_next_run_tidies_up(
    store, score, environment, customers
):
    output = store.folder / "killed.csv"
    place = {"MLFLOW_TRACKING_URI": store.uri, "MLFLOW_EXPERIMENT_ID": "0"}
    words = f"--recipe {CHURN} --input {CUSTOMERS} --output {output} --batch_rows 20".split()
    with subprocess.Popen(
        [sys.executable, "-m", "steps.score", *words],
        cwd=PROJECT,
        env={**environment, **place},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not list(store.folder.glob("killed.csv.unfinished-*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert not output.exists()
    assert len(list(store.folder.glob("killed.csv.unfinished-*"))) == 1
    path = _bad(store, customers, "few.csv", lambda rows: rows)
    outcome = score(CHURN, path, "killed.csv")
    assert outcome.code == 0, outcome.terminal
    assert list(store.folder.glob("*unfinished*")) == []
    assert len(pd.read_csv(output)) == 20


def test_a_full_disk_is_said_in_one_line_and_nothing_is_left(store, score):
    small = store.folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        for name in ("small/a.csv", "small/a.parquet"):
            outcome = score(CHURN, CUSTOMERS, name, "batch_rows=1000")
            outcome.assert_refused("score", ["No space left"], parent=False)
            assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
