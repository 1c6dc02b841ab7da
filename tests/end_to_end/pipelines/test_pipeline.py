"""The pipeline: five commands, and what each leaves in its store.

The first is typed as a newcomer types it; the others but its like made the template "wines".
"""

import hashlib
import html
import json
import math
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml

from common.words import with_minus

PROJECT = Path(__file__).parents[3]
SECONDS = re.compile(r" +\d+ s")  # that a step works, now and then
STEPS = ["prepare", "train", "evaluate", "register"]


@pytest.fixture(scope="module")
def store(make_store):
    """The store of the first two commands."""
    return make_store(is_empty=True)


@pytest.fixture(scope="module")
def first(store):
    """The newcomer's command, on an empty folder."""
    return store.mlflow_run()


@pytest.fixture(scope="module")
def again(store, first):
    """The same command, nothing changed; forked, as it was typed once."""
    return store.mlflow_run(is_typed=False)


@pytest.fixture(scope="module")
def wines(template):
    """The store of the other commands, each typed after the one before it."""
    return template("wines").store


@pytest.fixture(scope="module")
def plain(template):
    """The newcomer's command without `mlflow run`."""
    return template("wines").outcomes["first"]


@pytest.fixture(scope="module")
def rejected(template):
    """A model that is hardly better than the mean."""
    return template("wines").outcomes["rejected"]


@pytest.fixture(scope="module")
def forest(template):
    """A better model, with hyperparameters of its own, where no pickle may be read."""
    return template("wines").outcomes["forest"]


@pytest.fixture(scope="module")
def weaker(template):
    """A good model that is not as good, where no pickle may be read."""
    return template("wines").outcomes["weaker"]


# The first command: promoted.


@pytest.fixture(scope="module")
def sides(first, read_artifact):
    prepare = first.step("prepare")
    return [
        pd.read_parquet(read_artifact(prepare, name)) for name in ("train.parquet", "test.parquet")
    ]


@pytest.fixture(scope="module")
def predictions(first, read_artifact):
    return pd.read_parquet(read_artifact(first.step("evaluate"), "predictions/*.parquet"))


def _model_folder(store, outcome):
    (output,) = outcome.step("train").outputs.model_outputs
    return Path(store.client.get_logged_model(output.model_id).artifact_location)


@pytest.fixture(scope="module")
def model_folder(store, first):
    return _model_folder(store, first)


def test_verdict_is_promoted_as_version_1_with_alias_champion(first):
    assert first.code == 0, first.terminal
    assert first.parent.data.tags["pipeline.verdict"] == "promoted"
    assert "no champion before" in first.parent.data.tags["pipeline.verdict_reason"]
    assert list(first.versions) == [1]
    assert first.versions[1].name == "wine_quality"
    assert first.aliases == {"champion": 1}


def test_last_words_are_a_table_the_verdict_the_model_and_the_ui(first, store, read_artifact):
    lines = first.terminal.splitlines()
    for name in STEPS:
        run_id = first.step(name).info.run_id
        (line,) = (line for line in lines if re.match(rf"{name} +{run_id[:8]} ", line))
        assert re.fullmatch(rf"{name} +{run_id[:8]} +\d+\.\d  \S.*", line)
        assert len(line) <= 80
        if name == "evaluate":
            assert f"rmse {first.parent.data.metrics['rmse']:.4f}" in line
    said = "\n".join(line for line in lines if "INFO" not in line)
    tags, info = first.parent.data.tags, first.parent.info
    assert said.endswith(
        f"verdict  promoted: {tags['pipeline.verdict_reason']}\n"
        "model    models:/wine_quality/1\n"
        f"run      {info.run_id}\n"
        f"report   {read_artifact(first.parent, 'report.html')}\n"
        f"look     mlflow ui --backend-store-uri {store.uri}"
    )


def test_mlflow_says_nothing_between_and_all_fits_on_a_screen(first):
    lines = [line for line in first.terminal.splitlines() if not SECONDS.fullmatch(line)]
    assert len(lines) < 24
    at = [number for number, line in enumerate(lines) if "INFO" in line]
    ours = [number for number in range(len(lines)) if number not in at]
    assert not [number for number in at if min(ours) < number < max(ours)]


def test_store_stands_where_the_user_stands_and_nothing_else_does(first, store):
    assert {path.name for path in store.folder.iterdir()} == {"mlflow.db", "mlruns"}


