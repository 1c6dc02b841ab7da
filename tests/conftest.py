"""What tests in all folders share."""

import gc
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
import skops.io  # noqa: F401 - before MLflow: it looks for functions in all modules there are
from mlflow import MlflowClient

from tests.growth import Growth

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts what it sends to the background; the commands that are typed inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Has each run of the tests say what made it long; what it imports is kept."""
    config.pluginmanager.register(Growth())
    gc.disable()


def pytest_collection_finish():
    """Looks for rubbish from now on, but not among what was imported."""
    gc.freeze()
    gc.enable()


# What takes longest begins first, so that no worker is left with it alone; then stores of their own
# are made by each, so that none waits for the other's.
_FIRST = ("test_team_server.py", "test_result.py", "test_classification.py", "test_sweep.py")


def pytest_collection_modifyitems(config, items):
    """Leaves out what is marked `exhaustive`, unless it is asked for by name."""
    if "exhaustive" not in config.getoption("-m"):
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: (*_FIRST, item.path.name).index(item.path.name))


@pytest.fixture(scope="session")
def _new_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def make_database(_new_database):
    """Puts `mlflow.db` into a folder, as MLflow makes it there in a second; returns its URI."""

    def make(folder):
        database = shutil.copyfile(_new_database, folder / "mlflow.db")
        with closing(sqlite3.connect(database)) as connection, connection:
            place = "UPDATE experiments SET artifact_location = ? || '/mlruns/0'"
            connection.execute(place, [str(folder)])
        return f"sqlite:///{database}"

    return make
