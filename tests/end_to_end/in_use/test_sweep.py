"""Sweeps at the front door: many trials, one winner, and what is left when they are cut off.

Which trials come of a sweep, whatever ends when, is in tests/steps/sweeping/test_sweep_loop.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import click
import mlflow
import psutil
import pytest

import engine.trials.dask_trials
from common.errors import InputError
from engine.command_line import read_hyperparameters
from engine.failures import one_line
from modelling.recipe import load_recipe
from modelling.search.search import Search
from modelling.search.space import build_space
from steps.sweep import sweep
from steps.sweeping.loop import POINT
from steps.sweeping.run import _check, _choose_pruner, _open_trials
from steps.sweeping.trial import open_trials

PROJECT = Path(__file__).parents[3]
FOLDS = 5
_SECONDS = 300


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
    """A copy of the store of the grid."""
    return make_store(like="sweep")


@pytest.fixture(scope="module")
def grid(template):
    """A grid whose solver lbfgs fails: it needs another hyperparameter."""
    return template("sweep").outcomes["grid"]


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
    chosen = [f"{name}={params[name]}" for name in ("alpha", "solver")]
    main = store.main("model=ridge", *chosen, MLFLOW_EXPERIMENT_ID="0")
    for name in ("prepare", "train", "evaluate"):
        assert main.parent.data.tags[f"pipeline.step.{name}.status"] == "reused"
        ours = sweep.data.tags[f"pipeline.step.{name}.run_id"]
        assert main.parent.data.tags[f"pipeline.step.{name}.run_id"] == ours
    assert main.parent.data.tags["pipeline.verdict"] == "unchanged"


def test_the_same_sweep_again_makes_no_trial_again(store, grid):
    known = set(_trials(store))
    again = store.step("sweep", "model=ridge", "alpha=0.1,1,1000", "solver=auto", "jobs=1")
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


def test_of_halving_a_trial_stops_at_a_sample_and_its_run_says_so(store, grid):
    setting = {
        "recipe": load_recipe("recipes/wine_quality.yaml", PROJECT).model_dump(mode="json"),
        "prepare_run_id": grid.of("sweep").data.tags["pipeline.step.prepare.run_id"],
        "folds": FOLDS,
        "pruner": "halving",
        "greater_is_better": False,
        "keeps": False,
    }
    ridge = {"model": "ridge", "hyperparameters": {"alpha": 0.1}}
    mlflow.set_tracking_uri(store.uri)
    try:
        work = open_trials(setting)
        whole, stopped = (work({**ridge, "rival": rival}) for rival in ([9.0, 9.0], [9.0, 0.0]))
    finally:
        mlflow.set_tracking_uri(None)
    samples = whole.result["samples"]
    assert whole.result["score"] == _trials(store, grid.of("sweep"))[0].data.metrics["rmse"]
    assert (whole.result["state"], len(samples)) == ("complete", 2)
    known = {"state": "pruned", "score": None, "folds": [], "samples": samples}
    assert stopped.result == known
    said = [("rmse_sample", score, step) for step, score in enumerate(samples)]
    assert stopped.metrics == said
    assert whole.metrics[-2:] == said


@pytest.mark.parametrize(
    ("asked", "seconds", "is_large", "chosen"),
    [
        ("auto", "60", True, "halving"),
        ("auto", "60", False, "none"),
        ("auto", "none", True, "none"),
        ("none", "60", True, "none"),
        ("halving", "none", True, "halving"),
        ("median", "60", True, "median"),
    ],
)
def test_large_tables_that_are_searched_in_a_time_are_halved(asked, seconds, is_large, chosen):
    plan = _check_command(f"pruner={asked}", f"seconds={seconds}").plan
    assert _choose_pruner(plan, SimpleNamespace(is_large=is_large)) == chosen


def test_halving_is_for_many_rows():
    plan = _check_command("alpha=1,2", "pruner=halving").plan
    with pytest.raises(InputError, match="too few training rows to try a model on a sixteenth"):
        _choose_pruner(plan, SimpleNamespace(is_large=False))


@pytest.mark.exhaustive
@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_the_number_of_jobs_makes_no_difference(make_store, sampler, read_artifact):
    store = make_store()
    space = ("alpha=log(1e-4,1)", "l1_ratio=interval(0,1)", "trials=16", "pruner=median")
    boards = []
    for jobs in (1, 3):
        outcome = store.step("sweep", *space, f"sampler={sampler}", f"jobs={jobs}", "cache=off")
        assert outcome.code == 0, outcome.terminal
        board = _board(outcome, read_artifact)
        boards.append([{name: row[name] for name in row if name != "run_id"} for row in board])
    assert boards[0] == boards[1]
    assert "pruned" in [row["state"] for row in boards[0]]


def test_a_sweep_in_which_all_fail_fails(store):
    outcome = store.step("sweep", "model=ridge", "alpha=3,4", "solver=lbfgs")
    assert outcome.code != 0
    assert "all 2 trials failed: 'lbfgs'" in outcome.terminal
    run = outcome.of("sweep")
    assert run.info.status == "FAILED"
    assert run.data.tags["pipeline.error"].startswith("all 2 trials failed: ")


@pytest.mark.slow
def test_a_time_is_for_all_models_from_their_own_parameters_on(store, tmp_path_factory):
    outcome = store.step("sweep", "seconds=300", "trials=2", "jobs=1", "folds=2", "model=auto")
    assert outcome.code == 0, outcome.terminal
    own = outcome.of("sweep")
    trials = _trials(store, own).values()
    assert [run.data.params["model"] for run in trials] == ["ridge", "hist_gradient_boosting"]
    assert [run.data.params.get("alpha") for run in trials] == ["1.0", None]
    # They are better together than each alone, and that is one model, which can be made again.
    assert own.data.tags["pipeline.model"] == "together"
    assert own.data.tags["pipeline.together"].startswith("the best together: 2 models, rmse 0.6")
    assert own.data.metrics["best_rmse"] < min(run.data.metrics["rmse"] for run in trials)
    again = store.mlflow_run(
        f"run_id={own.info.run_id}", "environment=current", entry_point="reproduce", is_typed=False,
        TMPDIR=str(tmp_path_factory.mktemp("t")),
    )  # fmt: skip
    assert again.of("reproduce").data.tags["pipeline.verdict"] == "identical", again.terminal


# Bad input is refused before the first trial: what is said, then the whole way once.


def _check_command(*parameters):
    """Checks a command line as a sweep does before it makes its run."""
    pairs = [parameter.split("=", 1) for parameter in parameters]
    words = [word for name, value in pairs for word in (f"--{name}", value)]
    context = sweep.make_context("sweep", words)
    asked = _check(context.params, read_hyperparameters(context))
    _open_trials(context.params, asked.plan.trials)
    return asked


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["alpha=log(0,1)"], ["alpha: log(0,1)", "above 0"]),
        (["alhpa=1,2"], ["did you mean 'alpha'"]),
        (["model=random_forest", "max_depth=range(1,1001)",
          "min_samples_leaf=range(1,1001)", "min_samples_split=range(2,1002)", "sampler=grid"],
         ["1,000,000,000 points"]),
        (["alpha=1,2", "jobs=0"], ["jobs", "'0'"]),
        (["alpha=1,2", "trials=many"], ["trials", "'many'"]),
        (["alpha=1,2", "patience=0"], ["patience", "'0'"]),
        (["seconds=0"], ["seconds", "'0'"]),
        (["seconds=soon"], ["seconds", "'soon' is neither a whole number from 1 on nor 'none'"]),
        (["alpha=1,2", "folds=1"], ["folds", "1 is not in the range x>=2"]),
        (["alpha=1,2", "sampler=gird"], ["sampler", "'gird' is not one of"]),
        (["alpha=1,2", "scheduler=tcp://127.0.0.1:9"], ["tcp://127.0.0.1:9 does not answer"]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line(parameters, words, monkeypatch):
    monkeypatch.setattr(engine.trials.dask_trials, "_SECONDS_TO_ANSWER", 1)
    with pytest.raises((InputError, OSError, click.UsageError)) as caught:
        _check_command(*parameters)
    assert [word for word in words if word not in one_line(caught.value)] == []


@pytest.mark.slow
def test_bad_input_under_mlflow_run(store):
    outcome = store.mlflow_run("alhpa=1,2", entry_point="sweep")
    outcome.assert_refused("sweep", ["did you mean 'alpha'"], parent=False)
    assert len(outcome.runs) == 1


def _start(store, environment, *parameters):
    """Types the command of MLproject; it is a process of its own, which can be killed."""
    pairs = [parameter.split("=", 1) for parameter in parameters]
    options = [word for name, value in pairs for word in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "steps.sweep", *options],
        cwd=PROJECT,
        env={**environment, "MLFLOW_TRACKING_URI": store.uri, "MLFLOW_EXPERIMENT_ID": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _forests(store):
    """The runs of the trials below."""
    return [r for r in store.runs() if r.data.tags.get("pipeline.model") == "random_forest"
            and "pipeline.trial" in r.data.tags]  # fmt: skip


def _wait_for_trials(store, process, count, number=None):
    """Waits until so many trials are done, or one of that number, while the sweep still runs."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        done = [run for run in _forests(store) if run.info.status == "FINISHED"]
        if number is not None:
            done = [run for run in done if run.data.tags["pipeline.trial"] == number]
        if len(done) >= count:
            return
        time.sleep(0.1)
    pytest.fail(f"no {count} trials: {process.communicate()[0] if process.poll() else 'too slow'}")