def test_one_parent_and_its_four_children_are_finished(first):
    assert [run.data.tags["mlflow.project.entryPoint"] for run in first.runs] == ["main", *STEPS]
    assert {run.info.status for run in first.runs} == {"FINISHED"}
    parents = [run.data.tags.get("mlflow.parentRunId") for run in first.runs]
    assert parents == [None, *[first.parent.info.run_id] * 4]
    assert {run.info.experiment_id for run in first.runs} == {"0"}


def test_runs_bear_names_that_say_what_they_are(first):
    assert [run.info.run_name for run in first.runs] == [
        "main wine_quality elastic_net · promoted 0.6300",
        "prepare wine_quality",
        "train wine_quality elastic_net",
        "evaluate wine_quality elastic_net",
        "register wine_quality elastic_net",
    ]


def test_parent_names_its_steps(first):
    tags = first.parent.data.tags
    for run, name in zip(first.runs[1:], STEPS, strict=True):
        assert tags[f"pipeline.step.{name}.run_id"] == run.info.run_id
        assert tags[f"pipeline.step.{name}.status"] == "ran"


def test_parent_says_which_data_lock_and_tree_it_ran(first):
    tags = first.parent.data.tags
    table, lock = PROJECT / "data/red-wine-quality.csv", PROJECT / "requirements.lock"
    assert tags["pipeline.data_sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert tags["pipeline.lock_sha256"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=PROJECT, capture_output=True, check=True
    )
    assert tags["pipeline.git_dirty"] == ("true" if status.stdout else "false")


@pytest.mark.parametrize("name", ["prepare", "train", "evaluate"])
def test_step_with_an_output_has_its_digest(first, name):
    assert re.fullmatch(r"[0-9a-f]{64}", first.step(name).data.tags["pipeline.output_digest"])


def test_parent_logs_the_declared_parameters(first):
    assert first.parent.data.params == {
        "recipe": "recipes/wine_quality.yaml",
        "model": "auto",
        "data": "auto",
        "cache": "use",
        "until": "register",
        "backend": "warm",
        "verbose": "false",
        "result": "none",
    }


def test_train_logs_every_parameter_of_the_estimator(first):
    params = first.step("train").data.params
    assert params["estimator"] == "sklearn.linear_model.ElasticNet"
    assert (params["alpha"], params["l1_ratio"], params["scale"]) == ("0.01", "0.5", "True")
    assert (params["random_state"], params["positive"]) == ("0", "False")


def test_prepare_splits_the_whole_table_and_no_wine_stands_on_both_sides(first, sides):
    train, test = sides
    whole = pd.concat(sides)
    assert len(whole) == 1599
    assert whole["quality"].sum() == 9012
    assert whole["row_key"].is_unique
    measured = whole.columns.drop(["row_key", "quality"])
    assert len(measured) == 11
    seen = set(train[measured].itertuples(index=False, name=None))
    assert not seen & set(test[measured].itertuples(index=False, name=None))
    assert 0.15 < len(test) / len(whole) < 0.25
    metrics = first.step("prepare").data.metrics
    assert (metrics["rows"], metrics["duplicate_rows"]) == (1599, 240)
    assert metrics["duplicates_across_split"] == 0
    assert (metrics["train_rows"], metrics["test_rows"]) == (len(train), len(test))


def test_both_sides_are_datasets_of_the_prepare_run(first):
    inputs = first.step("prepare").inputs.dataset_inputs
    contexts = {found.tags[0].value: found.dataset for found in inputs}
    assert contexts.keys() == {"training", "testing"}
    assert contexts["training"].digest != contexts["testing"].digest
    assert {"red-wine-quality.csv" in found.source for found in contexts.values()} == {True}


def test_profile_describes_each_column(first, read_artifact):
    profile = json.loads(read_artifact(first.step("prepare"), "profile.json").read_text())
    rows = pd.DataFrame(profile["data"], columns=profile["columns"]).set_index("column")
    assert len(rows) == 12
    assert rows.loc["quality", "mean"] == pytest.approx(5.636, abs=0.001)
    assert rows["missing"].eq(0).all()


def test_predictions_are_of_the_test_rows_in_their_order(predictions, sides):
    _, test = sides
    assert predictions["row_key"].tolist() == test["row_key"].tolist()
    assert predictions["quality"].tolist() == test["quality"].tolist()


