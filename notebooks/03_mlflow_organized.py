# %% [markdown]
# # 3. Le pipeline organisé
#
# Même problème, mêmes clients, une troisième fois. Dans le [parcours guidé](02_guided_tour.ipynb), il fallait penser à tout :
# consigner, mesurer, enregistrer, déplacer l'alias. Ici, on **décrit** le problème dans un fichier YAML, la *recette*,
# et Cuvée enchaîne les étapes. Chacune est un run MLflow :
#
# `prepare` contrôle et coupe la table → `train` entraîne → `evaluate` mesure → `register` décide.
#
# Il faut le même serveur que pour le parcours guidé : `scripts/launch_mlflow.sh`, dans un terminal.

# %%
from importlib.util import find_spec

needed = ("mlflow", "sklearn", "optuna", "skrub")
missing = [name for name in needed if find_spec(name) is None]
if missing:
    raise SystemExit(
        f"Il manque {', '.join(missing)} à ce noyau : ouvrez JupyterLab dans l'environnement de "
        "requirements-notebooks.lock, comme le dit notebooks/README.md."
    )

# %%
import html
import os
import sys
import tempfile
import warnings
from pathlib import Path

# Les remarques de MLflow sont utiles ; ici, elles noieraient ce que l'on veut voir.
os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
warnings.filterwarnings("ignore", "IProgress not found")
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
# mlflow.run lance « python » : que ce soit celui de ce noyau.
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
        f"Aucun serveur ne répond à {TRACKING_URI} : lancez scripts/launch_mlflow.sh, ou donnez la bonne "
        "adresse dans la variable MLFLOW_TRACKING_URI."
    ) from None
mlflow.set_tracking_uri(TRACKING_URI)
mlflow.set_experiment("workshop-churn-pipeline")
client = MlflowClient()
print(f"Le serveur MLflow fonctionne : {answer.text}")

# %% [markdown]
# On voit `OK`.
#
# ## 3.1 La recette
#
# Tout ce que le notebook chaotique cachait dans ses cellules est ici, en clair : la table, la cible, les colonnes et
# leurs trous permis, les variables calculées (dont le score RFM, ajusté sur les seules lignes d'entraînement), les
# modèles, ce que rapporte ou coûte chaque décision, et la condition pour être enregistré.

# %%
project = Path("..").resolve()
recipe = Path(project, "recipes/customer_churn.yaml").read_text(encoding="utf-8")
print(recipe.partition("\ndefault_model")[0])

# %% [markdown]
# On voit la première moitié de la recette. Ouvrez-la en entier : `recipes/customer_churn.yaml`.
#
# ## 3.2 Trois modèles, une fonction
#
# `mlflow.run` lance un projet MLflow : son dossier (ou l'URL d'un dépôt Git), un point d'entrée du fichier `MLproject`,
# des paramètres.


# %%
def run_project(entry_point="main", **parameters):
    """Lance un point d'entrée de Cuvée sur les clients, et rend son run."""
    submitted = mlflow.run(
        str(project),
        entry_point,
        parameters={"recipe": "recipes/customer_churn.yaml", **parameters},
        env_manager="local",  # cet environnement-ci
    )
    return client.get_run(submitted.run_id)


logistic_run = run_project(model="logistic_regression")

# %% [markdown]
# On voit les quatre étapes, ce que chacune a fait, et le verdict : `promoted`, puisqu'il n'y avait pas encore de champion
# (`unchanged`, si vous aviez déjà exécuté ce notebook). `naive` est le score de qui ne regarderait rien.

# %%
forest_run = run_project(model="random_forest", n_estimators=30)

# %% [markdown]
# On voit que `prepare` n'est pas refait : la table n'a pas changé. La forêt est comparée au champion sur les mêmes lignes de
# test : est-elle meilleure à coup sûr, ou la différence peut-elle être due au hasard ?

# %%
boosting_run = run_project(model="gradient_boosting", n_estimators=30)

# %% [markdown]
# On voit le dernier des trois verdicts. `promoted` : meilleur que le champion, dont il prend la place. `challenger` :
# bon, mais pas nettement meilleur. `rejected` : il ne remplit pas la condition (`gate`) de la recette.
#
# ## 3.3 Le rapport et l'affiche
#
# Chaque pipeline et chaque étape a un rapport, `report.html`, parmi les artefacts de son run : un fichier qui se suffit, à envoyer par courriel.


# %%
def download(run, name):
    """Le chemin local d'un artefact du run."""
    folder = tempfile.mkdtemp()
    return client.download_artifacts(run.info.run_id, name, folder)


report = Path(download(boosting_run, "report.html")).read_text(encoding="utf-8")
HTML(f'<div><iframe srcdoc="{html.escape(report)}" width="100%" height="700"></iframe></div>')

