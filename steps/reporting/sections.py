"""The sections that only some reports have: of a sweep, an evaluation, new rows."""

from typing import Any

import pandas as pd

from common.words import MINUS, counted, show_brief, show_percent, with_brief_numbers
from modelling.inspecting.fairness import RATES, largest_gaps
from modelling.judging.intervals import FEW_ROWS
from modelling.judging.metrics import OUTCOMES
from modelling.reporting.answer import show_range
from modelling.reporting.report import Fact, Plot, Section, Shares, Table, show_metric
from steps.reporting.reproduction import read_comparison
from steps.reporting.run_files import RunFiles
from steps.reporting.runs import PipelineRuns
from steps.runs.names import BEST, ENSEMBLE_WORDS, MODEL_VERSION

_SWEEP_PLOTS = {
    "optimization_history": ("Optimisation history", "whether more trials would still help"),
    "param_importances": ("Importance of hyperparameters", "which of them decide"),
    "parallel_coordinate": ("Parallel coordinates", "which values go together"),
    "slice": ("Slices", "where on each range the good values are"),
}
_TRIALS = 20
_FIRST_ROWS = 10


def read_sections(runs: PipelineRuns) -> list[Section]:
    """What only some runs have."""
    readers = (
        *(_sweep, _promise, _scores, _rejects, read_comparison),
        *(_outcomes, _slices, _fairness, _drift, _sample),
    )
    return [section for read in readers if (section := read(runs))]


def _sweep(runs: PipelineRuns) -> Section | None:
    """The trials, the best first, and Optuna's figures of them."""
    files = RunFiles.of(runs.run) if runs.entry_point == "sweep" else None
    table = files.table("leaderboard") if files else None
    if files is None or table is None:
        return None
    counts = table["state"].value_counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    plots = [
        Plot(f"{title}: {what}", f"Plot. {title}: {what}", content)
        for name, (title, what) in _SWEEP_PLOTS.items()
        if (content := files.read(f"plots/{name}.png"))
    ]
    shown = table.drop(columns="run_id").replace("", None).dropna(axis="columns", how="all")
    text = f"{counted(len(table), 'trial')}: {states}. Scores are of folds of the training rows."
    if primary := runs.primary():
        seen, unseen = runs.run.data.metrics.get(BEST + primary), runs.metrics("evaluate")[primary]
        if seen is not None:
            sides = (show_metric(seen, primary), show_metric(unseen, primary))
            text += f" The winner has {primary} {sides[0]} there, and {sides[1]} on the test rows."
    if words := runs.tags.get(ENSEMBLE_WORDS):
        text += f" It is {words}."
    return Section("sweep", "Sweep", text, table=Table.of(shown, _TRIALS), plots=tuple(plots))


def _slices(runs: PipelineRuns) -> Section | None:
    """For whom the model is good: the slices that the recipe names, and the worst, found."""
    files = runs.files("evaluate")
    table = files.table("slices") if files else None
    if table is None:
        return None
    worse = ", ".join(table.loc[table["worse"].astype(bool), "slice"])
    text = (
        f"Worse than on the whole, by more than chance: {worse}."
        if worse
        else "No part of the test rows was found where it is worse than on the whole."
    )
    if table.empty:
        return Section("slices", "For whom", text)
    if (table["how"] == "found").any():
        text += " What was found is measured on the half of the test rows that the search had not."
    metric = table.columns[3]
    known = [metric, "low", "high", "difference"]
    table[known] = table[known].astype(float)  # of None, where no slice has a figure
    figures = [show_range(*row) for row in table[[metric, "low", "high"]].itertuples(index=False)]
    shown = pd.DataFrame(
        {
            "slice": table["slice"],
            "rows": table["rows"],
            metric: [figure for figure, _, _ in figures],
            "95% interval": [f"{low} to {high}" if low else None for _, low, high in figures],
            "difference from all": [
                show_range(*row)[0] for row in table[["difference", "low", "high"]].to_numpy()
            ],
            "worse": table["worse"].map({True: "yes", False: "no"}),
            "how": table["how"],
        }
    )
    return Section("slices", "For whom", text, table=Table.of(shown))


