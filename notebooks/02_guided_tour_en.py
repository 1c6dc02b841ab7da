# %% [markdown]
# # 2. The guided tour
#
# The [messy notebook](01_messy_notebook_en.ipynb) ended with five questions and no answer. Let us take up the same problem,
# which customers will not order again, and hand MLflow all that got lost there.
#
# | part | you learn to |
# |---|---|
# | 1. First steps | connect, open an experiment and a run, log parameters and metrics |
# | 2. Problem, solution | keep the model with its run, the figures, the preprocessing; compare runs |
# | 3. Exercises | do all of that yourself |
# | 4. The registry | give the model a name and versions, serve it, score customers, go back |
#
# It needs a server: in a terminal, at the root of the project, start `scripts/launch_mlflow.sh` and leave the window open. If
# it names another port than 5000, give it to the notebook in the variable `MLFLOW_TRACKING_URI`.
#
# To keep open beside it: [MLflow's Python API on one page](../docs/learn/python_cheat_sheet.md).

# %%
from importlib.util import find_spec

needed = ("mlflow", "sklearn", "matplotlib", "requests")
missing = [name for name in needed if find_spec(name) is None]
if missing:
    raise SystemExit(
        f"This kernel lacks {', '.join(missing)}: open JupyterLab in the environment of "
        "requirements-notebooks.lock, as notebooks/README.md says."
    )

# %%
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path

# What MLflow remarks is useful; here it would drown what we want to see.
os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
warnings.filterwarnings("ignore", "IProgress not found")
warnings.filterwarnings("ignore", "Hint: Inferred schema contains integer")
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import joblib
import matplotlib.pyplot as plt
import mlflow
import pandas as pd
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    RocCurveDisplay,
    accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

# %% [markdown]
# Nothing is shown: all is there.
#
# # Part 1. First steps
#
# ## 1.1 MLflow in a minute
#
# MLflow is a laboratory notebook. It has four parts:
#
# | part | the question that it answers |
# |---|---|
# | **Tracking** | What have I tried, with which settings, and what came of it? |
# | **Models** | How is a model put away so that anybody can use it? |
# | **Model Registry** | Which version is in use, since when, and who decided it? |
# | **Projects** | How is all of it run again, elsewhere, in the same environment? |
#
# The words of tracking: an *experiment* is a folder of runs; a *run* is one try, with *parameters* (what you chose), *metrics*
# (what you measured), *artifacts* (files) and *tags* (labels).
#
# Besides, the same UI follows applications built on large language models: each call becomes a *trace* there. That is not a
# subject here.
#
# ## 1.2 Connect

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
print(f"The MLflow server works: {answer.text}")

# %% [markdown]
# You see `OK`. Now open that address in your browser, in a tab beside the notebook, and choose **Model training** at the top
# left.
#
# ## 1.3 Open an experiment

# %%
experiment = mlflow.set_experiment("workshop-churn-learning")
print(f"Experiment {experiment.name}, number {experiment.experiment_id}")

# %% [markdown]
# You see its name and its number. If it was not there, it has just been made; in the UI it is in the list **Experiments**.
#
# ## 1.4 The data
#
# The same customers as in the messy notebook, but the features are written **once**, in a function.


# %%
def add_features(table):
    """What is computed for each row: nothing in it depends on other rows."""
    table = table.astype(float)  # an integer cannot be missing, a floating-point number can
    return table.assign(
        recency_frequency_ratio=table["recency_days"] / (table["frequency"] + 1),
        monetary_per_order=table["monetary_value"] / (table["total_orders"] + 1),
        order_frequency=table["total_orders"] / (table["days_since_signup"] + 1),
        support_per_order=table["support_tickets"] / (table["total_orders"] + 1),
    )


customers = pd.read_csv("../data/customer_data.csv")
X = add_features(customers.drop(columns=["customer_id", "churned"]))
y = customers["churned"]
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.2, stratify=y, random_state=42
)
print(f"{len(X_train)} training rows, {len(X_test)} test rows, {y.mean():.0%} leave")
X_train.isna().sum()

