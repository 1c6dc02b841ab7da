"""Each function of recipes/deliveries.py, with rows that one can check by eye."""

import deliveries
import numpy as np
import pandas as pd

ORDERS = pd.DataFrame(
    {
        "ordered_at": pd.to_datetime(["2026-03-02 17:59", "2026-05-11 18:00"]),
        "district": ["north", "river"],
        "status": ["cancelled", "delivered"],
        "minutes": [20.0, 30.0],
    }
)


def test_the_lines_before_the_table_are_left_out(tmp_path):
    (tmp_path / "orders.csv").write_text("Deliveries\nTimes are local\nitems,minutes\n2,30\n")
    assert deliveries.load(tmp_path / "orders.csv").to_dict("list") == {
        "items": [2],
        "minutes": [30],
    }


def test_a_cancelled_order_does_not_count_and_the_last_weeks_are_for_the_test():
    assert deliveries.is_delivered(ORDERS).tolist() == [False, True]
    assert deliveries.split(ORDERS).tolist() == ["train", "test"]


def test_a_table_with_orders_of_the_night_is_refused():
    assert deliveries.no_order_at_night(ORDERS) is None
    night = ORDERS.assign(ordered_at=pd.Timestamp("2026-05-11 03:00"))
    assert deliveries.no_order_at_night(night) == "2 orders are of the night, when nobody cooks"


def test_the_rush_begins_at_six_and_a_row_alone_is_the_same():
    assert deliveries.is_rush(ORDERS).tolist() == [0, 1]
    assert deliveries.is_rush(ORDERS.tail(1)).tolist() == [1]


def test_what_is_rare_is_clipped_as_in_training():
    clipped = deliveries.Clipped(share=0.25).fit([[0], [1], [2], [3], [4]])
    assert clipped.transform([[-9], [2], [9]]).tolist() == [[1], [2], [3]]


def test_nothing_is_promised_that_never_was():
    model = deliveries.NeverBefore(alpha=0.0).fit(np.array([[1.0], [2.0]]), np.array([10.0, 20.0]))
    assert np.allclose(model.predict([[-5.0], [3.0]]), [10, 30])


def test_five_minutes_are_not_late():
    assert deliveries.late_share(pd.Series([20, 20]), pd.Series([25, 26])) == 0.5


def test_the_plot_has_a_bar_for_each_district():
    figure = deliveries.error_by_district(ORDERS.assign(prediction=25.0))
    assert len(figure.axes[0].patches) == 2
