"""The pictures show every row, say what they show, and leave no state behind."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from modelling.answers import Answers
from modelling.metrics import MULTICLASS_METRICS, REGRESSION_METRICS
from modelling.plots import (
    compute_importance,
    plot_calibration,
    plot_confusion,
    plot_error_by_target,
    plot_importance,
    plot_lift,
    plot_precision_recall,
    plot_predictions,
    plot_residuals,
    plot_roc,
    plot_scores,
    worst_predictions,
)

RNG = np.random.default_rng(0)
TARGETS = RNG.integers(3, 9, 200).astype(float)
PREDICTIONS = TARGETS + RNG.normal(size=200)


def png_of(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("plot", "x", "y"),
    [
        (plot_predictions, "predicted quality", "actual quality"),
        (plot_residuals, "predicted quality", "actual - predicted"),
    ],
)
def test_a_scatter_shows_every_row_and_names_its_axes(plot, x, y):
    (axes,) = plot(TARGETS, PREDICTIONS, "quality").axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == (x, y)
    points = axes.collections[0].get_offsets()
    assert np.array_equal(points[:, 0], PREDICTIONS)
    shown = TARGETS if plot is plot_predictions else TARGETS - PREDICTIONS
    assert np.allclose(points[:, 1], shown)


def test_the_error_has_a_box_for_each_value_with_its_number_of_rows():
    (axes,) = plot_error_by_target(TARGETS, PREDICTIONS, "quality").axes
    values, counts = np.unique(TARGETS, return_counts=True)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    expected = [f"{value:g}\nn={count}" for value, count in zip(values, counts, strict=True)]
    assert labels == expected
    assert axes.get_xlabel() == "actual quality"


def test_many_values_are_grouped_into_ranges():
    targets = np.arange(240.0)
    (axes,) = plot_error_by_target(targets, targets + 1, "price").axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == 12
    assert all(label.endswith("\nn=20") for label in labels)


@pytest.mark.parametrize("plot", [plot_predictions, plot_residuals, plot_error_by_target])
def test_the_same_rows_give_the_same_picture(plot):
    first, second = (png_of(plot(TARGETS, PREDICTIONS, "quality")) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert first != png_of(plot(TARGETS, PREDICTIONS + 1, "quality"))


def test_drawing_changes_no_setting_of_matplotlib():
    before = dict(mpl.rcParams)
    plot_predictions(TARGETS, PREDICTIONS, "quality")
    assert dict(mpl.rcParams) == before
    assert mpl.get_backend() == "agg"


def to_all(*answers):
    return Answers(*answers), np.arange(len(answers[0]))


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_the_one_column_that_matters_is_the_most_important(metric):
    features = pd.DataFrame(RNG.normal(size=(100, 3)), columns=["a", "b", "c"])
    targets = 2 * features["b"].to_numpy()
    table = compute_importance(
        lambda rows: to_all(2 * rows["b"].to_numpy()),
        features,
        targets,
        REGRESSION_METRICS[metric],
        0,
    )
    assert list(table) == ["column", "importance", "deviation"]
    assert table["column"].iloc[0] == "b"
    assert table["importance"].iloc[0] > 0.5
    assert list(table["importance"].iloc[1:]) == [0, 0]


def test_importance_is_the_same_for_the_same_seed():
    features = pd.DataFrame({"a": RNG.normal(size=50)})

    def importance(seed):
        answer = lambda rows: to_all(rows["a"].to_numpy())  # noqa: E731
        rmse = REGRESSION_METRICS["rmse"]
        return compute_importance(answer, features, features["a"].to_numpy(), rmse, seed)

    assert importance(1).equals(importance(1))
    assert not importance(1).equals(importance(2))


@pytest.mark.parametrize(("columns", "shuffles"), [(50, 5), (51, 2)])
def test_many_columns_are_shuffled_less_often(columns, shuffles):
    features = pd.DataFrame(RNG.normal(size=(20, columns))).rename(columns=str)
    asked = []

    def answer(rows):
        asked.append(len(rows))
        return to_all(rows["0"].to_numpy())

    compute_importance(answer, features, features["0"].to_numpy(), REGRESSION_METRICS["rmse"], 0)
    assert len(asked) == 1 + columns * shuffles


def test_of_many_rows_a_column_that_does_not_matter_has_no_importance():
    features = pd.DataFrame(RNG.normal(size=(2500, 2)), columns=["a", "b"])
    table = compute_importance(
        lambda rows: to_all(rows["a"].to_numpy()),
        features,
        features["a"].to_numpy() + RNG.normal(size=2500),
        REGRESSION_METRICS["rmse"],
        0,
    ).set_index("column")
    assert table.loc["b", "importance"] == 0
    assert table.loc["a", "importance"] > 0.5


def test_a_row_that_a_shuffle_makes_impossible_is_left_out():
    features = pd.DataFrame({"a": np.arange(50.0)}).assign(b=lambda rows: rows["a"] + 1)
    targets = 1 / (features["b"] - features["a"]).to_numpy()

    def answer(rows):
        places = np.flatnonzero(rows["a"] != rows["b"])
        said = 1 / (rows["b"] - rows["a"]).to_numpy()[places]
        return Answers(said), places

    table = compute_importance(answer, features, targets, REGRESSION_METRICS["rmse"], 0)
    assert (table["importance"] > 0).all()


def test_of_many_rows_no_class_is_left_out():
    targets = np.zeros(30_000)
    targets[[100, 20_000]] = 1, 2
    seen = []

    def answer(rows):
        seen.append(len(rows))
        return to_all(targets[rows.index], np.full((len(rows), 3), 1 / 3))

    features = pd.DataFrame({"a": RNG.normal(size=30_000)})
    metric = MULTICLASS_METRICS["roc_auc"]
    table = compute_importance(answer, features, targets, metric, 0, is_classes=True)
    assert table["importance"].tolist() == [0]
    assert set(seen) == {2000}


def test_error_by_target_names_its_ranges_briefly():
    values = np.linspace(-7.993, 5.745, 140)
    axes = plot_error_by_target(values, values + 1, "y").axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0].startswith("-7.994 to ")
    assert max(map(len, labels)) < 30


def test_importance_is_drawn_with_the_greatest_on_top():
    table = pd.DataFrame({"column": ["b", "a"], "importance": [2.0, 1.0], "deviation": [0.1, 0.1]})
    (axes,) = plot_importance(table, "rmse").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [bar.get_width() for bar in axes.patches] == [1.0, 2.0]
    assert "rmse" in axes.get_xlabel()


def test_at_most_thirty_columns_are_drawn():
    names = [f"column {number}" for number in range(50)]
    table = pd.DataFrame({"column": names, "importance": 1.0, "deviation": 0.0})
    assert len(plot_importance(table, "rmse").axes[0].patches) == 30


def test_the_worst_predictions_stand_first_with_their_rows():
    test = pd.DataFrame(
        {"row_key": np.arange(30, dtype="uint64"), "a": np.arange(30.0), "y": np.zeros(30)}
    )
    predictions = np.arange(30.0) * np.where(np.arange(30) % 2, 1, -1)
    answers = pd.DataFrame({"prediction": predictions})
    table = worst_predictions(test, answers, predictions, "y")
    assert list(table) == ["row_key", "y", "prediction", "error", "a"]
    assert list(table["a"]) == list(np.arange(29.0, 9.0, -1))
    assert list(table["error"]) == list(predictions[29:9:-1])
    assert table["row_key"].iloc[0] == f"{29:016x}"


IS_CLASS = (RNG.random(400) < 0.25).astype(float)
SCORE = np.clip(0.25 + 0.4 * (IS_CLASS - 0.25) + 0.15 * RNG.normal(size=400), 0, 1)
SCORES = {
    "churned = 1": (IS_CLASS, SCORE),
    "a class with <b>a long</b> name": (1 - IS_CLASS, 1 - SCORE),
}


def test_the_confusion_matrix_shows_the_counts_and_their_shares_of_the_class():
    actual, predicted = np.array(["a", "a", "b", "b", "b"]), np.array(["a", "b", "b", "b", "a"])
    figure = plot_confusion(actual, predicted, "kind")
    counts = [text.get_text() for text in figure.axes[0].texts]
    assert counts == ["1\n50%", "1\n50%", "1\n33%", "2\n67%"]
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["a", "b"]


def test_a_long_class_is_shortened_and_twenty_classes_fit():
    names = np.array([f"class {number} with a very long name indeed" for number in range(20)])
    axes = plot_confusion(names, names, "kind").axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert max(map(len, labels)) == 32
    assert len(labels) == 20


@pytest.mark.parametrize("plot", [plot_roc, plot_precision_recall, plot_calibration])
def test_a_curve_is_drawn_for_each_class(plot):
    (axes,) = plot(SCORES, "churned").axes
    legend = " ".join(text.get_text() for text in axes.get_legend().get_texts())
    assert all(name in legend for name in SCORES)
    assert png_of(plot(SCORES, "churned")) == png_of(plot(SCORES, "churned"))


@pytest.mark.parametrize("plot", [plot_roc, plot_precision_recall, plot_calibration])
@pytest.mark.parametrize(("name", "shown"), [("__y = 1", "y = 1"), ("___", "(no letter)")])
def test_a_name_that_begins_with_underscores_is_in_the_legend(plot, name, shown):
    (axes,) = plot({name: (IS_CLASS, SCORE)}, name).axes
    legend = " ".join(text.get_text() for text in axes.get_legend().get_texts())
    assert shown in legend
    assert "_" not in legend


@pytest.mark.parametrize("plot", [plot_roc, plot_precision_recall, plot_calibration])
@pytest.mark.filterwarnings("ignore:No artists with labels")
def test_no_curve_is_no_reason_to_fail(plot):
    assert plot({}, "y").axes


def test_the_lift_begins_high_and_ends_at_one():
    line = plot_lift(IS_CLASS, SCORE, "churned = 1").axes[0].lines[0]
    share, lift = line.get_data()
    assert share[-1] == 100
    assert lift[-1] == pytest.approx(1)
    assert 2 < lift[0] <= 1 / IS_CLASS.mean()


def test_the_scores_of_each_class_are_shares_of_its_rows():
    axes = plot_scores(IS_CLASS, SCORE, "churned = 1", 0.4).axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights[:30]) == pytest.approx(100)
    assert sum(heights[30:]) == pytest.approx(100)
    assert "threshold 0.4" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_columns_whose_cut_names_are_equal_keep_a_bar_each():
    names = [f"measurement of sensor {number:03d} in the hall at the end" for number in range(5)]
    table = pd.DataFrame({"column": names, "importance": range(5, 0, -1), "deviation": 0.1})
    axes = plot_importance(table, "rmse").axes[0]
    assert len({label.get_text() for label in axes.get_yticklabels()}) == 1
    assert sorted(bar.get_width() for bar in axes.patches) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("plot", [plot_roc, plot_precision_recall, plot_calibration])
def test_nothing_is_cut_and_a_legend_hides_no_curve_whatever_the_names(plot):
    target = "Zielgröße $x$ that is called by a very long name, in mg/l"
    scores = {f"{target} = {number}": (IS_CLASS, SCORE) for number in range(8)}
    figure = plot(scores, target)
    figure.draw_without_rendering()
    room = figure.bbox
    title, legend = figure._suptitle, figure.legends[0]
    for part in (title, legend, figure.axes[0].xaxis.label, figure.axes[0].yaxis.label):
        box = part.get_window_extent()
        assert room.x0 <= box.x0 <= box.x1 <= room.x1
        assert room.y0 <= box.y0 <= box.y1 <= room.y1
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
    assert "$" in title.get_text()