# %% [markdown]
# You see 8000 and 2000 rows, and gaps in four columns. Gradient boosting and logistic regression refuse them. To fill the
# gaps of the whole table before it is split, as in the messy notebook, would be cheating: the median would know the test
# rows. The right place is **inside** the model, before the estimator:


# %%
def make_model(estimator, *steps):
    """A model that fills gaps with the median of the training rows."""
    return Pipeline([("imputer", SimpleImputer(strategy="median")), *steps, ("model", estimator)])


def measure(model):
    """The metrics of a model on the test rows, the same for all."""
    predicted, probability = model.predict(X_test), model.predict_proba(X_test)[:, 1]
    return {
        "accuracy": accuracy_score(y_test, predicted),
        "precision": precision_score(y_test, predicted),
        "recall": recall_score(y_test, predicted),
        "f1": f1_score(y_test, predicted),
        "roc_auc": roc_auc_score(y_test, probability),
    }


# %% [markdown]
# Nothing is shown: these are two tools, which will serve all models.
#
# ## 1.5 The first run
#
# `mlflow.start_run` opens a run, and the end of the `with` block closes it. In between, one logs.

# %%
with mlflow.start_run(run_name="first-forest") as run:
    forest = make_model(RandomForestClassifier(n_estimators=20, max_depth=8, random_state=42))
    forest.fit(X_train, y_train)
    mlflow.log_param("n_estimators", 20)
    mlflow.log_param("max_depth", 8)
    mlflow.log_metric("accuracy", measure(forest)["accuracy"])
print(run.info.run_id)

# %% [markdown]
# You see two links, to the run and to the experiment, then the id of the run: by this unique name all can be found again.
#
# **Go and look**, in four clicks: *Experiments*, `workshop-churn-learning`, *Runs*, `first-forest`. Both parameters and the
# metric are there.
#
# ## 1.6 Several at once, and curves
#
# A dictionary is enough to log several values at once.

# %%
parameters = {"n_estimators": 40, "max_depth": 8, "random_state": 42}
with mlflow.start_run(run_name="forest-with-all-metrics"):
    forest = make_model(RandomForestClassifier(**parameters)).fit(X_train, y_train)
    mlflow.log_params(parameters)
    mlflow.log_metrics(measure(forest))
measure(forest)

# %% [markdown]
# You see the five metrics, which are in the UI too. The accuracy flatters: to predict that nobody leaves would give 0.74
# already. Look at `roc_auc` instead, and at `recall`, the share of the leavers whom the model finds.
#
# A metric can also have a value at each `step`: it becomes a curve.

# %%
with mlflow.start_run(run_name="forest-that-grows"):
    for trees in (1, 2, 5, 10, 20, 40):
        model = make_model(RandomForestClassifier(trees, max_depth=8, random_state=42))
        mlflow.log_metric("roc_auc", measure(model.fit(X_train, y_train))["roc_auc"], step=trees)

# %% [markdown]
# You see two links, as after each run. **Go and look** at the run `forest-that-grows`, tab *Model metrics*: `roc_auc` rises with the number of trees, then levels
# off.
#
# # Part 2. Problem, solution
#
# ## 2.1 "Where is the model?"
#
# The runs have kept the numbers, not the models. Let us keep the model too, with `log_model`:

# %%
# MLflow notes the packages that a model needs. Without this list it starts Python again to guess them.
REQUIREMENTS = [
    f"{name}=={version(name)}" for name in ("mlflow", "pandas", "scikit-learn", "skops")
]

try:
    with mlflow.start_run(run_name="forest-refused"):
        mlflow.log_params(parameters)
        mlflow.log_metrics(measure(forest))
        mlflow.sklearn.log_model(forest, name="model", pip_requirements=REQUIREMENTS)
except MlflowException as error:
    print(str(error).partition("\n")[0])

# %% [markdown]
# You see a refusal: *untrusted types*. MLflow 3 no longer writes models as pickle, which can run any code when it is read, but
# in the *skops* format, which reads back trusted types only. Trees are not among them by default: a forged file of trees
# can crash the process that reads it.
#
# This is **our** file, so we can trust it, but we have to say so, type by type. (The other way out,
# `serialization_format="cloudpickle"`, amounts to accepting everything.) The run is marked FAILED: a failure is kept too.