def _outcomes(runs: PipelineRuns) -> Section | None:
    """What comes of a binary classification: in rows, or what they weigh, and money if known."""
    figures, recipe = runs.metrics("evaluate"), runs.recipe
    if recipe is None or not set(OUTCOMES) <= figures.keys():
        return None
    name = recipe.about.name_class(runs.target, recipe.data.positive_class)
    labels, positive = recipe.about.labels, str(recipe.data.positive_class)
    others = [label for value, label in labels.items() if value != positive]
    other = others[0] if len(others) == 1 else f"not {name}"
    cells = {
        "true_positives": (name, name),
        "false_positives": (name, other),
        "false_negatives": (other, name),
        "true_negatives": (other, other),
    }
    table = pd.DataFrame([*cells.values()], columns=["it says", "and it is"])
    counts = [figures[outcome] for outcome in cells]
    rows = "test rows" if recipe.data.weight is None else "weight"
    table[rows] = [show_brief(count) for count in counts]
    if worths := recipe.metrics.business_score:
        unit = f" {recipe.about.unit}" if recipe.about.unit else ""
        each = [getattr(worths, outcome.removesuffix("s")) for outcome in cells]
        sums = [worth * count for worth, count in zip(each, counts, strict=True)]
        table["each is worth"] = [f"{worth:,.10g}{unit}" for worth in each]
        table["together"] = [f"{total:,.0f}{unit}" for total in sums]
        for column in ("each is worth", "together"):
            table[column] = table[column].str.replace("-", MINUS)
        table.loc[len(table)] = ["all", "", show_brief(sum(counts)), "", f"{sum(sums):,.0f}{unit}"]
    threshold = runs.metrics("train").get("threshold")
    text = "" if threshold is None else f"From a probability of {threshold:.2f} on, it says {name}."
    if recipe.data.weight is not None:
        text += f" A row counts as its {recipe.data.weight} says."
    return Section("outcomes", "What comes of it", text, table=Table.of(table))


def _fairness(runs: PipelineRuns) -> Section | None:
    """Whether groups are treated alike by a classification."""
    files = runs.files("evaluate")
    table = files.table("fairness") if files else None
    if table is None or runs.recipe is None:
        return None
    name = runs.recipe.about.name_class(runs.target, runs.recipe.data.positive_class)
    words = {  # the name is filled in too: it may hold a brace
        "selection_rate": "It says {} of {} of the rows of {}, and of {} of {}.",
        "true_positive_rate": "Where it is {}, it says so in {} of {}, and {} of {}.",
    }
    table = table.astype(dict.fromkeys(RATES, float))  # of None, where no group has one
    rates = table.set_index("group")
    gaps = [
        words[rate].format(name, _whole(rates[rate][low]), low, _whole(rates[rate][high]), high)
        for rate, (low, high, _) in largest_gaps(table).items()
    ]
    shown = pd.DataFrame(
        {
            "group": table["group"],
            "rows": table["rows"],
            name: table["positives"],
            f"taken for {name}": [show_percent(rate) for rate in table["selection_rate"]],
            "of them found": [show_percent(rate) for rate in table["true_positive_rate"]],
        }
    )
    text = " ".join(gaps) or f"No two groups with {FEW_ROWS} rows each are treated differently."
    return Section("fairness", "Groups alike?", text, table=Table.of(shown))


def _whole(share: float) -> str:
    return f"{share:.0%}"


def _promise(runs: PipelineRuns) -> Section | None:
    """What monitor measured, against what the evaluation promised."""
    files = runs.files("monitor")
    table = files.table("monitor") if files else None
    if files is None or table is None:
        return None
    text = "Measured on the new rows, whose target is known, beside what its test promised."
    title = "How the figure of these rows may vary by chance, against promise and limit"
    plots = [
        Plot(title, f"Plot. {title}", content)
        for name in files.names("plots")
        if not any(_is_of(runs, what, name) for what in ("drift", "predictions"))
        and (content := files.read(name))
    ]
    return Section("promise", "Still good?", text, table=Table.of(table), plots=tuple(plots))


