# %% [markdown]
# # 3. The organized pipeline
#
# The same problem, the same customers, a third time. In the [guided tour](02_guided_tour_en.ipynb) you had to think of
# everything: log, measure, register, move the alias. Here you **describe** the problem in a YAML file, the *recipe*, and
# Cuvée chains the steps. Each is an MLflow run:
#
# `prepare` checks and splits the table → `train` trains → `evaluate` measures → `register` decides.
#
# It needs the same server as the guided tour: `scripts/launch_mlflow.sh`, in a terminal.

# %%
from importlib.util import find_spec

needed = ("mlflow", "sklearn", "optuna", "skrub")
missing = [name for name in needed if find_spec(name) is None]
if missing:
    raise SystemExit(
        f"This kernel lacks {', '.join(missing)}: open JupyterLab in the environment of "
        "requirements-notebooks.lock, as notebooks/README.md says."
    )

# %%
import html
import os
import sys
import tempfile
import warnings
from pathlib import Path

# What MLflow remarks is useful; here it would drown what we want to see.
os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
warnings.filterwarnings("ignore", "IProgress not found")
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
# mlflow.run starts "python": let it be the one of this kernel.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

import mlflow
import pandas as pd
import requests
from IPython.display import HTML, Image
from mlflow import MlflowClient

# %%
TRACKING_URI = os.environ.get("MLFLOW_TRACKING_URI", "http://localhost:5000")
try:
    answer = requests.get(f"{TRACKING_URI}/health", timeout=10)
except requests.RequestException:
    raise SystemExit(
        f"No server answers at {TRACKING_URI}: start scripts/launch_mlflow.sh, or give the right "
        "address in the variable MLFLOW_TRACKING_URI."
    ) from None
mlflow.set_tracking_uri(TRACKING_URI)
mlflow.set_experiment("workshop-churn-pipeline")
client = MlflowClient()
print(f"The MLflow server works: {answer.text}")

# %% [markdown]
# You see `OK`.
#
# ## 3.1 The recipe
#
# All that the messy notebook hid in its cells is here in plain sight: the table, the target, the columns and the gaps
# that they may have, the computed features (the RFM score among them, fitted on the training rows only), the models,
# what each decision earns or costs, and the condition for being registered.

# %%
project = Path("..").resolve()
recipe = Path(project, "recipes/customer_churn.yaml").read_text(encoding="utf-8")
print(recipe.partition("\ndefault_model")[0])

# %% [markdown]
# You see the first half of the recipe. Open the whole of it: `recipes/customer_churn.yaml`.
#
# ## 3.2 Three models, one function
#
# `mlflow.run` starts an MLflow project: its folder (or the URL of a Git repository), an entry point of the file
# `MLproject`, parameters.


# %%
def run_project(entry_point="main", **parameters):
    """Starts an entry point of Cuvée on the customers, and returns its run."""
    submitted = mlflow.run(
        str(project),
        entry_point,
        parameters={"recipe": "recipes/customer_churn.yaml", **parameters},
        env_manager="local",  # this very environment
    )
    return client.get_run(submitted.run_id)


logistic_run = run_project(model="logistic_regression")

# %% [markdown]
# You see the four steps, what each did, and the verdict: `promoted`, since there was no champion yet (`unchanged`, if you
# have run this notebook before). `naive` is the score of who would look at nothing.

# %%
forest_run = run_project(model="random_forest", n_estimators=30)

# %% [markdown]
# You see that `prepare` is not done again: the table has not changed. The forest is compared with the champion on the same
# test rows: is it surely better, or may the difference be chance?

# %%
boosting_run = run_project(model="gradient_boosting", n_estimators=30)

# %% [markdown]
# You see the last of the three verdicts. `promoted`: better than the champion, whose place it takes. `challenger`: good, but
# not clearly better. `rejected`: it misses the condition (`gate`) of the recipe.
#
# ## 3.3 The report and the poster
#
# Each pipeline and each step has a report, `report.html`, among the artifacts of its run: a file that needs nothing else, to be sent by mail.


# %%
def download(run, name):
    """The local path of an artifact of the run."""
    folder = tempfile.mkdtemp()
    return client.download_artifacts(run.info.run_id, name, folder)


