"""What a script that scores does: load the champion with MLflow, predict all rows, write them.

python benchmarks/contenders/score_plain.py TABLE OUTPUT
"""

import sys

import mlflow
import pandas as pd

if __name__ == "__main__":
    table, output = sys.argv[1:]
    rows = pd.read_csv(table)
    model = mlflow.pyfunc.load_model("models:/wine_quality@champion")
    rows.assign(prediction=model.predict(rows)).to_csv(output, index=False)
