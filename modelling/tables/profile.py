"""The training and the test rows side by side: how alike they are, and what is suspicious."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as parquet

from modelling.inspecting.drift import DriftCounts, profile_rows
from modelling.judging.checks import Facts, run_checks
from modelling.kinds import KINDS, ROW_KEY, kind_of_values

Rows = Mapping[str, pd.DataFrame]
"""The same columns of both sides, `train` and `test`."""

_Targets = list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]

_MOST_ROWS = 20_000
_MOST_LOOKED_INTO = 100
_BARS = 20
_MOST_VALUES = 8
_LONGEST_VALUE = 40
_PSI_LIMIT = 0.25
_FEW_ROWS = 50
_LEFT_OUT = "rows_left_out_"


def read_sample(path: Path) -> tuple[pd.DataFrame, int]:
    """Reads at most 20,000 rows of a Parquet file, evenly spread; returns the number of all too."""
    file = parquet.ParquetFile(path)
    total = file.metadata.num_rows
    every = -(-total // _MOST_ROWS) or 1
    if every == 1:
        return file.read().to_pandas(), total
    parts, seen = [], 0
    for batch in file.iter_batches():
        first = -seen % every
        parts.append(batch.take(np.arange(first, len(batch), every)).to_pandas())
        seen += len(batch)
    return pd.concat(parts, ignore_index=True), total


def compare_sides(
    rows: Rows, totals: Mapping[str, int], target: str, counts: Mapping[str, float]
) -> dict[str, Any]:
    """Compares training and test rows, column by column.

    Args:
        rows: of both sides, with row_key and the target.
        totals: how many rows each side has, of which these may be a sample.
        target: the target's name.
        counts: duplicate_rows and duplicates_across_split, as the split counted them.

    Returns:
        totals, sampled (rows looked at), checks, and columns, the target first; plain JSON values.
    """
    bare = {side: frame.drop(columns=ROW_KEY) for side, frame in rows.items()}
    names = [target, *(str(name) for name in bare["train"] if name != target)]
    stability = _stability(bare)
    explained = explain_target(bare, [name for name in names if name != target], target)
    columns = [
        {
            **_column(bare, name),
            "psi": stability[str(name)][0],
            "explains": explained.get(name),
            "is_target": name == target,
        }
        for name in names
    ]
    facts = Facts(
        explained=explained or None,
        apart={name: index for name, (index, is_apart) in stability.items() if is_apart},
        target=target,
        shared_rows=int(counts.get("duplicates_across_split", 0)),
        rows=sum(totals.values()),
        duplicate_rows=int(counts.get("duplicate_rows", 0)),
        left_out=_left_out(counts),
        constant=[str(one["name"]) for one in columns if one["distinct"]["train"] <= 1],
    )
    return {
        "totals": dict(totals),
        "sampled": {side: len(frame) for side, frame in rows.items()},
        "checks": [asdict(finding) for finding in run_checks(facts)],
        "columns": columns,
    }


def explain_target(rows: Rows, names: Iterable[str], target: str) -> dict[str, float]:
    """Returns the share of the target that each of some columns alone explains, where known.

    Args:
        rows: of both sides, with the target.
        names: of the columns.
        target: the target's name.
    """
    targets = _as_numbers(rows["train"][target], rows["test"][target])
    shares = {name: _explained(rows, name, targets) for name in names}
    return {name: share for name, share in shares.items() if share is not None}


def differing_columns(rows: Rows) -> dict[str, float]:
    """Returns the stability index of each column that is distributed otherwise on the test side."""
    return {name: index for name, (index, is_apart) in _stability(rows).items() if is_apart}


def table_report(frame: pd.DataFrame, title: str, columns: Sequence[Mapping[str, Any]]) -> str:
    """Returns skrub's report of some rows: a page of its own, to look into a table with.

    Args:
        frame: n rows.
        title: what they are.
        columns: as `compare_sides` gives them. Of many, the target is shown, and those that explain
            most of it.
    """
    from skrub import TableReport  # it takes a second to import

    if len(columns) > _MOST_LOOKED_INTO:
        ranked = sorted(columns, key=lambda one: (not one["is_target"], -(one["explains"] or 0)))
        names = {one["name"] for one in ranked[:_MOST_LOOKED_INTO]}
        title = f"{title}: {len(names)} of {len(columns):,} columns, which explain most"
        frame = frame[[name for name in frame if name in names]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableReport(frame, title=title, verbose=0).html()


def _stability(rows: Rows) -> dict[str, tuple[float, bool]]:
    """Each column's population stability index, and whether it is more than chance would give.

    A date can only grow: that it has is no difference.
    """
    train = rows["train"]
    dates = [str(name) for name in train if pd.api.types.is_datetime64_any_dtype(train[name])]
    counts = DriftCounts(profile_rows(_plain(train)), dates)
    counts.add(_plain(rows["test"]))
    table = counts.compare(_PSI_LIMIT)
    return {
        name: (float(index), bool(drifted))
        for name, index, drifted in zip(
            table["column"], table["psi"], table["drifted"], strict=True
        )
    }


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns as numbers or text, which is what can be counted in bins."""
    return pd.DataFrame({str(name): _countable(frame[name]) for name in frame})


