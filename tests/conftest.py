"""What tests in all folders share."""

import gc
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import skops.io  # noqa: F401 - before MLflow: it looks for functions in all modules there are

from tests.end_to_end.templates import make_template
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
def template(tmp_path_factory):
    """Gives a store that is made once in a run of the tests, by its name in `templates.py`.

    It is to be read only, with the outcomes of the commands that made it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = Path(os.environ.get("CUVEE_TEST_STORES", shared / "stores"))
    return lambda name: make_template(name, folder)


@pytest.fixture(scope="session")
def make_database(template):
    """Puts `mlflow.db` into a folder, as MLflow makes it there in seconds; returns its URI."""

    def make(folder):
        database = shutil.copyfile(
            template("empty").store.folder / "mlflow.db", folder / "mlflow.db"
        )
        with closing(sqlite3.connect(database)) as connection, connection:
            place = "UPDATE experiments SET artifact_location = ? || '/mlruns/0'"
            connection.execute(place, [str(folder)])
        return f"sqlite:///{database}"

    return make
