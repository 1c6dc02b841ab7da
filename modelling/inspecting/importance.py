"""By how much a metric gets worse when a raw column is shuffled."""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from modelling.judging.answers import Answers, Values
from modelling.judging.metrics import Metric

_MOST_SHUFFLED = 2_000
_MOST_SHUFFLED_OFTEN = 50
_SECONDS = 30  # that shuffling may take, for the sake of those who wait
_MOST_CELLS = 1e9  # that a quick model reads in half of that
_ROWS_OF_A_CALL = 2_500  # that cost as much as what a prediction does once for each column
_FEWEST_GROUPS = 8
_PARTS = 8

Answering = Callable[[pd.DataFrame], tuple[Answers, npt.NDArray[np.intp]]]
Group = tuple[str, ...]


def compute_importance(
    answer: Answering,
    features: pd.DataFrame,
    targets: Values,
    metric: Metric,
    seed: int,
    is_classes: bool = False,
) -> tuple[pd.DataFrame, str]:
    """Measures by how much a metric gets worse when a raw column is shuffled.

    Permutation importance (Breiman: Random forests, 2001), five shuffles a column (two of more
    than 50 columns), of the same rows, at most 2,000. How many predictions that may take is
    decided before the first shuffle, by counts; only where one takes long, by its processor time
    too. If there are more columns, they are shuffled in groups of neighbours, and those that matter
    most are split until they are columns.

    Args:
        answer: the model, of (n, columns) raw rows; with the places of the rows that it answers, as
            a shuffle makes rows that there cannot be.
        features: (n, columns) test rows.
        targets: (n,) true values, in the numbers that metrics take.
        metric: the recipe's primary one.
        seed: of the rows and the shuffles.
        is_classes: whether the targets are classes.

    Returns:
        column (or the ends of a group), importance (mean) and deviation, in the metric's units,
        most important first; and how it was measured, in words.
    """
    rows = _draw_rows(targets, is_classes, seed)
    known, true = features.iloc[rows], targets[rows]
    sign = 1 if metric.greater_is_better else -1

    def score(shown: pd.DataFrame) -> float:
        answers, places = answer(shown)
        return sign * metric(answers, np.asarray(true)[places])

    started = time.process_time()
    unshuffled = score(known)
    most = _most_predictions(known, time.process_time() - started)
    wanted = 5 if len(known.columns) <= _MOST_SHUFFLED_OFTEN else 2
    shuffles = _shuffles(len(known), min(wanted, max(2, most // len(known.columns))), seed)

    def losses(group: Group) -> npt.NDArray[np.float64]:
        shuffled, places = known.copy(), known.columns.get_indexer(pd.Index(group))
        scores = []
        for order in shuffles:
            shuffled.iloc[:, places] = known.iloc[order, places]
            scores.append(score(shuffled))
        return unshuffled - np.array(scores)

    measured = _measure(tuple(known.columns), losses, max(most // len(shuffles), _FEWEST_GROUPS))
    table = pd.DataFrame(
        {
            "column": [_name_group(group) for group in measured],
            "importance": [np.mean(values) for values in measured.values()],
            "deviation": [np.std(values) for values in measured.values()],
        }
    )
    how = f"{len(shuffles)} shuffles of {len(known):,} rows"
    if len(measured) < len(known.columns):
        how += f"; {len(known.columns):,} columns, in groups where they matter less, to take less "
        how += f"than {_SECONDS} s"
    return table.sort_values("importance", ascending=False, ignore_index=True), how


def _most_predictions(known: pd.DataFrame, seconds: float) -> int:
    """How many predictions of these rows there may be.

    By counts it is the same on every machine. A model whose prediction takes several times as long
    as that supposes is timed, in powers of two: most machines agree on them.
    """
    rows, columns = known.shape
    by_counts = int(_MOST_CELLS / (columns * (rows + _ROWS_OF_A_CALL)))
    by_time = 2 ** int(np.log2(max(_SECONDS / max(seconds, 1e-6), 1)))
    return min(by_counts, by_time)


def _shuffles(rows: int, number: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Orders of rows, the same for each column: those of scikit-learn's permutation_importance."""
    chance = np.random.RandomState(np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1))
    order, places, orders = np.arange(rows), np.arange(rows), []
    for _ in range(number):
        chance.shuffle(order)
        places = places[order]  # of what the shuffle before has left
        orders.append(places)
    return orders


def _measure(
    columns: Group, losses: Callable[[Group], npt.NDArray[np.float64]], most: int
) -> dict[Group, npt.NDArray[np.float64]]:
    """Measures columns, or groups of them: `most` times at most, the last where it matters most."""
    groups = _split(columns, most if len(columns) <= most else most // 4)
    measured = {group: losses(group) for group in groups}
    left = most - len(groups)
    while left > 1 and (several := [group for group in measured if len(group) > 1]):
        parts = _split(max(several, key=lambda group: measured[group].mean()), min(_PARTS, left))
        del measured[tuple(name for part in parts for name in part)]
        measured |= {part: losses(part) for part in parts}
        left -= len(parts)
    return measured


def _split(group: Group, parts: int) -> list[Group]:
    places = np.array_split(np.arange(len(group)), min(parts, len(group)))
    return [tuple(group[place] for place in part) for part in places]


def _name_group(group: Group) -> str:
    return group[0] if len(group) == 1 else f"{group[0]} … {group[-1]} ({len(group):,} columns)"


def _draw_rows(targets: Values, is_classes: bool, seed: int) -> npt.NDArray[np.intp]:
    """Places of at most 2,000 rows; of each class its share of them, and at least one."""
    rows = np.random.default_rng(seed).permutation(len(targets))
    if is_classes:
        classes = pd.Series(rows).groupby(targets[rows])
        order = classes.cumcount() / classes.transform("size")
        rows = rows[np.argsort(order, kind="stable")]
    return np.sort(rows[:_MOST_SHUFFLED])