_SLOW_SPACE = ("model=random_forest", "max_depth=range(2,30)", "min_samples_leaf=range(1,20)",
               "n_estimators=30")  # fmt: skip


@pytest.mark.slow
def test_a_sweep_goes_on_after_ctrl_c_a_lost_trial_and_kill_9(
    make_store, environment, read_artifact
):
    store = make_store(like="sweep")
    versions = len(store.client.search_model_versions())
    command = (*_SLOW_SPACE, "trials=9", "jobs=2")
    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 2)
        process.send_signal(signal.SIGINT)
        terminal = process.communicate(timeout=_SECONDS)[0]
    _assert_ended_by_ctrl_c(store, process, terminal, read_artifact)
    assert len(store.client.search_model_versions()) == versions

    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 4)
        lost = next(run for run in _forests(store) if run.info.status == "RUNNING")
        os.kill(int(lost.data.tags["pipeline.pid"]), signal.SIGKILL)
        _wait_for_trials(store, process, 1, number=lost.data.tags["pipeline.trial"])
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(below, timeout=_SECONDS)
    assert not alive
    before = {run.info.run_id for run in _forests(store) if run.info.status == "FINISHED"}

    again = store.step("sweep", *command)
    assert again.code == 0, again.terminal
    trials = _trials(store, again.of("sweep"))
    assert list(trials) == list(range(9))
    assert before <= {run.info.run_id for run in trials.values()}
    assert [run for run in store.runs() if run.info.status == "RUNNING"] == []


