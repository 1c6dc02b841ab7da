"""Sweeps at the front door: many trials, one winner, and what is left when they are cut off."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).parents[2]
FOLDS = 5
_SECONDS = 300


def _sweep(store, *parameters):
    """Types the command of MLproject, without the seconds that `mlflow run` adds."""
    return store.type(_command(*parameters), PROJECT, _place(store))


def _command(*parameters):
    pairs = [parameter.split("=", 1) for parameter in parameters]
    options = [word for name, value in pairs for word in (f"--{name}", value)]
    return [sys.executable, "-m", "steps.sweep", *options]


def _place(store):
    return {"MLFLOW_TRACKING_URI": store.uri, "MLFLOW_EXPERIMENT_ID": "0"}


def _trials(store, parent=None):
    """The runs of trials, by their number; those that were cut off are left out."""
    found = [run for run in store.runs() if "pipeline.trial" in run.data.tags]
    ended = [run for run in found if run.info.status in ("FINISHED", "FAILED")]
    if parent:
        ended = [r for r in ended if r.data.tags["mlflow.parentRunId"] == parent.info.run_id]
    by_number = {int(run.data.tags["pipeline.trial"]): run for run in ended}
    assert len(by_number) == len(ended), "a trial was made twice"
    return dict(sorted(by_number.items()))


def _board(outcome, read_artifact):
    content = json.loads(read_artifact(outcome.of("sweep"), "leaderboard.json").read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


@pytest.fixture(scope="module")
def grid(store):
    """A grid whose solver lbfgs fails: it needs another hyperparameter."""
    ranges = ("alpha=0.1,1,1000", "solver=auto,lbfgs")
    return store.mlflow_run("model=ridge", *ranges, "jobs=2", entry_point="sweep")


def test_each_point_is_a_run_of_train_below_the_sweep(store, grid):
    assert grid.code == 0, grid.terminal
    trials = _trials(store, grid.of("sweep"))
    points = [(run.data.params["alpha"], run.data.params["solver"]) for run in trials.values()]
    assert points == [
        (alpha, solver) for alpha in ("0.1", "1", "1000") for solver in ("auto", "lbfgs")
    ]
    for run in trials.values():
        assert run.data.tags["mlflow.project.entryPoint"] == "train"
        assert run.data.params["model"] == "ridge"
        assert not run.outputs.model_outputs
    assert grid.of("prepare").info.status == "FINISHED"  # one, however many trials


def test_a_trial_has_its_score_its_deviation_and_its_folds(store, grid):
    trial = _trials(store, grid.of("sweep"))[0]
    folds = store.client.get_metric_history(trial.info.run_id, "rmse_fold")
    assert sorted(one.step for one in folds) == list(range(FOLDS))
    values = [one.value for one in folds]
    assert trial.data.metrics["rmse"] == pytest.approx(sum(values) / FOLDS)
    assert trial.data.metrics["rmse_std"] > 0


def test_a_trial_that_fails_says_why_and_stops_nothing(store, grid, read_artifact):
    failed = [
        run
        for run in _trials(store, grid.of("sweep")).values()
        if run.data.params["solver"] == "lbfgs"
    ]
    assert [run.info.status for run in failed] == ["FAILED"] * 3
    for run in failed:
        assert "positive" in run.data.tags["pipeline.error"]
        assert "Traceback" in read_artifact(run, "logs/train.log").read_text()


def test_the_leaderboard_is_printed_and_logged(grid, read_artifact):
    board = _board(grid, read_artifact)
    assert [row["rank"] for row in board] == [1, 2, 3, None, None, None]
    scores = [row["rmse"] for row in board[:3]]
    assert scores == sorted(scores)
    assert "rank trial  rmse" in grid.terminal
    printed = grid.terminal.partition("rank trial")[2].partition("winner")[0]
    assert max(map(len, printed.splitlines())) <= 80


def test_the_figures_are_there_and_need_no_network(grid, read_artifact):
    run = grid.of("sweep")
    html = read_artifact(run, "sweep.html").read_text()
    assert "<script src=" not in html
    for name in ("optimization_history", "param_importances", "parallel_coordinate", "slice"):
        assert read_artifact(run, f"plots/{name}.png").stat().st_size > 5000
    report = read_artifact(run, "report.html").read_text()
    assert "6 trials: 3 complete, 3 failed" in report
    assert report.count('alt="Plot. ') == 4


def test_the_winner_is_what_main_makes_of_it(store, grid, read_artifact):
    """Trained, evaluated and registered by the same steps: main finds them all in the cache."""
    sweep = grid.of("sweep")
    best = _board(grid, read_artifact)[0]
    assert sweep.data.tags["pipeline.verdict"] == "promoted"
    assert sweep.data.tags["pipeline.winner_run_id"] == best["run_id"]
    params = store.client.get_run(best["run_id"]).data.params
    main = store.mlflow_run("model=ridge", *(f"{k}={params[k]}" for k in ("alpha", "solver")))
    for name in ("prepare", "train", "evaluate"):
        assert main.parent.data.tags[f"pipeline.step.{name}.status"] == "reused"
        ours = sweep.data.tags[f"pipeline.step.{name}.run_id"]
        assert main.parent.data.tags[f"pipeline.step.{name}.run_id"] == ours
    assert main.parent.data.tags["pipeline.verdict"] == "unchanged"


def test_the_same_sweep_again_makes_no_trial_again(store, grid):
    known = set(_trials(store))
    again = _sweep(store, "model=ridge", "alpha=0.1,1,1000", "solver=auto", "jobs=1")
    assert again.code == 0, again.terminal
    assert [run for run in again.runs if "pipeline.trial" in run.data.tags] == []
    assert set(_trials(store)) == known
    assert again.of("sweep").data.tags["pipeline.verdict"] == "unchanged"


def test_a_trial_is_what_train_makes_with_folds(store, grid):
    trial = _trials(store, grid.of("sweep"))[0]
    prepare = grid.of("sweep").data.tags["pipeline.step.prepare.run_id"]
    alone = store.step(
        "train", f"prepare_run_id={prepare}", "model=ridge", "alpha=0.1", "solver=auto", "folds=5"
    )
    assert alone.code == 0, alone.terminal
    for name in ("rmse", "rmse_std"):
        assert alone.runs[0].data.metrics[name] == trial.data.metrics[name]
    assert not alone.runs[0].outputs.model_outputs


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_the_number_of_jobs_makes_no_difference(make_store, sampler, read_artifact):
    store = make_store()
    space = ("alpha=log(1e-4,1)", "l1_ratio=interval(0,1)", "trials=16", "pruner=median")
    boards = []
    for jobs in (1, 3):
        outcome = _sweep(store, *space, f"sampler={sampler}", f"jobs={jobs}", "cache=off")
        assert outcome.code == 0, outcome.terminal
        board = _board(outcome, read_artifact)
        boards.append([{name: row[name] for name in row if name != "run_id"} for row in board])
    assert boards[0] == boards[1]
    assert "pruned" in [row["state"] for row in boards[0]]


@pytest.mark.slow
def test_patience_ends_a_sweep_early(store, grid, read_artifact):
    outcome = _sweep(store, "alpha=1e-9,10,100,1000,10000", "l1_ratio=0.5", "patience=2", "jobs=1")
    assert outcome.code == 0, outcome.terminal
    assert [row["trial"] for row in _board(outcome, read_artifact)] == [0, 1, 2]


@pytest.mark.slow
def test_a_sweep_in_which_all_fail_fails(store, grid):
    outcome = _sweep(store, "model=ridge", "alpha=3,4", "solver=lbfgs")
    assert outcome.code != 0
    assert "all 2 trials failed: 'lbfgs'" in outcome.terminal
    assert outcome.of("sweep").info.status == "FAILED"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["alpha=log(0,1)"], ["alpha: log(0,1)", "above 0"]),
        (["alhpa=1,2"], ["did you mean 'alpha'"]),
        (["model=random_forest", "max_depth=range(1,1001)",
          "min_samples_leaf=range(1,1001)", "min_samples_split=range(2,1002)", "sampler=grid"],
         ["1,000,000,000 points"]),
        (["jobs=0"], ["jobs", "'0'"]),
        (["trials=many"], ["trials", "'many'"]),
        (["resume=0123"], ["no run '0123'"]),
        (["scheduler=tcp://127.0.0.1:9"], ["tcp://127.0.0.1:9 does not answer"]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_the_first_trial(store, grid, parameters, words):
    outcome = _sweep(store, *parameters)
    assert outcome.code != 0
    said = [line for line in outcome.terminal.splitlines() if line.startswith("sweep: ")]
    assert len(said) == 1, outcome.terminal
    assert [word for word in words if word not in said[0]] == [], said
    assert "Traceback" not in outcome.terminal
    assert [run for run in outcome.runs if "pipeline.trial" in run.data.tags] == []


@pytest.mark.slow
def test_only_a_sweep_of_the_same_kind_is_resumed(store, grid):
    ridge = grid.of("sweep").info.run_id
    trial = _trials(store, grid.of("sweep"))[0].info.run_id
    for run_id, words in (
        (trial, "is of train, no sweep"),
        (ridge, "was another sweep: the search space"),
    ):
        outcome = _sweep(store, "alpha=1,2", f"resume={run_id}")
        assert outcome.code != 0
        assert words in outcome.terminal
        assert [run for run in outcome.runs if "pipeline.trial" in run.data.tags] == []


def _start(store, environment, *parameters):
    return subprocess.Popen(
        _command(*parameters),
        cwd=PROJECT,
        env={**environment, **_place(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _wait_for_trials(store, process, count):
    """Waits until so many trials are done, while the sweep still runs."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        done = [run for run in store.runs() if "pipeline.trial" in run.data.tags]
        if sum(run.info.status == "FINISHED" for run in done) >= count:
            return
        time.sleep(0.1)
    pytest.fail(f"no {count} trials: {process.communicate()[0] if process.poll() else 'too slow'}")