report = Path(download(boosting_run, "report.html")).read_text(encoding="utf-8")
HTML(f'<div><iframe srcdoc="{html.escape(report)}" width="100%" height="700"></iframe></div>')

# %% [markdown]
# You see the whole report: scroll through it. And the poster, for a slide:

# %%
Image(download(boosting_run, "poster.png"), width=900)

# %% [markdown]
# ## 3.4 Search by verdict
#
# The verdict is a tag; so runs are found by verdict, here or in the search field of the UI.

# %%
runs = mlflow.search_runs(
    filter_string="tags.`pipeline.verdict` = 'promoted' and tags.mlflow.project.entryPoint = 'main'",
    order_by=["metrics.business_score DESC"],
)
runs[
    ["tags.pipeline.model", "metrics.business_score", "metrics.roc_auc", "tags.pipeline.verdict"]
].head()

# %% [markdown]
# You see the pipelines whose model was promoted, the best first: `business_score` is what it earns for each customer, in
# euros. Likewise with `challenger`, `unchanged` or `rejected`.
#
# ## 3.5 Search for better settings
#
# `sweep` tries hyperparameters by cross-validation, on the training rows only, and takes the best to the registry by the
# same way.

# %%
sweep_run = run_project("sweep", model="logistic_regression", C="0.001,0.1", folds="3")

# %% [markdown]
# You see two trials, the better one first, and its verdict. A range is written `C="log(0.001,1)"`. In the UI, the line of
# the `sweep` opens to its trials.
#
# ## 3.6 The champion, loaded by its alias

# %%
champion = client.get_model_version_by_alias("customer_churn", "champion")
print(f"The champion is version {champion.version}")
model = mlflow.pyfunc.load_model("models:/customer_churn@champion")
customers = pd.read_csv("../data/customer_data.csv")
model.predict(customers.head(), params={"method": "predict_all"})

# %% [markdown]
# You see the prediction and both probabilities of five customers. The model is given the **raw** table, gaps and all: its
# features, its medians, its threshold travel with it.
#
# ## 3.7 Score a whole table

# %%
folder = Path(tempfile.mkdtemp())
customers.tail(2000).to_csv(folder / "new_customers.csv", index=False)
score_run = run_project(
    "score", input=str(folder / "new_customers.csv"), output=str(folder / "scores.csv")
)
pd.read_csv(folder / "scores.csv").head()

# %% [markdown]
# You see a row for each customer: the key, the prediction, the probabilities, the model's version and the time. A row that
# cannot be read would go aside, into a file of rejects, with the reason.
#
# ## 3.8 Watch
#
# When it is known at last who left, `monitor` compares the champion with what its evaluation promised, and the new rows
# with those of the training.

# %%
monitor_run = run_project("monitor", data=str(folder / "new_customers.csv"))
print(f"alert: {monitor_run.data.tags['pipeline.alert']}")

# %% [markdown]
# You see today's metric, the promised one, and `none`: no alert. (These customers come from the same table, and many were
# trained on: the result is too good, as it must be.)
#
# ## 3.9 Go back
#
# A champion disappoints? `rollback` puts another version in its place, and writes down who did it, when and why.

# %%
others = [
    int(version.version)
    for version in client.search_model_versions("name = 'customer_churn'")
    if version.version != champion.version
]
run_project("rollback", version=str(min(others)), reason="exercise")
print(client.get_model_version_by_alias("customer_churn", "champion").version)

# %% [markdown]
# You see the move, then the number of the new champion. The journal is in the description of the versions, in the UI:
# who, when, why.
#
# ## The five questions
#
# | question | answer |
# |---|---|
# | Which model is the best, with which settings? | the alias `champion`, and the run of its version |
# | Where does this number come from, can it be made again? | the report; `mlflow run . -e reproduce -P run_id=...` makes it again and compares |
# | Were the models measured on the same rows? | yes, that is the step `prepare`; otherwise the verdict says so |
# | How is a new customer to be prepared? | nothing is to be prepared: the model takes the raw row |
# | What is in production, and how does one go back? | the journal of the registry, and `rollback` |
#
# Next: your own table. `mlflow run . -e draft_recipe -P data=my_table.csv -P target=my_column` writes the first recipe.