# %%
TRUSTED = [
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "_loss._loss.CyHalfBinomialLoss",  # of gradient boosting
]

with mlflow.start_run(run_name="forest-with-model") as forest_run:
    mlflow.log_params(parameters)
    mlflow.log_metrics(measure(forest))
    mlflow.set_tag("has_model", "yes")
    mlflow.sklearn.log_model(
        forest,
        name="model",
        skops_trusted_types=TRUSTED,
        pip_requirements=REQUIREMENTS,
        input_example=X_train.head(3),
    )

# %% [markdown]
# **Go and look**: the page of the run now shows a model, with its *signature* (the columns that it expects, derived from the
# three example rows) and its environment.
#
# Let us read it back, as a colleague would who has nothing but the id of the run:

# %%
loaded = mlflow.sklearn.load_model(f"runs:/{forest_run.info.run_id}/model")
print((loaded.predict(X_test) == forest.predict(X_test)).all())

# %% [markdown]
# You see `True`: it is indeed the same model.
#
# ## 2.2 "And the figure that I had shown at the meeting?"

# %%
with mlflow.start_run(run_id=forest_run.info.run_id):  # opens the same run again
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    ConfusionMatrixDisplay.from_estimator(forest, X_test, y_test, ax=axes[0], colorbar=False)
    RocCurveDisplay.from_estimator(forest, X_test, y_test, ax=axes[1])
    mlflow.log_figure(figure, "plots/forest.png")

# %% [markdown]
# You see the confusion matrix and the ROC curve; they are also in the tab *Artifacts* of the run, under `plots/`. A run that
# has ended can be opened again to add a file; a parameter that was logged, however, does not change any more.
#
# ## 2.3 "With which `StandardScaler`?"
#
# A logistic regression wants centred and scaled values. In the messy notebook the scaler was lost. **A first solution**: put
# it beside the model, as an artifact.

# %%
imputer = SimpleImputer(strategy="median").fit(X_train)
scaler = StandardScaler().fit(imputer.transform(X_train))
with mlflow.start_run(run_name="logistic-scaler-beside") as scaler_run:
    path = joblib.dump(scaler, Path(tempfile.mkdtemp(), "scaler.joblib"))[0]
    mlflow.log_artifact(path, "preprocessing")

# %%
path = mlflow.artifacts.download_artifacts(
    run_id=scaler_run.info.run_id, artifact_path="preprocessing/scaler.joblib"
)
print((joblib.load(path).mean_ == scaler.mean_).all())

# %% [markdown]
# You see `True`: the scaler is found. But one has to think of looking for it, and of filling the gaps before it. If somebody
# forgets, the predictions are wrong **without any error**.
#
# **A better solution**: one object, the `Pipeline`, that does all in order.

# %%
with mlflow.start_run(run_name="logistic-pipeline") as logistic_run:
    logistic = make_model(LogisticRegression(max_iter=1000), ("scaler", StandardScaler()))
    logistic.fit(X_train, y_train)
    mlflow.log_params({"C": 1.0, "max_iter": 1000})
    mlflow.log_metrics(measure(logistic))
    mlflow.set_tag("has_model", "yes")
    mlflow.sklearn.log_model(
        logistic,
        name="model",
        skops_trusted_types=TRUSTED,
        pip_requirements=REQUIREMENTS,
        input_example=X_train.head(3),
    )
logistic

# %% [markdown]
# You see the three steps drawn. Who loads this model gives it raw rows, gaps and all, and need not know anything more.
#
# ## 2.4 "Which one was the best, again?"
#
# No more tables by hand: we ask the server. Runs that failed sometimes have metrics too: let us leave them out.

# %%
runs = mlflow.search_runs(
    filter_string="attributes.status = 'FINISHED' and metrics.roc_auc > 0.5",
    order_by=["metrics.roc_auc DESC"],
    max_results=5,
)
runs[["tags.mlflow.runName", "metrics.roc_auc", "metrics.f1", "params.max_depth"]]