def _countable(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        days = (column - pd.Timestamp(0)) / pd.Timedelta(days=1)
        return days.astype(float)
    if pd.api.types.is_bool_dtype(column):
        return column.astype(float)
    return column.astype(float) if pd.api.types.is_numeric_dtype(column) else column.astype("str")


def _explained(rows: Rows, name: str, targets: _Targets) -> float | None:
    """The share of the target's variance, on the test rows, that one column alone explains.

    The target is predicted by its mean over the training rows in the same bin of the column; of
    a class, the one that is explained best counts.
    """
    train, test = _bins(rows["train"][name], rows["test"][name])
    counts = np.bincount(train, minlength=int(test.max(initial=0)) + 1)
    shares = []
    for known, true in targets:
        spread = float(np.var(true))
        if spread == 0 or len(true) < _FEW_ROWS:
            continue
        sums = np.bincount(train, known, minlength=len(counts))
        means = np.where(counts > 0, sums / np.maximum(counts, 1), known.mean())
        shares.append(1 - float(np.mean((true - means[test]) ** 2)) / spread)
    return max(0.0, *shares) if shares else None


def _bins(known: pd.Series, values: pd.Series) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The numbers of the bins of both sides' values: of a text or one of few numbers, its own."""
    both = pd.concat([_countable(known), _countable(values)], ignore_index=True)
    if pd.api.types.is_numeric_dtype(both):
        numbers = both.to_numpy()
        finite = np.sort(numbers[: len(known)][~np.isnan(numbers[: len(known)])])
        if np.count_nonzero(np.diff(finite)) >= 2 * _BARS:
            edges = np.unique(np.quantile(finite, np.linspace(0, 1, 2 * _BARS + 1)[1:-1]))
            places = np.where(np.isnan(numbers), 0, 1 + np.searchsorted(edges, numbers))
            return places[: len(known)], places[len(known) :]
    codes = pd.factorize(both)[0] + 1
    return codes[: len(known)], codes[len(known) :]


def _as_numbers(known: pd.Series, true: pd.Series) -> _Targets:
    """The target of both sides; of few values or labels, whether it is each of them."""
    if pd.api.types.is_float_dtype(known):
        return [(known.to_numpy(dtype=float), true.to_numpy(dtype=float))]
    labels = known.value_counts().index[:_MOST_VALUES]
    return [
        ((known == label).to_numpy(dtype=float), (true == label).to_numpy(dtype=float))
        for label in labels
    ]


def _column(rows: Rows, name: str) -> dict[str, Any]:
    sides = {side: frame[name] for side, frame in rows.items()}
    train = sides["train"]
    kind = kind_of_values(train.dtype)
    is_number = KINDS[kind].limit is not None
    labels, shares = _histogram(sides) if is_number else _frequencies(sides)
    return {
        "name": str(name),
        "kind": kind,
        "missing": {side: float(column.isna().mean()) for side, column in sides.items()},
        "distinct": {side: int(column.nunique()) for side, column in sides.items()},
        "summary": {side: _summary(column, kind) for side, column in sides.items()},
        "labels": labels,
        "shares": shares,
    }


def _summary(column: pd.Series, kind: str) -> dict[str, Any]:
    known = column.dropna()
    if known.empty:
        return {}
    if kind == "number":
        values = known.astype(float)
        return {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=0)),
            "low": float(values.min()),
            "high": float(values.max()),
        }
    if kind == "date":
        return {"low": str(known.min())[:10], "high": str(known.max())[:10]}
    counts = known.value_counts(normalize=True)
    return {"most": _shown(counts.index[0]), "share": float(counts.iloc[0])}


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _histogram(sides: Mapping[str, pd.Series]) -> tuple[list[str], dict[str, list[float]]]:
    numbers = {side: _countable(column).dropna().to_numpy() for side, column in sides.items()}
    finite = {side: values[np.isfinite(values)] for side, values in numbers.items()}
    everything = np.concatenate(list(finite.values()))
    if not len(everything):
        return [], {side: [] for side in sides}
    low, high = float(everything.min()), float(everything.max())
    edges = np.linspace(low, high if high > low else low + 1, _BARS + 1)
    shares = {
        side: (np.histogram(values, edges)[0] / max(len(values), 1)).tolist()
        for side, values in finite.items()
    }
    return [f"{low:g}", f"{high:g}"], shares


def _frequencies(sides: Mapping[str, pd.Series]) -> tuple[list[str], dict[str, list[float]]]:
    values = sides["train"].value_counts().index[:_MOST_VALUES]
    shares = {}
    for side, column in sides.items():
        counts = column.value_counts(normalize=True).reindex(values, fill_value=0.0)
        shares[side] = [float(share) for share in counts]
        shares[side].append(max(0.0, 1 - sum(shares[side])) if column.notna().any() else 0.0)
    return [*map(_shown, values), "others"], shares


def _left_out(counts: Mapping[str, float]) -> dict[str, int]:
    """How many rows of the file are on neither side, by the key of the recipe that says so."""
    names = {name: name.removeprefix(_LEFT_OUT) for name in counts if name.startswith(_LEFT_OUT)}
    return {
        f"{'split' if key == 'gap' else 'data'}.{key}": int(counts[name])
        for name, key in names.items()
    }