def _metrics(actual, predicted):
    error = predicted - actual
    return {
        "rmse": math.sqrt(np.mean(error**2)),
        "mae": np.mean(np.abs(error)),
        "r2": 1 - np.sum(error**2) / np.sum((actual - np.mean(actual)) ** 2),
        "within_half_point": np.mean(np.abs(error) <= 0.5),
    }


def test_metrics_follow_from_the_predictions(first, predictions):
    logged = first.step("evaluate").data.metrics
    expected = _metrics(predictions["quality"], predictions["prediction"])
    assert {name: logged[name] for name in expected} == pytest.approx(expected)
    assert logged["rmse"] == pytest.approx(0.63, abs=0.005)


def test_baseline_is_the_mean_of_the_training_rows(first, sides):
    train, test = sides
    logged = first.step("evaluate").data.metrics
    naive = np.full(len(test), train["quality"].mean())
    expected = {f"dummy_{name}": value for name, value in _metrics(test["quality"], naive).items()}
    assert {name: logged[name] for name in expected} == pytest.approx(expected)


def test_metrics_of_the_training_rows_stand_beside_ours(first, sides, model_folder):
    train, _ = sides
    logged = first.step("evaluate").data.metrics
    rows = train.drop(columns=["row_key", "quality"])
    said = mlflow.pyfunc.load_model(str(model_folder)).predict(rows)
    expected = {f"train_{name}": value for name, value in _metrics(train["quality"], said).items()}
    assert {name: logged[name] for name in expected} == pytest.approx(expected)


def test_the_interval_is_about_two_standard_errors_wide(first, predictions):
    evaluated = first.step("evaluate").data
    errors = np.abs(predictions["prediction"] - predictions["quality"])
    reach = 1.96 * errors.std() / np.sqrt(len(errors))
    ends = [evaluated.metrics[f"mae_{end}"] for end in ("low", "high")]
    assert ends == pytest.approx([errors.mean() - reach, errors.mean() + reach], abs=reach / 5)
    assert evaluated.tags["pipeline.checks"] == "{}"


def test_metrics_of_mlflow_stand_beside_ours(first):
    logged = first.step("evaluate").data.metrics
    assert logged["root_mean_squared_error"] == pytest.approx(logged["rmse"])
    assert logged["mean_absolute_error"] == pytest.approx(logged["mae"])
    assert logged["r2_score"] == pytest.approx(logged["r2"])
    assert {"max_error", "mean_squared_error", "example_count"} <= logged.keys()


def test_parent_shows_the_main_figures(first):
    evaluated, shown = first.step("evaluate").data.metrics, first.parent.data.metrics
    names = {"rmse", "mae", "r2", "within_half_point", "dummy_rmse", "rmse_low", "rmse_high"}
    assert {name: shown[name] for name in names} == {name: evaluated[name] for name in names}