def _is_of(runs: PipelineRuns, what: str, plot: str) -> bool:
    """Whether a plot, by the name of its file, is of that; a recipe may be called so too."""
    return plot.rpartition("/")[2].startswith(f"{runs.recipe_name}-{what}-plot-")


def _drift(runs: PipelineRuns) -> Section | None:
    files = runs.files("score") or runs.files("monitor")
    table = files.table("drift") if files else None
    if files is None or table is None:
        return None
    drifted = int(table["drifted"].sum())
    text = (
        f"{drifted} of {counted(len(table), 'column')} differ from the training rows by more than "
        "their limit, which is the recipe's, or what chance may do with so few rows."
        if drifted
        else "The rows are like those of the training."
    )
    shares = files.table("shares")
    if shares is not None:
        text += (
            " Bars are the training rows, or of the model's answers the test rows; the line is "
            "these rows."
        )
    plots = [
        Plot("Population stability index by column", f"Bar chart. {text}", content)
        for name in files.names("plots")
        if _is_of(runs, "drift", name) and (content := files.read(name))
    ]
    plots += _predictions(runs, files) if "monitor" in runs.steps else []
    shown = Table.of(_drift_in_words(table, shares))
    return Section("drift", "Drift", text, table=shown, plots=tuple(plots))


def _drift_in_words(table: pd.DataFrame, shares: pd.DataFrame | None) -> pd.DataFrame:
    words: dict[str, Any] = {"column": table["column"]}
    if shares is not None:
        of_column = shares.set_index("column")
        words["distribution"] = [
            Shares(tuple(of_column["in training"][name]), tuple(of_column["now"][name]))
            for name in table["column"]
        ]
    grown = table["grown"] if "grown" in table else pd.Series(False, table.index)
    state = table["drifted"].map({True: "yes", False: "no"}).where(~grown.astype(bool), "grew only")
    return pd.DataFrame(
        {
            **words,
            "stability index": [f"{index:.2f}" for index in table["psi"]],
            "limit": [f"{limit:.2f}" for limit in table["limit"]],
            "drifted": state,
            "where most": table["bin"].map(with_brief_numbers),
            "in training": [show_percent(share) for share in table["in training"]],
            "now": [show_percent(share) for share in table["now"]],
        }
    )


def _scores(runs: PipelineRuns) -> Section | None:
    """What score wrote where, and how its answers are distributed."""
    files = runs.files("score")
    if files is None:
        return None
    tags, metrics = runs.tags, runs.run.data.metrics
    version = tags.get(MODEL_VERSION)
    facts = (
        ("read from", tags.get("pipeline.input"), f"{metrics.get('rows', 0):,.0f} rows"),
        ("scores", tags.get("pipeline.output"), f"{metrics.get('scored', 0):,.0f} rows"),
        ("rejects", tags.get("pipeline.rejects"), f"{metrics.get('rejected', 0):,.0f} rows"),
        ("model", runs.model_name, f"version {version} of {runs.recipe_name}"),
    )
    known = tuple(Fact(label, str(value), note) for label, value, note in facts if value)
    return Section(
        "scores", "What was written", facts=known, plots=tuple(_predictions(runs, files))
    )


def _predictions(runs: PipelineRuns, files: RunFiles) -> list[Plot]:
    title = "What it answers now, and what it answered on its test"
    return [
        Plot(title, f"Bar chart. {title}", content)
        for name in files.names("plots")
        if _is_of(runs, "predictions", name) and (content := files.read(name))
    ]


def _rejects(runs: PipelineRuns) -> Section | None:
    """The first rows that could not be scored, with the reasons."""
    files = runs.files("score")
    table = files.table("first_rejects") if files else None
    total = int(runs.run.data.metrics.get("rejected", 0))
    if table is None or not total:
        return None
    shown = Table.of(table, len(table), total)
    text = "Rows of the input that got no answer; they stand with their values in the file above."
    return Section("rejects", "What could not be scored", text, table=shown)


def _sample(runs: PipelineRuns) -> Section | None:
    files = runs.files("score")
    table = files.table("sample") if files else None
    if table is None:
        return None
    shown = Table.of(table, _FIRST_ROWS, int(runs.run.data.metrics.get("scored", 0)))
    return Section("sample", "The first scores", table=shown)
