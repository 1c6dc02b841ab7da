"""The one line of an error."""

import click
import pytest

from engine.failures import StepError, one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("alpha is wrong"), "alpha is wrong"),
        (ValueError("two\n  lines"), "two lines"),
        (click.UsageError("No such option: --x"), "No such option: --x"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (StepError("train: no"), "train: no"),
        (ValueError("database is locked [SQL: SELECT 1] (Background …)"), "database is locked"),
    ],
)
def test_an_error_for_people_is_its_own_message(error, line):
    assert one_line(error) == line


def test_an_error_that_nobody_foresaw_names_its_place():
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    assert one_line(caught.value).startswith("ZeroDivisionError in test_failures.py, line ")
