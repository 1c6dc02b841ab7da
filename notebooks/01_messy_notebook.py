# %% [markdown]
# # 1. Le notebook chaotique
#
# Voici un notebook comme on en trouve partout : il marche, à peu près, et personne ne sait plus très bien ce
# qu'il contient. Il cherche quels clients d'une boutique de vin ne commanderont plus dans l'année (`churned`).
#
# **À faire :** choisissez *Run* puis *Run All Cells*, lisez de haut en bas, puis répondez aux cinq questions de la
# fin. Ne corrigez rien : chaque défaut est là exprès. Le [parcours guidé](02_guided_tour.ipynb) les reprend un
# par un.

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

# %%
df = pd.read_csv("../data/customer_data.csv")
df.head()

# %% [markdown]
# On voit cinq clients, une ligne chacun. La colonne à prédire est la dernière.

# %%
df.isna().sum()

# %% [markdown]
# Il y a des trous dans trois colonnes : `avg_order_value`, `support_tickets` et `age`.

# %%
# bouche les trous, on verra plus tard si c'est bien
df = df.fillna(df.median(numeric_only=True))

# %% [markdown]
# On ne voit rien : les trous sont bouchés, par la médiane de toute la table, lignes de test comprises.
#
# ### Variables

# %%
df["ratio"] = df["recency_days"] / (df["frequency"] + 1)
df["per_order"] = df["monetary_value"] / (df["total_orders"] + 1)
df["order_freq"] = df["total_orders"] / (df["days_since_signup"] + 1)
df["support"] = df["support_tickets"] / (df["total_orders"] + 1)

# %%
r = pd.qcut(df["recency_days"].rank(method="first"), 5, labels=[5, 4, 3, 2, 1]).astype(int)
f = pd.qcut(df["frequency"].rank(method="first"), 5, labels=[1, 2, 3, 4, 5]).astype(int)
m = pd.qcut(df["monetary_value"].rank(method="first"), 5, labels=[1, 2, 3, 4, 5]).astype(int)
df["rfm"] = r + f + m

# %% [markdown]
# On ne voit rien : la table a cinq colonnes de plus.
#
# ### Essai 1 : la forêt

# %%
X = df.drop(columns=["customer_id", "churned"])
y = df["churned"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
rf = RandomForestClassifier(n_estimators=30, max_depth=8, random_state=42)
rf.fit(X_train, y_train)
print("RF", accuracy_score(y_test, rf.predict(X_test)), f1_score(y_test, rf.predict(X_test)))

# %% [markdown]
# On voit deux nombres, l'exactitude et le F1 de la forêt. Retenez-les.

# %% [markdown]
# ### Essai 2 : gradient boosting (variables retapées, je ne retrouvais plus la cellule)

# %%
df2 = pd.read_csv("../data/customer_data.csv").fillna(0)
df2["ratio"] = df2["recency_days"] / (df2["frequency"] + 0.1)
df2["per_order"] = df2["monetary_value"] / df2["total_orders"]
df2["order_freq"] = df2["total_orders"] / df2["days_since_signup"]

# %%
X2 = df2.drop(columns=["customer_id", "churned"])
X_train2, X_test2, y_train2, y_test2 = train_test_split(X2, df2["churned"], test_size=0.3)
gb = GradientBoostingClassifier(n_estimators=30)
gb.fit(X_train2, y_train2)
print("GB", accuracy_score(y_test2, gb.predict(X_test2)), f1_score(y_test2, gb.predict(X_test2)))

# %% [markdown]
# On voit deux autres nombres. Relancez les deux cellules : ils changent à chaque fois.

# %% [markdown]
# ### Essai 3 : régression logistique (elle veut des données centrées et réduites)

# %%
X_train3 = StandardScaler().fit_transform(X_train)
X_test3 = StandardScaler().fit_transform(X_test)
lr = LogisticRegression(max_iter=1000)
lr.fit(X_train3, y_train)
print("LR", accuracy_score(y_test, lr.predict(X_test3)), f1_score(y_test, lr.predict(X_test3)))

# %% [markdown]
# On voit un troisième couple de nombres. Le `StandardScaler`, lui, n'a pas même de nom : il a disparu.

# %%
# max_depth=12 c'était mieux je crois ? à revoir
rf = RandomForestClassifier(n_estimators=30, max_depth=2, random_state=7)
rf.fit(X_train, y_train)
plt.barh(X.columns, rf.feature_importances_)
plt.title("importance")
plt.show()

# %% [markdown]
# On voit l'importance des variables. De quelle forêt ? `rf` vient de changer de sens.

# %% [markdown]
# ### Résultats (mis à jour à la main)
#
# | modèle | exactitude | F1 | remarque |
# |---|---|---|---|
# | Random Forest | 0.87 | 0.61 | avec max_depth=10 ? **le meilleur** |
# | Gradient Boosting | 0.79 | 0.58 | |
# | Régression logistique | 0.83 | | F1 perdu, à relancer |
#
# Comparez avec ce qui s'affiche plus haut : rien ne concorde.

# %%
# import joblib
# joblib.dump(rf, "model_final_v2_OK.joblib")  # ne marche pas sur le serveur, voir avec Paul

# %% [markdown]
# On ne voit rien : l'enregistrement du modèle est en commentaire. Fermez le notebook, et il n'en reste aucun.
#
# ## Cinq questions
#
# 1. Quel est le meilleur modèle, et avec quels hyperparamètres ?
# 2. D'où vient le 0.87 du tableau ? Quelqu'un peut-il le refaire demain ?
# 3. Les trois modèles ont-ils été mesurés sur les mêmes lignes, avec les mêmes variables ?
# 4. Un nouveau client arrive : comment centrer et réduire ses valeurs, avec quel `StandardScaler` ?
# 5. Lequel des modèles est en production, qui l'y a mis, et comment revenir au précédent ?
#
# Ce notebook ne répond à aucune. Le suivant, le [parcours guidé](02_guided_tour.ipynb), donne à chacune sa réponse ;
# le dernier, [le pipeline organisé](03_mlflow_organized.ipynb), s'en charge à votre place.