@pytest.mark.parametrize(
    "name", ["predictions_vs_targets", "residuals", "error_by_target", "permutation_importance"]
)
def test_evaluate_draws(first, read_artifact, name):
    picture = read_artifact(first.step("evaluate"), f"**/{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_worst_predictions_come_worst_first(first, read_artifact, predictions):
    worst = pd.read_csv(read_artifact(first.step("evaluate"), "**/worst_predictions.csv"))
    errors = (worst["prediction"] - worst["quality"]).abs()
    assert errors.is_monotonic_decreasing
    largest = (predictions["prediction"] - predictions["quality"]).abs().max()
    assert errors.iloc[0] == pytest.approx(largest)


def test_importance_is_of_the_raw_columns_and_alcohol_leads(first, read_artifact):
    importance = pd.read_csv(read_artifact(first.step("evaluate"), "**/importance.csv"))
    assert len(importance) == 11
    assert "alcohol" in importance.iloc[0].astype(str).tolist()
    how = first.step("evaluate").data.tags["pipeline.importance"]
    assert re.fullmatch(r"5 shuffles of \d+ rows", how)
    assert how in read_artifact(first.parent, "report.html").read_text(encoding="utf-8")


def test_gate_writes_every_comparison_down(first, read_artifact):
    gate = json.loads(read_artifact(first.step("register"), "gate.json").read_text())
    rows = pd.DataFrame(gate["data"], columns=gate["columns"])
    assert rows["check"].value_counts().to_dict() == {"finite": 4, "baseline": 2}
    assert rows["passed"].all()


def test_train_keeps_the_resolved_recipe(first, read_artifact):
    config = yaml.safe_load(read_artifact(first.step("train"), "config/*.yaml").read_text())
    recipe = yaml.safe_load((PROJECT / "recipes/wine_quality.yaml").read_text())
    assert config["data"]["target"] == recipe["data"]["target"]
    assert config["models"].keys() == recipe["models"].keys()
    assert config["trained"]["model"] == "elastic_net"
    assert config["trained"]["parameters"]["alpha"] == 0.01


@pytest.mark.parametrize("name", STEPS)
def test_step_logs_real_figures_of_the_machine(first, name):
    metrics = first.step(name).data.metrics
    figures = {key: value for key, value in metrics.items() if key.startswith("system/")}
    for kind in ("cpu_utilization_percentage", "system_memory_usage_megabytes"):
        assert figures[f"system/{kind}"] > 0
    for kind in ("disk_usage_megabytes", "network_receive_megabytes"):
        assert math.isfinite(figures[f"system/{kind}"])
    assert 0.02 < figures["system/process_cpu_seconds"] < 60
    assert 50 < figures["system/process_memory_megabytes"] < 5000


def test_model_takes_eleven_doubles_and_has_a_small_example(model_folder):
    info = mlflow.models.Model.load(str(model_folder))
    assert {column.type.name for column in info.signature.inputs} == {"double"}
    assert len(info.signature.inputs.input_names()) == 11
    assert [str(output.type) for output in info.signature.outputs] == ["float64"]
    assert len(info.load_input_example(str(model_folder))) == 5


def test_model_pins_what_it_needs_and_no_more(model_folder):
    environment = yaml.safe_load((model_folder / "conda.yaml").read_text())
    python, _, pip = environment["dependencies"]
    assert python == f"python={python_version()}"
    needed = {"mlflow", "scikit-learn", "skops", "cloudpickle"}
    needed |= {"numpy", "pandas", "pyarrow", "scipy"}
    assert set(pip["pip"]) == {f"{name}=={version(name)}" for name in needed}


def test_model_is_code_skops_and_json_and_no_pickle(model_folder):
    names = {path.name for path in model_folder.rglob("*") if path.is_file()}
    assert {"sklearn_wrapper.py", "features.json"} <= names
    assert [name for name in names if name.endswith(".skops")]
    assert not [name for name in names if name.endswith((".pkl", ".joblib", ".cloudpickle"))]


def test_version_tells_a_person_what_it_is(first):
    described, tags = first.versions[1].description, first.versions[1].tags
    run_ids = [first.step(name).info.run_id for name in ("train", "evaluate")]
    data = first.parent.data.tags["pipeline.data_sha256"]
    commit = first.step("train").data.tags.get("mlflow.source.git.commit", "none")
    for fact in ["elastic_net", "promoted", "rmse", "baseline", *run_ids, data, commit]:
        assert fact in described
    assert tags["pipeline.data_sha256"] == data
    assert tags["pipeline.git_commit"] == commit
    assert [tags["pipeline.train_run_id"], tags["pipeline.evaluate_run_id"]] == run_ids
    assert tags["rmse"] == f"{first.parent.data.metrics['rmse']:.4f}"
    assert tags["pipeline.verdict"] == "promoted"


# The commands after it: unchanged, rejected, promoted over the champion, challenger.


def _entry_points(outcome):
    return [run.data.tags["mlflow.project.entryPoint"] for run in outcome.runs]


def _predictions(run, read_artifact):
    return pd.read_parquet(read_artifact(run, "predictions/*.parquet"))


def test_same_command_again_is_unchanged_and_makes_no_version(first, again):
    assert again.code == 0, again.terminal
    assert again.parent.data.tags["pipeline.verdict"] == "unchanged"
    assert "version 1" in again.parent.data.tags["pipeline.verdict_reason"]
    assert list(again.versions) == [1]
    assert again.aliases == {"champion": 1}
    assert "verdict  unchanged" in again.terminal


def test_same_command_again_gives_the_same_digests(first, again):
    for name in ("prepare", "train", "evaluate"):
        digests = [
            outcome.step(name).data.tags["pipeline.output_digest"] for outcome in (first, again)
        ]
        assert digests[0] == digests[1]


def test_same_command_again_reuses_every_step_and_says_so(first, again):
    assert _entry_points(again) == ["main"]
    for name in STEPS:
        assert again.step(name).info.run_id == first.step(name).info.run_id
        assert again.parent.data.tags[f"pipeline.step.{name}.status"] == "reused"
        assert f"{name:<17} reused from run {first.step(name).info.run_id[:8]}" in again.terminal
        assert first.step(name).info.run_id in again.parent.data.tags["mlflow.note.content"]


def test_rejection_has_its_reason_and_exit_code_0(rejected):
    assert rejected.code == 0, rejected.terminal
    tags = rejected.parent.data.tags
    assert tags["pipeline.verdict"] == "rejected"
    assert re.fullmatch(
        r"rmse 0\.7\d+ is not better than the baseline's 0\.8\d+ by 0\.1",
        tags["pipeline.verdict_reason"],
    )
    said = rejected.terminal.replace("\n" + " " * 9, " ")  # long lines go on under themselves
    assert f"verdict  rejected: {tags['pipeline.verdict_reason']}\n" in said
    (advice,) = (line for line in said.splitlines() if line.startswith("to try   "))
    assert "-P model=ridge" in advice
    words, command = advice.removeprefix("to try   ").split(" python ", 1)
    assert command.split(" mlflow ")[0].endswith("main.py --model ridge")
    assert words in html.unescape(tags["mlflow.note.content"])


def test_rejection_registers_nothing(rejected):
    assert list(rejected.versions) == [1]
    assert rejected.aliases == {"champion": 1}
    assert "pipeline.model_version" not in rejected.parent.data.tags
    assert "models:/" not in rejected.terminal
    assert {run.info.status for run in rejected.runs} == {"FINISHED"}


def test_rejection_writes_down_which_comparison_failed(rejected, read_artifact):
    gate = json.loads(read_artifact(rejected.step("register"), "gate.json").read_text())
    rows = pd.DataFrame(gate["data"], columns=gate["columns"])
    assert rows[~rows["passed"]]["required"].tolist() == [
        "better than the baseline's 0.8031 by 0.1"
    ]


def test_hyperparameters_are_parameters_of_parent_and_train(rejected):
    for run in (rejected.parent, rejected.step("train")):
        assert (run.data.params["alpha"], run.data.params["l1_ratio"]) == ("0.5", "0.5")


def test_typed_hyperparameters_reach_the_estimator(forest, wines):
    train = forest.step("train")
    assert train.data.params["n_estimators"] == "30"
    assert train.data.params["max_depth"] in ("None", "null")
    (path,) = _model_folder(wines, forest).rglob("*.skops")
    pipeline = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    estimator = pipeline["estimator"]
    assert type(estimator).__name__ == "RandomForestRegressor"
    assert estimator.n_estimators == len(estimator.estimators_) == 30
    assert isinstance(estimator.n_estimators, int)
    assert estimator.max_depth is None
    assert estimator.min_samples_leaf == 2


def test_another_model_is_compared_with_the_champion_on_the_same_rows(forest, read_artifact):
    assert forest.code == 0, forest.terminal
    assert _entry_points(forest) == ["main", "train", "evaluate", "register"]
    ours = _predictions(forest.step("evaluate"), read_artifact)
    theirs = _predictions(forest.step("evaluate_champion"), read_artifact)
    assert ours["row_key"].tolist() == theirs["row_key"].tolist()
    assert forest.step("evaluate_champion").data.tags["pipeline.model"] == "elastic_net"


def _rmse(predictions):
    return np.sqrt(np.mean((predictions["prediction"] - predictions["quality"]) ** 2))


def test_difference_to_the_champion_and_its_interval_are_logged(forest, read_artifact):
    ours = _predictions(forest.step("evaluate"), read_artifact)
    theirs = _predictions(forest.step("evaluate_champion"), read_artifact)
    logged = forest.step("register").data.metrics
    assert logged["champion_rmse"] == pytest.approx(_rmse(theirs))
    assert logged["difference_to_champion"] == pytest.approx(_rmse(ours) - _rmse(theirs))
    rng = np.random.default_rng(7)
    differences = [
        _rmse(ours.iloc[rows]) - _rmse(theirs.iloc[rows])
        for rows in rng.integers(len(ours), size=(2000, len(ours)))
    ]
    low, high = np.percentile(differences, [2.5, 97.5])
    assert logged["difference_low"] == pytest.approx(low, abs=0.006)
    assert logged["difference_high"] == pytest.approx(high, abs=0.006)


def test_significantly_better_model_takes_the_alias_and_both_versions_note_it(forest):
    tags, figures = forest.parent.data.tags, forest.step("register").data.metrics
    assert figures["difference_high"] < 0
    assert tags["pipeline.verdict"] == "promoted"
    interval = f"interval {figures['difference_low']:+.4f} to {figures['difference_high']:+.4f}"
    for fact in (interval, f"{figures['difference_to_champion']:+.4f}", "version 1"):
        assert with_minus(fact) in tags["pipeline.verdict_reason"]
    assert forest.aliases == {"champion": 2}
    assert forest.versions[2].tags["pipeline.replaced_version"] == "1"
    assert forest.versions[1].tags["pipeline.replaced_by_version"] == "2"


def test_weaker_model_that_passes_the_gate_is_the_challenger(weaker):
    assert weaker.code == 0, weaker.terminal
    assert weaker.step("register").data.metrics["difference_high"] > 0
    assert weaker.parent.data.tags["pipeline.verdict"] == "challenger"
    assert sorted(weaker.versions) == [1, 2, 3]
    assert weaker.aliases == {"champion": 2, "challenger": 3}
    assert weaker.versions[3].tags["pipeline.verdict"] == "challenger"


def test_main_without_mlflow_run_does_the_same_in_the_recipes_experiment(plain, wines):
    assert _entry_points(plain) == ["main", *STEPS]
    assert {run.info.status for run in plain.runs} == {"FINISHED"}
    (experiment_id,) = {run.info.experiment_id for run in plain.runs}
    assert wines.client.get_experiment(experiment_id).name == "wine_quality"
    parents = {run.data.tags.get("mlflow.parentRunId") for run in plain.runs[1:]}
    assert parents == {plain.parent.info.run_id}
    assert {path.name for path in wines.folder.iterdir()} == {"mlflow.db", "mlruns"}


def test_main_without_mlflow_run_gives_the_same_results(first, plain):
    for name in ("prepare", "train", "evaluate"):
        digests = [
            outcome.step(name).data.tags["pipeline.output_digest"] for outcome in (first, plain)
        ]
        assert digests[0] == digests[1]


def test_models_are_trained_and_evaluated_where_no_pickle_may_be_read(forest, weaker):
    evaluated = [outcome.of("evaluate") for outcome in (forest, weaker)]
    assert [run.data.tags["pipeline.model"] for run in evaluated] == ["random_forest", "ridge"]
    assert {run.info.status for run in evaluated} == {"FINISHED"}


# The champion in a bare folder, without the project.


# Prints the number of rows and whether each prediction is the logged one, to the last bit.
_PREDICT = """
import importlib.util, sys
import mlflow, pandas as pd
rows, logged = (pd.read_parquet(path) for path in sys.argv[1:])
model = mlflow.pyfunc.load_model("models:/wine_quality@champion")
predictions = model.predict(rows.drop(columns=["row_key", "quality"]))
strangers = [name for name in ("modelling", "steps") if importlib.util.find_spec(name)]
print(len(logged), (predictions == logged["prediction"].to_numpy()).all(), strangers)
"""


@pytest.fixture(scope="module")
def tables(forest, read_artifact):
    """The test rows, and what `evaluate` logged for them."""
    rows = read_artifact(forest.step("prepare"), "test.parquet")
    return str(rows), str(read_artifact(forest.step("evaluate"), "predictions/*.parquet"))


def test_champion_predicts_what_was_logged_where_no_pickle_may_be_read(
    tables, wines, tmp_path, type_command
):
    place = {"MLFLOW_TRACKING_URI": wines.uri, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = type_command([sys.executable, "-c", _PREDICT, *tables], tmp_path, place)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == f"{len(pd.read_parquet(tables[1]))} True []"


@pytest.mark.slow
def test_champion_predicts_the_same_in_an_environment_of_its_own_pins(
    tables, forest, wines, tmp_path, type_command
):
    folder = _model_folder(wines, forest)
    python, _, pip = yaml.safe_load((folder / "conda.yaml").read_text())["dependencies"]
    program = str(tmp_path / "venv/bin/python")
    make = ["uv", "venv", "--quiet", "--python", python.removeprefix("python="), "venv"]
    install = ["uv", "pip", "install", "--quiet", "--python", program, *pip["pip"]]
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (make, install):
        done = type_command(command, tmp_path)
        assert done.returncode == 0, done.stdout
    place = {"MLFLOW_TRACKING_URI": wines.uri}
    done = type_command([program, "-c", _PREDICT, *tables], empty, place)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == f"{len(pd.read_parquet(tables[1]))} True []"
