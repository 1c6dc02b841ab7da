"""scripts/check_mlflow_status.py: what is in the store, and whether all is well with it."""

import json
import os
import re

import pytest
import yaml

from engine.processes.guard import ProcessId


def _log_pipeline(client, experiment, number, metrics, verdict, **tags):
    """A run as main leaves it, without the seconds that the steps take."""
    named = {
        "mlflow.project.entryPoint": "main",
        "pipeline.recipe": "wines",
        "pipeline.model": f"model_{number}",
        "pipeline.verdict": verdict,
        "pipeline.verdict_reason": "as the test says",
        **tags,
    }
    run = client.create_run(experiment, start_time=1_000_000 + number, tags=named)
    client.log_param(run.info.run_id, "alpha", number / 10)
    client.log_param(run.info.run_id, "max_iter", 100)
    for name, value in metrics.items():
        client.log_metric(run.info.run_id, name, value)
    client.set_terminated(run.info.run_id)
    return run.info.run_id


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def runs(store):
    """The ids of pipelines of two recipes; the best rmse is the second's."""
    client = store.client
    experiment = client.create_experiment("wines", str(store.folder / "mlruns"))
    figures = [{"rmse": 0.7, "r2": 0.1}, {"rmse": 0.6, "r2": 0.3}, {"rmse": float("nan")}]
    verdicts = ["promoted", "challenger", "rejected"]
    found = [
        _log_pipeline(client, experiment, number + 1, *each)
        for number, each in enumerate(zip(figures, verdicts, strict=True))
    ]
    other = {"pipeline.recipe": "churn"}
    found.append(_log_pipeline(client, experiment, 9, {"rmse": 0.01}, "promoted", **other))
    return found


@pytest.fixture(scope="module")
def champion(store, runs):
    """A registered model with a champion and the journal of how it came."""
    client = store.client
    client.create_registered_model("wines")
    client.create_model_version("wines", str(store.folder), runs[0])
    client.set_registered_model_alias("wines", "champion", "1")
    move = {"when": "2026-01-02T03:04:05.000000Z", "who": "ana", "what": "promoted"}
    move |= {"why": "passed the gate", "from": "none", "to": "1"}
    client.set_registered_model_tag(
        "wines", "pipeline.journal.2026-01-02T03:04:05.000000Z", json.dumps(move)
    )


@pytest.fixture(scope="module")
def status(store, runs, champion):
    done = store.check_status("--json")
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def test_where_no_database_is_it_says_so_and_makes_none(make_store):
    empty = make_store(is_empty=True)
    done = empty.check_status()
    assert done.returncode == 1
    assert f"there is no {empty.folder / 'mlflow.db'}" in done.stdout
    assert not (empty.folder / "mlflow.db").exists()
    report = json.loads((empty.folder / "reports/mlflow_status_report.json").read_text("utf-8"))
    assert report["reachable"] is False
    assert len(report["problems"]) == 1


def test_the_report_is_a_file_and_printed_the_same(store, status):
    path = store.folder / "reports/mlflow_status_report.json"
    written = json.loads(path.read_text("utf-8"))
    assert {**written, "checked_at": ""} == {**status, "checked_at": ""}


def test_it_counts_and_lists_what_is_there(store, status, runs):
    assert status["reachable"] is True
    assert status["problems"] == []
    assert status["store"] == store.uri
    assert status["runs_by_status"] == {"FINISHED": 4}
    assert {found["name"] for found in status["experiments"]} == {"Default", "wines"}
    assert [run["run_id"] for run in status["last_runs"]] == runs[::-1]
    assert [run["verdict"] for run in status["last_runs"]][1:] == [
        "rejected",
        "challenger",
        "promoted",
    ]
    assert status["metrics"] == ["r2", "rmse"]
    assert status["parameters"] == ["alpha", "max_iter"]
    (model,) = status["models"]
    assert (model["name"], model["champion"]) == ("wines", "1")
    assert [(move["from"], move["to"]) for move in model["journal"]] == [("none", "1")]


def test_a_person_reads_a_table_of_80_columns(store, status, runs):
    done = store.check_status()
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == "all is well"
    assert [line for line in lines if len(line) > 80 and not line.startswith("store")] == []
    assert any(
        re.match(rf"\S+ \S+ +{runs[1][:8]} wines, model_2 +challenger", line) for line in lines
    )
    assert "model wines: version 1 is champion" in lines
    assert "\x1b" not in done.stdout