# %% [markdown]
# You see at most five runs, the best first. The same filter works in the search field of the UI; tick two runs and click on
# *Compare* to have them side by side.
#
# # Part 3. Exercises
#
# Each exercise has a cell `TODO`, then a check. Its **solution** is a folded cell, as text: unfold it (the three dots), and to
# run it, click on it, press *Esc*, then *Y*, then *Shift + Enter*.
#
# ## 3.1 Gradient boosting, logged whole
#
# In a run named `gradient-boosting`: the parameters, the metrics of `measure`, the tag `has_model`, and the model.

# %% tags=["exercise"]
# TODO: with mlflow.start_run(run_name="gradient-boosting"), train
#       make_model(GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=42)),
#       then log_params, log_metrics, set_tag and mlflow.sklearn.log_model, as in 2.3.

# %% jupyter={"source_hidden": true} tags=["active-py", "solution"]
# Solution of exercise 3.1
boosting_parameters = {"n_estimators": 40, "max_depth": 3, "random_state": 42}
with mlflow.start_run(run_name="gradient-boosting"):
    boosting = make_model(GradientBoostingClassifier(**boosting_parameters)).fit(X_train, y_train)
    mlflow.log_params(boosting_parameters)
    mlflow.log_metrics(measure(boosting))
    mlflow.set_tag("has_model", "yes")
    mlflow.sklearn.log_model(
        boosting,
        name="model",
        skops_trusted_types=TRUSTED,
        pip_requirements=REQUIREMENTS,
        input_example=X_train.head(3),
    )


# %%
def find_run(name):
    """The last successful run of this name, or None."""
    found = mlflow.search_runs(
        filter_string=f"attributes.run_name = '{name}' and attributes.status = 'FINISHED'",
        max_results=1,
        output_format="list",
    )
    return found[0] if found else None


boosting_run = find_run("gradient-boosting")
if boosting_run is None:
    print("3.1: to do, there is no run gradient-boosting yet")
else:
    print(f"3.1: roc_auc {boosting_run.data.metrics.get('roc_auc')}")

# %% [markdown]
# When it is done, you see a value of `roc_auc` around 0.84.
#
# ## 3.2 Tags and a confusion matrix
#
# Add to the run of the forest, `forest_run`, the tags `author` (you), `team` (`crm`) and `stage` (`exploration`), and its
# confusion matrix under the name `confusion.png`.

# %% tags=["exercise"]
# TODO: open the run again by its id, forest_run.info.run_id, as in 2.2,
#       then mlflow.set_tags({...}) and mlflow.log_figure(..., "confusion.png").

# %% jupyter={"source_hidden": true} tags=["active-py", "solution"]
# Solution of exercise 3.2
with mlflow.start_run(run_id=forest_run.info.run_id):
    mlflow.set_tags({"author": "student", "team": "crm", "stage": "exploration"})
    display = ConfusionMatrixDisplay.from_estimator(forest, X_test, y_test, colorbar=False)
    mlflow.log_figure(display.figure_, "confusion.png")

# %%
client = MlflowClient()
tags = client.get_run(forest_run.info.run_id).data.tags
files = [file.path for file in client.list_artifacts(forest_run.info.run_id)]
is_done = tags.get("team") == "crm" and "confusion.png" in files
print("3.2:", "it is done" if is_done else "to do")

# %% [markdown]
# When it is done, you see `it is done`, and in the UI the search `tags.team = 'crm'` finds the run.
#
# ## 3.3 Challenge: find the best model and use it
#
# Among the successful runs that have a model, find the one with the largest `roc_auc`, load its model, and predict the first
# five rows of `X_test`. Put the result into `predicted`.

# %% tags=["exercise"]
# TODO: mlflow.search_runs(filter_string=..., order_by=[...], max_results=1), then
#       mlflow.sklearn.load_model(f"runs:/{run_id}/model").
predicted = None