def _assert_ended_by_ctrl_c(store, process, terminal, read_artifact):
    assert process.returncode != 0
    assert "Traceback" not in terminal
    assert "ended by SIGINT after" in terminal
    newest = [r for r in store.runs() if r.data.tags["mlflow.project.entryPoint"] == "sweep"][-1]
    assert newest.info.status == "KILLED"
    report = read_artifact(newest, "report.html").read_text()
    assert "The pipeline was killed</h1>" in report
    assert " complete" in report
    assert read_artifact(newest, "leaderboard.json").stat().st_size > 0
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
    store = make_store(like="sweep")
    command = (*_SLOW_SPACE, "trials=8", "sampler=random", f"scheduler={address}")
    with _start(store, environment, *command) as process:
        _wait_for_trials(store, process, 2)
        workers[0].kill()
        terminal = process.communicate(timeout=_SECONDS)[0]
    assert process.returncode == 0, terminal
    trials = [run for run in _forests(store) if run.info.status == "FINISHED"]
    by_number = {int(run.data.tags["pipeline.trial"]): run for run in trials}
    assert sorted(by_number) == list(range(8))
    assert len(trials) == 8
    assert [run for run in store.runs() if run.info.status == "RUNNING"] == []
    mlflow.set_tracking_uri(store.uri)
    try:
        _assert_as_here(by_number)
    finally:
        mlflow.set_tracking_uri(None)


def _assert_as_here(trials):
    """Tried were the points that this machine chooses, and each has the score that it has here."""
    recipe = load_recipe("recipes/wine_quality.yaml", PROJECT)
    model, *ranges = _SLOW_SPACE
    space = build_space(recipe, model.split("=")[1], dict(one.split("=") for one in ranges))
    search = Search(space, "random", len(trials), 42, False)
    points = [search.choose(number, [], []) for number in range(len(trials))]
    assert [trials[number].data.tags[POINT] for number in range(len(trials))] == [
        point.key for point in points
    ]
    work = open_trials(
        {
            "recipe": recipe.model_dump(mode="json"),
            "prepare_run_id": trials[0].data.params["prepare_run_id"],
            "folds": FOLDS,
            "pruner": "none",
            "greater_is_better": False,
            "keeps": False,
        }
    )
    for number in (0, 7):
        asked = {"model": points[number].model, "hyperparameters": points[number].hyperparameters}
        score = work({**asked, "rival": []}).result["score"]
        assert trials[number].data.metrics["rmse"] == score