def test_two_runs_are_compared_by_the_start_of_their_ids(store, runs, status):
    done = store.check_status("--compare", runs[0][:10], runs[1][:10], "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert [run["run_id"] for run in found["runs"]] == runs[:2]
    assert found["parameters"] == {"alpha": ["0.1", "0.2"]}
    assert found["metrics"] == {"r2": [0.1, 0.3], "rmse": [0.7, 0.6]}
    assert found["tags"]["pipeline.verdict"] == ["promoted", "challenger"]
    told = store.check_status("--compare", runs[0], runs[1]).stdout
    assert re.search(r"^alpha +0\.1 +0\.2$", told, re.MULTILINE)
    assert max(map(len, told.splitlines())) <= 80


@pytest.fixture(scope="module")
def of_a_notebook(store, status):
    """Runs as a notebook makes them: the last one was killed with its kernel."""
    client = store.client
    experiment = client.create_experiment("workshop", str(store.folder / "mlruns"))
    runs = [client.create_run(experiment, run_name=f"forest {number}") for number in range(8)]
    ids = [run.info.run_id for run in runs]
    for number, run_id in enumerate(ids[:-1]):
        client.log_metric(run_id, "training_accuracy_score", number / 10)
        client.log_metric(run_id, "val_mse", number / 10)
        client.set_terminated(run_id)
    return ids


@pytest.mark.parametrize(
    ("metric", "best"), [("training_accuracy_score", [6, 5, 4]), ("val_mse", [0, 1, 2])]
)
def test_the_best_runs_of_any_experiment_as_many_as_one_wants(store, of_a_notebook, metric, best):
    options = ["--best", metric, "--experiment", "workshop", "--number", "3", "--json"]
    found = json.loads(store.check_status(*options).stdout)
    assert [run["run_id"] for run in found["runs"]] == [of_a_notebook[number] for number in best]
    told = store.check_status("--best", metric, "--experiment", "workshop", "--number", "50").stdout
    assert told.count("forest") == 7
    wrong = store.check_status("--best", "mse", "--experiment", "workshop").stdout
    assert "no finished run of workshop has the metric mse; they have: training_accuracy" in wrong
    wrong = store.check_status("--best", metric, "--experiment", "workshp").stdout
    assert "did you mean 'workshop'?" in wrong


def test_a_run_of_a_notebook_is_a_run_and_can_be_ended_when_its_kernel_is_gone(
    store, of_a_notebook
):
    killed = of_a_notebook[-1]
    assert f"{killed[:8]} forest 7" in store.check_status("--reap").stdout
    assert store.client.get_run(killed).info.status == "RUNNING"
    done = store.check_status("--reap", "--gone", killed[:8])
    assert f"run {killed} was ended" in " ".join(done.stdout.split())
    assert store.client.get_run(killed).info.status == "KILLED"


def test_what_differs_in_the_recipes_is_a_parameter_and_of_own_code_a_line(store):
    client = store.client
    ids = []
    for share, line in ((0.5, "return 1"), (0.8, "return 2")):
        run_id = client.create_run("0").info.run_id
        recipe = {"name": "wines", "sampling": {"method": "over", "sampling_strategy": share}}
        recipe["code"] = {"own.py": f"def twice(table):\n    {line}\n"}
        client.log_text(run_id, yaml.safe_dump(recipe), "config/wines-none-config-1.yaml")
        client.set_tag(run_id, "pipeline.lock_sha256", line)
        client.set_terminated(run_id)
        ids.append(run_id)
    found = json.loads(store.check_status("--compare", *ids, "--json").stdout)
    assert found["parameters"] == {
        "sampling.sampling_strategy": [0.5, 0.8],
        "code.own.py": ["    return 1", "    return 2"],
    }
    assert found["tags"] == {}


def test_an_id_that_is_not_there_is_answered_by_the_nearest(store, runs, status):
    wrong = runs[0][:7] + ("0" if runs[0][7] != "0" else "1")
    done = store.check_status("--compare", wrong, runs[1])
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert f"there is no run {wrong!r}" in line
    assert f"did you mean {runs[0]}" in line


@pytest.mark.parametrize(
    ("metric", "recipe", "best"),
    [("rmse", ["--recipe", "wines"], [1, 0]), ("r2", [], [1, 0])],
    ids=["of the recipe that is named", "of the only one that has it"],
)
def test_the_best_run_of_a_recipe_by_a_metric(store, runs, status, metric, recipe, best):
    done = store.check_status("--best", metric, *recipe, "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert found["greater_is_better"] is (metric == "r2")
    assert [run["run_id"] for run in found["runs"]] == [runs[number] for number in best]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--best", "rmsee", "--recipe", "wines"], "did you mean 'rmse'?"),
        (["--best", "rmse", "--recipe", "wine"], "did you mean 'wines'?"),
        (["--best", "rmse"], "--recipe takes: churn, wines"),
        (["--best", "f1", "--recipe", "wines"], "no finished run of wines has the metric f1"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(store, status, words, message):
    done = store.check_status(*words)
    assert done.returncode == 1
    assert message in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_what_is_wrong_makes_it_fail_until_it_is_mended(store, status):
    client = store.client
    ended = ProcessId(2**22 - 1, 1.0)
    tags = {
        "mlflow.project.entryPoint": "main",
        "pipeline.host": os.uname().nodename,
        "pipeline.pid": str(ended.pid),
        "pipeline.process_started": str(ended.started),
    }
    stale = client.create_run("0", tags=tags).info.run_id
    client.delete_registered_model_alias("wines", "champion")
    done = store.check_status()
    assert done.returncode == 1
    assert f"WRONG    run {stale} counts as RUNNING: its process" in done.stdout
    assert "WRONG    wines has lost its champion, which was version 1" in done.stdout
    client.set_registered_model_alias("wines", "champion", "1")
    reaped = store.check_status("--reap")
    assert reaped.returncode == 0, reaped.stdout
    assert f"run {stale} was ended" in reaped.stdout
    assert client.get_run(stale).info.status == "KILLED"


def test_a_server_that_is_away_is_a_problem(store, status):
    done = store.check_status("--json", MLFLOW_TRACKING_URI="http://ana:secret@127.0.0.1:9")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["problems"] == ["the tracking server http://127.0.0.1:9 does not answer"]
    assert "secret" not in done.stdout