_SLOW_SPACE = ("model=random_forest", "max_depth=range(2,30)", "min_samples_leaf=range(1,20)",
               "n_estimators=60")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_after_kill_9_the_same_command_goes_on(make_store, environment, sampler):
    store = make_store()
    command = (*_SLOW_SPACE, "trials=14", "jobs=2", f"sampler={sampler}")
    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 4)
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(below, timeout=_SECONDS)
    assert not alive
    before = {run.info.run_id for run in _trials(store).values()}
    again = _sweep(store, *command)
    assert again.code == 0, again.terminal
    trials = _trials(store, again.of("sweep"))
    assert list(trials) == list(range(14))
    assert before <= {run.info.run_id for run in trials.values()}
    assert [run for run in store.runs() if run.info.status == "RUNNING"] == []


@pytest.mark.slow
def test_ctrl_c_ends_with_what_is_known(make_store, environment, read_artifact):
    store = make_store()
    command = (*_SLOW_SPACE, "trials=500", "jobs=2")
    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 3)
        process.send_signal(signal.SIGINT)
        terminal = process.communicate(timeout=_SECONDS)[0]
    assert process.returncode != 0
    assert "Traceback" not in terminal
    assert "ended by SIGINT after" in terminal
    (sweep,) = [r for r in store.runs() if r.data.tags["mlflow.project.entryPoint"] == "sweep"]
    assert sweep.info.status == "KILLED"
    report = read_artifact(sweep, "report.html").read_text()
    assert "The pipeline was killed</h1>" in report
    assert " complete" in report
    assert read_artifact(sweep, "leaderboard.json").stat().st_size > 0
    assert [run for run in store.runs() if run.info.status == "RUNNING"] == []
    assert store.client.search_model_versions() == []


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_is_tried_again(make_store, environment):
    store = make_store()
    command = (*_SLOW_SPACE, "trials=8", "jobs=2", "sampler=random")
    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 2)
        running = [run for run in store.runs() if "pipeline.trial" in run.data.tags]
        pids = {int(run.data.tags["pipeline.pid"]) for run in running}
        os.kill(pids.pop(), signal.SIGKILL)
        terminal = process.communicate(timeout=_SECONDS)[0]
    assert process.returncode == 0, terminal
    assert list(_trials(store)) == list(range(8))
    assert [run for run in store.runs() if run.info.status == "RUNNING"] == []


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, environment):
    """A Dask scheduler with two workers, each a process; all are gone at the end."""
    folder = tmp_path_factory.mktemp("cluster")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
              "--local-directory", str(folder)]  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for words in (scheduler, worker, worker)
    ]
    yield address, started[1:]
    for process in started:
        process.kill()  # a worker that is asked to end waits for its scheduler
        process.wait(_SECONDS)


@pytest.mark.slow
def test_a_dask_worker_that_dies_loses_no_trial(make_store, environment, cluster):
    address, workers = cluster
    store = make_store()
    command = (*_SLOW_SPACE, "trials=12", "sampler=random", f"scheduler={address}")
    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 3)
        workers[0].kill()
        terminal = process.communicate(timeout=_SECONDS)[0]
    assert process.returncode == 0, terminal
    assert list(_trials(store)) == list(range(12))
    assert [run for run in store.runs() if run.info.status == "RUNNING"] == []
    here = make_store()
    local = _sweep(here, *_SLOW_SPACE, "trials=12", "sampler=random")
    assert local.code == 0, local.terminal
    scores = [[run.data.metrics["rmse"] for run in _trials(one).values()] for one in (store, here)]
    assert scores[0] == scores[1]
