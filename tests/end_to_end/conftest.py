"""The front door: commands in a temporary folder, and what they leave in its store.

A pipeline costs seconds. So a test that needs one to be there starts from a copy of a store that is
made once (`templates.py`), a command is forked with its imports done (`forked.py`), and it is typed
only where the typing is the point.
"""

import pytest

from tests.end_to_end.store import Store, artifact, clean_environment, execute
from tests.end_to_end.templates import copy_store


@pytest.fixture(scope="session")
def make_store(tmp_path_factory, make_database, template):
    """Makes a store of its own.

    It is a copy of one of `templates.py` (`like="champion"`), an empty folder, or one in which the
    database has been made.
    """

    def make(is_empty: bool = False, like: str | None = None) -> Store:
        folder = tmp_path_factory.mktemp("store")
        if like:
            copy_store(template(like).store.folder, folder)
        elif not is_empty:
            make_database(folder)
        return Store(folder)

    return make


@pytest.fixture(scope="session")
def environment():
    """What the commands find in their environment."""
    return clean_environment()


@pytest.fixture(scope="session")
def read_artifact():
    """Finds an artifact of a run."""
    return artifact


@pytest.fixture(scope="session")
def type_command():
    """Runs a command in a folder, away from any store."""
    return execute
