"""The pictures show every row, say what they show, and leave no state behind."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from modelling.judging.plots import (
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
    plot_shares,
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
        (plot_residuals, "predicted quality", "error: predicted - actual"),
    ],
)
def test_a_scatter_shows_every_row_and_names_its_axes(plot, x, y):
    (axes,) = plot(TARGETS, PREDICTIONS, "quality").axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == (x, y)
    points = axes.collections[0].get_offsets()
    assert np.array_equal(points[:, 0], PREDICTIONS)
    shown = TARGETS if plot is plot_predictions else PREDICTIONS - TARGETS
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
    assert labels[0].startswith("0 to ")


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


def test_error_by_target_names_its_ranges_briefly():
    values = np.linspace(-7.993, 5.745, 140)
    axes = plot_error_by_target(values, values + 1, "y").axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0].startswith("-7.993 to ")
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


def test_a_confusion_of_weights_shows_sums_and_the_shares_of_these():
    actual, predicted = np.array(["a", "a", "b"]), np.array(["a", "b", "b"])
    figure = plot_confusion(actual, predicted, "kind", np.array([0.3, 0.1, 1234.5]))
    counts = [text.get_text() for text in figure.axes[0].texts]
    assert counts == ["0.3\n75%", "0.1\n25%", "0\n0%", "1,234\n100%"]


def test_answers_of_now_stand_beside_those_of_the_test():
    (axes,) = plot_shares(["below 1", "1 to 2"], [0.4, 0.6], [0.1, 0.9], "prediction").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["on its test", "now"]


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
