# %% [markdown]
# # 2. Le parcours guidé
#
# Le [notebook chaotique](01_messy_notebook.ipynb) s'est terminé sur cinq questions sans réponse. Reprenons le même
# problème, quels clients ne commanderont plus, en confiant à MLflow tout ce qui s'y perdait.
#
# | partie | vous apprenez à |
# |---|---|
# | 1. Premiers pas | vous connecter, ouvrir une expérience et un run, consigner paramètres et métriques |
# | 2. Problème, solution | garder le modèle avec son run, les figures, le prétraitement ; comparer des runs |
# | 3. Exercices | faire tout cela vous-même |
# | 4. Le registre | donner un nom et des versions au modèle, le servir, noter des clients, revenir en arrière |
#
# Il faut un serveur : dans un terminal, à la racine du projet, lancez `scripts/launch_mlflow.sh`, et laissez la fenêtre
# ouverte. S'il annonce un autre port que 5000, donnez-le au notebook par la variable `MLFLOW_TRACKING_URI`.
#
# À garder ouvert à côté : [l'API Python de MLflow sur une page](../docs/fr/apprendre/aide_memoire_python.md).

# %%
from importlib.util import find_spec

needed = ("mlflow", "sklearn", "matplotlib", "requests")
missing = [name for name in needed if find_spec(name) is None]
if missing:
    raise SystemExit(
        f"Il manque {', '.join(missing)} à ce noyau : ouvrez JupyterLab dans l'environnement de "
        "requirements-notebooks.lock, comme le dit notebooks/README.md."
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

# Les remarques de MLflow sont utiles ; ici, elles noieraient ce que l'on veut voir.
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
# Rien ne s'affiche : tout est là.
#
# # Partie 1. Premiers pas
#
# ## 1.1 MLflow en une minute
#
# MLflow est un carnet de laboratoire. Il a quatre parties :
#
# | partie | question à laquelle elle répond |
# |---|---|
# | **Tracking**, le suivi | Qu'ai-je essayé, avec quels réglages, et qu'est-ce que cela a donné ? |
# | **Models**, les modèles | Comment ranger un modèle pour que n'importe qui puisse s'en servir ? |
# | **Model Registry**, le registre | Quelle version est en service, depuis quand, et qui l'a décidé ? |
# | **Projects**, les projets | Comment relancer le tout, ailleurs, dans le même environnement ? |
#
# Les mots du suivi : une *expérience* est un dossier de runs ; un *run* est un essai, avec des *paramètres* (ce que
# vous avez choisi), des *métriques* (ce que vous avez mesuré), des *artefacts* (des fichiers) et des *tags* (des
# étiquettes).
#
# En prime, la même interface suit les applications bâties sur des grands modèles de langage : chaque appel y devient
# une *trace*. Il n'en sera pas question ici.
#
# ## 1.2 Se connecter

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
print(f"Le serveur MLflow fonctionne : {answer.text}")

# %% [markdown]
# On voit `OK`. Ouvrez maintenant cette adresse dans votre navigateur, dans un onglet à côté du notebook, et choisissez
# **Model training** en haut à gauche.
#
# ## 1.3 Ouvrir une expérience

# %%
experiment = mlflow.set_experiment("workshop-churn-learning")
print(f"Expérience {experiment.name}, numéro {experiment.experiment_id}")

# %% [markdown]
# On voit son nom et son numéro. Si elle n'existait pas, elle vient d'être créée ; dans l'interface, elle paraît dans
# la liste **Experiments**.
#
# ## 1.4 Les données
#
# Les mêmes clients que dans le notebook chaotique, mais les variables sont écrites **une fois**, dans une fonction.


# %%
def add_features(table):
    """Le prétraitement de chaque ligne : rien n'y dépend des autres lignes."""
    table = table.astype(float)  # un entier ne peut être vide, un nombre à virgule le peut
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
print(f"{len(X_train)} lignes d'entraînement, {len(X_test)} de test, {y.mean():.0%} de départs")
X_train.isna().sum()

# %% [markdown]
# On voit 8000 et 2000 lignes, et des trous dans quatre colonnes. Un gradient boosting et une régression logistique les
# refusent. Boucher les trous de toute la table avant de la couper, comme dans le notebook chaotique, serait
# tricher : la médiane connaîtrait les lignes de test. La bonne place est **dans** le modèle, devant l'estimateur :


# %%
def make_model(estimator, *steps):
    """Un modèle qui bouche les trous par la médiane des lignes d'entraînement."""
    return Pipeline([("imputer", SimpleImputer(strategy="median")), *steps, ("model", estimator)])


def measure(model):
    """Les métriques d'un modèle sur les lignes de test, les mêmes pour tous."""
    predicted, probability = model.predict(X_test), model.predict_proba(X_test)[:, 1]
    return {
        "accuracy": accuracy_score(y_test, predicted),
        "precision": precision_score(y_test, predicted),
        "recall": recall_score(y_test, predicted),
        "f1": f1_score(y_test, predicted),
        "roc_auc": roc_auc_score(y_test, probability),
    }


# %% [markdown]
# Rien ne s'affiche : ce sont deux outils, qui serviront à tous les modèles.
#
# ## 1.5 Le premier run
#
# `mlflow.start_run` ouvre un run, et la fin du bloc `with` le ferme. Entre les deux, on consigne.

# %%
with mlflow.start_run(run_name="first-forest") as run:
    forest = make_model(RandomForestClassifier(n_estimators=20, max_depth=8, random_state=42))
    forest.fit(X_train, y_train)
    mlflow.log_param("n_estimators", 20)
    mlflow.log_param("max_depth", 8)
    mlflow.log_metric("accuracy", measure(forest)["accuracy"])
print(run.info.run_id)

# %% [markdown]
# On voit deux liens, vers le run et vers l'expérience, puis l'identifiant du run : ce nom unique permet de tout
# retrouver.
#
# **Allez voir**, en quatre clics : *Experiments*, `workshop-churn-learning`, *Runs*, `first-forest`. Les deux
# paramètres et la métrique y sont.
#
# ## 1.6 Plusieurs à la fois, et des courbes
#
# Un dictionnaire suffit pour consigner plusieurs valeurs d'un coup.

# %%
parameters = {"n_estimators": 40, "max_depth": 8, "random_state": 42}
with mlflow.start_run(run_name="forest-with-all-metrics"):
    forest = make_model(RandomForestClassifier(**parameters)).fit(X_train, y_train)
    mlflow.log_params(parameters)
    mlflow.log_metrics(measure(forest))
measure(forest)

# %% [markdown]
# On voit les cinq métriques, qui sont aussi dans l'interface. L'exactitude (`accuracy`) flatte : prédire que personne ne
# part donnerait déjà 0.74. Regardez plutôt `roc_auc`, et `recall`, la part des départs que le modèle trouve.
#
# Une métrique peut aussi avoir une valeur à chaque pas (`step`) : elle devient une courbe.

# %%
with mlflow.start_run(run_name="forest-that-grows"):
    for trees in (1, 2, 5, 10, 20, 40):
        model = make_model(RandomForestClassifier(trees, max_depth=8, random_state=42))
        mlflow.log_metric("roc_auc", measure(model.fit(X_train, y_train))["roc_auc"], step=trees)

# %% [markdown]
# On voit deux liens, comme après chaque run. **Allez voir** le run `forest-that-grows`, onglet *Model metrics* : `roc_auc` monte avec le nombre d'arbres, puis
# plafonne.
#
# # Partie 2. Problème, solution
#
# ## 2.1 « Où est passé le modèle ? »
#
# Les runs ont gardé les nombres, pas les modèles. Gardons aussi le modèle, avec `log_model` :

# %%
# MLflow note les paquets dont le modèle a besoin. Sans cette liste il relance Python pour les deviner.
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
# On voit un refus : *untrusted types*. MLflow 3 n'écrit plus les modèles en pickle, qui peut exécuter n'importe quel code
# à la lecture, mais au format *skops*, qui ne relit que des types de confiance. Les arbres n'en sont pas d'office : un
# fichier d'arbres falsifié peut faire tomber le processus qui le lit.
#
# C'est **notre** fichier, nous pouvons nous y fier, mais il faut le dire, type par type. (L'autre issue,
# `serialization_format="cloudpickle"`, revient à tout accepter.) Le run, lui, est marqué FAILED : un échec se garde
# aussi.

# %%
TRUSTED = [
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "_loss._loss.CyHalfBinomialLoss",  # du gradient boosting
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
# **Allez voir** : la page du run montre désormais un modèle, avec sa *signature* (les colonnes attendues, déduites des
# trois lignes d'exemple) et son environnement.
#
# Relisons-le, comme le ferait un collègue qui n'a que l'identifiant du run :

# %%
loaded = mlflow.sklearn.load_model(f"runs:/{forest_run.info.run_id}/model")
print((loaded.predict(X_test) == forest.predict(X_test)).all())

# %% [markdown]
# On voit `True` : c'est bien le même modèle.
#
# ## 2.2 « Et la figure que j'avais montrée en réunion ? »

# %%
with mlflow.start_run(run_id=forest_run.info.run_id):  # rouvre le même run
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    ConfusionMatrixDisplay.from_estimator(forest, X_test, y_test, ax=axes[0], colorbar=False)
    RocCurveDisplay.from_estimator(forest, X_test, y_test, ax=axes[1])
    mlflow.log_figure(figure, "plots/forest.png")

# %% [markdown]
# On voit la matrice de confusion et la courbe ROC ; elles sont aussi dans l'onglet *Artifacts* du run, sous `plots/`. On
# peut rouvrir un run terminé pour y ajouter un fichier ; un paramètre déjà consigné, lui, ne se change plus.
#
# ## 2.3 « Avec quel `StandardScaler` ? »
#
# Une régression logistique veut des valeurs centrées et réduites. Dans le notebook chaotique, le scaler s'était perdu.
# **Première solution** : le ranger comme un artefact à côté du modèle.

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
# On voit `True` : le scaler est retrouvé. Mais il faut penser à le chercher, et à boucher les trous avant lui. Que
# quelqu'un l'oublie, et les prédictions seront fausses **sans aucune erreur**.
#
# **Meilleure solution** : un seul objet, le `Pipeline`, qui fait tout dans l'ordre.

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
# On voit le dessin des trois étapes. Qui charge ce modèle donne des lignes brutes, trous compris, et n'a rien à savoir de
# plus.
#
# ## 2.4 « Lequel était le meilleur, déjà ? »
#
# Plus de tableau à la main : on interroge le serveur. Les runs qui ont échoué ont parfois des métriques, eux aussi :
# écartons-les.

# %%
runs = mlflow.search_runs(
    filter_string="attributes.status = 'FINISHED' and metrics.roc_auc > 0.5",
    order_by=["metrics.roc_auc DESC"],
    max_results=5,
)
runs[["tags.mlflow.runName", "metrics.roc_auc", "metrics.f1", "params.max_depth"]]

# %% [markdown]
# On voit au plus cinq runs, le meilleur en tête. Le même filtre marche dans le champ de recherche de l'interface ; cochez
# deux runs et cliquez sur *Compare* pour les mettre côte à côte.
#
# # Partie 3. Exercices
#
# Chaque exercice a une cellule `TODO`, puis une vérification. Sa **solution** est une cellule repliée, en texte : dépliez-la
# (les trois points), et pour l'exécuter, cliquez dessus, appuyez sur *Échap* puis sur *Y*, puis sur *Maj + Entrée*.
#
# ## 3.1 Un gradient boosting, consigné en entier
#
# Dans un run nommé `gradient-boosting` : les paramètres, les métriques de `measure`, le tag `has_model`, et le modèle.

# %% tags=["exercise"]
# TODO : avec mlflow.start_run(run_name="gradient-boosting"), entraînez
#        make_model(GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=42)),
#        puis log_params, log_metrics, set_tag et mlflow.sklearn.log_model, comme en 2.3.

# %% jupyter={"source_hidden": true} tags=["active-py", "solution"]
# Solution de l'exercice 3.1
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
    """Le dernier run réussi de ce nom, ou None."""
    found = mlflow.search_runs(
        filter_string=f"attributes.run_name = '{name}' and attributes.status = 'FINISHED'",
        max_results=1,
        output_format="list",
    )
    return found[0] if found else None


boosting_run = find_run("gradient-boosting")
if boosting_run is None:
    print("3.1 : à faire, il n'y a pas encore de run gradient-boosting")
else:
    print(f"3.1 : roc_auc {boosting_run.data.metrics.get('roc_auc')}")

# %% [markdown]
# Quand c'est fait, on voit une valeur de `roc_auc` autour de 0.84.
#
# ## 3.2 Des tags et une matrice de confusion
#
# Ajoutez au run de la forêt, `forest_run`, les tags `author` (vous), `team` (`crm`) et `stage` (`exploration`), et sa matrice
# de confusion sous le nom `confusion.png`.

# %% tags=["exercise"]
# TODO : rouvrez le run par son identifiant, forest_run.info.run_id, comme en 2.2,
#        puis mlflow.set_tags({...}) et mlflow.log_figure(..., "confusion.png").

# %% jupyter={"source_hidden": true} tags=["active-py", "solution"]
# Solution de l'exercice 3.2
with mlflow.start_run(run_id=forest_run.info.run_id):
    mlflow.set_tags({"author": "student", "team": "crm", "stage": "exploration"})
    display = ConfusionMatrixDisplay.from_estimator(forest, X_test, y_test, colorbar=False)
    mlflow.log_figure(display.figure_, "confusion.png")

# %%
client = MlflowClient()
tags = client.get_run(forest_run.info.run_id).data.tags
files = [file.path for file in client.list_artifacts(forest_run.info.run_id)]
is_done = tags.get("team") == "crm" and "confusion.png" in files
print("3.2 :", "c'est fait" if is_done else "à faire")

# %% [markdown]
# Quand c'est fait, on voit `c'est fait`, et, dans l'interface, la recherche `tags.team = 'crm'` trouve le run.
#
# ## 3.3 Défi : trouver le meilleur modèle et s'en servir
#
# Parmi les runs réussis qui ont un modèle, cherchez celui dont le `roc_auc` est le plus grand, chargez son modèle, et
# prédisez les cinq premières lignes de `X_test`. Rangez le résultat dans `predicted`.

# %% tags=["exercise"]
# TODO : mlflow.search_runs(filter_string=..., order_by=[...], max_results=1), puis
#        mlflow.sklearn.load_model(f"runs:/{run_id}/model").
predicted = None

# %% jupyter={"source_hidden": true} tags=["active-py", "solution"]
# Solution de l'exercice 3.3
found = mlflow.search_runs(
    filter_string="attributes.status = 'FINISHED' and tags.has_model = 'yes'",
    order_by=["metrics.roc_auc DESC"],
    max_results=1,
)
predicted = mlflow.sklearn.load_model(f"runs:/{found.run_id[0]}/model").predict(X_test.head())

# %%
print("3.3 :", "à faire" if predicted is None else [int(label) for label in predicted])

# %% [markdown]
# Quand c'est fait, on voit cinq zéros et uns.
#
# # Partie 4. Du modèle au service
#
# Vous savez peut-être déjà mettre un modèle derrière une API avec joblib et FastAPI. Cela fait beaucoup de petites choses
# à écrire et à tenir à jour, que MLflow fait à votre place. Voyons lesquelles.
#
# ## 4.1 Le registre : un nom, des versions
#
# Un identifiant de run ne se retient pas. Dans le registre, le modèle a un nom, et chaque enregistrement en est une
# version.

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
print(f"Version {champion.version}, de {best.info.run_name}, est le champion")

# %% [markdown]
# On voit le numéro de la version. **Allez voir** l'onglet *Model registry* : `churn-predictor`, sa version, son alias
# `champion`, son tag. Un *alias* est une étiquette que l'on déplace ; il a remplacé les étapes (*stages*) Staging et
# Production de MLflow 2.
#
# ## 4.2 Charger par version, par alias, et se méfier de `latest`
#
# Un collègue enregistre à son tour un modèle, moins bon :

# %%
challenger = mlflow.register_model(f"runs:/{logistic_run.info.run_id}/model", "churn-predictor")
for name in (f"/{champion.version}", f"/{challenger.version}", "@champion", "/latest"):
    model = mlflow.sklearn.load_model(f"models:/churn-predictor{name}")
    print(f"models:/churn-predictor{name:10} roc_auc {measure(model)['roc_auc']:.4f}")

# %% [markdown]
# On voit quatre lignes : `latest` est la version **la plus récente**, pas la meilleure ; `@champion` est celle que l'on a
# choisie. En production, chargez par alias.
#
# ## 4.3 Servir le modèle, l'interroger par REST
#
# Une commande suffit : `mlflow models serve -m models:/churn-predictor@champion -p 5001 --env-manager local`. La cellule
# la lance pour vous sur un port libre (le 5000 est à l'interface), et attend que le service réponde.

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
# On voit `200` : le service est prêt. Envoyons-lui trois clients, dont un dont l'âge est inconnu :

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
# On voit `200` et trois prédictions. Pourquoi ce détour par `to_json` ? Un trou est un `NaN` pour pandas, mais JSON n'a
# pas de `NaN` : `requests.post(..., json=...)` échouerait avec *Out of range float values*. `to_json` écrit `null`, que le
# service relit comme un trou, et l'imputer du modèle fait le reste.
#
# Arrêtons le service : il ne s'arrête pas avec le notebook.

# %%
os.killpg(server.pid, signal.SIGTERM)
print("le service est arrêté" if server.wait(30) is not None else "il tourne encore")

# %% [markdown]
# ## 4.4 Noter cent clients d'un coup
#
# Pas besoin d'un service pour une liste : on charge le champion, on prédit, et l'on garde le résultat dans un run.

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
# On voit les cinq clients les plus près de partir : ceux qu'il faut appeler. Le fichier entier est un artefact du run
# `batch-inference`, avec la date dans son nom et la version du modèle en paramètre.
#
# ## 4.5 Revenir en arrière
#
# Supposons que quelqu'un ait promu le modèle du collègue, par erreur. Il suffit de déplacer l'alias :

# %%
client.set_registered_model_alias("churn-predictor", "champion", challenger.version)  # l'erreur
client.set_registered_model_alias("churn-predictor", "champion", champion.version)  # le retour
print(client.get_model_version_by_alias("churn-predictor", "champion").version)

# %% [markdown]
# On voit de nouveau la première version. Tous ceux qui chargent `@champion` l'auront, sans changer une ligne.
#
# ## 4.6 À la main, ou avec MLflow
#
# | à faire | avec joblib et FastAPI | avec MLflow |
# |---|---|---|
# | enregistrer le modèle | `joblib.dump`, un nom de fichier à inventer | `log_model`, dans le run qui l'a produit |
# | savoir d'où il vient | un commentaire, au mieux | le run : paramètres, métriques, code |
# | le prétraitement | un second fichier, à ne pas oublier | le même `Pipeline` |
# | les versions | `model_final_v2_OK.joblib` | le registre : 1, 2, 3… |
# | choisir celle qui sert | changer un chemin, redéployer | déplacer l'alias `champion` |
# | l'API | une application à écrire et à tester | `mlflow models serve` |
# | vérifier les entrées | des classes à écrire | la signature |
# | l'environnement | un fichier à tenir à jour | noté avec le modèle |
# | revenir en arrière | retrouver l'ancien fichier | déplacer l'alias |
#
# Une API à soi garde son intérêt quand il faut autre chose qu'une prédiction : une page, une base, des droits. Rien n'empêche
# d'y charger `models:/churn-predictor@champion`.
#
# ## En résumé
#
# | notion | code |
# |---|---|
# | se connecter | `mlflow.set_tracking_uri(uri)` |
# | expérience | `mlflow.set_experiment(nom)` |
# | run | `with mlflow.start_run(run_name=nom):` |
# | paramètres | `mlflow.log_params({...})` |
# | métriques | `mlflow.log_metrics({...})`, avec `step=` pour une courbe |
# | tags | `mlflow.set_tags({...})` |
# | figure | `mlflow.log_figure(figure, "plots/figure.png")` |
# | fichier | `mlflow.log_artifact(chemin, "dossier")` |
# | modèle | `mlflow.sklearn.log_model(modele, name="model", skops_trusted_types=[...])` |
# | rechercher | `mlflow.search_runs(filter_string=..., order_by=[...])` |
# | enregistrer | `mlflow.register_model(f"runs:/{run_id}/model", nom)` |
# | choisir | `client.set_registered_model_alias(nom, "champion", version)` |
# | charger | `mlflow.sklearn.load_model("models:/nom@champion")` |
#
# Et les cinq questions du notebook chaotique ? Le meilleur modèle et ses réglages : 2.4. D'où vient un nombre : de son run. Les
# mêmes lignes : `measure`, et une seule coupe. Le scaler : dans le `Pipeline`. Ce qui est en production, et le retour : 4.1 et 4.5.
#
# Il reste beaucoup de code à écrire soi-même. Le dernier notebook, [le pipeline organisé](03_mlflow_organized.ipynb), fait
# tout cela en une commande.
