"""What tests of the steps share."""

import mlflow
import pytest
from mlflow import MlflowClient


@pytest.fixture
def client(tmp_path, make_database):
    """A client of an empty store, which is this process's own meanwhile."""
    uri = make_database(tmp_path)
    mlflow.set_tracking_uri(uri)
    yield MlflowClient(uri)
    mlflow.set_tracking_uri(None)
