"""The notebooks run to their end against scripts/launch_mlflow.sh, in their own environment.

What they left in the store is asserted. Only the French ones are executed: their English twins have
the same code but for what they say.
"""

import ast
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.end_to_end.store import clean_environment
from tests.end_to_end.terminal import wait_until

PROJECT = Path(__file__).parents[2]
NOTEBOOKS = PROJECT / "notebooks"
FRENCH = sorted(path for path in NOTEBOOKS.glob("*.py") if not path.stem.endswith("_en"))
GUIDED = {
    "first-forest": "FINISHED",
    "forest-with-all-metrics": "FINISHED",
    "forest-that-grows": "FINISHED",
    "forest-refused": "FAILED",
    "forest-with-model": "FINISHED",
    "logistic-scaler-beside": "FINISHED",
    "logistic-pipeline": "FINISHED",
    "batch-inference": "FINISHED",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment that uv makes of requirements-notebooks.lock."""
    folder = tmp_path_factory.mktemp("environment")
    lock = PROJECT / "requirements-notebooks.lock"
    python = folder / "bin" / "python"
    for words in (
        ["venv", "--quiet", "--python", "3.11.7", str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), "-r", str(lock)],
    ):
        subprocess.run(["uv", *words], check=True, env=clean_environment())
    return python


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that the script opened on an empty store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    folder = tmp_path_factory.mktemp("class")
    said = folder / "said"
    with said.open("w") as output:
        process = subprocess.Popen(
            ["bash", str(PROJECT / "scripts/launch_mlflow.sh"), port],
            cwd=folder,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "Ctrl-C ends it" in said.read_text() or process.poll(), "the server")
        (address,) = re.findall(r"^MLflow UI +(\S+)$", said.read_text(), re.MULTILINE)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture(scope="module")
def client(server):
    return MlflowClient(server, server)


@pytest.fixture(scope="module")
def run_all(python, server, tmp_path_factory):
    """Executes a notebook; returns all that it shows, which holds no warning."""
    folder = tmp_path_factory.mktemp("executed")

    def run_all(name, *options):
        output = folder / f"{name}{''.join(options)}.ipynb"
        execute, notebook = Path(__file__).parent / "execute.py", NOTEBOOKS / f"{name}.ipynb"
        done = subprocess.run(
            [python, execute, notebook, output, *options],
            env={
                **clean_environment(),
                "MLFLOW_TRACKING_URI": server,
                "XDG_CACHE_HOME": str(folder / "cache"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "IPYTHONDIR": str(folder / "ipython"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
        outputs = [each for cell in cells for each in cell.get("outputs", [])]
        warned = ["".join(each["text"]) for each in outputs if each.get("name") == "stderr"]
        assert [text for text in warned if "warning" in text.lower()] == []
        texts = [each.get("text") or each["data"].get("text/plain", "") for each in outputs]
        return "\n".join("".join(text) for text in texts)

    return run_all


@pytest.fixture(scope="module")
def with_todo(run_all):
    """The guided tour as a student finds it."""
    return run_all("02_guided_tour")


@pytest.fixture(scope="module")
def with_solutions(with_todo, run_all):
    """The guided tour a second time, with the solutions in place of the exercises."""
    return run_all("02_guided_tour", "--solutions")


def _runs(client, experiment):
    """The runs of an experiment, the newest first."""
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"])


def _champion(client, model):
    """The version in use, and the run that made it."""
    version = client.get_model_version_by_alias(model, "champion")
    return int(version.version), client.get_run(version.run_id)


def _model_files(client, run):
    (output,) = run.outputs.model_outputs
    return {file.path for file in client.list_logged_model_artifacts(output.model_id)}


@pytest.mark.slow
def test_the_messy_notebook_says_three_things_that_its_table_does_not(run_all):
    said = run_all("01_messy_notebook")
    shown = dict(re.findall(r"^(RF|GB|LR) (\d\.\d\d)", said, re.MULTILINE))
    assert set(shown) == {"RF", "GB", "LR"}
    assert float(shown["RF"]) < 0.85 < 0.87  # what the table claims


@pytest.mark.slow
def test_the_guided_tour_leaves_its_runs_whole_though_nobody_did_the_exercises(with_todo, client):
    assert with_todo.count("à faire") == 3
    runs = _runs(client, "workshop-churn-learning")[-len(GUIDED) :]
    assert {run.info.run_name: run.info.status for run in runs} == GUIDED
    by_name = {run.info.run_name: run for run in runs}
    forest = by_name["forest-with-model"]
    assert forest.data.params == {"n_estimators": "40", "max_depth": "8", "random_state": "42"}
    assert set(forest.data.metrics) == {"accuracy", "precision", "recall", "f1", "roc_auc"}
    assert "MLmodel" in _model_files(client, forest)
    curve = client.get_metric_history(by_name["forest-that-grows"].info.run_id, "roc_auc")
    assert [point.step for point in curve] == [1, 2, 5, 10, 20, 40]
    assert curve[0].value < curve[-1].value
    assert "roc_auc 0.8" in with_todo
    assert re.search(r"200 \{'predictions': \[[01], [01], [01]\]\}", with_todo)


@pytest.mark.slow
def test_the_batch_has_a_row_for_each_customer_under_the_names_asked_for(
    with_todo, client, tmp_path
):
    batch = _runs(client, "workshop-churn-learning")[-len(GUIDED)]
    assert batch.info.run_name == "batch-inference"
    assert batch.data.params == {"model_version": "1"}
    (file,) = client.list_artifacts(batch.info.run_id, "predictions")
    table = pd.read_csv(client.download_artifacts(batch.info.run_id, file.path, str(tmp_path)))
    assert list(table) == ["customer_id", "churn_probability", "churn_predicted"]
    assert len(table) == 100
    assert table["churn_probability"].between(0, 1).all()
    assert set(table["churn_predicted"]) == {0, 1}


@pytest.mark.slow
def test_with_the_solutions_the_exercises_are_done_and_the_better_model_is_champion(
    with_solutions, client
):
    assert "à faire" not in with_solutions
    assert re.search(r"3\.3 : \[.*[01].*\]", with_solutions)
    runs = _runs(client, "workshop-churn-learning")[: len(GUIDED) + 1]
    assert {run.info.run_name: run.info.status for run in runs} == {
        **GUIDED,
        "gradient-boosting": "FINISHED",
    }
    by_name = {run.info.run_name: run for run in runs}
    tags = by_name["forest-with-model"].data.tags
    assert (tags["author"], tags["team"], tags["stage"]) == ("student", "crm", "exploration")
    files = client.list_artifacts(by_name["forest-with-model"].info.run_id)
    assert "confusion.png" in {file.path for file in files}
    version, run = _champion(client, "churn-predictor")
    assert (version, run.info.run_name) == (3, "gradient-boosting")
    assert "MLmodel" in _model_files(client, run)
    tags = client.get_model_version("churn-predictor", "3").tags
    assert tags["validated_by"] == "workshop"
    assert len(client.search_model_versions("name = 'churn-predictor'")) == 4


@pytest.mark.slow
def test_the_organized_notebook_leaves_pipelines_a_champion_and_its_journal(run_all, client):
    said = run_all("03_mlflow_organized")
    runs = _runs(client, "workshop-churn-pipeline")
    tops = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    done = [run.data.tags["mlflow.project.entryPoint"] for run in reversed(tops)]
    assert done == [*["main"] * 3, "sweep", "score", "monitor", "rollback"]
    assert {run.info.status for run in tops} == {"FINISHED"}
    verdicts = [run.data.tags.get("pipeline.verdict") for run in reversed(tops)][:4]
    assert verdicts[0] == "promoted"
    assert set(verdicts) <= {"promoted", "challenger"}
    assert "alerte : none" in said
    (before,) = re.findall(r"Le champion est la version (\d+)", said)
    version, _ = _champion(client, "customer_churn")
    assert said.rstrip().endswith(f"\n{version}")
    assert version != int(before)
    journal = client.get_model_version("customer_churn", str(version)).description
    assert "exercise" in journal


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_in_one_line(python, tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    cells = (NOTEBOOKS / "03_mlflow_organized.py").read_text(encoding="utf-8").split("# %%")
    until_connected = "".join(f"# %%{cell}" for cell in cells[2:5])
    done = subprocess.run(
        [python, "-c", until_connected],
        env={**clean_environment(), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 1
    assert "scripts/launch_mlflow.sh" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", sorted(NOTEBOOKS.glob("0[23]*.py")), ids=lambda path: path.stem)
def test_a_kernel_without_the_packages_is_told_in_one_line(script):
    first = script.read_text(encoding="utf-8").split("# %%\n")[1].partition("\n# %%")[0]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", first], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "mlflow, sklearn" in line
    assert "requirements-notebooks.lock" in line


@pytest.mark.slow
def test_the_notebooks_are_what_their_scripts_say(python):
    done = subprocess.run(
        [python, PROJECT / "scripts/make_notebooks.py", "--check"],
        stdout=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


class _Unsaid(ast.NodeTransformer):
    """Leaves out what is for a reader: docstrings, and texts that are printed."""

    def visit_FunctionDef(self, node):
        node.body = node.body[bool(ast.get_docstring(node)) :]
        return self.generic_visit(node)

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id in ("print", "SystemExit"):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    part.value = ""
        return self.generic_visit(node)


def _code(script):
    return ast.dump(_Unsaid().visit(ast.parse(script.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("script", FRENCH, ids=lambda path: path.stem)
def test_the_english_twin_has_the_same_cells_and_the_same_code(script):
    twin = script.with_name(f"{script.stem}_en.py")
    assert _code(script) == _code(twin)

    def cells(path):
        return re.findall(r"^# %%.*$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert cells(script) == cells(twin)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_has_no_output_and_the_cells_of_its_script(path):
    kept = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in kept if cell.get("outputs") or cell.get("execution_count")] == []
    script = path.with_suffix(".py").read_text(encoding="utf-8")
    assert len(kept) == len(re.findall(r"^# %%", script, re.MULTILINE))
    code = [line for cell in kept if cell["cell_type"] == "code" for line in cell["source"]]
    assert [line for line in code if line.rstrip("\n") not in script.splitlines()] == []