# %% jupyter={"source_hidden": true} tags=["active-py", "solution"]
# Solution of exercise 3.3
found = mlflow.search_runs(
    filter_string="attributes.status = 'FINISHED' and tags.has_model = 'yes'",
    order_by=["metrics.roc_auc DESC"],
    max_results=1,
)
predicted = mlflow.sklearn.load_model(f"runs:/{found.run_id[0]}/model").predict(X_test.head())

# %%
print("3.3:", "to do" if predicted is None else [int(label) for label in predicted])

# %% [markdown]
# When it is done, you see five zeros and ones.
#
# # Part 4. From a model to a service
#
# Perhaps you already know how to put a model behind an API with joblib and FastAPI. That makes many small things to write
# and to keep up to date, which MLflow does for you. Let us see which.
#
# ## 4.1 The registry: a name, and versions
#
# Nobody can remember the id of a run. In the registry the model has a name, and each registration is a version of it.

# %%
best = mlflow.search_runs(
    filter_string="attributes.status = 'FINISHED' and tags.has_model = 'yes'",
    order_by=["metrics.roc_auc DESC"],
    max_results=1,
    output_format="list",
)[0]
champion = mlflow.register_model(f"runs:/{best.info.run_id}/model", "churn-predictor")
client.set_registered_model_alias("churn-predictor", "champion", champion.version)
client.update_model_version("churn-predictor", champion.version, f"run {best.info.run_name}")
client.set_model_version_tag("churn-predictor", champion.version, "validated_by", "workshop")
print(f"Version {champion.version}, of {best.info.run_name}, is the champion")

# %% [markdown]
# You see the number of the version. **Go and look** at the tab *Model registry*: `churn-predictor`, its version, its alias
# `champion`, its tag. An *alias* is a label that is moved; it has replaced the stages Staging and Production of MLflow 2.
#
# ## 4.2 Load by version, by alias, and beware of `latest`
#
# A colleague registers a model as well, a worse one:

# %%
challenger = mlflow.register_model(f"runs:/{logistic_run.info.run_id}/model", "churn-predictor")
for name in (f"/{champion.version}", f"/{challenger.version}", "@champion", "/latest"):
    model = mlflow.sklearn.load_model(f"models:/churn-predictor{name}")
    print(f"models:/churn-predictor{name:10} roc_auc {measure(model)['roc_auc']:.4f}")

# %% [markdown]
# You see four lines: `latest` is the **most recent** version, not the best one; `@champion` is the one that was chosen. In
# production, load by alias.
#
# ## 4.3 Serve the model, ask it by REST
#
# One command is enough: `mlflow models serve -m models:/churn-predictor@champion -p 5001 --env-manager local`. The cell starts
# it for you at a free port (5000 is the UI's), and waits until the service answers.

# %%
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server_log = tempfile.NamedTemporaryFile("w", suffix=".log")
words = f"models serve -m models:/churn-predictor@champion -p {port} --env-manager local"
server = subprocess.Popen(
    [sys.executable, "-m", "mlflow", *words.split()],
    env={**os.environ, "MLFLOW_TRACKING_URI": TRACKING_URI},
    stdout=server_log,
    stderr=subprocess.STDOUT,
    start_new_session=True,
)
service = f"http://127.0.0.1:{port}"
for _ in range(240):
    try:
        print(requests.get(f"{service}/ping", timeout=5).status_code)
        break
    except requests.ConnectionError:
        time.sleep(0.5)
else:
    print(Path(server_log.name).read_text()[-2000:])

# %% [markdown]
# You see `200`: the service is ready. Let us send it three customers, one of them of unknown age:

# %%
three = pd.concat([X_test[X_test["age"].isna()].head(1), X_test.dropna().head(2)])
body = json.dumps({"dataframe_split": json.loads(three.to_json(orient="split", index=False))})
answer = requests.post(
    f"{service}/invocations",
    data=body,
    headers={"Content-Type": "application/json"},
    timeout=60,
)
print(answer.status_code, answer.json())

# %% [markdown]
# You see `200` and three predictions. Why the detour by `to_json`? A gap is a `NaN` to pandas, but JSON has no `NaN`:
# `requests.post(..., json=...)` would fail with *Out of range float values*. `to_json` writes `null`, which the service reads
# as a gap, and the imputer in the model does the rest.
#
# Let us end the service: it does not end with the notebook.