# %% [markdown]
# On voit le rapport entier : faites-le défiler. Et l'affiche, pour une diapositive :

# %%
Image(download(boosting_run, "poster.png"), width=900)

# %% [markdown]
# ## 3.4 Chercher par verdict
#
# Le verdict est un tag ; on cherche donc les runs par verdict, ici ou dans le champ de recherche de l'interface.

# %%
runs = mlflow.search_runs(
    filter_string="tags.`pipeline.verdict` = 'promoted' and tags.mlflow.project.entryPoint = 'main'",
    order_by=["metrics.business_score DESC"],
)
runs[
    ["tags.pipeline.model", "metrics.business_score", "metrics.roc_auc", "tags.pipeline.verdict"]
].head()

# %% [markdown]
# On voit les pipelines dont le modèle a été promu, le meilleur en tête : `business_score` est ce qu'il rapporte par client,
# en euros. De même avec `challenger`, `unchanged` ou `rejected`.
#
# ## 3.5 Chercher de meilleurs réglages
#
# `sweep` essaie des hyperparamètres par validation croisée, sur les seules lignes d'entraînement, et mène le meilleur
# au registre par le même chemin.

# %%
sweep_run = run_project("sweep", model="logistic_regression", C="0.001,0.1", folds="3")

# %% [markdown]
# On voit deux essais, du meilleur au moins bon, et le verdict du premier. Une plage se dit `C="log(0.001,1)"`. Dans l'interface, la ligne du `sweep` se déplie sur ses essais.
#
# ## 3.6 Le champion, chargé par son alias

# %%
champion = client.get_model_version_by_alias("customer_churn", "champion")
print(f"Le champion est la version {champion.version}")
model = mlflow.pyfunc.load_model("models:/customer_churn@champion")
customers = pd.read_csv("../data/customer_data.csv")
model.predict(customers.head(), params={"method": "predict_all"})

# %% [markdown]
# On voit la prédiction et les deux probabilités de cinq clients. Le modèle reçoit la table **brute**, trous compris : ses
# variables, ses médianes, son seuil voyagent avec lui.
#
# ## 3.7 Noter une table entière

# %%
folder = Path(tempfile.mkdtemp())
customers.tail(2000).to_csv(folder / "new_customers.csv", index=False)
score_run = run_project(
    "score", input=str(folder / "new_customers.csv"), output=str(folder / "scores.csv")
)
pd.read_csv(folder / "scores.csv").head()

# %% [markdown]
# On voit une ligne par client : sa clé, sa prédiction, ses probabilités, la version du modèle et l'heure. Une ligne illisible
# irait à part, dans un fichier de rejets, avec la raison.
#
# ## 3.8 Surveiller
#
# Quand on sait enfin qui est parti, `monitor` compare le champion à ce que promettait son évaluation, et les nouvelles
# lignes à celles de l'entraînement.

# %%
monitor_run = run_project("monitor", data=str(folder / "new_customers.csv"))
print(f"alerte : {monitor_run.data.tags['pipeline.alert']}")

# %% [markdown]
# On voit la métrique d'aujourd'hui, celle qui était promise, et `none` : aucune alerte. (Ces clients-là viennent de la même
# table, et beaucoup ont servi à l'entraînement : le résultat est trop beau, et c'est normal.)
#
# ## 3.9 Revenir en arrière
#
# Un champion déçoit ? `rollback` remet une autre version à sa place, et note qui l'a fait, quand et pourquoi.

# %%
others = [
    int(version.version)
    for version in client.search_model_versions("name = 'customer_churn'")
    if version.version != champion.version
]
run_project("rollback", version=str(min(others)), reason="exercise")
print(client.get_model_version_by_alias("customer_churn", "champion").version)

# %% [markdown]
# On voit le déplacement, puis le numéro du nouveau champion. Le journal est dans la description des versions, dans
# l'interface : qui, quand, pourquoi.
#
# ## Les cinq questions
#
# | question | réponse |
# |---|---|
# | Quel est le meilleur modèle, avec quels réglages ? | l'alias `champion`, et le run de sa version |
# | D'où vient ce nombre, peut-on le refaire ? | le rapport ; `mlflow run . -e reproduce -P run_id=...` le refait et compare |
# | Les modèles ont-ils été mesurés sur les mêmes lignes ? | oui, c'est l'étape `prepare` ; sinon le verdict le dit |
# | Comment préparer un nouveau client ? | il n'y a rien à préparer : le modèle prend la ligne brute |
# | Qu'est-ce qui est en production, et comment revenir ? | le journal du registre, et `rollback` |
#
# La suite : votre table à vous. `mlflow run . -e draft_recipe -P data=ma_table.csv -P target=ma_colonne` écrit la première recette.
