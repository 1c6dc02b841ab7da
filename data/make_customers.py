"""Makes customer_data.csv: the customers of a wine shop on the web, none of them real.

    python data/make_customers.py [FOLDER]

The same bytes each time, by default into this folder. The story, from cause to effect:

1. Each customer has traits that no column shows: how often they like to order, what they spend on
   an order, how attached they are to the shop, and how often an order of theirs goes wrong.
2. The less attached, the likelier it is that they have silently stopped ordering some time ago.
3. Traits and time make the log of orders: one on the day of the sign-up, the others at random
   (a Poisson process) until they stopped. What goes wrong with orders makes support tickets.
   The columns but `age` and `days_since_signup` are counted from this log, on the day of the table.
4. A logistic model with noise decides who churns, that is, orders nothing in the year that follows:
   those who are silent for long *by their own rhythm*, who order rarely, whose orders go wrong
   (which a new customer forgives less than an old one), who spend little, the youngest and the
   oldest, and the less attached.
5. Some cells are lost, as in real tables, and not at random: see `_lose_cells`.

Numbers are drawn with NumPy's PCG64 and money is counted in whole cents, so that every machine with
the locked NumPy writes the same file.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

CUSTOMERS = 10_000
WINDOW_DAYS = 365
_SEED = 20_240
_MONEY = ["monetary_value", "avg_order_value"]


def make_customers(seed: int = _SEED, customers: int = CUSTOMERS) -> pd.DataFrame:
    """Makes the table.

    Args:
        seed: Of all that is drawn; another seed gives other customers of the same shop.
        customers: The number of rows.

    Returns:
        One row a customer with the columns of data/README.md. Counts, days and years are Int64,
        money is float64 in euros and whole cents; missing cells are NA and NaN.
    """
    rng = np.random.default_rng(seed)
    traits = _draw_traits(rng, customers)
    table = _count_orders(_draw_orders(rng, traits), traits)
    table["support_tickets"] = rng.poisson(table["total_orders"] * traits["troubles_per_order"])
    table["age"] = traits["age"]
    table["churned"] = rng.random(customers) < _churn_probability(rng, table, traits)
    table = table.astype({name: "Int64" for name in table.columns.difference(_MONEY)})
    _lose_cells(rng, table)
    table.insert(0, "customer_id", [f"C{number:05d}" for number in range(1, customers + 1)])
    return table


def _draw_traits(rng: np.random.Generator, customers: int) -> pd.DataFrame:
    """Steps 1 and 2: a row a customer; only age and days_since_signup are written down."""
    traits = pd.DataFrame(index=range(customers))
    traits["age"] = (18 + 72 * rng.beta(2.2, 3.5, customers)).astype(int)
    traits["days_since_signup"] = (30 + 3_600 * rng.beta(1.0, 2.2, customers)).astype(int)
    traits["attachment"] = rng.normal(0, 1, customers)
    traits["orders_per_year"] = np.exp(rng.normal(1.5, 0.6, customers))
    traits["euros_per_order"] = np.exp(rng.normal(4.0, 0.5, customers))
    traits["troubles_per_order"] = rng.gamma(1.5, 0.08, customers)
    stopped = rng.random(customers) < _sigmoid(-1.3 - traits["attachment"])
    days_ago = np.minimum(rng.exponential(200, customers), traits["days_since_signup"])
    traits["stopped_days_ago"] = np.where(stopped, days_ago, 0.0)
    return traits


def _draw_orders(rng: np.random.Generator, traits: pd.DataFrame) -> pd.DataFrame:
    """Step 3: a row an order, with its customer, how many days ago it was, and its cents."""
    ordering_days = traits["days_since_signup"] - traits["stopped_days_ago"]
    count = rng.poisson(traits["orders_per_year"] * ordering_days / 365)
    later = np.repeat(traits.index, count)
    into_ordering = rng.random(len(later)) * ordering_days.loc[later]
    later_days_ago = traits["days_since_signup"].loc[later] - into_ordering
    customer = np.concatenate([traits.index, later])
    days_ago = np.concatenate([traits["days_since_signup"], later_days_ago])
    euros = traits["euros_per_order"].loc[customer] * np.exp(rng.normal(0, 0.35, len(customer)))
    cents = (100 * euros).round().astype(int).to_numpy()
    return pd.DataFrame({"customer": customer, "days_ago": days_ago.astype(int), "cents": cents})


def _count_orders(orders: pd.DataFrame, traits: pd.DataFrame) -> pd.DataFrame:
    """The columns that come from the log of orders, in the order of the file."""
    window = orders[orders["days_ago"] < WINDOW_DAYS].groupby("customer")["cents"]
    frequency = window.count().reindex(traits.index, fill_value=0)
    cents = window.sum().reindex(traits.index, fill_value=0)
    # Whole cents, half a cent up: no rounding of floats that could differ between machines.
    average = (2 * cents + frequency) // (2 * frequency.where(frequency > 0))
    return pd.DataFrame(
        {
            "recency_days": orders.groupby("customer")["days_ago"].min(),
            "frequency": frequency,
            "monetary_value": cents / 100,
            "avg_order_value": average / 100,
            "days_since_signup": traits["days_since_signup"],
            "total_orders": orders.groupby("customer").size(),
        }
    )


def _churn_probability(
    rng: np.random.Generator, table: pd.DataFrame, traits: pd.DataFrame
) -> pd.Series:
    """Step 4: the probability of each customer to churn, 0 to 1."""
    silence = table["recency_days"] * traits["orders_per_year"] / 365  # in usual gaps
    troubles = table["support_tickets"] / table["total_orders"]
    is_new = table["days_since_signup"] < WINDOW_DAYS
    score = (
        -4.8
        + 2.6 * np.log1p(silence)
        - 1.5 * (np.log(traits["orders_per_year"]) - 1.5)
        + np.where(is_new, 7.0, 3.0) * np.minimum(troubles, 1.0)
        - 0.5 * (np.log(traits["euros_per_order"]) - 4.0)
        + 0.7 * ((traits["age"] - 46) / 14) ** 2
        - 0.4 * traits["attachment"]
        + rng.normal(0, 0.8, len(table))
    )
    return _sigmoid(score)


def _lose_cells(rng: np.random.Generator, table: pd.DataFrame) -> None:
    """Step 5, in place.

    The shop began to ask for the age three years ago, and many of the older accounts lack it. Four
    years ago it changed its support desk, and the tickets of some older accounts were not moved.
    `avg_order_value` is missing by itself where the window holds no order.
    """
    years = table["days_since_signup"] / 365
    table.loc[rng.random(len(table)) < np.where(years > 3, 0.30, 0.05), "age"] = pd.NA
    table.loc[rng.random(len(table)) < np.where(years > 4, 0.12, 0.0), "support_tickets"] = pd.NA


def _sigmoid(score: pd.Series) -> pd.Series:
    return 1 / (1 + np.exp(-score))


def main(folder: Path) -> None:
    """Writes customer_data.csv into the folder."""
    path = folder / "customer_data.csv"
    make_customers().to_csv(path, index=False, float_format="%.2f", lineterminator="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