# %%
os.killpg(server.pid, signal.SIGTERM)
print("the service has ended" if server.wait(30) is not None else "it still runs")

# %% [markdown]
# ## 4.4 Score a hundred customers at once
#
# A list needs no service: load the champion, predict, and keep the result in a run.

# %%
batch = customers.tail(100)
features = add_features(batch.drop(columns=["customer_id", "churned"]))
model = mlflow.sklearn.load_model("models:/churn-predictor@champion")
predictions = pd.DataFrame(
    {
        "customer_id": batch["customer_id"],
        "churn_probability": model.predict_proba(features)[:, 1].round(4),
        "churn_predicted": model.predict(features),
    }
)
with mlflow.start_run(run_name="batch-inference"):
    mlflow.log_param("model_version", champion.version)
    mlflow.log_metric("predicted_churn_rate", predictions["churn_predicted"].mean())
    mlflow.log_text(predictions.to_csv(index=False), f"predictions/{date.today()}.csv")
predictions.sort_values("churn_probability", ascending=False).head()

# %% [markdown]
# You see the five customers who are closest to leaving: the ones to call. The whole file is an artifact of the run
# `batch-inference`, with the date in its name and the version of the model as a parameter.
#
# ## 4.5 Go back
#
# Suppose that somebody has promoted the colleague's model by mistake. It is enough to move the alias:

# %%
client.set_registered_model_alias("churn-predictor", "champion", challenger.version)  # the mistake
client.set_registered_model_alias("churn-predictor", "champion", champion.version)  # and back
print(client.get_model_version_by_alias("churn-predictor", "champion").version)

# %% [markdown]
# You see the first version again. All who load `@champion` get it, without changing a line.
#
# ## 4.6 By hand, or with MLflow
#
# | to do | with joblib and FastAPI | with MLflow |
# |---|---|---|
# | save the model | `joblib.dump`, a file name to invent | `log_model`, in the run that made it |
# | know where it comes from | a comment, at best | the run: parameters, metrics, code |
# | the preprocessing | a second file, not to be forgotten | the same `Pipeline` |
# | the versions | `model_final_v2_OK.joblib` | the registry: 1, 2, 3… |
# | choose the one that serves | change a path, deploy again | move the alias `champion` |
# | the API | an application to write and to test | `mlflow models serve` |
# | check the inputs | classes to write | the signature |
# | the environment | a file to keep up to date | noted with the model |
# | go back | find the old file | move the alias |
#
# An API of your own keeps its point when more than a prediction is wanted: a page, a database, rights. Nothing keeps it from
# loading `models:/churn-predictor@champion`.
#
# ## In short
#
# | concept | code |
# |---|---|
# | connect | `mlflow.set_tracking_uri(uri)` |
# | experiment | `mlflow.set_experiment(name)` |
# | run | `with mlflow.start_run(run_name=name):` |
# | parameters | `mlflow.log_params({...})` |
# | metrics | `mlflow.log_metrics({...})`, with `step=` for a curve |
# | tags | `mlflow.set_tags({...})` |
# | figure | `mlflow.log_figure(figure, "plots/figure.png")` |
# | file | `mlflow.log_artifact(path, "folder")` |
# | model | `mlflow.sklearn.log_model(model, name="model", skops_trusted_types=[...])` |
# | search | `mlflow.search_runs(filter_string=..., order_by=[...])` |
# | register | `mlflow.register_model(f"runs:/{run_id}/model", name)` |
# | choose | `client.set_registered_model_alias(name, "champion", version)` |
# | load | `mlflow.sklearn.load_model("models:/name@champion")` |
#
# And the five questions of the messy notebook? The best model and its settings: 2.4. Where a number comes from: its run. The
# same rows: `measure`, and one split. The scaler: in the `Pipeline`. What is in production, and the way back: 4.1 and 4.5.
#
# There is still a lot of code to write oneself. The last notebook, [the organized pipeline](03_mlflow_organized_en.ipynb),
# does all of it with one command.
