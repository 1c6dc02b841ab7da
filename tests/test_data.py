"""The sample tables are what data/README.md says, and the made one can be made again."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

DATA = Path(__file__).parent.parent / "data"
TABLES = [
    "red-wine-quality.csv",
    "white-wine-quality.csv",
    "taxi-trips.parquet",
    "customer_data.csv",
]


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    return pd.read_csv(DATA / "customer_data.csv")


def _section(name: str) -> str:
    return (DATA / "README.md").read_text("utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", TABLES)
def test_readme_states_the_file(name: str) -> None:
    read_table = pd.read_parquet if name.endswith(".parquet") else pd.read_csv
    table, section = read_table(DATA / name), _section(name)
    assert f"`{hashlib.sha256((DATA / name).read_bytes()).hexdigest()}`" in section
    assert f"{len(table):,} " in section
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in section.splitlines()]
    documented = {re.sub(r" \(the target\)$", "", row[0]): row[2:] for row in rows if row}
    assert list(documented)[2:] == list(table.columns)
    for column, values in table.items():
        lowest, highest, missing = [*documented[column], "0 %"][:3]
        read = str if column == "customer_id" else float
        read = pd.Timestamp if values.dtype.kind == "M" else read
        assert (read(lowest), read(highest)) == (values.min(), values.max()), column
        assert float(missing.removesuffix("%")) == pytest.approx(100 * values.isna().mean()), column


def test_generator_writes_the_committed_file_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DATA / "make_customers.py", tmp_path], check=True)
    (written,) = tmp_path.iterdir()
    assert written.name == "customer_data.csv"
    assert written.read_bytes() == (DATA / written.name).read_bytes()


def test_columns_of_a_customer_agree(customers: pd.DataFrame) -> None:
    bought = customers["frequency"] > 0
    assert customers["customer_id"].is_unique
    assert (customers["recency_days"] <= customers["days_since_signup"]).all()
    assert (customers["frequency"] <= customers["total_orders"]).all()
    assert bought.equals(customers["recency_days"] < 365)
    assert bought.equals(customers["monetary_value"] > 0)
    assert bought.equals(customers["avg_order_value"].notna())
    young = customers["days_since_signup"] < 365
    assert customers["frequency"][young].equals(customers["total_orders"][young])
    difference = customers["avg_order_value"] * customers["frequency"] - customers["monetary_value"]
    assert (difference.abs()[bought] <= 0.00501 * customers["frequency"][bought]).all()


def test_counts_are_written_as_whole_numbers_and_money_in_cents() -> None:
    text = pd.read_csv(DATA / "customer_data.csv", dtype=str).drop(columns="customer_id")
    for column, values in text.items():
        form = r"\d+\.\d\d" if column in ("monetary_value", "avg_order_value") else r"\d+"
        assert values.dropna().str.fullmatch(form).all(), column


def test_churn_has_its_base_rate_and_a_signal_that_is_no_giveaway(customers: pd.DataFrame) -> None:
    assert 0.22 < customers["churned"].mean() < 0.28
    train, test = train_test_split(customers, random_state=0, stratify=customers["churned"])
    features = customers.columns.drop(["customer_id", "churned"])
    model = RandomForestClassifier(min_samples_leaf=10, random_state=0)
    model.fit(train[features], train["churned"])
    probability = model.predict_proba(test[features])[:, 1]
    assert 0.80 < roc_auc_score(test["churned"], probability) < 0.88
